//! The least that can be called a platform: revisions as processes, a switch before them that shares out the traffic
//! and counts what clients get, and four verbs for `.github/scripts/platform/local.sh`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Router, body::Body};
use reqwest::{Client, Method};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Mutex as AsyncMutex;

use programs::http::ask;
use programs::running::{Running, field};

/// The route that the faulty version breaks: one that the smoke test does not ask for.
pub(super) const ROUTE: &str = "/api/v1/passengers/{id}";
/// The share of its requests that fail there, in percent.
pub(super) const FAULT_PERCENT: u64 = 50;
/// The counter of the switch.
pub(super) const COUNTER: &str = "edge_requests_total";

/// An image that can be deployed here.
#[derive(Debug, Clone)]
pub(super) struct Image {
    pub(super) reference: String,
    pub(super) version: &'static str,
    pub(super) faulty: bool,
}

/// The route of the traffic. Every request reads it anew, so a change holds from the next one on.
#[derive(Debug, Clone)]
struct Share {
    stable: (String, SocketAddr),
    canary: Option<(String, SocketAddr, u64)>,
}

/// The running platform. Dropping it kills what it runs.
pub(super) struct Platform {
    inner: Arc<Inner>,
    /// The address for clients.
    pub(super) edge: SocketAddr,
    /// The address for the scripts and for the agent's scrapes.
    pub(super) control: SocketAddr,
}

struct Inner {
    titanic: PathBuf,
    folder: PathBuf,
    images: Vec<Image>,
    client: Client,
    share: Mutex<Share>,
    running: AsyncMutex<BTreeMap<String, Running>>,
    turn: AtomicU64,
    counts: Mutex<BTreeMap<u16, u64>>,
}

type QueryParameters = Query<BTreeMap<String, String>>;
type Answer = std::result::Result<String, (StatusCode, String)>;

impl Platform {
    /// Starts the first image and gives it all of the traffic.
    pub(super) async fn start(
        titanic: PathBuf,
        folder: PathBuf,
        images: Vec<Image>,
        client: Client,
    ) -> Result<Self> {
        let first = images.first().cloned().context("no image")?;
        let nobody = SocketAddr::from(([127, 0, 0, 1], 0));
        let share = Share { stable: (first.reference.clone(), nobody), canary: None };
        let inner = Arc::new(Inner {
            titanic,
            folder,
            images,
            client,
            share: Mutex::new(share),
            running: AsyncMutex::default(),
            turn: AtomicU64::new(0),
            counts: Mutex::default(),
        });
        let address = inner.begin(&first.reference).await?;
        inner.set(|share| share.stable.1 = address);
        let edge = Router::new().fallback(forward).with_state(Arc::clone(&inner));
        let control = Router::new()
            .route("/revision", get(revision))
            .route("/canary", post(canary))
            .route("/promote", post(promote))
            .route("/restore", post(restore))
            .route("/metrics", get(metrics))
            .with_state(Arc::clone(&inner));
        Ok(Self { inner, edge: serve(edge).await?, control: serve(control).await? })
    }

    /// Returns the version that has all of the traffic; `None` while it is shared.
    pub(super) fn settled(&self) -> Option<String> {
        let share = self.inner.share();
        share.canary.is_none().then_some(share.stable.0)
    }

    /// Ends what runs, in order.
    pub(super) async fn stop(&self) {
        for (_, running) in std::mem::take(&mut *self.inner.running.lock().await) {
            running.stop().await;
        }
    }
}

async fn serve(router: Router) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("listening for the drill")?;
    let address = listener.local_addr().context("reading the address of the drill")?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

impl Inner {
    fn share(&self) -> Share {
        self.share.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, change: impl FnOnce(&mut Share)) {
        change(&mut self.share.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Starts a revision. The faulty one is the same program with a fault in one of its routes.
    async fn begin(&self, reference: &str) -> Result<SocketAddr> {
        let image = self.images.iter().find(|image| image.reference == reference);
        let image = image.with_context(|| format!("there is no image {reference}"))?;
        let folder = self.folder.join(image.version);
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let token = format!("drill-{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let database = format!("sqlite://{}", folder.join("titanic.db").display());
        let mut program = Running::start("titanic", &self.titanic, |command| {
            command.envs([("PORT", "0"), ("ADMIN_PORT", "0"), ("BIND", "127.0.0.1"), ("LOG_LEVEL", "info")]);
            command.env("DATABASE_URL", database).env("ADMIN_TOKEN", &token).env("ENVIRONMENT", "drill");
            command.env("APP_VERSION", image.version).env("DRAIN_SECONDS", "1").current_dir(&folder);
        })?;
        let line = program.listening().await?;
        if image.faulty {
            let fault =
                json!({"route": ROUTE, "error_percent": FAULT_PERCENT, "status": 503, "ttl_seconds": 120});
            let url = format!("http://{}/faults", field(&line, "admin_address")?);
            ask(&self.client, Method::POST, &url, Some(&token), Some(&fault)).await?;
        }
        self.running.lock().await.insert(reference.to_owned(), program);
        field(&line, "address")?.parse().context("reading the address of titanic")
    }

    /// Ends every revision that gets no traffic any more.
    async fn sweep(&self) {
        let share = self.share();
        let canary = share.canary.map(|(reference, ..)| reference);
        let mut running = self.running.lock().await;
        let idle: Vec<String> = running
            .keys()
            .filter(|name| **name != share.stable.0 && Some(*name) != canary.as_ref())
            .cloned()
            .collect();
        for name in idle {
            if let Some(program) = running.remove(&name) {
                // it finishes what it has; nobody needs to wait for that
                tokio::spawn(program.stop());
            }
        }
    }

    /// Chooses the version for a request: the canary's requests are spread evenly, so that its share is exact.
    fn next(&self) -> SocketAddr {
        let share = self.share();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        match share.canary {
            Some((_, address, percent)) if turn * percent % 100 < percent => address,
            _ => share.stable.1,
        }
    }
}

async fn forward(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let url = format!("http://{}{path}", inner.next());
    let sent = inner.client.request(request.method().clone(), url).send().await;
    let answer = match sent {
        Ok(answer) => {
            let status = answer.status();
            match answer.bytes().await {
                Ok(body) => (status, Body::from(body)).into_response(),
                Err(_) => StatusCode::BAD_GATEWAY.into_response(),
            }
        }
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    };
    let mut counts = inner.counts.lock().unwrap_or_else(PoisonError::into_inner);
    *counts.entry(answer.status().as_u16()).or_default() += 1;
    answer
}

async fn metrics(State(inner): State<Arc<Inner>>) -> String {
    let counts = inner.counts.lock().unwrap_or_else(PoisonError::into_inner).clone();
    // both series from the start, or the first error would be a series without a past
    let known = [200, 503].into_iter().map(|code| (code, 0));
    let all: BTreeMap<u16, u64> = known.chain(counts).collect();
    let lines = all.iter().map(|(code, count)| format!("{COUNTER}{{code=\"{code}\"}} {count}\n"));
    std::iter::once(format!("# TYPE {COUNTER} counter\n")).chain(lines).collect()
}

async fn revision(State(inner): State<Arc<Inner>>) -> String {
    inner.share().stable.0
}

fn named(asked: &QueryParameters, name: &str) -> std::result::Result<String, (StatusCode, String)> {
    asked.get(name).cloned().ok_or_else(|| (StatusCode::BAD_REQUEST, format!("`{name}` is missing")))
}

async fn canary(State(inner): State<Arc<Inner>>, asked: QueryParameters) -> Answer {
    let image = named(&asked, "image")?;
    let percent = named(&asked, "percent")?.parse::<u64>().ok().filter(|percent| *percent <= 100);
    let percent = percent.ok_or((StatusCode::BAD_REQUEST, "`percent` is no share".to_owned()))?;
    let begun = inner.begin(&image).await;
    let address = begun.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")))?;
    inner.set(|share| share.canary = Some((image, address, percent)));
    Ok(format!("http://{address}"))
}

async fn promote(State(inner): State<Arc<Inner>>, asked: QueryParameters) -> Answer {
    let image = named(&asked, "image")?;
    let mut promoted = false;
    inner.set(|share| {
        if let Some((reference, address, _)) = share.canary.take_if(|(reference, ..)| *reference == image) {
            share.stable = (reference, address);
            promoted = true;
        }
    });
    inner.sweep().await;
    promoted.then_some(image).ok_or((StatusCode::CONFLICT, "it has no share yet".to_owned()))
}

async fn restore(State(inner): State<Arc<Inner>>, asked: QueryParameters) -> Answer {
    let wanted = named(&asked, "revision")?;
    inner.set(|share| share.canary = None);
    if inner.share().stable.0 != wanted {
        let begun = inner.begin(&wanted).await;
        let address = begun.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")))?;
        inner.set(|share| share.stable = (wanted.clone(), address));
    }
    inner.sweep().await;
    Ok(wanted)
}

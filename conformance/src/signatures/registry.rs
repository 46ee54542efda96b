//! A registry of images on loopback: as much of the OCI distribution protocol as signing and verifying needs, in memory.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Runtime;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DIGEST: &str = "docker-content-digest";

/// Contents by their digest.
#[derive(Debug, Default)]
struct Stored {
    manifests: BTreeMap<String, (String, Bytes)>,
    blobs: BTreeMap<String, Bytes>,
    /// The upload that goes on: one client at a time.
    upload: Vec<u8>,
}

type Shared = Arc<Mutex<Stored>>;

/// The registry, which ends when it is dropped.
#[derive(Debug)]
pub(super) struct Registry {
    pub(super) address: SocketAddr,
    stored: Shared,
    _runtime: Runtime,
}

impl Registry {
    pub(super) fn start() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("starting the threads of a registry")?;
        let stored = Shared::default();
        let router = Router::new()
            .fallback(answer)
            .layer(DefaultBodyLimit::max(1 << 20))
            .with_state(Arc::clone(&stored));
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .context("starting a registry on loopback")?;
        let address = listener.local_addr().context("reading where the registry listens")?;
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, stored, _runtime: runtime })
    }

    /// Stores an image without layers, which a label tells from others. Returns its digest.
    pub(super) fn add_image(&self, label: &str) -> String {
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": { "Labels": { "of": label } },
            "rootfs": { "type": "layers", "diff_ids": [] },
        });
        let config = Bytes::from(config.to_string());
        let of_config = digest(&config);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json", "digest": of_config, "size": config.len(),
            },
        });
        let manifest = Bytes::from(manifest.to_string());
        let of_manifest = digest(&manifest);
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        stored.blobs.insert(of_config, config);
        stored.manifests.insert(of_manifest.clone(), (MANIFEST.to_owned(), manifest));
        of_manifest
    }
}

fn digest(content: &[u8]) -> String {
    let hex: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

async fn answer(
    State(stored): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut stored = stored.lock().unwrap_or_else(PoisonError::into_inner);
    let (path, last) = (uri.path(), uri.path().rsplit('/').next().unwrap_or_default());
    let puts = method == Method::PUT;
    if path == "/v2/" {
        StatusCode::OK.into_response()
    } else if path.contains("/blobs/uploads") {
        stored.upload.extend_from_slice(&body);
        if puts { stored.end_upload() } else { continue_at(path, &method) }
    } else if path.contains("/blobs/") {
        stored.blobs.get(last).map_or_else(absent, |content| content.clone().into_response())
    } else if path.contains("/manifests/") && puts {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        stored.put_manifest(kind.unwrap_or(MANIFEST), body)
    } else if path.contains("/manifests/") {
        let found = stored.manifests.get(last);
        found.map_or_else(absent, |(kind, content)| typed(kind, last, content.clone()))
    } else if path.contains("/referrers/") {
        let list = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": stored.referrers_of(last) });
        let list = Bytes::from(list.to_string());
        typed(INDEX, &digest(&list), list)
    } else {
        absent()
    }
}

fn absent() -> Response {
    (StatusCode::NOT_FOUND, r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#).into_response()
}

fn typed(kind: &str, of: &str, content: Bytes) -> Response {
    let of = HeaderValue::from_str(of).unwrap_or(HeaderValue::from_static(""));
    let kind = HeaderValue::from_str(kind).unwrap_or(HeaderValue::from_static(MANIFEST));
    ([(header::CONTENT_TYPE, kind), (HeaderName::from_static(DIGEST), of)], content).into_response()
}

/// The answer to the beginning and to a part of an upload.
fn continue_at(path: &str, method: &Method) -> Response {
    let begins = *method == Method::POST;
    let location = if begins { format!("{}/1", path.trim_end_matches('/')) } else { path.to_owned() };
    (StatusCode::ACCEPTED, [(header::LOCATION, location)]).into_response()
}

impl Stored {
    fn end_upload(&mut self) -> Response {
        let content = Bytes::from(std::mem::take(&mut self.upload));
        let of = digest(&content);
        self.blobs.insert(of.clone(), content);
        (StatusCode::CREATED, [(DIGEST, of)]).into_response()
    }

    fn put_manifest(&mut self, kind: &str, content: Bytes) -> Response {
        let of = digest(&content);
        let subject = subject_of(&content).unwrap_or_default();
        self.manifests.insert(of.clone(), (kind.to_owned(), content));
        (StatusCode::CREATED, [(DIGEST, of), ("oci-subject", subject)]).into_response()
    }

    /// Manifests that say they are about a digest.
    fn referrers_of(&self, subject: &str) -> Vec<Value> {
        let about = self
            .manifests
            .iter()
            .filter(|(_, (_, content))| subject_of(content).is_some_and(|found| found == subject));
        about
            .map(|(of, (kind, content))| {
                let manifest: Value = serde_json::from_slice(content).unwrap_or_default();
                let artifact = manifest.get("artifactType").or_else(|| manifest.pointer("/config/mediaType"));
                json!({ "mediaType": kind, "digest": of, "size": content.len(), "artifactType": artifact })
            })
            .collect()
    }
}

fn subject_of(content: &[u8]) -> Option<String> {
    let manifest: Value = serde_json::from_slice(content).ok()?;
    manifest.pointer("/subject/digest")?.as_str().map(str::to_owned)
}

//! Tokens by client credentials, against a token endpoint and an API on loopback, in real time.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get as route_get, post};
use lookout_config::{ClientAuth, OAuth2, Redirects, Target, TlsOptions};
use tokio::net::TcpListener;

use super::super::test_support::*;
use super::*;

#[derive(Default)]
struct Issuer {
    /// Requests for a token: the header `Authorization` and the form.
    asked: Vec<(String, String)>,
    /// Requests of the API by their tokens.
    seen: Vec<String>,
    /// The only token that is good.
    valid: String,
    delay: Duration,
    is_broken: bool,
    refuses_all: bool,
}

type Shared = Arc<Mutex<Issuer>>;

async fn issue(State(issuer): State<Shared>, headers: HeaderMap, form: Bytes) -> (StatusCode, String) {
    let authorization = headers.get("authorization").map_or("", |value| value.to_str().unwrap()).to_owned();
    let (delay, answer) = {
        let mut issuer = issuer.lock().unwrap();
        issuer.asked.push((authorization, String::from_utf8(form.to_vec()).unwrap()));
        let token = format!("hunter{}", issuer.asked.len());
        let broken = "{\"error\":\"temporarily_unavailable\"}".to_owned();
        let answer = if issuer.is_broken {
            (StatusCode::SERVICE_UNAVAILABLE, broken)
        } else {
            issuer.valid.clone_from(&token);
            (
                StatusCode::OK,
                format!("{{\"access_token\":\"{token}\",\"token_type\":\"Bearer\",\"expires_in\":3600}}"),
            )
        };
        (issuer.delay, answer)
    };
    tokio::time::sleep(delay).await;
    answer
}

async fn health(State(issuer): State<Shared>, headers: HeaderMap) -> StatusCode {
    let token = headers.get("authorization").map_or("", |value| value.to_str().unwrap()).to_owned();
    let mut issuer = issuer.lock().unwrap();
    let good = token == format!("Bearer {}", issuer.valid) && !issuer.refuses_all;
    issuer.seen.push(token);
    if good { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
}

/// A token endpoint and an API behind one address.
async fn issuer() -> (SocketAddr, Shared) {
    let issuer = Shared::default();
    let router = Router::new()
        .route("/token", post(issue))
        .route("/health", route_get(health))
        .with_state(Arc::clone(&issuer));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, issuer)
}

fn grant(address: SocketAddr) -> OAuth2 {
    OAuth2 {
        token_url: format!("http://{address}/token").parse().unwrap(),
        client_id: "look out".to_owned(),
        client_secret: Secret::new("s3c:ret"),
        scopes: vec!["health.read".to_owned(), "x".to_owned()],
        parameters: vec![("audience".to_owned(), Secret::new("a&b"))],
        auth: ClientAuth::Basic,
        tls: TlsOptions::default(),
    }
}

fn granted(grant: OAuth2, api: SocketAddr) -> Target {
    requesting(HttpCheck { oauth2: Some(Arc::new(grant)), ..get(format!("http://{api}/health")) })
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_its_time_is_apart() {
    let (address, issuer) = issuer().await;
    issuer.lock().unwrap().delay = Duration::from_millis(300);
    let (prober, target) = (prober(), granted(grant(address), address));
    let (told, outcome) = verdict_by(&prober, &target).await;
    assert_eq!(told, "ok");
    assert!(outcome.received.token_time.unwrap() >= Duration::from_millis(300), "{outcome:?}");
    assert!(outcome.total < Duration::from_millis(250), "the target is not blamed: {outcome:?}");
    let (told, outcome) = verdict_by(&prober, &target).await;
    assert_eq!((told.as_str(), outcome.received.token_time.unwrap_or_default().as_millis()), ("ok", 0));
    let issuer = issuer.lock().unwrap();
    // "look+out:s3c%3Aret", encoded as RFC 6749 wants it
    let form = "grant_type=client_credentials&scope=health.read+x&audience=a%26b";
    assert_eq!(issuer.asked, [("Basic bG9vaytvdXQ6czNjJTNBcmV0".to_owned(), form.to_owned())]);
    assert_eq!(issuer.seen, ["Bearer hunter1", "Bearer hunter1"]);
}

#[tokio::test]
async fn identifier_and_secret_may_stand_in_the_form() {
    let (address, issuer) = issuer().await;
    let grant = OAuth2 { auth: ClientAuth::Post, ..grant(address) };
    assert_eq!(verdict_of(&granted(grant, address)).await.0, "ok");
    let (authorization, form) = issuer.lock().unwrap().asked[0].clone();
    assert_eq!(authorization, "");
    assert!(form.ends_with("&client_id=look+out&client_secret=s3c%3Aret"), "{form}");
}

#[tokio::test]
async fn a_token_that_the_target_refuses_is_renewed_once() {
    let (address, issuer) = issuer().await;
    let (prober, target) = (prober(), granted(grant(address), address));
    for round in 1..=2 {
        assert_eq!(verdict_by(&prober, &target).await.0, "ok");
        issuer.lock().unwrap().valid = "revoked".to_owned();
        assert_eq!(verdict_by(&prober, &target).await.0, "ok", "a revoked token is no failure of the target");
        assert_eq!(issuer.lock().unwrap().asked.len(), round + 1);
    }
    // an API that takes no token is not asked for ever
    issuer.lock().unwrap().refuses_all = true;
    let before = issuer.lock().unwrap().seen.len();
    assert_eq!(verdict_by(&prober, &target).await.0, "status: status (401) == 2xx");
    assert_eq!(issuer.lock().unwrap().seen.len(), before + 2);
}

#[tokio::test]
async fn a_broken_token_endpoint_is_told_as_such_and_heals() {
    let (address, issuer) = issuer().await;
    let (prober, target) = (prober(), granted(grant(address), address));
    for _ in 0..2 {
        issuer.lock().unwrap().is_broken = true;
        for _ in 0..2 {
            let told = verdict_by(&prober, &target).await.0;
            let expected =
                format!("oauth2: no token from http://{address}: status 503, temporarily_unavailable");
            assert_eq!(told, expected);
        }
        assert_eq!(issuer.lock().unwrap().seen.len(), 0, "the target is not asked");
        issuer.lock().unwrap().is_broken = false;
        assert_eq!(verdict_by(&prober, &target).await.0, "ok");
        // nothing is asked of a token endpoint whose token has not ended
        issuer.lock().unwrap().is_broken = true;
        assert_eq!(verdict_by(&prober, &target).await.0, "ok");
        issuer.lock().unwrap().valid = "revoked".to_owned();
        assert!(verdict_by(&prober, &target).await.0.starts_with("oauth2: "));
        issuer.lock().unwrap().seen.clear();
    }
}

#[tokio::test]
async fn a_silent_token_endpoint_leaves_time_and_a_reason() {
    let (api, _issuer) = issuer().await;
    let silent = silent().await;
    let target =
        hasty(granted(OAuth2 { token_url: format!("http://{silent}/").parse().unwrap(), ..grant(api) }, api));
    for _ in 0..2 {
        let (told, outcome) = verdict_of(&target).await;
        assert!(
            told.starts_with(&format!("oauth2: no token from http://{silent}: no answer within")),
            "{told}"
        );
        assert!(outcome.total < Duration::from_millis(100), "its time is none of the target: {outcome:?}");
        assert!(outcome.received.token_time.unwrap() >= Duration::from_millis(150));
    }
}

#[tokio::test]
async fn probes_at_once_share_one_request() {
    let (address, issuer) = issuer().await;
    issuer.lock().unwrap().delay = Duration::from_millis(100);
    let (prober, target) = (prober(), granted(grant(address), address));
    let good = AtomicUsize::new(0);
    let probes = (0..20).map(|_| async {
        if verdict_by(&prober, &target).await.0 == "ok" {
            good.fetch_add(1, Ordering::Relaxed);
        }
    });
    futures_util::future::join_all(probes).await;
    assert_eq!((good.into_inner(), issuer.lock().unwrap().asked.len()), (20, 1));
}

#[tokio::test]
async fn a_token_stays_at_its_origin() {
    let (address, _issuer) = issuer().await;
    let (stranger, mut heads) = answering(OK).await;
    let moved = format!("HTTP/1.1 302 Moved\r\nlocation: http://{stranger}/\r\ncontent-length: 0\r\n\r\n");
    let (first, mut first_heads) = answering(moved).await;
    let check = HttpCheck {
        oauth2: Some(Arc::new(grant(address))),
        redirects: Redirects { limit: 3, any_origin: true },
        ..get(format!("http://{first}/"))
    };
    assert_eq!(verdict_of(&requesting(check)).await.0, "ok");
    assert!(first_heads.recv().await.unwrap().contains("Bearer hunter1"));
    let head = heads.recv().await.unwrap().to_lowercase();
    assert!(!head.contains("hunter") && !head.contains("authorization"), "{head}");
}

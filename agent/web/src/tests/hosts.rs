//! The names under which the agent answers.

use axum::body::Body;
use tower::ServiceExt as _;

use super::fixture::Fixture;

async fn status(path: &str, host: &str) -> u16 {
    let mut fixture = Fixture::healthy();
    fixture.config.external_url = "https://lookout.example.org/base".parse().unwrap();
    fixture.config.hosts = vec!["Watch.Example.com".to_owned()];
    let request = http::Request::get(path).header("host", host).body(Body::empty()).unwrap();
    crate::router(fixture.state()).oneshot(request).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn only_its_own_names_are_answered() {
    for host in [
        "localhost:9797",
        "127.0.0.1:9797",
        "[::1]:9797",
        "10.1.2.3",
        "lookout",
        "lookout.prod.svc:9797",
        "lookout.prod.svc.cluster.local",
        "a.localhost",
        "lookout.prod.titanic.internal:9797",
        "LOOKOUT.example.org",
        "lookout.example.org.:443",
        "watch.example.com:80",
    ] {
        assert_eq!(status("/", host).await, 200, "{host}");
    }
    for host in [
        "evil.example",
        "lookout.example.org.evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "svc.evil.example:9797",
        "internal.evil.example",
        "evil.example:80:80",
        "x@evil.example",
        "evillookout.example.org",
        "1.2.3.4.5",
    ] {
        for path in ["/", "/metrics", "/api/v1/slos"] {
            assert_eq!(status(path, host).await, 421, "{host}");
        }
        assert_eq!(status("/livez", host).await, 200, "health is for every name");
    }
}

#[tokio::test]
async fn the_target_of_a_request_counts_as_its_name() {
    assert_eq!(status("http://localhost/", "localhost").await, 200);
    assert_eq!(status("http://evil.example/", "localhost").await, 421);
}

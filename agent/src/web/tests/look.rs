//! For eyes: serves the fixtures so that a browser can be pointed at them.

use super::*;

#[tokio::test]
#[ignore = "serves pages to look at until it is stopped: cargo test -p lookout serve_fixtures -- --ignored --nocapture"]
async fn serve_fixtures() {
    let houses = [
        ("healthy", House::healthy()),
        ("burning", House::burning()),
        ("empty", House::empty()),
        ("hostile", House::hostile()),
    ];
    let mut servers = tokio::task::JoinSet::new();
    for (name, mut house) in houses {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../runbooks");
        house.config.outputs.runbooks = folder.canonicalize().ok();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{name} http://{}/", listener.local_addr().unwrap());
        let router = router(house.state());
        servers.spawn(async move { axum::serve(listener, router).await });
    }
    while servers.join_next().await.is_some() {}
}

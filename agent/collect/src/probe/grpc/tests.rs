//! gRPC against tonic's health service.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tonic_health::ServingStatus;

use super::super::test_support::*;
use super::*;
use lookout_config::{Check, HostPort, Target};

async fn health_server() -> (SocketAddr, tonic_health::server::HealthReporter) {
    let (reporter, service) = tonic_health::server::health_reporter();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = tonic::service::Routes::new(service).into_axum_router();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = hyper_util::service::TowerToHyperService::new(router.clone());
            tokio::spawn(async move {
                let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (address, reporter)
}

fn target(address: SocketAddr, service: &str) -> Target {
    let address = HostPort { host: address.ip().to_string(), port: address.port() };
    let check = GrpcCheck { address, service: service.to_owned(), tls: None };
    asserting(probing(Check::Grpc(Box::new(check))), &["grpc.status == \"SERVING\""])
}

#[tokio::test]
async fn the_health_of_a_service_decides() {
    let (address, reporter) = health_server().await;
    let long = "a".repeat(200);
    for service in ["shop.v1.Cart", long.as_str()] {
        reporter.set_service_status(service, ServingStatus::Serving).await;
        let (told, outcome) = verdict_of(&target(address, service)).await;
        assert_eq!((told.as_str(), outcome.summary.as_deref()), ("ok", Some("SERVING")));
        assert!(outcome.phases.processing.is_some() && outcome.phases.transfer.is_some());
    }
    assert_eq!(verdict_of(&target(address, "")).await.0, "ok", "the whole server");
    reporter.set_service_status("shop.v1.Cart", ServingStatus::NotServing).await;
    let told = verdict_of(&target(address, "shop.v1.Cart")).await.0;
    assert_eq!(told, "grpc_status: grpc.status (\"NOT_SERVING\") == \"SERVING\"");
    let told = verdict_of(&target(address, "nobody")).await.0;
    assert_eq!(told, "grpc_status: grpc.status (\"NOT_FOUND\") == \"SERVING\"");
}

#[tokio::test]
async fn a_server_that_is_not_grpc_or_hangs_is_told() {
    let (http, _heads) = answering(OK).await;
    assert!(verdict_of(&target(http, "")).await.0.starts_with("read: no complete answer: "));
    let silent = silent().await;
    assert_eq!(verdict_of(&hasty(target(silent, ""))).await.0, "ttfb_timeout: no answer within 400ms");
}

#[test]
fn frames_are_written_and_read() {
    assert_eq!(encode(""), [0, 0, 0, 0, 0]);
    assert_eq!(encode("ab"), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
    assert_eq!(decode(&[0, 0, 0, 0, 2, 8, 1]).as_deref(), Some("SERVING"));
    assert_eq!(decode(&[0, 0, 0, 0, 0]).as_deref(), Some("UNKNOWN"));
    assert_eq!(decode(&[0, 0, 0, 0, 2, 8, 9]).as_deref(), Some("STATUS_9"));
    for bad in [&[0, 0, 0][..], &[1, 0, 0, 0, 0], &[0, 0, 0, 0, 2, 8], &[0, 0, 0, 0, 1, 9]] {
        assert_eq!(decode(bad), None, "{bad:?}");
    }
}

use std::net::SocketAddr;

use regex::bytes::Regex;
use tokio_tungstenite::accept_async;

use super::super::test_support::*;
use super::*;
use lookout_config::{Check, Target, TlsOptions};

/// A server that sends a greeting, echoes each message and never closes.
async fn echo_server() -> SocketAddr {
    listening(|stream| async move {
        let Ok(mut socket) = accept_async(stream).await else { return };
        let _ = socket.send(Message::text("welcome")).await;
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() && socket.send(message).await.is_err() {
                return;
            }
        }
    })
    .await
}

fn target(url: String, send: Option<&str>, expected: Option<&str>) -> Target {
    probing(Check::WebSocket(Box::new(WebSocketCheck {
        url: url.parse().unwrap(),
        headers: Vec::new(),
        tls: TlsOptions::default(),
        send: send.map(str::to_owned),
        expect_message: expected.map(|pattern| Regex::new(pattern).unwrap()),
    })))
}

#[tokio::test]
async fn an_upgrade_and_a_message_are_exchanged() {
    let address = echo_server().await;
    let url = format!("ws://{address}/events");
    let (told, outcome) = verdict_of(&target(url.clone(), None, None)).await;
    assert_eq!((told.as_str(), outcome.status), ("ok", Some(101)));
    let (told, _) =
        verdict_of(&asserting(target(url.clone(), Some("ping 7"), Some("^ping")), &["body == \"ping 7\""]))
            .await;
    assert_eq!(told, "ok");
    let (told, outcome) = verdict_of(&hasty(target(url, Some("ping"), Some("^pong$")))).await;
    assert!(told.starts_with("read_timeout: the answer did not end within 400ms"), "{told}");
    assert!(outcome.phases.transfer.is_some());
}

#[tokio::test]
async fn a_server_that_refuses_or_closes_is_told() {
    let (http, _heads) = answering("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
    let (told, outcome) = verdict_of(&target(format!("ws://{http}/"), None, None)).await;
    assert_eq!(
        (told.as_str(), outcome.status),
        ("upgrade: the server answers the upgrade with status 403", Some(403))
    );
    let closing = listening(|stream| async move {
        let Ok(mut socket) = accept_async(stream).await else { return };
        let _ = socket.send(Message::text("bye")).await;
        let _ = socket.close(None).await;
    })
    .await;
    let (told, _) = verdict_of(&target(format!("ws://{closing}/"), None, Some("hello"))).await;
    assert_eq!(told, "expect: the last message was \"bye\", expected `hello`");
    let silent = silent().await;
    let (told, _) = verdict_of(&hasty(target(format!("ws://{silent}/"), None, None))).await;
    assert_eq!(told, "ttfb_timeout: no answer within 400ms");
}

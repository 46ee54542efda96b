//! Connections of HTTP/2: the limits that hold for HTTP/1.1 hold for them as well.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use h2::client::{Builder, SendRequest};
use h2::{Ping, RecvStream};
use tokio::io::AsyncReadExt as _;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::http1::{REQUEST, heard, say, start};
use super::*;

const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// An empty SETTINGS frame.
const SETTINGS: &str = "\0\0\0\u{4}\0\0\0\0\0";
/// A HEADERS frame of stream 1 without fields, whose end is to come in another frame.
const HALF_HEAD: &str = "\0\0\0\u{1}\0\0\0\0\u{1}";
const LARGE: usize = 1 << 20;

fn routes() -> Router {
    let large = "x".repeat(LARGE);
    Router::new().route("/", get(async || "aboard")).route("/large", get(async move || large))
}

/// A connection whose responses come in windows of so many bytes.
async fn connect(address: SocketAddr, window: u32) -> (SendRequest<&'static [u8]>, JoinHandle<()>) {
    let stream = TcpStream::connect(address).await.unwrap();
    let mut builder = Builder::new();
    builder.initial_window_size(window).initial_connection_window_size(1 << 20);
    let (client, mut connection) = builder.handshake(stream).await.unwrap();
    let mut pings = connection.ping_pong().unwrap();
    // A client that is alive in every other respect.
    tokio::spawn(async move {
        while pings.ping(Ping::opaque()).await.is_ok() {
            sleep(Duration::from_millis(20)).await
        }
    });
    (client, tokio::spawn(async move { drop(connection.await) }))
}

async fn ask(client: &mut SendRequest<&'static [u8]>, path: &str) -> RecvStream {
    let request = Request::get(format!("http://titanic{path}")).body(()).unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    let response = response.await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, Version::HTTP_2));
    response.into_body()
}

/// The bytes of a body, and whether all came.
async fn read(body: &mut RecvStream, pause: Duration) -> (usize, bool) {
    let mut bytes = 0;
    while let Some(piece) = body.data().await {
        let Ok(piece) = piece else { return (bytes, false) };
        bytes += piece.len();
        sleep(pause).await;
        body.flow_control().release_capacity(piece.len()).unwrap();
    }
    (bytes, true)
}

async fn ends(connection: JoinHandle<()>) {
    timeout(Duration::from_secs(20), connection).await.expect("it is closed").unwrap();
}

#[tokio::test]
async fn an_unfinished_beginning_is_closed_at_the_time_limit_of_a_head() {
    let limits = Limits { head: Duration::from_millis(200), ..Limits::new(8, 8) };
    let (address, _stop, _serving) = start(limits, routes()).await;
    for begun in [
        PREFACE[..9].to_owned(),
        PREFACE.to_owned(),
        format!("{PREFACE}{SETTINGS}"),
        format!("{PREFACE}{SETTINGS}{HALF_HEAD}"),
    ] {
        let mut stream = say(address, &begun).await;
        let mut bytes = Vec::new();
        let closed = timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes)).await;
        let _cut = closed.unwrap_or_else(|_| panic!("{begun:?} is held"));
    }
}

#[tokio::test]
async fn an_idle_connection_is_asked_to_end_and_a_busy_one_is_not() {
    let limits = Limits { head: Duration::from_millis(300), ..Limits::new(8, 8) };
    let slow = get(async || {
        sleep(Duration::from_secs(2)).await;
        "late"
    });
    let (address, _stop, _serving) = start(limits, routes().route("/slow", slow)).await;
    let (mut client, connection) = connect(address, 1 << 16).await;
    assert_eq!(read(&mut ask(&mut client, "/slow").await, Duration::ZERO).await, (4, true));
    ends(connection).await;
    assert!(client.ready().await.is_err());
}

#[tokio::test]
async fn an_idle_connection_makes_room_in_a_full_table() {
    let (address, _stop, _serving) = start(Limits::new(1, 1), routes()).await;
    let (mut client, connection) = connect(address, 1 << 16).await;
    assert_eq!(read(&mut ask(&mut client, "/").await, Duration::ZERO).await, (6, true));
    assert!(heard(say(address, REQUEST).await).await.ends_with("aboard"));
    ends(connection).await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_one_response_is_cut_however_alive_it_is() {
    for window in [0, 1000] {
        let limits = Limits { behind: Duration::from_millis(500), ..Limits::new(8, 8) };
        let (address, _stop, _serving) = start(limits, routes()).await;
        let (mut client, connection) = connect(address, window).await;
        let stalled = ask(&mut client, "/large").await;
        ends(connection).await;
        drop(stalled);
    }
}

#[tokio::test]
async fn a_client_that_takes_its_response_slowly_gets_all_of_it() {
    let limits =
        Limits { behind: Duration::from_secs(1), head: Duration::from_millis(200), ..Limits::new(8, 8) };
    let (address, _stop, _serving) = start(limits, routes()).await;
    let (mut client, _connection) = connect(address, 1 << 16).await;
    let mut body = ask(&mut client, "/large").await;
    assert_eq!(read(&mut body, Duration::from_millis(40)).await, (LARGE, true));
}

#[tokio::test]
async fn told_to_stop_it_finishes_the_requests_of_a_connection_and_ends_an_idle_one() {
    let limits = Limits::new(8, 8);
    let slow = get(async || {
        sleep(Duration::from_secs(1)).await;
        "late"
    });
    let (address, stop, serving) = start(limits, routes().route("/slow", slow)).await;
    let (mut busy, connection) = connect(address, 1 << 16).await;
    let (idle, idle_connection) = connect(address, 1 << 16).await;
    // It does not even confirm the end.
    let mute = say(address, &format!("{PREFACE}{SETTINGS}")).await;
    let (first, second) = (busy.clone(), &mut busy);
    let mut first = first;
    let (one, other) = tokio::join!(ask(&mut first, "/slow"), async {
        sleep(Duration::from_millis(300)).await;
        stop.cancel();
        ask(second, "/").await
    });
    for (mut body, length) in [(one, 4), (other, 6)] {
        assert_eq!(read(&mut body, Duration::ZERO).await, (length, true));
    }
    timeout(Duration::from_secs(10), serving).await.expect("it ends").unwrap();
    ends(connection).await;
    ends(idle_connection).await;
    drop((idle, mute));
}

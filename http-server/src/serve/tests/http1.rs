//! Heads, readers and the end of a server, over HTTP/1.1.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::*;

pub(super) const REQUEST: &str = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

pub(super) async fn start(limits: Limits, routes: Router) -> (SocketAddr, CancellationToken, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let serving = serve(Arc::new(listener), handler(routes), limits, stop.clone());
    (address, stop, tokio::spawn(serving))
}

pub(super) async fn say(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

pub(super) async fn heard(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut text)).await;
    // A connection that is cut while we still write is as good an end as any.
    let _cut = read.expect("it is closed in the end");
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn who_never_says_what_it_wants_makes_room_for_who_does() {
    let limits = Limits { head: Duration::from_millis(200), ..Limits::new(2, 2) };
    let (address, _stop, _serving) = start(limits, Router::new().route("/", get(async || "aboard"))).await;
    let silent = say(address, "").await;
    let slow = say(address, "GET / HTTP/1.1\r\nhost: x\r\nx-slowly:").await;
    let third = say(address, REQUEST).await;
    assert!(heard(third).await.ends_with("aboard"));
    for stream in [silent, slow] {
        assert!(!heard(stream).await.contains("aboard"));
    }
}

#[tokio::test]
async fn who_does_not_read_its_answer_makes_room_for_who_does() {
    // More than the system holds for a connection by itself.
    let large = "x".repeat(12 << 20);
    let router = Router::new().route("/", get(async || "aboard")).route("/large", get(async move || large));
    let limits = Limits { behind: Duration::from_secs(1), ..Limits::new(1, 1) };
    let (address, _stop, _serving) = start(limits, router).await;
    let mut deaf = say(address, &REQUEST.replacen('/', "/large", 1)).await;
    deaf.read_exact(&mut [0]).await.unwrap();
    // The only place is taken until the deaf one is given up; not reading is all that it does wrong. Meanwhile the
    // others are refused at once.
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut refused = 0;
    loop {
        let answer = heard(say(address, REQUEST).await).await;
        if answer.ends_with("aboard") {
            break;
        }
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("busy"), "{answer}");
        assert!(Instant::now() < deadline, "the deaf one keeps its place");
        refused += 1;
    }
    assert!(refused > 0, "the place was taken");
    assert!(heard(deaf).await.len() < 12 << 20, "the answer was cut");
}

#[tokio::test]
async fn a_head_that_is_far_too_much_is_refused_without_a_word() {
    let (address, _stop, _serving) =
        start(Limits::new(4, 4), Router::new().route("/", get(async || "aboard"))).await;
    let many: String = (0..100).map(|number| format!("x-{number}: 1\r\n")).collect();
    let long = format!("x-long: {}\r\n", "x".repeat(4 * MAX_HEAD_BYTES as usize));
    for fields in [many, long] {
        let stream =
            say(address, &format!("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{fields}\r\n")).await;
        let answer = heard(stream).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        assert!(
            answer.contains("content-length: 0\r\n") && answer.contains("connection: close\r\n"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn told_to_stop_it_answers_a_backlog_of_one_client_that_is_longer_than_its_limit() {
    let listener = Arc::new(bind("127.0.0.1:0".parse().unwrap()).unwrap());
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    for _ in 0..100 {
        waiting.push(say(address, REQUEST).await);
    }
    let stop = CancellationToken::new();
    stop.cancel();
    serve(listener, handler(hello()), Limits::new(256, 32), stop).await;
    for stream in waiting {
        assert!(heard(stream).await.ends_with("hello"));
    }
}

#[tokio::test]
async fn told_to_stop_it_finishes_what_it_began_and_takes_in_nobody() {
    let (inside, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (entered, gate) = (Arc::clone(&inside), Arc::clone(&go_on));
    let handler = async move |request: Request<Body>| {
        entered.add_permits(1);
        gate.acquire().await.unwrap().forget();
        request.extensions().get::<PeerAddress>().unwrap().0.ip().to_string()
    };
    let (address, stop, serving) = start(Limits::new(4, 4), Router::new().route("/", get(handler))).await;
    let busy = say(address, &REQUEST.replace("connection: close\r\n", "")).await;
    inside.acquire().await.unwrap().forget();
    let idle = say(address, "").await;
    stop.cancel();
    assert_eq!(heard(idle).await, "");
    assert!(TcpStream::connect(address).await.is_err());
    go_on.add_permits(1);
    assert!(heard(busy).await.ends_with("127.0.0.1"));
    serving.await.unwrap();
}

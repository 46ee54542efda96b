//! HTTP against small servers on loopback, in real time.

use std::net::SocketAddr;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tracing::Instrument as _;
use tracing_subscriber::layer::SubscriberExt as _;

use super::super::test_support::*;
use super::*;
use lookout_config::{Credentials, Secret, Target, TlsOptions};

fn check_at(address: SocketAddr) -> HttpCheck {
    get(format!("http://{address}/health"))
}

fn at(address: SocketAddr) -> Target {
    requesting(check_at(address))
}

fn to(url: impl AsRef<str>) -> Target {
    requesting(get(url))
}

#[tokio::test]
async fn a_good_answer_is_ok_and_every_phase_is_known() {
    let (address, mut heads) = answering(OK).await;
    let headers = vec![
        ("X-Api-Key".to_owned(), Secret::new("hunter2")),
        ("user-agent".to_owned(), Secret::new("mine/1")),
        ("traceparent".to_owned(), Secret::new("nonsense")),
    ];
    let check = HttpCheck { headers, ..get(format!("http://{address}/health?a=b")) };
    let target = asserting(requesting(check), &["status == 2xx", "json(\"$.status\") == \"ok\""]);
    let (told, outcome) = verdict_of(&target).await;
    assert_eq!((told.as_str(), outcome.status), ("ok", Some(200)));
    let happened: Vec<&str> =
        outcome.phases.named().into_iter().filter_map(|(phase, spent)| spent.map(|_| phase)).collect();
    assert_eq!(happened, ["connect", "processing", "transfer"]);

    let head = heads.recv().await.unwrap().to_lowercase();
    let lines: Vec<&str> = head.trim_end().lines().collect();
    assert_eq!(lines[0], "get /health?a=b http/1.1");
    for wanted in [format!("host: {address}"), "accept: */*".into(), "user-agent: mine/1".into()] {
        assert_eq!(lines.iter().filter(|line| **line == wanted).count(), 1, "{wanted} in {head}");
    }
    assert!(lines.contains(&"x-api-key: hunter2"), "{head}");
    let traces: Vec<&&str> = lines.iter().filter(|line| line.starts_with("traceparent")).collect();
    let [trace] = traces.as_slice() else { panic!("one traceparent in {head}") };
    let parts: Vec<&str> = trace.trim_start_matches("traceparent: ").split('-').collect();
    assert_eq!((parts[0], parts[1], parts[2].len(), parts[3]), ("00", outcome.trace_id.as_str(), 16, "01"));
    assert!(parts[1].len() == 32 && parts[1].bytes().any(|digit| digit != b'0'));
}

#[tokio::test]
async fn an_exported_span_and_the_request_are_one_trace() {
    let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let (address, mut heads) = answering(OK).await;
    let parent = tracing::info_span!("parent");
    let wanted = {
        use opentelemetry::trace::TraceContextExt as _;
        use tracing_opentelemetry::OpenTelemetrySpanExt as _;
        parent.context().span().span_context().trace_id().to_string()
    };
    let (_, outcome) = verdict_of(&at(address)).instrument(parent).await;
    assert_eq!(outcome.trace_id, wanted);
    assert!(heads.recv().await.unwrap().contains(&format!("traceparent: 00-{wanted}-")));
}

#[tokio::test]
async fn a_body_is_sent_with_its_length() {
    let (address, mut heads) = answering(OK).await;
    let check =
        HttpCheck { method: "POST".to_owned(), body: Some("{\"a\":1}".to_owned()), ..check_at(address) };
    let target = requesting(check);
    assert_eq!(verdict_of(&target).await.0, "ok");
    let head = heads.recv().await.unwrap().to_lowercase();
    assert!(
        head.starts_with("post /health http/1.1\r\n") && head.contains("content-length: 7\r\n"),
        "{head}"
    );
    assert!(head.contains(concat!("user-agent: lookout/", env!("CARGO_PKG_VERSION"))), "{head}");
}

#[tokio::test]
async fn a_redirect_is_a_status_and_is_not_followed() {
    let (address, mut heads) =
        answering("HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(verdict_of(&at(address)).await.0, "status: status (302) == 2xx");
    assert!(heads.recv().await.unwrap().starts_with("GET /health "));
    assert!(heads.try_recv().is_err(), "one request");
}

#[tokio::test]
async fn a_name_is_resolved_and_an_address_that_refuses_is_passed_over() {
    let (address, _heads) = answering(OK).await;
    // where localhost is ::1 first, nobody listens there
    let (by_name, outcome) = verdict_of(&to(format!("http://localhost:{}/", address.port()))).await;
    assert_eq!(by_name, "ok");
    assert!(outcome.phases.resolve.is_some());
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let stream = net::connect(&[closed, address]).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), address);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_dns() {
    let (told, outcome) = verdict_of(&to("http://no-such-host.invalid/")).await;
    assert!(told.starts_with("dns: "), "{told}");
    assert!(outcome.phases.resolve.is_some() && outcome.phases.connect.is_none() && outcome.status.is_none());
}

#[tokio::test]
async fn nobody_listening_is_refused() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (told, outcome) = verdict_of(&at(closed)).await;
    assert!(told.starts_with(&format!("connect_refused: no connection to {closed}: ")), "{told}");
    assert!(outcome.phases.connect.is_some() && outcome.phases.processing.is_none());
}

#[tokio::test]
async fn the_phase_that_hangs_is_the_reason() {
    let (silent, _) = answering("").await;
    let (late, outcome) = verdict_of(&hasty(at(silent))).await;
    assert_eq!((late.as_str(), outcome.status), ("ttfb_timeout: no answer within 400ms", None));
    assert!(outcome.total >= Duration::from_millis(400) && outcome.phases.transfer.is_none());

    let (half, _) = answering("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
    let (late, outcome) = verdict_of(&hasty(at(half))).await;
    let detail = "read_timeout: the answer did not end within 400ms, 4 bytes of its body came";
    assert_eq!((late.as_str(), outcome.status), (detail, Some(200)));

    let (mute, _) = answering("HTTP/1.1 200 OK\r\nx-slow: ").await;
    let (late, outcome) = verdict_of(&hasty(at(mute))).await;
    assert!(late.starts_with("read_timeout: "), "{late}");
    assert!(outcome.phases.transfer.unwrap() > outcome.phases.processing.unwrap(), "{outcome:?}");

    // a listener that accepts in its kernel and says nothing to a handshake
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mute = listener.local_addr().unwrap();
    let url = format!("https://{mute}/");
    let (late, outcome) = verdict_of(&hasty(to(url))).await;
    assert_eq!(late, "tls: the TLS handshake did not end within 400ms");
    assert!(outcome.phases.tls.unwrap() > Duration::from_millis(100));
}

#[tokio::test]
async fn a_slow_body_counts_into_transfer_and_latency() {
    let (address, _heads) = server(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await;
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(25)).await;
            let _ = stream.write_all(b"part").await;
        }
    })
    .await;
    let (good, outcome) = verdict_of(&at(address)).await;
    assert_eq!(good, "ok");
    assert!(outcome.phases.transfer.unwrap() >= Duration::from_millis(90), "{outcome:?}");
    let (slow, _) = verdict_of(&asserting(at(address), &["latency < 80ms"])).await;
    assert!(slow.starts_with("latency: latency (") && slow.ends_with(") < 80ms"), "{slow}");
}

#[tokio::test]
async fn a_huge_body_is_cut_while_it_streams() {
    let (address, _heads) = server(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await;
        while stream.write_all(&[b'x'; 16 * 1024]).await.is_ok() {}
    })
    .await;
    let (huge, outcome) = verdict_of(&at(address)).await;
    assert_eq!(
        (huge.as_str(), outcome.status),
        ("body_limit: the body is larger than 1024 bytes", Some(200))
    );
    let (exact, _heads) =
        answering(format!("HTTP/1.1 200 OK\r\ncontent-length: 1024\r\n\r\n{}", "x".repeat(1024))).await;
    assert_eq!(verdict_of(&at(exact)).await.0, "ok");
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_is_no_http_is_read() {
    for answer in
        ["HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 2", ""]
    {
        let (address, _heads) = server(move |mut stream| async move {
            let _ = stream.write_all(answer.as_bytes()).await;
        })
        .await;
        let (told, _) = verdict_of(&at(address)).await;
        assert!(told.starts_with("read: "), "{answer:?} gives {told}");
    }
}

#[tokio::test]
async fn an_endless_head_is_not_read_for_ever() {
    let (address, _heads) = server(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await;
        while stream.write_all(&[b'x'; 16 * 1024]).await.is_ok() {}
    })
    .await;
    let (told, _) = verdict_of(&at(address)).await;
    assert!(told.starts_with("read: no complete answer: "), "{told}");
}

#[tokio::test]
async fn a_bad_body_is_json_and_told_within_bounds() {
    let (address, _heads) = answering("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>").await;
    let target = asserting(at(address), &["json(\"$.status\") == \"ok\""]);
    assert!(verdict_of(&target).await.0.starts_with("json: the body is no JSON: "));
}

#[tokio::test]
async fn a_header_that_cannot_be_sent_is_a_failure_without_its_value() {
    let (address, _heads) = answering(OK).await;
    let headers = vec![("x-key".to_owned(), Secret::new("hunter2\n"))];
    assert_eq!(
        verdict_of(&requesting(HttpCheck { headers, ..check_at(address) })).await.0,
        "write: a header cannot be sent in a request"
    );
}

#[tokio::test]
async fn a_trusted_certificate_is_ok_and_the_handshake_is_a_phase() {
    let port = tls_server(CERT).await.port();
    let prober = trusting(CERT);
    for _ in 0..2 {
        let (told, outcome) = verdict_by(&prober, &to(format!("https://localhost:{port}/"))).await;
        assert_eq!(told, "ok");
        assert!(outcome.phases.tls.is_some() && outcome.phases.transfer.is_some(), "{outcome:?}");
    }
}

#[tokio::test]
async fn certificates_that_cannot_be_trusted_are_told_apart() {
    let good = tls_server(CERT).await.port();
    let expired = tls_server(EXPIRED).await.port();
    let stranger = verdict_of(&to(format!("https://localhost:{good}/"))).await.0;
    assert!(
        stranger.starts_with("certificate_untrusted: ") && stranger.contains("UnknownIssuer"),
        "{stranger}"
    );
    let misnamed = verdict_by(&trusting(CERT), &to(format!("https://127.0.0.1:{good}/"))).await.0;
    assert!(
        misnamed.starts_with("certificate_name: ") && misnamed.contains("not valid for name"),
        "{misnamed}"
    );
    let (old, outcome) = verdict_by(&trusting(EXPIRED), &to(format!("https://localhost:{expired}/"))).await;
    assert!(old.starts_with("certificate_expired: ") && old.contains("expired"), "{old}");
    let certificate = outcome.certificate.expect("the facts of a certificate that was refused");
    assert!(certificate.days_left < 0 && certificate.verified_not_after_s.is_none(), "{certificate:?}");
    assert!(certificate.names.iter().any(|name| name == "localhost"), "{certificate:?}");
    let tls = TlsOptions { insecure: true, ..TlsOptions::default() };
    let insecure = requesting(HttpCheck { tls, ..get(format!("https://127.0.0.1:{expired}/")) });
    let (trusted, outcome) = verdict_of(&insecure).await;
    assert_eq!(trusted, "ok");
    assert!(outcome.certificate.is_some_and(|certificate| certificate.days_left < 0));
}

#[tokio::test]
async fn an_answer_that_is_no_tls_is_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            let _ = stream.read(&mut [0; 1024]).await;
        }
    });
    let told = verdict_of(&to(format!("https://{address}/"))).await.0;
    assert!(told.starts_with("tls: "), "{told}");
}

#[tokio::test]
async fn credentials_are_sent_as_the_scheme_wants_them() {
    let (address, mut heads) = answering(OK).await;
    let basic = Credentials::Basic { username: "me".to_owned(), password: Secret::new("hunter2") };
    for (authorization, sent) in
        [(basic, "basic bwu6ahvudgvymg=="), (Credentials::Bearer(Secret::new("hunter2")), "bearer hunter2")]
    {
        let target = requesting(HttpCheck { authorization, ..check_at(address) });
        assert_eq!(verdict_of(&target).await.0, "ok");
        let head = heads.recv().await.unwrap().to_lowercase();
        assert!(head.contains(&format!("authorization: {sent}\r\n")), "{head}");
    }
}

#[tokio::test]
async fn more_headers_than_allowed_are_refused_and_256_are_not() {
    let head = |count: usize| {
        let headers: String = (0..count).map(|n| format!("x-{n}: y\r\n")).collect();
        format!("HTTP/1.1 200 OK\r\n{headers}content-length: 0\r\n\r\n")
    };
    let (address, _heads) = answering(head(255)).await;
    assert_eq!(verdict_of(&at(address)).await.0, "ok");
    let (address, _heads) = answering(head(256)).await;
    assert!(verdict_of(&at(address)).await.0.starts_with("read: "));
    let (address, _heads) = answering(head(400)).await;
    let target = requesting(HttpCheck { max_headers: 500, ..check_at(address) });
    assert_eq!(verdict_of(&target).await.0, "ok");
}

#[tokio::test]
async fn the_leaf_that_failed_is_told_with_its_value() {
    let answer =
        "HTTP/1.1 503 Away\r\ncontent-type: text/html\r\nretry-after: 5\r\ncontent-length: 4\r\n\r\nnope";
    let (address, _heads) = answering(answer).await;
    for (assertion, told) in [
        ("status == 2xx or status == 304", "status: status (503) == 304"),
        (
            "status == 5xx and header(\"Content-Type\") contains \"json\"",
            "header: header(\"content-type\") (\"text/html\") contains \"json\"",
        ),
        ("header(\"etag\") == \"a\"", "header: header(\"etag\") (missing) == \"a\""),
        ("not header(\"etag\") == \"a\"", "header: not header(\"etag\") (missing) == \"a\""),
        ("not status == 503", "status: not status (503) == 503"),
        ("body matches \"^ok\"", "body: body (\"nope\") matches \"^ok\""),
        ("body.size > 1KiB", "body: body.size (4) > 1KiB"),
        ("protocol == \"HTTP/2\"", "protocol: protocol (\"HTTP/1.1\") == \"HTTP/2\""),
        ("certificate.days_left > 1", "certificate: certificate.days_left (missing) > 1"),
        ("json(\"$.a\") == 1", "json: the body is no JSON: expected ident at line 1 column 2"),
        ("header(\"retry-after\") != missing and status in [500-599]", "ok"),
    ] {
        assert_eq!(verdict_of(&asserting(at(address), &[assertion])).await.0, told, "{assertion}");
    }
}

#[tokio::test]
async fn http_2_is_spoken_by_prior_knowledge_and_by_alpn() {
    let router = axum::Router::new().route("/health", axum::routing::get(|| async { "fine" }));
    let serve = move |stream: Box<dyn Io>, router: axum::Router| async move {
        let service = hyper_util::service::TowerToHyperService::new(router);
        let builder = hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new());
        let _ = builder.serve_connection(hyper_util::rt::TokioIo::new(stream), service).await;
    };
    let plain = {
        let router = router.clone();
        listening(move |stream| serve(Box::new(stream), router.clone())).await
    };
    let two = |url: String| HttpCheck { version: HttpVersion::Two, ..get(url) };
    let assertions = ["status == 200 and protocol == \"HTTP/2\" and body == \"fine\""];
    let target = asserting(requesting(two(format!("http://{plain}/health"))), &assertions);
    let (told, outcome) = verdict_of(&target).await;
    assert_eq!(told, "ok");
    assert!(outcome.phases.transfer.is_some() && outcome.phases.tls.is_none());

    let acceptor = acceptor(CERT, &["h2"]);
    let secure = listening(move |stream| {
        let (acceptor, router) = (acceptor.clone(), router.clone());
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(Box::new(stream), router).await;
            }
        }
    })
    .await;
    for version in [HttpVersion::Two, HttpVersion::Auto] {
        let check = HttpCheck { version, ..get(format!("https://localhost:{}/health", secure.port())) };
        assert_eq!(verdict_by(&trusting(CERT), &asserting(requesting(check), &assertions)).await.0, "ok");
    }
    let old = tls_server(CERT).await.port();
    let check = two(format!("https://localhost:{old}/"));
    assert_eq!(
        verdict_by(&trusting(CERT), &requesting(check)).await.0,
        "protocol: the server does not offer HTTP/2"
    );
    let silent = silent().await;
    let (told, _) = verdict_of(&hasty(requesting(two(format!("http://{silent}/"))))).await;
    assert_eq!(told, "ttfb_timeout: no answer within 400ms");
}

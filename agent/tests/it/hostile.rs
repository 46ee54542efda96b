//! Answers that are made to hurt a prober: each is judged within the deadline and a bound of memory, by an agent that goes
//! on with its other work.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::support::{Lookout, Target, eventually};

/// `printf secret | sha256sum`
const SHA256: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
const DEADLINE: Duration = Duration::from_secs(2);
/// Largest body that the modules read.
const LIMIT: usize = 8 << 20;
/// Probes of one answer at a time.
const AT_ONCE: u64 = 3;
/// For each probe at a time two copies of a body, and the values of its JSON: 200,000 of at most 200 bytes. Without a bound
/// of the values it is ten times as much.
const MEMORY: u64 = AT_ONCE * (64 << 20);

/// Returns the module, the head's lines and the body of each answer.
fn answers() -> Vec<(&'static str, String, Vec<u8>)> {
    let length = LIMIT - 1024;
    let wide = format!("[{}0]", "0,".repeat(length / 2));
    let objects = format!("[{}0]", "{\"a\":[]},".repeat(length / 9));
    let deep = "[".repeat(length);
    let nested = format!("{}1{}", "{\"a\":".repeat(120), "}".repeat(120));
    let nested = format!("[{}0]", format!("{nested},").repeat(1000));
    let headers = (0..20_000).map(|n| format!("x-{n}: {n}\r\n")).collect();
    // the matcher of a build for tests is slow
    let letters = vec![b'x'; length / 8];
    vec![
        ("json", String::new(), wide.into_bytes()),
        ("json", String::new(), objects.into_bytes()),
        ("json", String::new(), deep.into_bytes()),
        ("json", String::new(), nested.into_bytes()),
        ("pattern", String::new(), letters),
        ("pattern", "content-encoding: gzip\r\n".to_owned(), bomb()),
        ("json", "content-encoding: gzip\r\n".to_owned(), bomb()),
        ("pattern", headers, b"ok".to_vec()),
        ("pattern", format!("x-long: {}\r\n", "x".repeat(10 << 20)), b"ok".to_vec()),
    ]
}

/// Returns 200 MB of zeros, compressed.
fn bomb() -> Vec<u8> {
    let made = Command::new("sh").args(["-c", "head -c 200000000 /dev/zero | gzip -1"]).output().unwrap();
    assert!(made.status.success() && made.stdout.len() < LIMIT, "{} bytes", made.stdout.len());
    made.stdout
}

/// Starts a server that gives each answer under its number, and one byte after the other under `/drip`.
async fn serve(answers: Vec<(&'static str, String, Vec<u8>)>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answers: Vec<Vec<u8>> = answers
        .into_iter()
        .map(|(_, head, body)| {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{head}\r\n", body.len());
            [head.into_bytes(), body].concat()
        })
        .collect();
    let answers = std::sync::Arc::new(answers);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answers = std::sync::Arc::clone(&answers);
            tokio::spawn(async move { answer(stream, &answers).await });
        }
    });
    address
}

async fn answer(mut stream: TcpStream, answers: &[Vec<u8>]) {
    let mut head = [0; 4096];
    let read = stream.read(&mut head).await.unwrap_or(0);
    let head = String::from_utf8_lossy(&head[..read]).into_owned();
    let number = head.split(' ').nth(1).and_then(|path| path.trim_start_matches('/').parse::<usize>().ok());
    if let Some(text) = number.and_then(|number| answers.get(number)) {
        let _ = stream.write_all(text).await;
        return;
    }
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n[").await;
    while stream.write_all(b"1,").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn write_config(folder: &Path, healthy: &Target, hostile: SocketAddr) -> PathBuf {
    let expect = [
        ("good", "json: { \"$..status\": ok }"),
        ("json", "json: { \"$..a\": 1 }"),
        // nested repetitions, which a matcher that goes back takes for ever to refuse
        ("pattern", "assert: 'body matches \"(x+x+)+y\" and header(\"x-1\") == \"1\"'"),
    ];
    let module = |(name, expect)| {
        format!(
            "    - {{ name: {name}, timeout: 2s, http: {{ url: \"http://target\", body_limit: {LIMIT}, expect: {{ {expect} }} }} }}\n"
        )
    };
    let modules: String = expect.map(module).concat();
    let text = format!(
        "listen: 127.0.0.1:0\nledger: lookout.db\ninterval: 1s\nslos: []\n\
         auth: {{ tokens: [{{ name: prober, sha256: {SHA256}, scopes: [probe] }}] }}\n\
         blackbox:\n  networks: [127.0.0.0/8]\n  modules:\n{modules}\
         targets:\n  - {{ name: api, interval: 1s, http: {{ url: \"{}\" }} }}\n  \
         - {{ name: hostile, interval: 5s, timeout: 2s, http: {{ url: \"http://{hostile}/0\", body_limit: {LIMIT}, \
         expect: {{ json: {{ \"$..a\": 1 }} }} }} }}\n",
        healthy.url()
    );
    let config = folder.join("lookout.yaml");
    std::fs::write(&config, text).unwrap();
    config
}

/// Asks for a probe. Returns its series and the time that the answer took.
async fn probe(agent: &Lookout, module: &str, target: &str) -> (String, Duration) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/probe?module={module}&target={target}", agent.url);
    let began = Instant::now();
    let answer = client.get(&url).bearer_auth("secret").send().await.unwrap();
    assert!(answer.status().is_success(), "{url}: {}", answer.status());
    let text = answer.text().await.unwrap();
    (text, began.elapsed())
}

fn sample(text: &str, name: &str) -> f64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

/// The largest resident memory of the agent so far, in bytes.
fn peak(agent: &Lookout) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_answers_are_judged_in_time_and_in_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (healthy, answers) = (Target::start().await, answers());
    let modules: Vec<_> = answers.iter().map(|(module, ..)| *module).collect();
    let hostile = serve(answers).await;
    let agent = Lookout::run(&write_config(folder.path(), &healthy, hostile));
    eventually("the first probes", || async {
        let text = agent.text("/metrics").await;
        text.contains("lookout_probe_total{target=\"hostile\",outcome=\"fail\"}").then_some(())
    })
    .await;
    let before = peak(&agent);
    let cases = modules.iter().enumerate().map(|(number, module)| (*module, number.to_string()));
    let cases: Vec<_> = cases.chain([("json", "drip".to_owned())]).collect();
    for round in 1..=2 {
        for (module, path) in &cases {
            let url = format!("http://{hostile}/{path}");
            let probes = (0..AT_ONCE).map(|_| probe(&agent, module, &url));
            for (text, took) in futures_util::future::join_all(probes).await {
                let told = sample(&text, "probe_duration_seconds");
                assert_eq!(sample(&text, "probe_success"), 0.0, "{module} {path}");
                assert!(told <= (DEADLINE + Duration::from_millis(100)).as_secs_f64(), "{path}: {told} s");
                // the answer itself takes a moment on a busy machine
                assert!(took <= DEADLINE + Duration::from_secs(1), "{module} {path}: {took:?}");
            }
        }
        let growth = peak(&agent) - before;
        println!("round {round}: {growth} bytes more");
        assert!(growth < MEMORY, "round {round}: {growth} bytes");
    }
    // a module of the same kind judges a good answer afterwards
    let (text, took) = probe(&agent, "good", &healthy.url()).await;
    assert_eq!(sample(&text, "probe_success"), 1.0, "{text}");
    assert!(took < DEADLINE, "{took:?}");
    let text = agent.text("/metrics").await;
    let missed = |line: &&str| line.starts_with("lookout_probe_total{target=\"api\",outcome=\"fail\"}");
    let failed: Vec<_> = text.lines().filter(missed).filter(|line| !line.ends_with(" 0")).collect();
    assert_eq!(failed, Vec::<&str>::new(), "other probes are not harmed");
    agent.stop();
}

/// Returns the name and the niceness of each thread of a process (proc_pid_stat(5)).
fn niceness(process: u32) -> Vec<(String, i32)> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let stats = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok());
    stats
        .map(|stat| {
            let (start, rest) = stat.rsplit_once(')').unwrap();
            let nice = rest.split_whitespace().nth(16).unwrap().parse().unwrap();
            (start.split_once('(').unwrap().1.to_owned(), nice)
        })
        .collect()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_yields_to_the_threads_that_probe() {
    let (folder, target) = (tempfile::tempdir().unwrap(), Target::start().await);
    let agent = Lookout::run(&write_config(folder.path(), &target, "127.0.0.1:1".parse().unwrap()));
    eventually("a server that was asked", || async {
        agent.get("/api/v1/targets").await.is_object().then_some(())
    })
    .await;
    let threads = niceness(agent.id());
    let own = niceness(std::process::id()).iter().map(|(_, nice)| *nice).min().unwrap();
    let (web, others): (Vec<_>, Vec<_>) = threads.into_iter().partition(|(name, _)| name == "web");
    assert!(matches!(web.as_slice(), [(_, nice)] if *nice > own), "{web:?} beside {own}");
    assert!(others.iter().any(|(_, nice)| *nice == own), "{others:?}");
}

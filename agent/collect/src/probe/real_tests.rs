//! The protocols against servers as Debian ships them: nginx, dnsmasq, PostgreSQL and aiosmtpd.

use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use lookout_config::{
    Check, DnsCheck, DnsTransport, HostPort, HttpCheck, HttpVersion, Proxy, RecordType, Redirects, StartTls,
    Target, TcpCheck, TlsOptions,
};
use tempfile::TempDir;

use super::test_support::*;

/// A user without rights, where the tests run as root and a server refuses to.
const NOBODY: u32 = 65_534;

/// A server that ends with the test.
struct Server {
    child: Child,
    _folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cert.pem"), CERT).unwrap();
    std::fs::write(folder.path().join("key.pem"), KEY).unwrap();
    folder
}

fn start(command: &mut Command, folder: TempDir) -> Server {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Server { child, _folder: folder }
}

/// Probes until the server is up.
async fn until_ok(target: &Target) {
    let prober = trusting(CERT);
    let mut told = String::new();
    for _ in 0..200 {
        told = verdict_by(&prober, target).await.0;
        if told == "ok" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{told}");
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

/// nginx with TLS. Returns its port.
fn nginx(settings: &str, listen: &str, locations: &str) -> (Server, u16) {
    let folder = folder();
    let (port, at) = (free_port(), folder.path());
    let config = format!(
        "daemon off; master_process off; pid {pid}; error_log stderr; events {{}}\n\
         http {{ access_log off; client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f;\n\
         uwsgi_temp_path {at}/u; scgi_temp_path {at}/s; {settings}\n\
         server {{ listen 127.0.0.1:{port} ssl {listen}; ssl_certificate {at}/cert.pem; ssl_certificate_key {at}/key.pem;\n\
         {locations} }} }}\n",
        pid = path(at, "pid"),
        at = at.display(),
    );
    std::fs::write(at.join("nginx.conf"), config).unwrap();
    let mut command = Command::new("nginx");
    command.args(["-p", &path(at, ""), "-c", &path(at, "nginx.conf")]);
    (start(&mut command, folder), port)
}

#[tokio::test]
async fn nginx_speaks_http_2_and_redirects() {
    let locations = "location = /old { return 301 /new; } \
                     location = /new { add_header X-Up yes; return 200 '{\"up\":true}'; }";
    let (_server, port) = nginx("", "http2", locations);
    let url = format!("https://localhost:{port}/old");
    for (version, protocol) in
        [(HttpVersion::Two, "HTTP/2"), (HttpVersion::Auto, "HTTP/2"), (HttpVersion::One, "HTTP/1.1")]
    {
        let redirects = Redirects { limit: 1, any_origin: false };
        let target = requesting(HttpCheck { version, redirects, ..get(&url) });
        let protocol = format!("protocol == \"{protocol}\" and redirects == 1");
        until_ok(&asserting(target, &["json(\"$.up\") == true and header(\"x-up\") == \"yes\"", &protocol]))
            .await;
    }
    let told = verdict_by(&trusting(CERT), &requesting(get(&url))).await.0;
    assert_eq!(told, "status: status (301) == 2xx");
}

/// nginx with sessions that can be resumed. Returns its URL.
fn resuming_nginx(versions: &str) -> (Server, String) {
    let settings = format!("ssl_protocols {versions}; ssl_session_cache shared:s:1m;");
    let locations = "location / { add_header X-Resumed $ssl_session_reused; return 200 ok; }";
    let (server, port) = nginx(&settings, "", locations);
    (server, format!("https://localhost:{port}/"))
}

#[tokio::test]
async fn nginx_resumes_sessions_where_a_target_asks_for_it() {
    for versions in ["TLSv1.3", "TLSv1.2"] {
        let (_server, url) = resuming_nginx(versions);
        let tls = TlsOptions { resume: true, ..TlsOptions::default() };
        let resuming = requesting(HttpCheck { tls, ..get(&url) });
        until_ok(&resuming).await;
        let prober = trusting(CERT);
        let mut seen = Vec::new();
        for _ in 0..4 {
            let (told, outcome) = verdict_by(&prober, &resuming).await;
            assert_eq!(told, "ok");
            let certificate = outcome.certificate.unwrap();
            assert_eq!(certificate.names, ["localhost"], "its facts are known all the same");
            seen.push((outcome.received.resumed.unwrap(), certificate.verified_not_after_s.is_some()));
        }
        assert_eq!(seen, [(false, true), (true, false), (true, false), (true, false)], "{versions}");
        // nginx says the same
        let told = verdict_by(&prober, &asserting(resuming, &["header(\"x-resumed\") == \"r\""])).await.0;
        assert_eq!(told, "ok");
        let full = asserting(requesting(get(&url)), &["header(\"x-resumed\") == \".\""]);
        for _ in 0..2 {
            let (told, outcome) = verdict_by(&prober, &full).await;
            assert_eq!((told.as_str(), outcome.received.resumed), ("ok", Some(false)), "{versions}");
        }
    }
}

#[tokio::test]
async fn tinyproxy_opens_tunnels_forwards_and_wants_credentials() {
    let (_nginx, url) = resuming_nginx("TLSv1.3");
    let folder = folder();
    let (port, at) = (free_port(), folder.path());
    let config = format!(
        "Port {port}\nListen 127.0.0.1\nTimeout 5\nMaxClients 20\nLogLevel Critical\nLogFile \"{at}/log\"\n\
         PidFile \"{at}/proxy.pid\"\nBasicAuth lookout hunter2\nAllow 127.0.0.1\n",
        at = at.display(),
    );
    std::fs::write(at.join("tinyproxy.conf"), config).unwrap();
    let arguments = ["-d".to_owned(), "-c".to_owned(), path(at, "tinyproxy.conf")];
    let server = start(Command::new("tinyproxy").args(arguments), folder);
    let password = |password: &str| lookout_config::Credentials::Basic {
        username: "lookout".to_owned(),
        password: lookout_config::Secret::new(password),
    };
    let by = |credentials, url: &str| {
        let proxy = Proxy { credentials, ..Proxy::new(format!("http://127.0.0.1:{port}").parse().unwrap()) };
        requesting(HttpCheck { proxy: Some(Arc::new(proxy)), ..get(url) })
    };
    let tunnelled = by(password("hunter2"), &url);
    until_ok(&tunnelled).await;
    let outcome = verdict_by(&trusting(CERT), &tunnelled).await.1;
    assert_eq!(outcome.received.proxy, Some(format!("127.0.0.1:{port}")));
    assert!(outcome.certificate.unwrap().verified_not_after_s.is_some());
    let (plain, _heads) = answering(format!("{OK}\n")).await;
    let plain = format!("http://{plain}/health");
    assert_eq!(verdict_of(&by(password("hunter2"), &plain)).await.0, "ok");
    let told = verdict_by(&trusting(CERT), &by(password("wrong"), &url)).await.0;
    assert_eq!(told, format!("proxy: by the proxy 127.0.0.1:{port}: it refused CONNECT with status 401"));
    let told = verdict_of(&by(lookout_config::Credentials::None, &plain)).await.0;
    assert_eq!(told, "proxy: the proxy asks for credentials that it accepts: status 407");
    drop(server);
    for _ in 0..2 {
        let told = verdict_by(&trusting(CERT), &tunnelled).await.0;
        assert!(told.starts_with("proxy: by the proxy 127.0.0.1:"), "{told}");
    }
}

#[tokio::test]
async fn dnsmasq_answers_over_udp_and_tcp() {
    let folder = folder();
    let port = free_port();
    let arguments = [
        "--keep-in-foreground",
        "--no-resolv",
        "--no-hosts",
        "--conf-file=/dev/null",
        "--listen-address=127.0.0.1",
        "--bind-interfaces",
        "--user=",
        "--pid-file=",
        "--local-ttl=77",
        "--address=/example.test/192.0.2.7",
        "--txt-record=example.test,v=spf1 -all",
        "--local=/test/",
    ];
    let _server = start(Command::new("dnsmasq").args(arguments).arg(format!("--port={port}")), folder);
    let server = SocketAddr::from(([127, 0, 0, 1], port));
    let target = |query: &str, record, transport, assertion: &str| {
        let check = DnsCheck { server, query: query.to_owned(), record, transport, recursion: true };
        asserting(probing(Check::Dns(Box::new(check))), &[assertion])
    };
    let a = "dns.code == \"NOERROR\" and dns.answers == \"192.0.2.7\" and dns.ttl == 77";
    until_ok(&target("example.test", RecordType::A, DnsTransport::Udp, a)).await;
    until_ok(&target("example.test", RecordType::A, DnsTransport::Tcp, a)).await;
    until_ok(&target(
        "example.test",
        RecordType::Txt,
        DnsTransport::Udp,
        "dns.answers contains \"v=spf1 -all\"",
    ))
    .await;
    until_ok(&target("nobody.test", RecordType::A, DnsTransport::Udp, "dns.code == \"NXDOMAIN\"")).await;
}

fn starttls(port: u16, kind: StartTls) -> Target {
    let address = HostPort { host: "localhost".to_owned(), port };
    let starttls = Some((kind, TlsOptions::default()));
    let check = TcpCheck { address, tls: None, starttls, dialogue: Vec::new() };
    asserting(
        probing(Check::Tcp(Box::new(check))),
        &["certificate.names == \"localhost\" and tls.version == \"TLS 1.3\""],
    )
}

#[tokio::test]
async fn aiosmtpd_turns_to_tls() {
    let folder = folder();
    let port = free_port();
    let arguments = [
        "-n",
        "-l",
        &format!("127.0.0.1:{port}"),
        "--tlscert",
        &path(folder.path(), "cert.pem"),
        "--tlskey",
        &path(folder.path(), "key.pem"),
    ]
    .map(str::to_owned);
    let _server = start(Command::new("aiosmtpd").args(arguments), folder);
    until_ok(&starttls(port, StartTls::Smtp)).await;
}

/// The newest server that Debian installed: it is not on the path.
fn postgres(program: &str) -> Command {
    let mut versions: Vec<_> =
        std::fs::read_dir("/usr/lib/postgresql").unwrap().map(|entry| entry.unwrap().path()).collect();
    versions.sort();
    let mut command = Command::new(versions.last().unwrap().join("bin").join(program));
    // it refuses to run as root
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

#[tokio::test]
async fn postgresql_turns_to_tls_and_refuses_without() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder();
    let port = free_port();
    let at = folder.path().to_owned();
    for name in ["", "cert.pem", "key.pem"] {
        if is_root() {
            std::os::unix::fs::chown(at.join(name), Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
    std::fs::set_permissions(at.join("key.pem"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let data = path(&at, "data");
    let made = postgres("initdb")
        .args(["--no-sync", "--auth=trust", "--username=lookout", "-D", &data])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let server = |ssl: &str, port: u16| {
        let settings = [
            format!("port={port}"),
            "listen_addresses=127.0.0.1".to_owned(),
            format!("unix_socket_directories={}", at.display()),
            "fsync=off".to_owned(),
            format!("ssl={ssl}"),
            format!("ssl_cert_file={}", path(&at, "cert.pem")),
            format!("ssl_key_file={}", path(&at, "key.pem")),
        ];
        let mut command = postgres("postgres");
        command.args(["-D", &data]).args(settings.iter().flat_map(|setting| ["-c", setting.as_str()]));
        command
    };
    let secure = start(&mut server("on", port), tempfile::tempdir().unwrap());
    until_ok(&starttls(port, StartTls::PostgreSql)).await;
    drop(secure);
    let port = free_port();
    let _plain = start(&mut server("off", port), folder);
    let mut told = String::new();
    for _ in 0..200 {
        told = verdict_by(&trusting(CERT), &starttls(port, StartTls::PostgreSql)).await.0;
        if !told.starts_with("connect") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(told, "starttls: STARTTLS: the server has no TLS");
}

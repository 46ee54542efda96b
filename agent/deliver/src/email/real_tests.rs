//! The contract with a real mail server: aiosmtpd, as Debian ships it, with STARTTLS and a password.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lookout_config::{Email as Settings, Encryption};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::*;
use lookout_model::sample::{T0, lifecycle};
use lookout_runtime::clock::SystemClock;

/// A server that takes mail after STARTTLS and a login, and keeps it in a folder. The user `greylisted@…` is asked to come
/// again, `unknown@…` does not exist.
const SERVER: &str = r#"
import ssl, sys, signal
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import AuthResult
port, folder, mode = int(sys.argv[1]), sys.argv[2], sys.argv[3]
class Handler(Mailbox):
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("unknown"):
            return "550 no such user"
        if address.startswith("greylisted"):
            return "451 come again"
        envelope.rcpt_tos.append(address)
        return "250 OK"
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder + "/cert.pem", folder + "/key.pem")
def check(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (b"lookout", b"s3cret"), handled=False)
options = dict(authenticator=check, auth_required=True, timeout=20)
if mode == "tls":
    options.update(auth_require_tls=False)
    controller = Controller(Handler(folder + "/mail"), hostname="127.0.0.1", port=port, ssl_context=context, **options)
else:
    controller = Controller(Handler(folder + "/mail"), hostname="127.0.0.1", port=port, tls_context=context, require_starttls=True, **options)
controller.start()
signal.pause()
"#;

struct Server {
    port: u16,
    folder: TempDir,
    _child: Child,
}

impl Server {
    async fn start(mode: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        test_certificate::make(&folder.path().join("key.pem"), &folder.path().join("cert.pem")).await;
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // Debian's interpreter has the package
        let child = Command::new("/usr/bin/python3")
            .args(["-c", SERVER, &port.to_string(), &folder.path().display().to_string(), mode])
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("starting aiosmtpd: {error}; install the Debian package python3-aiosmtpd")
            });
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(tokio::time::Instant::now() < deadline, "aiosmtpd does not come up");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self { port, folder, _child: child }
    }

    fn settings(&self, encryption: Encryption) -> Settings {
        Settings {
            host: "localhost".to_owned(),
            port: self.port,
            encryption,
            ca: Some(std::fs::read_to_string(self.folder.path().join("cert.pem")).unwrap()),
            login: Some(("lookout".to_owned(), Secret::new("s3cret"))),
            from: "lookout@example.org".to_owned(),
            to: vec!["oncall@example.org".to_owned(), "second@example.org".to_owned()],
        }
    }

    /// Returns the mails in the order in which they came.
    fn mails(&self) -> Vec<String> {
        let folder: PathBuf = self.folder.path().join("mail/new");
        let mut files: Vec<_> =
            std::fs::read_dir(folder).into_iter().flatten().map(|file| file.unwrap().path()).collect();
        files.sort_by_key(|path: &PathBuf| path.metadata().unwrap().modified().unwrap());
        files.iter().map(|path: &PathBuf| std::fs::read_to_string(Path::new(path)).unwrap()).collect()
    }
}

fn receiver_of(settings: Settings) -> Arc<dyn Receiver> {
    receiver(&Destination::new("mail", DestinationKind::Email(settings)), Arc::new(SystemClock)).unwrap()
}

fn nth(n: usize, thread: Option<&str>) -> Delivery {
    let notice = lifecycle(T0, &[])[n].notice.clone();
    let thread = thread.map(str::to_owned);
    Delivery { id: 1, destination: "mail".to_owned(), notice, attempts: 0, unsure: false, thread }
}

#[tokio::test]
async fn mails_of_an_incident_are_one_conversation() {
    for (mode, encryption) in [("starttls", Encryption::StartTls), ("tls", Encryption::Tls)] {
        let server = Server::start(mode).await;
        let mail = receiver_of(server.settings(encryption));
        let first = nth(0, None);
        let incident = first.notice.incident.id.clone();
        mail.deliver(&first).await.unwrap();
        mail.deliver(&nth(3, Some(&incident))).await.unwrap();
        let [opened, resolved] = server.mails().try_into().unwrap();
        let id = format!("Message-ID: <{incident}@example.org>");
        assert!(opened.contains(&id), "{mode}: {opened}");
        assert!(opened.contains("X-RcptTo: oncall@example.org, second@example.org"), "{opened}");
        assert!(opened.contains("Content-Type: text/plain") && opened.contains("Content-Type: text/html"));
        assert!(opened.contains("Date: Sun, 01 Mar 2026 10:00:00"), "{opened}");
        assert!(!opened.contains("References:"));
        assert!(resolved.contains(&format!("References: <{incident}@example.org>")), "{resolved}");
        assert!(resolved.contains("Subject: [RESOLVED] titanic requests-availability"), "{resolved}");
    }
}

#[tokio::test]
async fn what_a_mail_server_refuses_is_understood() {
    let server = Server::start("starttls").await;
    let settings = || server.settings(Encryption::StartTls);
    let refused = async |settings: Settings| receiver_of(settings).deliver(&nth(0, None)).await.unwrap_err();

    let unknown = refused(Settings { to: vec!["unknown@example.org".to_owned()], ..settings() }).await;
    assert_eq!(unknown.retry, Retry::Never);
    assert!(unknown.error.contains("no such user"), "{}", unknown.error);
    let later = refused(Settings { to: vec!["greylisted@example.org".to_owned()], ..settings() }).await;
    assert_eq!(later.retry, Retry::BackOff, "{}", later.error);
    let login = Some(("lookout".to_owned(), Secret::new("wr0ng")));
    let wrong = refused(Settings { login, ..settings() }).await;
    assert_eq!(wrong.retry, Retry::Never, "{}", wrong.error);
    assert!(!wrong.error.contains("wr0ng"));
    let untrusted = refused(Settings { ca: None, ..settings() }).await;
    assert_eq!(untrusted.retry, Retry::BackOff, "a certificate can be replaced: {}", untrusted.error);
    let plain = refused(Settings { encryption: Encryption::None, ..settings() }).await;
    assert!(plain.error.contains("mail server localhost"), "no password without TLS: {}", plain.error);
    assert!(server.mails().is_empty());
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let dead = refused(Settings { port: closed, ..settings() }).await;
    assert_eq!(dead.retry, Retry::BackOff);
}

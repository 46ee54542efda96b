//! An Alertmanager that demands a certificate of its clients: the agent presents the one that its file holds now.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::{Child, Command};

use super::support::{Lookout, PROBED_SLO, Target, eventually};

/// Makes a certificate for `localhost` that is signed by itself.
async fn certificate(folder: &Path, name: &str) {
    let path = |ending: &str| folder.join(format!("{name}.{ending}")).display().to_string();
    let (key, certificate) = (path("key"), path("pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-days", "3650", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", &key, "-out", &certificate])
        .stderr(Stdio::null())
        .status();
    assert!(made.await.unwrap().success());
}

/// Starts an Alertmanager that answers only who presents `client.pem`.
fn alertmanager(folder: &Path, address: SocketAddr) -> Child {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("alertmanager.yml", "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n");
    write(
        "web.yml",
        "tls_server_config: { cert_file: server.pem, key_file: server.key, client_auth_type: \
         RequireAndVerifyClientCert, client_ca_file: client.pem }\n",
    );
    let folder = folder.display();
    Command::new("prometheus-alertmanager")
        .arg(format!("--config.file={folder}/alertmanager.yml"))
        .arg(format!("--web.config.file={folder}/web.yml"))
        .arg(format!("--storage.path={folder}"))
        .arg(format!("--web.listen-address={address}"))
        .arg("--cluster.listen-address=")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("install the Debian package prometheus-alertmanager")
}

/// Lets the agent present the certificate of this name from now on.
fn present(folder: &Path, name: &str) {
    for ending in ["key", "pem"] {
        let to = folder.join(format!("agent.{ending}"));
        std::fs::copy(folder.join(format!("{name}.{ending}")), to).unwrap();
    }
}

async fn instance(agent: &Lookout) -> Value {
    agent.get("/api/v1/deliveries").await["receivers"][0]["instances"][0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_replaced_is_presented_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for name in ["server", "client", "stranger"] {
        certificate(folder, name).await;
    }
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _alertmanager = alertmanager(folder, address);
    let target = Target::start().await;
    let config = format!(
        "listen: 127.0.0.1:0\nledger: lookout.db\ninterval: 1s\n\
         targets:\n  - {{ name: api, http: {{ url: \"{}\" }}, interval: 1s, timeout: 500ms }}\n\
         destinations:\n  - name: am\n    alertmanager: {{ urls: [\"https://localhost:{}\"], ca_file: server.pem, \
         cert_file: agent.pem, key_file: agent.key }}\n",
        target.url(),
        address.port(),
    );
    std::fs::write(folder.join("lookout.yaml"), config).unwrap();
    std::fs::write(folder.join("api.slo.yaml"), PROBED_SLO).unwrap();
    present(folder, "stranger");
    let agent = Lookout::run(&folder.join("lookout.yaml"));
    target.answer(503);
    // twice: the wrong one, and the right one
    for round in 0..2 {
        present(folder, "stranger");
        eventually("it is not known what the instance holds", || async {
            instance(&agent).await["failure"].is_string().then_some(())
        })
        .await;
        present(folder, "client");
        let held = eventually("the page is held", || async {
            let instance = instance(&agent).await;
            let alert = instance["alerts"].as_array()?.first()?.clone();
            instance["failure"].is_null().then_some((instance, alert))
        })
        .await;
        assert_eq!(
            (&held.1["state"], &held.1["severity"]),
            (&"active".into(), &"critical".into()),
            "{round}"
        );
        assert_eq!(held.0["clock_ahead_ms"], 0, "the same machine has the same clock");
    }
}

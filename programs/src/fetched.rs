//! Programs that no package index has: taken from this machine, else fetched from their official host into
//! `target/tools`, pinned by version and checksum.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::blocking::Client;
use sha2::{Digest as _, Sha256};

use crate::missing::{MissingTool, on_path};
use crate::packages::find;
use crate::workspace::{must_succeed, target_directory};

/// A program, and the place that has it for machines without it.
#[derive(Debug, Clone, Copy)]
pub struct Tool {
    names: &'static [&'static str],
    version: &'static str,
    /// `{version}` and `{system}` stand for theirs.
    url: &'static str,
    /// Systems by the names of the host, each with the SHA-256 of its file.
    checksums: [(&'static str, &'static str); 2],
}

/// Builds Kubernetes manifests; `kustomize` alone does so too.
pub const KUBECTL: Tool = Tool {
    names: &["kubectl", "kustomize"],
    version: "1.33.8",
    url: "https://dl.k8s.io/release/v{version}/bin/linux/{system}/kubectl",
    checksums: [
        ("amd64", "7f9c3faab7c9f9cc3f318d49eb88efc60eb3b3a7ce9eee5feb39b1280e108a29"),
        ("arm64", "76e284669f1f6343bd9fe2a011757809c8c01cf51da9f85ee6ef4eb93c8393a8"),
    ],
};

/// Formats, validates and tests modules.
pub const TERRAFORM: Tool = Tool {
    names: &["terraform"],
    version: "1.11.4",
    url: "https://releases.hashicorp.com/terraform/{version}/terraform_{version}_linux_{system}.zip",
    checksums: [
        ("amd64", "1ce994251c00281d6845f0f268637ba50c0005657eb3cf096b92f753b42ef4dc"),
        ("arm64", "a43d1d0da9b9bab214a8305a39db0e40869572594ccf50c416a7756499143633"),
    ],
};

/// Names another folder for what is fetched.
pub const FOLDER: &str = "FETCHED_FOLDER";
/// A host that is silent for so long counts as unreachable.
const CONNECT: Duration = Duration::from_secs(5);
/// The longest download.
const DOWNLOAD: Duration = Duration::from_secs(300);

/// Returns the program: of this machine, else the pinned one.
///
/// # Errors
/// [`MissingTool`] when the host does not answer; anything else, such as a wrong checksum, is a mistake or an attack.
pub fn program(tool: &Tool) -> Result<PathBuf> {
    if let Some(program) = find(tool.names) {
        return Ok(program);
    }
    let folder = std::env::var_os(FOLDER).map(PathBuf::from);
    tool.fetch(&folder.map_or_else(|| Ok(target_directory()?.join("tools")), anyhow::Ok)?)
}

impl Tool {
    fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }

    /// Returns the fetched program, and fetches it first when it is absent.
    fn fetch(&self, folder: &Path) -> Result<PathBuf> {
        let system = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let pinned = self.checksums.iter().find(|(of, _)| *of == system && std::env::consts::OS == "linux");
        let Some((_, checksum)) = pinned else {
            let why = format!("no pinned build is for {} {system}", std::env::consts::OS);
            return Err(MissingTool::new(self.name(), why).into());
        };
        let url = self.url.replace("{version}", self.version).replace("{system}", system);
        self.fetch_from(&url, checksum, folder)
    }

    fn fetch_from(&self, url: &str, checksum: &str, folder: &Path) -> Result<PathBuf> {
        let versioned = folder.join(format!("{}-{}", self.name(), self.version));
        let file = versioned.join(self.name());
        if file.is_file() {
            return Ok(file);
        }
        fs::create_dir_all(&versioned).with_context(|| format!("making {}", versioned.display()))?;
        // many tests begin at once; the first one fetches
        let guard = File::create(versioned.join("lock")).context("making a lock")?;
        guard.lock().context("waiting for another download")?;
        let tried = Tried { file: versioned.join("unreachable") };
        if file.is_file() {
            return Ok(file);
        }
        if let Some(why) = tried.in_this_run() {
            return Err(MissingTool::new(self.name(), why).into());
        }
        let content = match download(url) {
            Ok(content) => content,
            Err(why) => {
                tried.note(&why)?;
                return Err(MissingTool::new(self.name(), why).into());
            }
        };
        let found: String = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
        ensure!(found == checksum, "{url} has the checksum {found}, not {checksum}");
        let scratch = versioned.join("download");
        fs::write(&scratch, &content).with_context(|| format!("writing {}", scratch.display()))?;
        if url.ends_with(".zip") {
            unpack(&scratch, self.name())?;
        }
        fs::set_permissions(&scratch, fs::Permissions::from_mode(0o755)).context("making it a program")?;
        // a file of that name is always whole
        fs::rename(&scratch, &file).with_context(|| format!("writing {}", file.display()))?;
        Ok(file)
    }
}

/// Downloads a file. The error is the reason for a person.
fn download(url: &str) -> Result<Vec<u8>, String> {
    // another may be installed already; there is only one
    let _ = rustls::crypto::ring::default_provider().install_default();
    let host = url.split('/').nth(2).unwrap_or(url);
    let silent = |error: reqwest::Error| {
        let cause =
            std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source()).last();
        format!("{host} does not answer ({})", cause.map(ToString::to_string).unwrap_or_default())
    };
    let client = Client::builder().connect_timeout(CONNECT).timeout(DOWNLOAD).build().map_err(silent)?;
    let answer = client.get(url).send().map_err(silent)?;
    if !answer.status().is_success() {
        return Err(format!("{host} answers {}", answer.status()));
    }
    answer.bytes().map(|content| content.to_vec()).map_err(silent)
}

/// Replaces an archive by one of its files.
fn unpack(archive: &Path, name: &str) -> Result<()> {
    let python = on_path(&["python3"], "it unpacks archives")?;
    let folder = archive.with_extension("unpacked");
    let made = fs::create_dir(&folder);
    made.or_else(|error| if error.kind() == ErrorKind::AlreadyExists { Ok(()) } else { Err(error) })
        .with_context(|| format!("making {}", folder.display()))?;
    must_succeed(Command::new(python).args(["-m", "zipfile", "-e"]).arg(archive).arg(&folder))?;
    let file = folder.join(name);
    if !file.is_file() {
        bail!("the archive has no file `{name}`");
    }
    fs::rename(&file, archive).with_context(|| format!("moving {}", file.display()))?;
    fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))
}

/// Note of a failed download, so that each run waits for a silent host once.
struct Tried {
    file: PathBuf,
}

impl Tried {
    /// Returns the reason, if this run failed before.
    fn in_this_run(&self) -> Option<String> {
        let text = fs::read_to_string(&self.file).ok()?;
        let (of, why) = text.split_once('\n')?;
        (of == run()).then(|| why.to_owned())
    }

    fn note(&self, why: &str) -> Result<()> {
        fs::write(&self.file, format!("{}\n{why}", run())).context("noting a failed download")
    }
}

/// Names this run. Nextest starts a process per test and numbers its runs.
fn run() -> String {
    std::env::var("NEXTEST_RUN_ID").unwrap_or_else(|_| std::process::id().to_string())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use axum::Router;
    use axum::routing::get;

    use super::*;

    const FILE: &[u8] = b"#!/bin/sh\necho fetched\n";
    const TOOL: Tool = Tool { names: &["fetched"], version: "1.0", url: "", checksums: [("", ""), ("", "")] };

    fn checksum_of(content: &[u8]) -> String {
        Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Serves the files until the process ends.
    fn host(zip: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
                let files = Router::new()
                    .route("/fetched", get(|| async { FILE }))
                    .route("/fetched.zip", get(|| async { zip }));
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, files).await.unwrap();
            });
        });
        format!("http://{address}")
    }

    fn said(program: &Path) -> String {
        String::from_utf8(Command::new(program).output().unwrap().stdout).unwrap()
    }

    #[test]
    fn a_file_with_its_checksum_becomes_a_program() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("{}/fetched", host(Vec::new()));
        let file = TOOL.fetch_from(&url, &checksum_of(FILE), folder.path()).unwrap();
        assert_eq!(said(&file), "fetched\n");
        // now it is there, whoever answers
        assert_eq!(TOOL.fetch_from("http://127.0.0.1:1/fetched", "", folder.path()).unwrap(), file);
    }

    #[test]
    fn an_archive_is_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("fetched"), FILE).unwrap();
        let mut zip = Command::new("python3");
        zip.args(["-m", "zipfile", "-c", "a.zip", "fetched"]).current_dir(folder.path());
        must_succeed(&mut zip).unwrap();
        let archive = fs::read(folder.path().join("a.zip")).unwrap();
        let url = format!("{}/fetched.zip", host(archive.clone()));
        let file = TOOL.fetch_from(&url, &checksum_of(&archive), &folder.path().join("tools")).unwrap();
        assert_eq!(said(&file), "fetched\n");
    }

    #[test]
    fn another_content_is_refused_and_no_reason_to_skip() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("{}/fetched", host(Vec::new()));
        let error = TOOL.fetch_from(&url, &checksum_of(b"another"), folder.path()).unwrap_err();
        assert!(error.to_string().contains("has the checksum"), "{error:#}");
        assert!(MissingTool::behind(&error).is_none());
        assert!(!folder.path().join("fetched-1.0/fetched").exists());
    }

    #[test]
    fn a_host_that_does_not_answer_is_named_and_asked_once_per_run() {
        let folder = tempfile::tempdir().unwrap();
        let error = TOOL.fetch_from("http://127.0.0.1:1/fetched", "", folder.path()).unwrap_err();
        let missing = MissingTool::behind(&error).unwrap().to_string();
        assert!(missing.starts_with("fetched is missing: 127.0.0.1:1 does not answer"), "{missing}");
        // it would answer now, but this run does not ask again
        let url = format!("{}/fetched", host(Vec::new()));
        let again = TOOL.fetch_from(&url, &checksum_of(FILE), folder.path()).unwrap_err();
        assert_eq!(again.to_string(), missing);
        fs::write(folder.path().join("fetched-1.0/unreachable"), "another run\nno").unwrap();
        TOOL.fetch_from(&url, &checksum_of(FILE), folder.path()).unwrap();
        let gone = TOOL.fetch_from(&format!("{url}/gone"), "", &folder.path().join("other")).unwrap_err();
        assert!(MissingTool::behind(&gone).unwrap().why.ends_with("answers 404 Not Found"), "{gone:#}");
    }
}

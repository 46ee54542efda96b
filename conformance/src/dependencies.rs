//! Dependencies against `deny.toml`: licences, bans and sources, and a seeded advisory that must be found.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use programs::on_path;

use crate::tool::content;
use crate::tree::Tree;

const CONFIG: &str = "deny.toml";
const HOW: &str = "`cargo install --locked cargo-deny --version 0.20.2` brings it";
/// The address that the seeded database has in the place of the published one.
const DATABASE: &str = "https://advisories.example.org/db";
/// A crate that the lock file names, and that the seeded advisory calls vulnerable.
const SEEDED: &str = "itoa";

/// Holds every dependency to its licence, to what is banned and to where it may come from. Needs no network.
pub fn terms(tree: &Tree) -> Result<String> {
    let mut deny = cargo_deny(tree, &tree.root().join(CONFIG))?;
    content(deny.args(["check", "bans", "licenses", "sources"]))?;
    let lock = tree.read(Path::new("Cargo.lock"))?;
    Ok(format!("{} packages", lock.matches("[[package]]").count()))
}

/// Shows that an advisory about a dependency fails the check: a database with one is put in the place of the published one.
pub fn seeded_advisory(tree: &Tree) -> Result<String> {
    let scratch = tempfile::tempdir().context("making a folder")?;
    let database = seed(scratch.path())?;
    let text = tree.read(Path::new(CONFIG))?;
    let own = format!(
        "[advisories]\ndb-urls = [\"{DATABASE}\"]\ndb-path = {:?}\ngit-fetch-with-cli = true",
        scratch.path().join("fetched")
    );
    let (before, after) = text.split_once("[advisories]").context("deny.toml looks at no advisories")?;
    let config = scratch.path().join(CONFIG);
    fs::write(&config, format!("{before}{own}{after}")).context("writing a configuration")?;
    let mut deny = Command::new(on_path(&["cargo-deny"], HOW)?);
    deny.current_dir(tree.root()).arg("--config").arg(&config).args(["check", "advisories"]);
    deny.env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", format!("url.file://{}.insteadOf", database.display()));
    deny.env("GIT_CONFIG_VALUE_0", DATABASE);
    match content(&mut deny) {
        Err(found) if format!("{found:#}").contains("RUSTSEC-2026-9999") => {
            Ok(format!("{SEEDED} is reported"))
        }
        Err(other) => Err(other),
        Ok(_) => bail!("deny.toml lets a vulnerable {SEEDED} pass"),
    }
}

fn cargo_deny(tree: &Tree, config: &Path) -> Result<Command> {
    let mut deny = Command::new(on_path(&["cargo-deny"], HOW)?);
    deny.current_dir(tree.root()).arg("--offline").arg("--config").arg(config);
    Ok(deny)
}

/// Writes a database of one advisory, as a repository.
fn seed(folder: &Path) -> Result<PathBuf> {
    let database = folder.join("database");
    let advisory = database.join("crates").join(SEEDED).join("RUSTSEC-2026-9999.md");
    fs::create_dir_all(advisory.parent().unwrap_or(&database)).context("making a folder")?;
    let text = format!(
        "```toml\n[advisory]\nid = \"RUSTSEC-2026-9999\"\npackage = \"{SEEDED}\"\ndate = \"2026-11-01\"\n\n\
         [versions]\npatched = [\">= 99.0.0\"]\n```\n\n# A seeded advisory\n\nIt shows that one is found.\n"
    );
    fs::write(&advisory, text).context("writing an advisory")?;
    for arguments in [
        &["init", "--quiet", "--initial-branch", "main"][..],
        &["add", "--all"],
        &[
            "-c",
            "user.name=seed",
            "-c",
            "user.email=seed@example.org",
            "commit",
            "--quiet",
            "--message",
            "seed",
        ],
    ] {
        content(Command::new("git").args(arguments).current_dir(&database))?;
    }
    Ok(database)
}

//! Dependencies against `deny.toml`: licences, bans and sources, and a seeded advisory that must be found, in the lock file
//! and in a program.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
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

/// Files that build what is shipped.
const BUILDS: [&str; 3] = ["agent/Dockerfile", "service/Dockerfile", ".github/scripts/release-binaries.sh"];
/// The script that looks at the latest release every night.
const NIGHTLY: &str = ".github/scripts/audit-release.sh";

/// Shows that an advisory about a crate *inside* a program fails the nightly look at the latest release: a program with the
/// seeded crate is built as releases are, and the script gets it as the release.
pub fn carried_crates(tree: &Tree) -> Result<String> {
    let builds = builds(tree)?;
    let auditable =
        on_path(&["cargo-auditable"], "`cargo install --locked cargo-auditable --version 0.7.2` brings it")?;
    let audit = on_path(&["cargo-audit"], "`cargo install --locked cargo-audit --version 0.22.2` brings it")?;
    let scratch = tempfile::tempdir().context("making a folder")?;
    let folder = scratch.path();
    let program = build_seeded(tree, folder, &auditable)?;
    let database = seed(folder)?;
    // in the place of the published database, and without asking for it
    fs::create_dir_all(folder.join(".cargo")).context("making a folder")?;
    let config = format!("[database]\npath = {database:?}\nfetch = false\nstale = true\n");
    fs::write(folder.join(".cargo/audit.toml"), config).context("writing a configuration")?;
    let run = |carried: &Path| -> Result<String> {
        release(folder, carried)?;
        let mut nightly = Command::new("bash");
        nightly
            .arg(tree.root().join(NIGHTLY))
            .current_dir(folder)
            .env("ASKED_RELEASE", folder.join("release"));
        let path = std::env::var("PATH").unwrap_or_default();
        let own = audit.parent().unwrap_or(folder).display();
        nightly.env("PATH", format!("{}:{own}:{path}", folder.join("bin").display()));
        content(nightly.env("GH_TOKEN", "none").env("GH_REPO", "lookout-dev/lookout"))
    };
    match run(&program) {
        Err(found) if format!("{found:#}").contains("RUSTSEC-2026-9999") => {}
        Err(other) => return Err(other.context(NIGHTLY)),
        Ok(_) => bail!("{NIGHTLY} lets a program with a vulnerable {SEEDED} pass"),
    }
    // once the advisory is gone the same program passes
    fs::remove_dir_all(database.join("crates").join(SEEDED)).context("removing an advisory")?;
    run(&program).with_context(|| format!("{NIGHTLY}, without an advisory"))?;
    Ok(format!("{SEEDED} is reported out of a program; {builds} builds carry their list"))
}

/// Counts the builds of what is shipped. Fails when one of them leaves the list of crates out.
fn builds(tree: &Tree) -> Result<usize> {
    let mut count = 0;
    for file in BUILDS {
        let text = tree.read(Path::new(file))?;
        let mut found = 0;
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#'))
        {
            if line.contains("cargo build") {
                bail!(
                    "{file}:{}: the program carries no list of its crates: `cargo auditable build`",
                    number + 1
                );
            }
            found += line.matches("cargo auditable build").count();
        }
        if found == 0 {
            bail!("{file} builds nothing with `cargo auditable build`");
        }
        count += found;
    }
    Ok(count)
}

/// Builds a program that carries the seeded crate in the version of the lock file.
fn build_seeded(tree: &Tree, folder: &Path, auditable: &Path) -> Result<PathBuf> {
    let lock = tree.read(Path::new("Cargo.lock"))?;
    let version = lock
        .split_once(&format!("name = \"{SEEDED}\"\nversion = \""))
        .and_then(|(_, rest)| rest.split('"').next());
    let version = version.with_context(|| format!("the lock file names no {SEEDED}"))?;
    let package = folder.join("seeded");
    fs::create_dir_all(package.join("src")).context("making a folder")?;
    let manifest = format!(
        "[package]\nname = \"seeded\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\n\
         {SEEDED} = \"={version}\"\n\n[workspace]\n"
    );
    fs::write(package.join("Cargo.toml"), manifest).context("writing a manifest")?;
    let source = "fn main() {\n    println!(\"{}\", itoa::Buffer::new().format(1));\n}\n";
    fs::write(package.join("src/main.rs"), source).context("writing a program")?;
    let mut build = Command::new(auditable);
    build
        .args(["auditable", "build", "--quiet", "--offline", "--target-dir", "target"])
        .current_dir(&package);
    content(&mut build)?;
    Ok(package.join("target/debug/seeded"))
}

/// Puts a program where the stand-in of `gh` takes a release from: an archive for each of the two programs.
fn release(folder: &Path, program: &Path) -> Result<()> {
    let (bin, archives) = (folder.join("bin"), folder.join("release"));
    for made in [&bin, &archives] {
        fs::create_dir_all(made).context("making a folder")?;
    }
    let gh = "#!/usr/bin/env bash\nset -e\nif [[ $2 == view ]]; then echo v1.0.0; else cp \"$ASKED_RELEASE\"/*.tar.gz \"$4\"; fi\n";
    fs::write(bin.join("gh"), gh).context("writing a stand-in")?;
    fs::set_permissions(bin.join("gh"), fs::Permissions::from_mode(0o755)).context("making it a program")?;
    for name in ["lookout", "titanic"] {
        fs::copy(program, folder.join(name)).context("copying a program")?;
        let archive = archives.join(format!("{name}-x86_64-unknown-linux-musl.tar.gz"));
        content(Command::new("tar").arg("-czf").arg(archive).arg("-C").arg(folder).arg(name))?;
    }
    Ok(())
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

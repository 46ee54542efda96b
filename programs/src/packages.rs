//! The distribution packages whose programs the tests hold our output against.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::workspace::{must_succeed, shown};

/// A program the tests start, under any of its names, and the Debian package that brings it.
struct Needed {
    names: &'static [&'static str],
    package: &'static str,
}

const NEEDED: &[Needed] = &[
    Needed { names: &["prometheus"], package: "prometheus" },
    Needed { names: &["promtool"], package: "prometheus" },
    Needed { names: &["prometheus-alertmanager", "alertmanager"], package: "prometheus-alertmanager" },
    Needed { names: &["amtool"], package: "prometheus-alertmanager" },
    // The server itself is not on the `PATH`: what manages its clusters comes with it.
    Needed { names: &["pg_ctlcluster"], package: "postgresql" },
    Needed { names: &["psql"], package: "postgresql-client" },
    Needed { names: &["nginx"], package: "nginx-light" },
    Needed { names: &["dnsmasq"], package: "dnsmasq-base" },
    Needed { names: &["tinyproxy"], package: "tinyproxy-bin" },
    Needed { names: &["aiosmtpd"], package: "python3-aiosmtpd" },
    Needed { names: &["chromium", "chromium-browser", "google-chrome"], package: "chromium" },
];

const PACKAGES: &[&str] = &[
    "prometheus",
    "prometheus-alertmanager",
    "postgresql",
    "postgresql-client",
    "nginx-light",
    "dnsmasq-base",
    "python3-aiosmtpd",
    "tinyproxy-bin",
    "chromium",
    "fonts-dejavu-core",
];

/// The first program of these names on the `PATH`.
pub fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|file| file.is_file())
}

/// Makes sure every needed program is there: installs them where that is allowed, else names the command.
pub fn ensure() -> Result<String> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(format!("{} programs there", NEEDED.len()));
    }
    let Some(privilege) = privilege() else {
        bail!("missing: {}. On Debian or Ubuntu run\n\n    {}\n", missing.join(", "), by_hand());
    };
    println!("missing: {}; installing {}", missing.join(", "), PACKAGES.join(" "));
    must_succeed(privilege.apt().arg("update"))?;
    must_succeed(privilege.apt().args(["install", "-y", "--no-install-recommends"]).args(PACKAGES))?;
    let missing = self::missing();
    if !missing.is_empty() {
        bail!("still missing after the installation: {}", missing.join(", "));
    }
    Ok("installed".to_owned())
}

fn missing() -> Vec<String> {
    let absent = NEEDED.iter().filter(|needed| find(needed.names).is_none());
    absent.map(|needed| format!("{} (package {})", needed.names.join(" or "), needed.package)).collect()
}

fn by_hand() -> String {
    let packages = PACKAGES.join(" ");
    format!("sudo apt-get update && sudo apt-get install -y --no-install-recommends {packages}")
}

/// A right to install packages without a question.
enum Privilege {
    Root,
    Sudo,
}

impl Privilege {
    fn apt(&self) -> Command {
        let mut command = match self {
            Self::Root => Command::new("env"),
            Self::Sudo => {
                let mut sudo = Command::new("sudo");
                sudo.args(["-n", "env"]);
                sudo
            }
        };
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]);
        command
    }
}

fn privilege() -> Option<Privilege> {
    if !Path::new("/etc/debian_version").exists() || find(&["apt-get"]).is_none() {
        return None;
    }
    let quietly = |command: &mut Command| {
        let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output();
        output.ok().filter(|output| output.status.success()).map(|output| output.stdout)
    };
    let user = quietly(Command::new("id").arg("-u"))?;
    if user.trim_ascii() == b"0" {
        return Some(Privilege::Root);
    }
    quietly(Command::new("sudo").args(["-n", "true"])).map(|_| Privilege::Sudo)
}

/// The version line of a program, for reports.
pub fn version(program: &Path) -> String {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null());
    match command.output() {
        Ok(output) => {
            let said = if output.stdout.is_empty() { output.stderr } else { output.stdout };
            let first = String::from_utf8_lossy(&said).lines().next().unwrap_or_default().to_owned();
            first.split(" (").next().unwrap_or_default().to_owned()
        }
        Err(error) => format!("{}: {error}", shown(&command)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_needed_program_comes_with_a_package_that_is_installed() {
        for needed in NEEDED {
            assert!(PACKAGES.contains(&needed.package), "{} is never installed", needed.package);
        }
    }

    #[test]
    fn the_first_name_that_exists_wins() {
        let found = find(&["no-such-program-anywhere", "sh"]);
        assert!(found.is_some_and(|path| path.ends_with("sh")));
        assert_eq!(find(&["no-such-program-anywhere"]), None);
    }
}

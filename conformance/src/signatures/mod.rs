//! Signatures of images: what the workflow `publish` signs is what a deploy and the admission policy accept, and nothing else.
//!
//! An image is signed for each identity with cosign, as the workflow does it, in a registry on loopback. Then the script of
//! the deploy and the rules of the policy judge it. Sigstore's services are not asked: an authority of this run certifies the
//! identities, and there is no log of transparency.

mod authority;
mod registry;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use programs::on_path;
use serde_json::Value;

use authority::{Authority, CERTIFICATE, Identity, ROOT, SIGNER};
use registry::Registry;

use crate::tool::content;
use crate::tree::Tree;

const HOW: &str = "cosign 3 brings bundles: https://docs.sigstore.dev/cosign/system_config/installation/";
const PUBLISH: &str = ".github/workflows/publish.yml";
const VERIFY: &str = ".github/scripts/verify.sh";
const CHART: &str = ".github/scripts/publish-chart.sh";
const POLICY: &str = "k8s/policies/signed-images.yaml";
const IMAGE: &str = "ghcr.io/lookout-dev/titanic";
const GITHUB: &str = "https://token.actions.githubusercontent.com";

macro_rules! workflow {
    ($of:literal) => {
        concat!("https://github.com/", $of)
    };
}

/// Identities, and whether an image that they signed may run.
const IDENTITIES: [(&str, bool, Identity); 9] = [
    ("main", true, of_github(workflow!("lookout-dev/lookout/.github/workflows/publish.yml@refs/heads/main"))),
    (
        "release",
        true,
        of_github(workflow!("lookout-dev/lookout/.github/workflows/publish.yml@refs/tags/v1.20.3")),
    ),
    (
        "branch",
        false,
        of_github(workflow!("lookout-dev/lookout/.github/workflows/publish.yml@refs/heads/main-2")),
    ),
    (
        "moved-tag",
        false,
        of_github(workflow!("lookout-dev/lookout/.github/workflows/publish.yml@refs/tags/v1")),
    ),
    (
        "pull-request",
        false,
        of_github(workflow!("lookout-dev/lookout/.github/workflows/publish.yml@refs/pull/7/merge")),
    ),
    ("workflow", false, of_github(workflow!("lookout-dev/lookout/.github/workflows/ci.yml@refs/heads/main"))),
    (
        "repository",
        false,
        of_github(workflow!("lookout-dev/lookout2/.github/workflows/publish.yml@refs/heads/main")),
    ),
    ("fork", false, of_github(workflow!("someone/lookout/.github/workflows/publish.yml@refs/heads/main"))),
    (
        "issuer",
        false,
        Identity {
            subject: workflow!("lookout-dev/lookout/.github/workflows/publish.yml@refs/heads/main"),
            issuer: "https://gitlab.com",
        },
    ),
];

const fn of_github(subject: &'static str) -> Identity {
    Identity { subject, issuer: GITHUB }
}

/// Signs an image for each identity, and asks the script and the policy about each.
pub fn rules(tree: &Tree) -> Result<String> {
    let scratch = tempfile::Builder::new().prefix("signatures-").tempdir().context("making a folder")?;
    let bench = Bench::set_up(tree, scratch.path())?;
    let mut faults = Vec::new();
    for (name, accepted, identity) in IDENTITIES {
        let image = format!("{IMAGE}@{}", bench.registry.add_image(name));
        bench.authority.certify(identity)?;
        bench.sign(&image)?;
        for (judge, found) in [(VERIFY, bench.script(&image)), (POLICY, bench.policy(&image))] {
            match (accepted, found) {
                (true, Err(why)) => faults.push(format!("{judge} refuses {}: {why:#}", identity.subject)),
                (false, Ok(_)) => {
                    let (subject, issuer) = (identity.subject, identity.issuer);
                    faults.push(format!("{judge} accepts what {subject} of {issuer} signed"));
                }
                _ => {}
            }
        }
    }
    let unsigned = format!("{IMAGE}@{}", bench.registry.add_image("nobody"));
    if bench.script(&unsigned).is_ok() || bench.policy(&unsigned).is_ok() {
        faults.push("an image without a signature is accepted".to_owned());
    }
    faults.extend(bench.attestation_fault()?);
    faults.extend(bench.chart_faults()?);
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(format!("{} identities, asked of the script and of the policy", IDENTITIES.len() + 1))
}

/// Everything that one run signs and verifies with.
struct Bench<'f> {
    folder: &'f Path,
    tree: &'f Tree,
    registry: Registry,
    authority: Authority<'f>,
    cosign: PathBuf,
    /// The arguments that the workflow gives `cosign sign`, before the image.
    how_signed: Vec<String>,
    /// Patterns of subjects, and the issuers, of the policy.
    attestors: Vec<(String, String)>,
}

impl<'f> Bench<'f> {
    fn set_up(tree: &'f Tree, folder: &'f Path) -> Result<Self> {
        let cosign = on_path(&["cosign"], HOW)?;
        let registry = Registry::start()?;
        let authority = Authority::found(folder)?;
        // Sigstore's root is fetched by default: here the run's own authority is the one that is trusted
        let chain =
            format!("url=https://authority.invalid,certificate-chain={}", folder.join(ROOT).display());
        let mut trust = Command::new(&cosign);
        trust.args(["trusted-root", "create", "--out", "root.json", "--fulcio", &chain]).current_dir(folder);
        content(&mut trust)?;
        let mut import = Command::new(&cosign);
        import.args(["import-key-pair", "--yes", "--key", SIGNER, "--output-key-prefix", "imported"]);
        content(import.env("COSIGN_PASSWORD", "").current_dir(folder))?;
        let services = r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json"}"#;
        fs::write(folder.join("no-services.json"), services).context("writing a signing configuration")?;
        let bench = Self {
            how_signed: how_signed(&tree.read(Path::new(PUBLISH))?)?,
            attestors: attestors(&tree.read(Path::new(POLICY))?)?,
            folder,
            tree,
            registry,
            authority,
            cosign,
        };
        bench.stand_ins()?;
        Ok(bench)
    }

    /// Programs that the scripts find first. `cosign` is the true one, told of the registry and of the authority here. `gh`
    /// asks GitHub, which cannot be asked about these images, so it only notes what it would have asked. `helm` pushes
    /// nothing and names a digest that the registry has.
    fn stand_ins(&self) -> Result<()> {
        let cosign = format!(
            "#!/usr/bin/env bash\nif [[ $1 == sign ]]; then offline=({}); else offline=({}); fi\n\
             exec {:?} \"${{@//ghcr.io/{}}}\" \"${{offline[@]}}\"\n",
            self.with_key().join(" "),
            self.offline().join(" "),
            self.cosign,
            self.registry.address,
        );
        let gh = "#!/usr/bin/env bash\nprintf '%s\\n' \"$@\" >>\"$ASKED\"\n";
        let helm = "#!/usr/bin/env bash\nif [[ $1 == push ]]; then echo \"Digest: $CHART_DIGEST\"; fi\n";
        for (name, text) in [("cosign", cosign.as_str()), ("gh", gh), ("helm", helm)] {
            let file = self.folder.join("bin").join(name);
            fs::create_dir_all(self.folder.join("bin")).context("making a folder")?;
            fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).context("making it a program")?;
        }
        Ok(())
    }

    /// Flags that sign without Sigstore's services.
    fn with_key(&self) -> [String; 6] {
        let in_folder = |flag: &str, file: &str| format!("--{flag}={}", self.folder.join(file).display());
        [
            "--allow-http-registry".to_owned(),
            in_folder("key", "imported.key"),
            in_folder("certificate", CERTIFICATE),
            in_folder("certificate-chain", ROOT),
            in_folder("signing-config", "no-services.json"),
            in_folder("trusted-root", "root.json"),
        ]
    }

    /// Flags that verify without Sigstore's services.
    fn offline(&self) -> [String; 4] {
        let root = format!("--trusted-root={}", self.folder.join("root.json").display());
        ["--allow-http-registry", "--insecure-ignore-tlog", "--insecure-ignore-sct", &root].map(str::to_owned)
    }

    fn local(&self, image: &str) -> String {
        image.replacen("ghcr.io", &self.registry.address.to_string(), 1)
    }

    /// Signs as the workflow does, with a key in the place of an identity of GitHub.
    fn sign(&self, image: &str) -> Result<()> {
        let mut sign = Command::new(&self.cosign);
        sign.arg("sign").args(&self.how_signed).args(self.with_key()).arg(self.local(image));
        content(sign.env("COSIGN_PASSWORD", "").current_dir(self.folder)).map(drop)
    }

    /// A script of the tree that finds the stand-ins.
    fn run(&self, script: &str) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("bash");
        command.arg(self.tree.root().join(script)).current_dir(self.tree.root());
        command.env("PATH", format!("{}:{path}", self.folder.join("bin").display()));
        command.env("ASKED", self.folder.join("asked")).env("COSIGN_PASSWORD", "");
        command.env_remove("GITHUB_REPOSITORY").env("GH_TOKEN", "none");
        command
    }

    /// Asks the script of the deploy.
    fn script(&self, image: &str) -> Result<String> {
        content(self.run(VERIFY).arg(image))
    }

    /// Publishes the chart as a release does. Its script signs and verifies, so it must fail where somebody else signs.
    fn chart_faults(&self) -> Result<Vec<String>> {
        let mut faults = Vec::new();
        // the script names the release that it runs for, so `main` is a stranger to it
        let asked = ["release", "main", "fork"];
        for (name, _, identity) in IDENTITIES.iter().filter(|(name, ..)| asked.contains(name)) {
            let accepted = *name == "release";
            self.authority.certify(*identity)?;
            let mut publish = self.run(CHART);
            publish.arg("1.20.3").env("CHART_DIGEST", self.registry.add_image(&format!("chart of {name}")));
            publish.env("GITHUB_REPOSITORY", "lookout-dev/lookout").env("GITHUB_REF", "refs/tags/v1.20.3");
            match (accepted, content(&mut publish)) {
                (true, Err(why)) => faults.push(format!("{CHART} refuses {}: {why:#}", identity.subject)),
                (false, Ok(_)) => faults.push(format!("{CHART} accepts what {} signed", identity.subject)),
                _ => {}
            }
        }
        Ok(faults)
    }

    /// Compares whose attestations the script accepted with whose signatures the policy accepts.
    fn attestation_fault(&self) -> Result<Option<String>> {
        let asked = fs::read_to_string(self.folder.join("asked"))
            .with_context(|| format!("{VERIFY} asks nobody about attestations"))?;
        let pattern = asked.lines().skip_while(|line| *line != "--cert-identity-regex").nth(1);
        let ours = self.attestors.iter().any(|(subject, _)| Some(subject.as_str()) == pattern);
        Ok((!ours)
            .then(|| format!("{VERIFY} accepts attestations of {pattern:?}, which {POLICY} does not name")))
    }

    /// Asks the attestors of the policy. One of them is enough.
    fn policy(&self, image: &str) -> Result<String> {
        let mut found = Err(anyhow::anyhow!("the policy has no attestor"));
        for (subject, issuer) in &self.attestors {
            let mut verify = Command::new(&self.cosign);
            verify.arg("verify").arg(self.local(image)).args(self.offline()).current_dir(self.folder);
            verify.args(["--certificate-identity-regexp", subject, "--certificate-oidc-issuer", issuer]);
            found = content(&mut verify);
            if found.is_ok() {
                break;
            }
        }
        found
    }
}

/// The flags of every `cosign sign` of the workflow, which must be the same ones.
fn how_signed(workflow: &str) -> Result<Vec<String>> {
    let calls = workflow.lines().filter_map(|line| line.trim().strip_prefix("run: cosign sign "));
    let mut flags: Vec<Vec<String>> = calls
        .map(|call| call.split(' ').filter(|word| word.starts_with("--")).map(str::to_owned).collect())
        .collect();
    flags.dedup();
    match flags.as_slice() {
        [one] => Ok(one.clone()),
        other => bail!("{PUBLISH} signs in {} ways: expected one `run: cosign sign`", other.len()),
    }
}

/// Patterns of subjects, and issuers, that the policy accepts.
fn attestors(policy: &str) -> Result<Vec<(String, String)>> {
    let policy: Value = serde_saphyr::from_str(policy).context(POLICY)?;
    let attestors = policy.pointer("/spec/attestors").and_then(Value::as_array);
    let identities = attestors
        .into_iter()
        .flatten()
        .filter_map(|attestor| attestor.pointer("/cosign/keyless/identities").and_then(Value::as_array))
        .flatten();
    let pair = |identity: &Value| {
        let text = |key: &str| identity.get(key).and_then(Value::as_str).map(str::to_owned);
        Some((text("subjectRegExp")?, text("issuer")?))
    };
    let found: Option<Vec<_>> = identities.map(pair).collect();
    found.filter(|found| !found.is_empty()).with_context(|| {
        format!(
            "{POLICY} names no identity with `subjectRegExp` and `issuer`: a signature of anybody would do"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_signs_alike() {
        let one = "        run: cosign sign --yes --recursive \"$IMAGE@$DIGEST\"\n";
        assert_eq!(how_signed(&one.repeat(2)).unwrap(), ["--yes", "--recursive"]);
        assert!(how_signed("").is_err());
        assert!(how_signed(&format!("{one}        run: cosign sign --yes \"$IMAGE\"\n")).is_err());
    }

    #[test]
    fn an_attestor_without_a_subject_is_refused() {
        let policy = |identity: &str| {
            format!("spec: {{ attestors: [{{ cosign: {{ keyless: {{ identities: [{identity}] }} }} }}] }}")
        };
        assert_eq!(
            attestors(&policy("{ subjectRegExp: a, issuer: b }")).unwrap(),
            [("a".to_owned(), "b".to_owned())]
        );
        assert!(attestors(&policy("{ issuer: b }")).is_err());
        assert!(attestors("spec: {}").is_err());
    }
}

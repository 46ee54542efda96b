//! The steps, one function each.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::Arguments;
use super::summary::Summary;
use programs::python::{self, Set};
use programs::workspace::{CONFIG, cargo, must_succeed, root, shown, target_directory};
use programs::{MissingTool, packages, skipped};

/// The result of a step that did not fail.
pub(super) enum StepResult {
    Passed(String),
    Skipped(String),
    /// The figures, and the tests that were skipped for want of a tool.
    Tests(Summary, Vec<(String, String)>),
}

/// The steps in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Step {
    Packages,
    Fmt,
    Conformance,
    Clippy,
    Doc,
    Tests,
    Contract,
    Doctests,
    Drift,
    Clean,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

impl Step {
    pub(super) const ALL: &[Self] = &[
        Self::Packages,
        Self::Fmt,
        Self::Conformance,
        Self::Clippy,
        Self::Doc,
        Self::Tests,
        Self::Contract,
        Self::Doctests,
        Self::Drift,
        Self::Clean,
    ];

    pub(super) const fn about(self) -> &'static str {
        match self {
            Self::Packages => "the programs our output is held against",
            Self::Fmt => "formatting",
            Self::Conformance => {
                "containers, manifests, infrastructure, workflows and pages, and mistakes there that must be named"
            }
            Self::Clippy => "lints, warnings denied",
            Self::Doc => "documentation, warnings denied",
            Self::Tests => "all tests, with promtool, amtool, a real Prometheus and a real Alertmanager",
            Self::Contract => "the API against its own description, with schemathesis on both databases",
            Self::Doctests => "examples in the documentation",
            Self::Drift => "generated files are those that the specs ask for",
            Self::Clean => "the run left the work tree as it was",
        }
    }

    /// Runs the step. `before` is the status of the work tree when the run began.
    pub(super) fn run(self, arguments: &Arguments, before: Option<&str>) -> Result<StepResult> {
        match self {
            Self::Packages => packages::ensure().map(StepResult::Passed),
            Self::Fmt => passes(cargo().args(["fmt", "--all", "--check"]))
                .context("`cargo fmt --all` would change files"),
            Self::Conformance => conformance(arguments),
            Self::Clippy => {
                passes(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
            }
            Self::Doc => {
                passes(cargo().args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
            }
            Self::Tests => tests(),
            Self::Contract => contract(),
            Self::Doctests => doctests(),
            Self::Drift => drift(),
            Self::Clean => Ok(clean(before)?),
        }
    }
}

fn passes(command: &mut Command) -> Result<StepResult> {
    must_succeed(command).map(|()| StepResult::Passed(String::new()))
}

fn has_nextest() -> bool {
    let quiet = cargo().args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

fn all(summary: Summary) -> Result<StepResult> {
    Ok(StepResult::Tests(summary, Vec::new()))
}

/// Everything else that is a test.
fn tests() -> Result<StepResult> {
    let mut command = cargo();
    if has_nextest() {
        // It counts on stderr, and shows the output of failing tests there too.
        command.args(["nextest", "run", "--workspace", "--exclude", "conformance", "--no-fail-fast"]);
    } else {
        command.args(["test", "--workspace", "--exclude", "conformance", "--all-targets", "--no-fail-fast"]);
    }
    all(counted(&mut command)?)
}

/// The checks of `conformance`. A check whose tool is missing leaves a record, which is no test that passed.
fn conformance(arguments: &Arguments) -> Result<StepResult> {
    let folder = skipped::folder()?;
    skipped::forget_all(&folder)?;
    let mut command = cargo();
    if arguments.strict {
        command.env(skipped::STRICT, "1");
    }
    if has_nextest() {
        command.args(["nextest", "run", "--package", "conformance", "--no-fail-fast"]).args(&arguments.names);
    } else {
        command.args(["test", "--package", "conformance", "--no-fail-fast", "--"]).args(&arguments.names);
    }
    // what was not asked for is not skipped
    let (mut summary, skipped) = (counted(&mut command)?.ran(), skipped::all(&folder)?);
    summary.skip(skipped.len() as u64);
    Ok(StepResult::Tests(summary, skipped))
}

/// The tests that are ignored where their tools are missing; from the binaries that were built for the others.
fn contract() -> Result<StepResult> {
    let tools = match python::folder(Set::Api) {
        Ok(folder) => folder,
        Err(error) => {
            return match MissingTool::behind(&error) {
                Some(missing) => Ok(StepResult::Skipped(missing.to_string())),
                None => Err(error),
            };
        }
    };
    let mut command = cargo();
    command.env("API_TOOLS", tools);
    if has_nextest() {
        command.args(["nextest", "run", "--workspace", "--run-ignored", "only", "-E"]);
        command.arg("package(titanic) and test(/^fuzzed::/)");
    } else {
        command.args(["test", "--workspace", "--test", "it", "fuzzed::", "--", "--ignored"]);
    }
    all(counted(&mut command)?.ran())
}

fn doctests() -> Result<StepResult> {
    all(counted(cargo().args(["test", "--workspace", "--doc"]))?)
}

/// Runs a command that tests, shows its output as it comes and counts.
fn counted(command: &mut Command) -> Result<Summary> {
    let name = shown(command);
    let mut child = command
        .env("CARGO_TERM_COLOR", "never")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting `{name}`"))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let mut summary = std::thread::scope(|scope| {
        let reader = scope.spawn(move || err.map(|pipe| follow(BufReader::new(pipe))).unwrap_or_default());
        let mut summary = out.map(|pipe| follow(BufReader::new(pipe))).unwrap_or_default();
        summary.add(reader.join().unwrap_or_default());
        summary
    });
    let status = child.wait().with_context(|| format!("waiting for `{name}`"))?;
    if !status.success() {
        // A build that fails has no tests to count.
        summary.failed = summary.failed.max(u64::from(summary.passed > 0));
        bail!("`{name}` ended with {status} ({summary})");
    }
    Ok(summary)
}

fn follow(mut pipe: impl BufRead) -> Summary {
    let (mut summary, mut line) = (Summary::default(), Vec::new());
    while pipe.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        let text = String::from_utf8_lossy(&line);
        print!("{text}");
        summary.read(&text);
        line.clear();
    }
    summary
}

/// The binary that the tests used is the one that must agree with the committed files: building it alone, as
/// `cargo run -p lookout` does, would compile half of the dependencies again without their test features.
fn drift() -> Result<StepResult> {
    must_succeed(cargo().args(["build", "--quiet", "--workspace", "--all-targets"]))?;
    if !root().join(CONFIG).exists() {
        bail!("{CONFIG} is missing");
    }
    let lookout = target_directory()?.join("debug/lookout");
    passes(Command::new(lookout).args(["generate", "--check", "-c", CONFIG]).current_dir(root()))
        .context("run `cargo xtask generate` and commit what it writes")
}

/// Returns the status of the work tree; `None` outside of a repository.
pub(super) fn tree_as_it_is() -> Option<String> {
    let mut git = Command::new("git");
    let output =
        git.args(["status", "--porcelain"]).current_dir(root()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn clean(before: Option<&str>) -> Result<StepResult> {
    let Some((before, after)) = before.zip(tree_as_it_is()) else {
        let why = if root().join(".git").exists() { "git is missing" } else { "not a git repository" };
        return Ok(StepResult::Skipped(why.to_owned()));
    };
    let changed: Vec<&str> = after.lines().filter(|line| !before.lines().any(|old| old == *line)).collect();
    if !changed.is_empty() {
        bail!("the run left behind:\n{}", changed.join("\n"));
    }
    Ok(StepResult::Passed(String::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_listed_once_and_named_as_on_the_command_line() {
        use clap::ValueEnum as _;
        assert_eq!(Step::value_variants(), Step::ALL);
        for step in Step::ALL {
            let name = step.to_possible_value().map(|value| value.get_name().to_owned());
            assert_eq!(name, Some(step.to_string()));
        }
    }

    #[test]
    fn the_page_of_checks_lists_every_step_in_order() {
        let page = std::fs::read_to_string(root().join("docs/checks.md")).unwrap();
        let (_, table) = page.split_once("## Steps of `cargo xtask test`").unwrap();
        let (table, _) = table.split_once("\n## ").unwrap();
        let listed: Vec<&str> =
            table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        let steps: Vec<String> = Step::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(listed, steps, "docs/checks.md and the steps differ");
    }

    #[test]
    fn output_is_followed_to_its_end_even_when_it_is_no_text() {
        let said: &[u8] = b"\xff\xfe\ntest result: ok. 2 passed; 0 failed; 0 ignored\nno newline at the end";
        assert_eq!(follow(said).passed, 2);
    }
}

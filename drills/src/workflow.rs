//! Runs the steps of a job of a GitHub workflow as they stand in the file: conditions, environment, outputs, and the
//! actions of this repository. Actions of others belong to the place where the workflow runs and are left out; an
//! expression that is not understood here is an error, not a guess.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::{Instant, timeout};

/// The longest a step may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(60);

/// Values by the names that expressions use: `inputs.image`, `vars.GATE_BAKE`, `steps.mark.outputs.id`, …
pub(super) type Values = BTreeMap<String, String>;

/// A job that can be run here.
pub(super) struct Job {
    root: PathBuf,
    environment: Value,
    steps: Vec<Value>,
    /// Further variables of every step.
    extra: Vec<(String, String)>,
}

/// The result of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Passed,
    Failed,
    /// Its condition did not hold.
    Skipped,
    /// An action of somebody else.
    Elsewhere,
}

/// A step that is over.
#[derive(Debug)]
pub(super) struct StepResult {
    pub(super) name: String,
    pub(super) ending: Ending,
    pub(super) at: Instant,
    pub(super) said: String,
}

impl Job {
    /// Reads a job of a workflow of this repository.
    pub(super) fn read(root: &Path, workflow: &str, job: &str, extra: Vec<(String, String)>) -> Result<Self> {
        let file = root.join(".github/workflows").join(workflow);
        let document = read_yaml(&file)?;
        let found = document.get("jobs").and_then(|jobs| jobs.get(job));
        let found = found.with_context(|| format!("{} has no job `{job}`", file.display()))?;
        let steps = found.get("steps").and_then(Value::as_array).cloned();
        Ok(Self {
            root: root.to_path_buf(),
            environment: found.get("env").cloned().unwrap_or_default(),
            steps: steps.with_context(|| format!("the job `{job}` has no steps"))?,
            extra,
        })
    }

    /// Runs the steps in order, as a runner would: after a failure, only those that ask for it.
    pub(super) async fn run(&self, values: &Values, temporary: &Path) -> Result<Vec<StepResult>> {
        let mut values = values.clone();
        let (mut failed, mut done) = (false, Vec::new());
        for (number, step) in self.steps.iter().enumerate() {
            values.insert("job.status".to_owned(), if failed { "failure" } else { "success" }.to_owned());
            let name = text(step, "name").or_else(|| text(step, "uses")).unwrap_or("a step").to_owned();
            let condition = text(step, "if").unwrap_or("success()");
            let (ending, said) = if !holds(condition, &values, failed).with_context(|| name.clone())? {
                (Ending::Skipped, String::new())
            } else {
                let environment = evaluated(&self.environment, &values)?;
                let folder = temporary.join(number.to_string());
                fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
                self.step(step, &mut values, environment, &folder).await.with_context(|| name.clone())?
            };
            failed |= ending == Ending::Failed;
            done.push(StepResult { name, ending, at: Instant::now(), said });
        }
        Ok(done)
    }

    async fn step(
        &self,
        step: &Value,
        values: &mut Values,
        mut environment: Values,
        folder: &Path,
    ) -> Result<(Ending, String)> {
        environment.extend(evaluated(step.get("env").unwrap_or(&Value::Null), values)?);
        let Some(action) = text(step, "uses") else {
            let script = text(step, "run").context("a step neither runs nor uses anything")?;
            return self.script(script, text(step, "id"), values, environment, folder).await;
        };
        let Some(path) = action.strip_prefix("$/").or_else(|| action.strip_prefix("./")) else {
            return Ok((Ending::Elsewhere, String::new()));
        };
        let home = self.root.join(path);
        let action = read_yaml(&home.join("action.yml"))?;
        let mut inside = inputs(&action)?;
        for (name, value) in evaluated(step.get("with").unwrap_or(&Value::Null), values)? {
            ensure!(inside.contains_key(&format!("inputs.{name}")), "{path} has no input `{name}`");
            inside.insert(format!("inputs.{name}"), value);
        }
        environment.insert("GITHUB_ACTION_PATH".to_owned(), home.display().to_string());
        let steps = action.get("runs").and_then(|runs| runs.get("steps")).and_then(Value::as_array);
        let mut heard = String::new();
        for step in steps.with_context(|| format!("{path} is no composite action"))? {
            let mut own = environment.clone();
            own.extend(evaluated(step.get("env").unwrap_or(&Value::Null), &inside)?);
            let script = text(step, "run").with_context(|| format!("{path} uses other actions"))?;
            let (ending, said) = self.script(script, text(step, "id"), &mut inside, own, folder).await?;
            heard.push_str(&said);
            if ending == Ending::Failed {
                return Ok((ending, heard));
            }
        }
        Ok((Ending::Passed, heard))
    }

    async fn script(
        &self,
        script: &str,
        id: Option<&str>,
        values: &mut Values,
        environment: Values,
        folder: &Path,
    ) -> Result<(Ending, String)> {
        let script = substituted(script, values)?;
        let output = folder.join("output");
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc", "-e", "-o", "pipefail", "-c", &script]);
        bash.current_dir(&self.root).envs(environment).env("GITHUB_OUTPUT", &output);
        bash.env("GITHUB_STEP_SUMMARY", folder.join("summary")).env("RUNNER_TEMP", folder);
        bash.envs(self.extra.iter().map(|(name, value)| (name, value)));
        bash.stdin(Stdio::null()).kill_on_drop(true);
        let ended = timeout(STEP_TIMEOUT, bash.output()).await;
        let ended = ended
            .with_context(|| format!("a step took longer than {STEP_TIMEOUT:?}"))?
            .context("starting bash")?;
        if let (Some(id), Ok(written)) = (id, fs::read_to_string(&output)) {
            for (name, value) in written.lines().filter_map(|line| line.split_once('=')) {
                values.insert(format!("steps.{id}.outputs.{name}"), value.to_owned());
            }
        }
        let said = [ended.stdout, ended.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok((if ended.status.success() { Ending::Passed } else { Ending::Failed }, said.concat()))
    }
}

fn read_yaml(file: &Path) -> Result<Value> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    serde_saphyr::from_str(&text).with_context(|| format!("{} is no YAML", file.display()))
}

fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
}

/// The inputs of an action with what they are when nobody says.
fn inputs(action: &Value) -> Result<Values> {
    let declared = action.get("inputs").and_then(Value::as_object).context("an action without inputs")?;
    let default = |input: &Value| text(input, "default").unwrap_or_default().to_owned();
    Ok(declared.iter().map(|(name, input)| (format!("inputs.{name}"), default(input))).collect())
}

/// A map of texts with their expressions filled in.
fn evaluated(map: &Value, values: &Values) -> Result<Values> {
    let entries = map.as_object().into_iter().flatten();
    entries
        .map(|(name, value)| {
            let value = value.as_str().with_context(|| format!("`{name}` is no text"))?;
            Ok((name.clone(), substituted(value, values)?))
        })
        .collect()
}

/// Fills in `${{ name }}`. What is not set is empty, as in GitHub.
fn substituted(template: &str, values: &Values) -> Result<String> {
    let (mut out, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once("${{") {
        let (name, next) = after.split_once("}}").context("an expression has no end")?;
        out.push_str(before);
        out.push_str(&operand(name.trim(), values)?);
        rest = next;
    }
    out.push_str(rest);
    Ok(out)
}

/// A quoted text, or what a name stands for.
fn operand(text: &str, values: &Values) -> Result<String> {
    if let Some(quoted) = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return Ok(quoted.to_owned());
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if text.is_empty() || !text.chars().all(is_name) {
        bail!("the drill does not understand the expression `{text}`");
    }
    Ok(values.get(text).cloned().unwrap_or_default())
}

/// Returns whether a condition holds. One that names no status asks for success.
fn holds(condition: &str, values: &Values, failed: bool) -> Result<bool> {
    let names_status =
        ["success()", "failure()", "always()", "cancelled()"].iter().any(|name| condition.contains(name));
    Ok((names_status || !failed) && is_true(condition, values, failed)?)
}

fn is_true(condition: &str, values: &Values, failed: bool) -> Result<bool> {
    let either = split(condition, "||");
    if either.len() > 1 {
        return either.iter().try_fold(false, |so_far, part| Ok(so_far | is_true(part, values, failed)?));
    }
    let both = split(condition, "&&");
    if both.len() > 1 {
        return both.iter().try_fold(true, |so_far, part| Ok(so_far & is_true(part, values, failed)?));
    }
    let atom = condition.trim();
    if let Some(inner) = atom.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        return is_true(inner, values, failed);
    }
    let equal =
        |(left, right): (&str, &str)| Ok(operand(left.trim(), values)? == operand(right.trim(), values)?);
    match atom {
        "always()" => Ok(true),
        "success()" => Ok(!failed),
        "failure()" => Ok(failed),
        // nobody cancels a drill
        "cancelled()" => Ok(false),
        _ => match (atom.split_once("!="), atom.split_once("==")) {
            (Some(sides), _) => equal(sides).map(|same: bool| !same),
            (None, Some(sides)) => equal(sides),
            (None, None) => bail!("the drill does not understand the condition `{atom}`"),
        },
    }
}

/// Splits where no bracket is open.
fn split<'t>(text: &'t str, by: &str) -> Vec<&'t str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 && at >= start && text.get(at..).is_some_and(|rest| rest.starts_with(by)) => {
                parts.extend(text.get(start..at));
                start = at + by.len();
            }
            _ => {}
        }
    }
    parts.extend(text.get(start..));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        Values::from([("inputs.image".to_owned(), "a@b".to_owned())])
    }

    #[test]
    fn conditions_are_those_of_github() {
        for (condition, failed, expected) in [
            ("success()", false, true),
            ("success()", true, false),
            ("inputs.image == 'a@b'", false, true),
            // a condition without a status asks for success
            ("inputs.image == 'a@b'", true, false),
            ("inputs.image != 'a@b'", false, false),
            ("always()", true, true),
            ("(failure() || cancelled()) && steps.x.outputs.y != ''", true, false),
            ("(failure() || cancelled()) && inputs.image != ''", true, true),
            ("(failure() || cancelled()) && inputs.image != ''", false, false),
        ] {
            assert_eq!(holds(condition, &values(), failed).unwrap(), expected, "{condition} {failed}");
        }
        assert!(holds("contains(inputs.image, 'a')", &values(), false).is_err());
    }

    #[test]
    fn expressions_are_filled_in_or_refused() {
        assert_eq!(substituted("<${{ inputs.image }}> ${{ vars.NONE }}", &values()).unwrap(), "<a@b> ");
        assert!(substituted("${{ inputs.image || 'x' }}", &values()).is_err());
        assert!(substituted("${{ inputs.image", &values()).is_err());
    }

    #[tokio::test]
    async fn after_a_failure_only_those_run_that_ask_for_it() {
        let job = Job {
            root: PathBuf::from("/"),
            environment: Value::Null,
            steps: serde_json::from_str(
                r#"[{"name": "says", "id": "a", "run": "echo word=1 >> \"$GITHUB_OUTPUT\""},
                    {"name": "theirs", "uses": "some/action@0"},
                    {"name": "fails", "env": {"W": "${{ steps.a.outputs.word }}"}, "run": "echo got $W; exit $W"},
                    {"name": "not reached", "run": "true"},
                    {"name": "mends", "if": "failure() && steps.a.outputs.word == '1'", "run": "true"}]"#,
            )
            .unwrap(),
            extra: Vec::new(),
        };
        let folder = tempfile::tempdir().unwrap();
        let done = job.run(&Values::new(), folder.path()).await.unwrap();
        let endings: Vec<Ending> = done.iter().map(|step| step.ending).collect();
        use Ending::{Elsewhere, Failed, Passed, Skipped};
        assert_eq!(endings, [Passed, Elsewhere, Failed, Skipped, Passed]);
        assert_eq!(done[2].said.trim(), "got 1");
    }
}

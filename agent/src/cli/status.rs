//! `lookout status`: the state of the running agent.

use lookout_model::format;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use http::{Method, StatusCode};
use serde_json::Value;
use url::Url;

use super::exit::Exit;
use super::live::rows;
use super::{AgentUrl, output, runtime};
use lookout_config::Secret;
use lookout_evaluate::{SloStatus, Snapshot};
use lookout_model::ComponentEvidence;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    agent: AgentUrl,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> anyhow::Result<Exit> {
    let token = options.agent.token()?;
    let answer = runtime()?.block_on(get(options.agent.api("slos")?, token.as_ref()));
    let body = match answer {
        Ok((status, body)) if status.is_success() => body,
        Ok((status, _)) => {
            output::problem(&format!(
                "error: {} answered {status}; is it a lookout agent?",
                options.agent.url
            ));
            return Ok(Exit::Unreachable);
        }
        Err(error) => {
            output::problem(&format!("error: the agent cannot be reached: {error:#}"));
            return Ok(Exit::Unreachable);
        }
    };
    let letters = dead_letters(options, token.as_ref())?;
    if options.json {
        let mut answer: Value = serde_json::from_str(&body).context("reading the state of the agent")?;
        if let Some(answer) = answer.as_object_mut() {
            answer.insert("dead_letters".to_owned(), letters.into());
        }
        output::line(&answer.to_string());
        return Ok(Exit::Fine);
    }
    let snapshot: Snapshot =
        serde_json::from_str(&body).context("the agent's answer is of another version")?;
    let header = ["", "slo", "objective", "sli", "budget left", "gone in", "state", "data", "incident"];
    output::data(&output::table(&header, &rows(&snapshot)));
    paused(&snapshot).iter().for_each(|line| output::line(line));
    implausible(&snapshot).iter().for_each(|line| output::line(line));
    silent(&snapshot).iter().for_each(|line| output::line(line));
    letters.iter().for_each(|letter| output::line(&undelivered(letter)));
    Ok(Exit::Fine)
}

/// Returns the dead letters; none from an agent without that resource.
fn dead_letters(options: &Options, token: Option<&Secret>) -> anyhow::Result<Vec<Value>> {
    let answer = runtime()?.block_on(get(options.agent.api("deliveries")?, token));
    let Some((_, body)) = answer.ok().filter(|(status, _)| status.is_success()) else {
        return Ok(Vec::new());
    };
    let mut answer: Value = serde_json::from_str(&body).context("reading the deliveries")?;
    match answer.get_mut("dead_letters").map(Value::take) {
        Some(Value::Array(letters)) => Ok(letters),
        _ => Ok(Vec::new()),
    }
}

/// Returns the line of a dead letter.
fn undelivered(letter: &Value) -> String {
    let text = |key| letter.get(key).and_then(Value::as_str).unwrap_or_default();
    let (destination, slo, change) = (text("destination"), text("slo_id"), text("change"));
    format::printable(&format!("{destination}: not told that {slo} {change}: {}", text("error")))
}

/// Returns a line for each SLO whose target is paused.
fn paused(snapshot: &Snapshot) -> Vec<String> {
    let line = |slo: &SloStatus| {
        let pause = slo.paused.as_ref()?;
        Some(format::printable(&format!("{}: {}", slo.id, pause.text(snapshot.at))))
    };
    snapshot.slos.iter().filter_map(line).collect()
}

/// Returns a line for each SLO whose source showed counts that cannot be true.
fn implausible(snapshot: &Snapshot) -> Vec<String> {
    let line = |slo: &SloStatus| {
        let implausible = slo.implausible.as_ref()?;
        Some(format::printable(&format!("{}: {}", slo.id, implausible.text())))
    };
    snapshot.slos.iter().filter_map(line).collect()
}

/// Returns the components of composites without data.
fn silent(snapshot: &Snapshot) -> Vec<String> {
    let of_slo = |slo: &SloStatus| {
        let silent = slo.evidence.components.iter().filter(|component| component.is_silent());
        let line = |component: &ComponentEvidence| {
            format::printable(&format!("{}: nothing is known of {}", slo.id, component.title))
        };
        silent.map(line).collect::<Vec<_>>()
    };
    snapshot.slos.iter().flat_map(of_slo).collect()
}

/// Largest answer that is read.
const LIMIT: usize = 8 << 20;

/// Requests a resource of the agent; bounded in time and size.
pub(super) async fn get(url: Url, token: Option<&Secret>) -> anyhow::Result<(StatusCode, String)> {
    request(Method::GET, url, token, None).await
}

/// Sends a request to the agent; bounded in time and size.
pub(super) async fn request(
    method: Method,
    url: Url,
    token: Option<&Secret>,
    body: Option<&Value>,
) -> anyhow::Result<(StatusCode, String)> {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()?;
    let mut request = client.request(method.clone(), url.clone());
    if let Some(token) = token {
        request = request.bearer_auth(token.reveal());
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    let mut response = request.send().await.with_context(|| format!("{method} {url}"))?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        anyhow::ensure!(body.len() <= LIMIT, "the answer of {url} is larger than {LIMIT} bytes");
    }
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// Returns the body of a successful answer, or the exit code of a failure, which was printed.
pub(super) fn answer_of(
    agent: &AgentUrl,
    method: Method,
    url: Url,
    body: Option<&Value>,
) -> anyhow::Result<Result<String, Exit>> {
    let token = agent.token()?;
    let (status, text) = match runtime()?.block_on(request(method, url, token.as_ref(), body)) {
        Ok(answer) => answer,
        Err(error) => {
            output::problem(&format!("error: the agent cannot be reached: {error:#}"));
            return Ok(Err(Exit::Unreachable));
        }
    };
    if status.is_success() {
        return Ok(Ok(text));
    }
    let problem = serde_json::from_str::<Value>(&text).ok();
    let detail = problem.as_ref().and_then(|problem| problem.get("detail")).and_then(Value::as_str);
    let said: String = format::printable(detail.unwrap_or(&text)).chars().take(2000).collect();
    output::problem(&format!("error: the agent answered {status}: {said}"));
    let refused = status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT && detail.is_some();
    Ok(Err(if refused { Exit::Usage } else { Exit::Unreachable }))
}

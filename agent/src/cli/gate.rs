//! `lookout gate`: the pipeline's side of the deploy gate.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Subcommand};
use lookout_model::{DeployClass, Timestamp, format};

use super::exit::Exit;
use super::{AgentUrl, output, runtime};
use lookout_gate::Answer;
use lookout_runtime::clock::{Clock as _, SystemClock};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// May this be deployed now? Exits with 0 for allow, 1 for deny, 3 for a hold because too little is known, 4 when the
    /// agent cannot be reached, 5 for a hold while the state may change soon
    Check(CheckOptions),
}

#[derive(Debug, Args)]
pub(super) struct CheckOptions {
    #[command(flatten)]
    agent: AgentUrl,
    /// The service to be deployed
    #[arg(long)]
    service: String,
    /// Kind of change
    #[arg(long, default_value_t = DeployClass::Feature, value_parser = PossibleValuesParser::new(DeployClass::ALL.map(DeployClass::as_str)).try_map(|word| word.parse::<DeployClass>()))]
    class: DeployClass,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn check(options: &CheckOptions) -> anyhow::Result<Exit> {
    let mut url = options.agent.api("gate")?;
    url.query_pairs_mut()
        .append_pair("service", &options.service)
        .append_pair("class", options.class.as_str());
    let token = options.agent.token()?;
    let (status, body) = match runtime()?.block_on(super::status::get(url, token.as_ref())) {
        Ok(answer) => answer,
        Err(error) => {
            output::problem(&format!("error: the gate cannot be reached: {error:#}"));
            return Ok(Exit::Unreachable);
        }
    };
    if status.is_client_error() {
        output::problem(&format!("error: the gate refused the question: {}", format::printable(&body)));
        return Ok(Exit::Usage);
    }
    let answer: Answer = match serde_json::from_str(&body) {
        Ok(answer) if status.is_success() => answer,
        _ => {
            output::problem(&format!("error: the gate answered {status} without a decision"));
            return Ok(Exit::Unreachable);
        }
    };
    if options.json {
        output::line(body.trim_end());
    } else {
        output::data(&as_text(&answer, options));
    }
    if Timestamp::from(answer.valid_until) < SystemClock.now() {
        let text = "error: the answer is out of date: it was valid until";
        output::problem(&format!("{text} {}; is a clock wrong?", answer.valid_until));
        return Ok(Exit::Inconclusive);
    }
    Ok(match answer.exit_code() {
        0 => Exit::Fine,
        1 => Exit::No,
        3 => Exit::Inconclusive,
        _ => Exit::Hold,
    })
}

fn as_text(answer: &Answer, options: &CheckOptions) -> String {
    let mut text = format!(
        "{}  {} of {} (evidence {}, decided by {})\n",
        answer.decision.to_string().to_uppercase(),
        options.class,
        options.service,
        answer.evidence,
        answer.decided_by,
    );
    for reason in &answer.reasons {
        text += &format::printable(&format!("  {:<18} {}", reason.code, reason.text));
        text.push('\n');
    }
    let decision = match answer.decision_id.as_str() {
        "" => "not recorded".to_owned(),
        id => format!("decision {}", format::printable(id)),
    };
    text + &format!("  {decision}, valid until {}\n", answer.valid_until)
}

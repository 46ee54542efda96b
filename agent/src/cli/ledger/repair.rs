//! `lookout ledger repair`: excludes wrong counts from the budget, by a correction in the file of a ledger.

use clap::Args;
use lookout_ledger::{CorrectionStore as _, CountStore as _, Ledger as _, SqliteLedger};
use lookout_model::{CorrectionKind, CorrectionRecord, CorrectionScope, LONGEST_REASON, Timestamp, format};
use lookout_runtime::clock::{Clock as _, SystemClock};
use lookout_runtime::random::Random;

use super::Shared;
use crate::cli::exit::Exit;
use crate::cli::{output, runtime};
use lookout_backtest::parse_instant;

#[derive(Debug, Args)]
pub(in crate::cli) struct RepairOptions {
    #[command(flatten)]
    shared: Shared,
    /// The SLO, as <service>-<slo>; every SLO, unless one is named
    #[arg(long, value_name = "ID")]
    slo: Option<String>,
    /// Begin of the stretch: RFC 3339 or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = parse_instant)]
    from: Timestamp,
    /// End of the stretch
    #[arg(long, value_name = "TIME", value_parser = parse_instant)]
    to: Timestamp,
    /// Reason, for everyone who sees the figures
    #[arg(long)]
    reason: String,
    /// Author of the correction
    #[arg(long)]
    actor: String,
}

pub(in crate::cli) fn run(options: &RepairOptions) -> anyhow::Result<Exit> {
    anyhow::ensure!(options.from < options.to, "--to must be later than --from");
    let text = |name: &str, text: &str| {
        let fits = !text.trim().is_empty() && text.len() <= LONGEST_REASON;
        anyhow::ensure!(
            fits && !text.chars().any(char::is_control),
            "{name}: write 1 to {LONGEST_REASON} bytes without control characters"
        );
        Ok(text.trim().to_owned())
    };
    let (reason, actor) = (text("--reason", &options.reason)?, text("--actor", &options.actor)?);
    let Some(path) = options.shared.ledger_file()? else { return Ok(Exit::Usage) };
    anyhow::ensure!(path.is_file(), "{} is no file: name the ledger with --ledger", path.display());
    let correction = CorrectionRecord {
        id: format!("cor-{:016x}", Random::from_seed(fastrand::u64(..)).next()),
        scope: options.slo.clone().map_or(CorrectionScope::All, CorrectionScope::Slo),
        kind: CorrectionKind::Excluded,
        from: options.from,
        to: Some(options.to),
        recurrence: None,
        reason,
        actor,
        created_at: SystemClock.now(),
        revoked: None,
    };
    runtime()?.block_on(async {
        let ledger = SqliteLedger::open(&path).await?;
        let known = match &options.slo {
            Some(id) => ledger.counts(id, Timestamp::EPOCH).await?.first_s().is_some(),
            None => true,
        };
        if known {
            ledger.record_correction(&correction).await?;
        }
        ledger.close().await;
        anyhow::ensure!(
            known,
            "the ledger has no counts of this SLO: write its id as `lookout status` does, with `-`"
        );
        Ok(())
    })?;
    if options.shared.json {
        output::line(&serde_json::to_string(&correction)?);
        return Ok(Exit::Fine);
    }
    output::line(&format::printable(&format!(
        "{}: the counts of {} from {} to {} do not count; `lookout correction revoke {}` takes it back",
        path.display(),
        options.slo.as_deref().unwrap_or("every SLO"),
        format::date_time(options.from),
        format::date_time(options.to),
        correction.id,
    )));
    Ok(Exit::Fine)
}

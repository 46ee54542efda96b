//! The recorder of the agent: buckets and descriptions of its metrics.

use lookout_runtime::events::names;
use lookout_runtime::recorder::Recorder;

/// Buckets of durations: from a loopback answer to the longest possible timeout.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Most bounds beside those of [`SECONDS`]: each is a series per target and outcome.
const MOST_BOUNDS: usize = 16;

/// A process has one recorder already.
#[derive(Debug, thiserror::Error)]
#[error("installing the metrics recorder: this process has one already")]
pub struct InstalledTwice;

/// Installs the recorder of this process, which collects every metric from now on. Durations of probes have a bucket
/// at each of the bounds, in seconds: only there a share of fast probes is exact.
///
/// # Errors
/// Fails when the process has one already.
pub fn install_recorder(bounds: &[f64]) -> Result<Recorder, InstalledTwice> {
    let recorder = build(bounds);
    metrics::set_global_recorder(recorder.clone()).map_err(|_| InstalledTwice)?;
    describe();
    Ok(recorder)
}

/// Creates a recorder for the closure given to [`metrics::with_local_recorder`] alone: for several agents in one process,
/// and for tests.
#[must_use]
pub fn detached_recorder() -> Recorder {
    let recorder = build(&[]);
    metrics::with_local_recorder(&recorder, describe);
    recorder
}

fn build(bounds: &[f64]) -> Recorder {
    Recorder::new(&SECONDS, &[(names::PROBE_SECONDS, &with_bounds(bounds))])
}

/// Returns the usual buckets and those of further bounds, in order and each once.
fn with_bounds(bounds: &[f64]) -> Vec<f64> {
    let further = bounds.iter().copied().filter(|bound| bound.is_finite() && *bound > 0.0);
    let mut all: Vec<f64> = SECONDS.into_iter().chain(further.take(MOST_BOUNDS)).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    all
}

fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    describe_counter!(names::PROBES, "Probes by outcome.");
    describe_counter!(
        names::PROBE_ROUNDS,
        "Rounds of the probes of all addresses of a target: good when one of them is, failed when every one is."
    );
    describe_counter!(names::PROBE_FAILURES, "Failed probes by reason.");
    describe_counter!(names::PROBE_MISSED, "Slots without a probe by reason.");
    describe_histogram!(names::PROBE_SECONDS, "Durations of probes.");
    describe_gauge!(names::PROBE_PHASE_SECONDS, "Duration of the last probe by phase.");
    describe_gauge!(
        names::PROBE_CERTIFICATE_END,
        "Unix time at which the certificates of a target end, by chain."
    );
    describe_counter!(
        names::PROBE_CERTIFICATES,
        "Probes by whether the certificate is valid for the days that an SLO asks for."
    );
    describe_gauge!(names::PROBE_TARGET_INFO, "Labels of a target; 0 for those of before a reload.");
    describe_gauge!(
        names::PROBE_PAUSED,
        "Whether nobody probes a target: it is paused, in maintenance or off."
    );
    describe_counter!(names::PROBE_ADDRESSES, "Results by address of the targets that try several.");
    describe_counter!(
        names::PROBE_HANDSHAKES,
        "Handshakes of TLS, full or resumed, of the targets that resume sessions."
    );
    describe_gauge!(names::PROBE_TOKEN_SECONDS, "Time that the token endpoint took in the last probe.");
    describe_counter!(names::DISCOVERIES, "Lookups of addresses by outcome.");
    describe_counter!(names::DISCOVERY_FAILURES, "Lookups of addresses that failed, by reason.");
    describe_gauge!(names::DISCOVERED, "Addresses of a target that are in use.");
    describe_gauge!(
        names::DISCOVERED_AT,
        "When addresses of a target were last found, seconds since the epoch."
    );
    describe_gauge!(
        names::DISCOVERY_SUCCEEDED,
        "1 while the last lookup of addresses succeeded, 0 while those of before are used."
    );
    describe_counter!(names::SCRAPES, "Scrapes by outcome.");
    describe_counter!(names::SCRAPE_RESETS, "Counter resets seen in scrapes.");
    describe_counter!(names::SCRAPE_RESTARTS, "New processes of a neighbour seen in scrapes.");
    describe_counter!(
        names::SCRAPE_QUARANTINED,
        "Scrapes of an SLO that were not plausible and not counted."
    );
    describe_counter!(names::SCRAPE_UNBOUNDED, "Slots in which a histogram lacked the bound it is cut at.");
    describe_counter!(names::PROMQL, "Queries to a Prometheus by outcome.");
    describe_counter!(
        names::PROMQL_HISTORY,
        "Observations read back from a Prometheus after a start or a gap."
    );
    describe_counter!(names::TRANSITIONS, "Changes of incidents.");
    describe_counter!(names::DELIVERIES, "Attempts to deliver by outcome.");
    describe_gauge!(names::DELIVERIES_WAITING, "Deliveries that wait.");
    describe_gauge!(names::DEAD_LETTERS, "Deliveries that a receiver refused for good.");
    describe_counter!(names::DECISIONS, "Answers of the gate by decision.");
    describe_counter!(names::LEDGER_FAILURES, "Evaluations that could not be stored and are tried again.");
    describe_gauge!(
        names::LEDGER_RECORDED,
        "When a tick was last recorded and read back by another connection, seconds since the epoch."
    );
    describe_histogram!(names::EVALUATION_SECONDS, "Durations of evaluations of all SLOs.");
    describe_gauge!(names::CONFIG_RELOADED, "1 while the newest configuration is in use.");
    describe_gauge!(names::CONFIG_RELOADED_AT, "When the configuration in use was taken.");
    describe_counter!(names::CLOCK_JUMPS, "Jumps of the wall clock by more than a slot.");
    describe_counter!(names::TASK_PANICS, "Panics of supervised tasks.");
    describe_gauge!(names::TASK_LAST_SUCCESS, "When a task last did its work, seconds since the epoch.");
    describe_counter!(names::OTLP_SPANS, "Spans handed to the trace exporter by outcome.");
    describe_counter!(names::OTLP_LOG_LINES, "Log lines handed to the log exporter by outcome.");
    describe_counter!(names::OTLP_METRICS, "Exports of metrics over OTLP by outcome.");
}

#[cfg(test)]
mod tests {
    use lookout_runtime::exposition::Format;

    use super::*;

    #[test]
    fn a_bound_of_a_target_is_a_bucket_of_probes_alone() {
        let recorder = build(&[0.3, 0.5, f64::NAN, 0.3]);
        metrics::with_local_recorder(&recorder, || {
            metrics::histogram!(names::PROBE_SECONDS, "target" => "api").record(0.28);
            metrics::histogram!(names::EVALUATION_SECONDS).record(0.28);
        });
        let text = recorder.text(Format::Text);
        let count = |metric: &str, bound: &str| {
            let lines = text.lines().filter(|line| line.starts_with(&format!("{metric}_bucket")));
            lines.filter(|line| line.contains(&format!("le=\"{bound}\""))).count()
        };
        for (bound, of_probes, of_others) in [("0.3", 1, 0), ("0.5", 1, 1), ("0.25", 1, 1), ("NaN", 0, 0)] {
            assert_eq!(count(names::PROBE_SECONDS, bound), of_probes, "{bound} in {text}");
            assert_eq!(count(names::EVALUATION_SECONDS, bound), of_others, "{bound} in {text}");
        }
        let many: Vec<f64> = (1..100).map(|n| f64::from(n) / 1000.0 + 0.0001).collect();
        assert_eq!(with_bounds(&many).len(), SECONDS.len() + MOST_BOUNDS);
    }
}

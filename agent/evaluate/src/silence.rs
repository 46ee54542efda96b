//! Silences: the incidents that are told to nobody, and until when.

use lookout_config::Slo;
use lookout_engine::Severity;
use lookout_model::{SilenceRecord, Timestamp};

/// Returns the silence that keeps an incident of an SLO from being told; of several the one that ends last.
#[must_use]
pub fn silence_of<'s>(
    silences: &'s [SilenceRecord],
    slo: &Slo,
    severity: Severity,
    now: Timestamp,
) -> Option<&'s SilenceRecord> {
    let applies = |silence: &&SilenceRecord| {
        silence.is_active(now)
            && silence.severity.is_none_or(|only| only == severity)
            && silence.matcher.selects(&slo.service, &slo.id(), &slo.labels)
    };
    silences.iter().filter(applies).max_by_key(|silence| silence.ends_at)
}

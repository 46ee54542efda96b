//! Results of probes as other modules read them.

use std::sync::Arc;
use std::time::Duration;

use lookout_collect::probe::{self, Latest, Probe, Reason, Verdict};
use lookout_config::{Config, Indicator, Slo};
use lookout_deliver::Receiver;
use lookout_evaluate::LastFailure;
use lookout_web::{BlackboxView, Made, ProbeMaker};

use crate::report;

/// Returns the rows of the page about probes.
pub(super) fn probe_rows(config: &Arc<Config>, latest: &Latest) -> lookout_web::ProbeView {
    let (config, latest) = (Arc::clone(config), latest.clone());
    lookout_web::ProbeView::new(move || {
        let row = |target: &lookout_config::Target| {
            let seen = latest.get(&target.name)?;
            let addresses = seen.outcome.received.addresses.iter().map(|one| lookout_web::AddressRow {
                address: one.address,
                failure: one.failure.clone(),
                total: one.total,
            });
            Some(lookout_web::ProbeRow {
                target: target.name.clone(),
                url_without_secrets: probe::peer_of(&target.check),
                ok: seen.outcome.is_ok(),
                detail: match &seen.outcome.verdict {
                    Verdict::Ok => String::new(),
                    Verdict::Fail { detail, .. } => detail.clone(),
                },
                total_ms: u64::try_from(seen.outcome.total.as_millis()).unwrap_or(u64::MAX),
                at: seen.started_at,
                addresses: addresses.collect(),
            })
        };
        config.targets.iter().filter_map(|target| row(target)).collect()
    })
}

/// Returns the instances of the receivers that tell what they hold.
pub(super) fn receiver_rows(receivers: &[Arc<dyn Receiver>]) -> lookout_web::ReceiverView {
    let receivers = receivers.to_vec();
    lookout_web::ReceiverView::new(move || {
        let row = |receiver: &Arc<dyn Receiver>| lookout_web::ReceiverRow {
            destination: receiver.name().to_owned(),
            instances: receiver.instances(),
        };
        receivers.iter().map(row).filter(|row| !row.instances.is_empty()).collect()
    })
}

/// Returns the families of blackbox_exporter of the last probes.
pub(super) fn blackbox_families(config: &Arc<Config>, latest: &Latest) -> BlackboxView {
    let (config, latest) = (Arc::clone(config), latest.clone());
    BlackboxView::new(move || {
        let seen = latest.all();
        let probed = config.targets.iter().filter_map(|target| {
            let outcome = &seen.get(&target.name)?.outcome;
            Some(lookout_export::Probed { target, outcome })
        });
        lookout_export::render_probes(probed)
    })
}

/// Returns the maker of probes that requests ask for.
pub(super) fn probe_maker(prober: &Arc<dyn Probe>) -> ProbeMaker {
    let prober = Arc::clone(prober);
    ProbeMaker::new(move |target| {
        let prober = Arc::clone(&prober);
        async move {
            let outcome = prober.probe(&target).await;
            match outcome.verdict {
                Verdict::Fail { reason: Reason::Forbidden, detail } => Made::Forbidden(detail),
                Verdict::Fail { reason, detail } if reason.is_local() => Made::Unknown(detail),
                _ => Made::Series {
                    report: report::text(&target, &outcome),
                    series: lookout_export::render_probe(lookout_export::Probed {
                        target: &target,
                        outcome: &outcome,
                    }),
                },
            }
        }
    })
}

/// A failure older than this says nothing about an incident.
const RECENT: Duration = Duration::from_secs(15 * 60);

/// The last failure of any probe of the SLO's service.
pub(super) fn last_failure(config: &Arc<Config>, latest: &Latest) -> LastFailure {
    let (config, latest) = (Arc::clone(config), latest.clone());
    Arc::new(move |slo| {
        let of_service = config.slos.iter().filter(|other| other.service == slo.service);
        of_service
            .flat_map(Slo::streams)
            .filter_map(|stream| match stream.indicator {
                Indicator::Probe { target, .. } => {
                    let named = config.targets.iter().filter(|one| one.is_of(target));
                    let seen = named.filter_map(|one| latest.get(&one.name));
                    seen.max_by_key(|seen| seen.last_failure.as_ref().map(|failed| failed.started_at))
                }
                Indicator::Scrape { .. }
                | Indicator::Up { .. }
                | Indicator::Prometheus { .. }
                | Indicator::Composite(_) => None,
            })
            .find_map(|seen| {
                let failed = seen.last_failure.as_ref()?;
                let recent = seen.started_at.since(failed.started_at) <= RECENT;
                recent.then(|| format!("{}: {}", failed.reason.as_str(), failed.detail))
            })
    })
}

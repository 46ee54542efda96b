//! The present state, posted again and again: an alert that is not repeated expires.
//!
//! Every instance has rounds of its own, so that one that hangs or is slow delays no other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use lookout_model::{END_REPEATED_FOR, TransitionRecord};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Poster;
use super::alert::{AlertTemplate, watchdog};
use super::instance::Instance;
use crate::{Refused, Retry};

/// The rounds under way, at most one per instance. They end with the destination.
#[derive(Debug, Default)]
pub(super) struct Rounds(Mutex<JoinSet<()>>);

impl Rounds {
    /// Begins a round at every instance that is not in one. Returns as soon as one accepted everything; the others go
    /// on. Fails when every round of these failed.
    pub(super) async fn begin(
        &self,
        poster: &Arc<Poster>,
        latest: &[TransitionRecord],
    ) -> Result<(), Refused> {
        let read_at = Instant::now();
        let is_told = |transition: &&TransitionRecord| transition.destinations.contains(&poster.name);
        let latest: Arc<[TransitionRecord]> = latest.iter().filter(is_told).cloned().collect();
        let templates: Vec<AlertTemplate<'_>> =
            latest.iter().flat_map(|transition| poster.templates(&transition.notice)).collect();
        poster.order.learn(&templates, read_at);
        let (ended, mut results) = mpsc::channel(poster.instances.len().max(1));
        {
            let mut rounds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            while rounds.try_join_next().is_some() {}
            for index in 0..poster.instances.len() {
                let (poster, latest, ended) = (Arc::clone(poster), Arc::clone(&latest), ended.clone());
                rounds.spawn(async move {
                    let Some(instance) = poster.instances.get(index) else { return };
                    // the round before goes on
                    let Ok(_round) = instance.refreshing.try_lock() else { return };
                    let result = poster.refresh_instance(instance, &latest, read_at).await;
                    let _nobody_waits_any_more = ended.send(result).await;
                });
            }
        }
        drop(ended);
        let mut refusal = Ok(());
        while let Some(result) = results.recv().await {
            if result.is_ok() {
                return Ok(());
            }
            refusal = refusal.and(result);
        }
        refusal
    }
}

impl Poster {
    /// Posts the present state to an instance, without what it refuses for good.
    async fn refresh_instance(
        &self,
        instance: &Instance,
        latest: &[TransitionRecord],
        read_at: Instant,
    ) -> Result<(), Refused> {
        if self.watchdog {
            self.post_watchdog(instance).await?;
        }
        let resolved_since = self.clock.now() - END_REPEATED_FOR;
        let is_refused = |template: &AlertTemplate<'_>| {
            instance.quarantine.contains(&template.notice.incident.id, template.severity)
        };
        let told = latest.iter().flat_map(|transition| self.templates(&transition.notice));
        let told = told.filter(|template| template.firing || template.notice.at >= resolved_since);
        // first, so that an alert that is refused lets no earlier end through
        let mut templates = newest(told);
        templates.retain(|template| !is_refused(template));
        self.post_to(&[instance], &templates, None, Some(read_at)).await.1
    }

    /// Posts the alert that always fires. Fails when the instance cannot be reached.
    async fn post_watchdog(&self, instance: &Instance) -> Result<(), Refused> {
        let posted = async {
            self.measure_first(instance).await?;
            self.post(instance, |now, skew_ms| vec![watchdog(now, skew_ms)]).await
        };
        let Err(refused) = posted.await else { return Ok(()) };
        tracing::warn!(destination.name = %self.name, error = %refused.error, "the watchdog was not posted");
        // an instance that answers may take the other alerts
        if refused.retry == Retry::Never {
            return Ok(());
        }
        instance.breaker.open();
        Err(refused)
    }
}

/// Returns one alert for each set of labels: the one that fires, or else that of the newest incident. The end of an earlier
/// incident would end the alert that fires.
fn newest<'n>(templates: impl Iterator<Item = AlertTemplate<'n>>) -> Vec<AlertTemplate<'n>> {
    let rank = |template: &AlertTemplate<'_>| (template.firing, template.notice.incident.detected_at);
    let mut newest: BTreeMap<_, AlertTemplate<'_>> = BTreeMap::new();
    for template in templates {
        let known = newest.entry(template.labels()).or_insert(template);
        if rank(&template) > rank(known) {
            *known = template;
        }
    }
    newest.into_values().collect()
}

//! Pauses of targets, by the configuration and by operators.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use lookout_config::Target;
use lookout_model::{Pause, PauseCause, PauseRecord, Timestamp};

use super::paused_groups::PausedGroups;

/// Pauses that operators asked for, by target. Clones share one map.
#[derive(Debug, Clone, Default)]
pub struct Pauses {
    asked: Arc<RwLock<BTreeMap<String, PauseRecord>>>,
    pub(super) groups: PausedGroups,
}

impl Pauses {
    /// Pauses a target, in the place of an earlier pause.
    pub fn put(&self, pause: PauseRecord) {
        self.asked.write().unwrap_or_else(PoisonError::into_inner).insert(pause.target.clone(), pause);
    }

    /// Ends the pause of a target that goes on at an instant. Returns the pause with its new end.
    pub fn end(&self, target: &str, at: Timestamp) -> Option<PauseRecord> {
        let mut known = self.asked.write().unwrap_or_else(PoisonError::into_inner);
        let pause = known.get_mut(target).filter(|pause| pause.until > at)?;
        pause.until = at;
        Some(pause.clone())
    }

    /// Returns the pause of a target at an instant: the one that ends last.
    #[must_use]
    pub fn at(&self, target: &Target, at: Timestamp) -> Option<Pause> {
        if let Some(reason) = &target.off {
            return Some(pause(target, PauseCause::Off, None, reason, None));
        }
        let windows = target.maintenance.iter().filter_map(|window| {
            let end = window.end_at(at)?;
            Some(pause(target, PauseCause::Maintenance, Some(end), &window.reason, None))
        });
        let known = self.asked.read().unwrap_or_else(PoisonError::into_inner);
        let names = std::iter::once(&target.name).chain(&target.group);
        let known = names.filter_map(|name| known.get(name));
        let known = known.filter(|known| known.from <= at && at < known.until);
        let known = known.max_by_key(|known| known.until).cloned();
        let asked = known.map(|known| {
            pause(target, PauseCause::Operator, Some(known.until), &known.reason, Some(known.actor))
        });
        windows.chain(asked).max_by_key(|pause| pause.until)
    }
}

fn pause(
    target: &Target,
    cause: PauseCause,
    until: Option<Timestamp>,
    reason: &str,
    actor: Option<String>,
) -> Pause {
    Pause { target: target.name.clone(), cause, until, reason: reason.to_owned(), actor }
}

#[cfg(test)]
mod tests {
    use lookout_config::{MaintenanceWindow, WindowTimes};
    use url::Url;

    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_seconds(second)
    }

    fn asked(until: i64) -> PauseRecord {
        PauseRecord {
            target: "db".to_owned(),
            from: second(100),
            until: second(until),
            reason: "a move".to_owned(),
            actor: "ops".to_owned(),
        }
    }

    #[test]
    fn the_pause_that_ends_last_is_told() {
        let mut target = Target::of_url(&Url::parse("http://db/").unwrap()).unwrap();
        let pauses = Pauses::default();
        assert_eq!(pauses.at(&target, second(100)), None);
        target.maintenance = vec![MaintenanceWindow {
            times: WindowTimes::Once(second(90), second(150)),
            reason: "backup".to_owned(),
        }];
        pauses.put(asked(120));
        let told = |at| pauses.at(&target, second(at)).map(|pause| (pause.cause, pause.until.unwrap()));
        assert_eq!(told(89), None);
        assert_eq!(told(100), Some((PauseCause::Maintenance, second(150))));
        assert_eq!(told(150), None, "the end does not belong to a window");
        pauses.put(asked(200));
        assert_eq!(told(149), Some((PauseCause::Operator, second(200))));
        assert_eq!(pauses.end("db", second(160)).map(|pause| pause.until), Some(second(160)));
        assert_eq!(pauses.end("db", second(170)), None, "it is over");
        assert_eq!(told(159), Some((PauseCause::Operator, second(160))));
        assert_eq!(told(160), None);
    }

    #[test]
    fn a_weekly_window_follows_the_clocks_of_its_zone() {
        let mut target = Target::of_url(&Url::parse("http://db/").unwrap()).unwrap();
        let every = "weekly sun 02:00 for 2h in Europe/Zurich".parse().unwrap();
        target.maintenance =
            vec![MaintenanceWindow { times: WindowTimes::Recurring(every), reason: "backup".to_owned() }];
        let is_paused = |at: &str| Pauses::default().at(&target, at.parse().unwrap()).is_some();
        // a Sunday in winter, one in summer, and a Monday
        for (at, paused) in [
            ("2026-01-11T00:59:59Z", false),
            ("2026-01-11T01:00:00Z", true),
            ("2026-01-11T02:59:59Z", true),
            ("2026-01-11T03:00:00Z", false),
            ("2026-07-12T00:00:00Z", true),
            ("2026-07-12T02:00:00Z", false),
            ("2026-01-12T01:30:00Z", false),
        ] {
            assert_eq!(is_paused(at), paused, "{at}");
        }
    }
}

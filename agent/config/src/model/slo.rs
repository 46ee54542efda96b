//! Services and their objectives.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::tz::TimeZone;
use lookout_engine::{Cause, EventRate, Guard, Objective, Policy, PromiseBound, Tier, Window};

use super::gate::GateMinimum;
use super::indicator::Indicator;
use crate::calendar::Calendar;

/// A service that has objectives.
#[derive(Debug, Clone, Default)]
pub struct Service {
    /// Unique name; the label `service`.
    pub name: String,
    /// For people.
    pub display_name: Option<String>,
    /// For people.
    pub description: String,
    /// Team that owns it (annotation `lookout.dev/owner`).
    pub owner: Option<String>,
}

/// One objective.
#[derive(Debug, Clone)]
pub struct Slo {
    /// Unique within its service; the label `slo`.
    pub name: String,
    /// The service it belongs to.
    pub service: String,
    /// For people.
    pub display_name: Option<String>,
    /// For people: what a bad event means to a user.
    pub description: String,
    /// The file it was read from, for messages and generated headers; empty for `watch`.
    pub file: PathBuf,
    /// Source of good and bad events.
    pub indicator: Indicator,
    /// Policy for the engine.
    pub policy: Policy,
    /// The begins of the periods of its budget; `None` when they roll.
    pub calendar: Option<Calendar>,
    /// Extra labels for generated rules.
    pub labels: BTreeMap<String, String>,
    /// Number of its events.
    pub traffic: Traffic,
    /// The time within which a total outage must page; `None` for no such demand.
    pub page_within: Option<PromiseBound>,
    /// The evidence that the gate asks for.
    pub gate: GateMinimum,
    /// The time zone of conditions on traffic.
    pub time_zone: TimeZone,
}

/// The events of an SLO, as even traffic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Traffic {
    /// The rate.
    pub rate: EventRate,
    /// The source of the rate.
    pub source: RateSource,
}

/// The source of a rate of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateSource {
    /// The interval of a probe or of a scrape.
    Probe,
    /// The annotation `lookout.dev/expected-rate`.
    Declared,
    /// A usual value, because nobody declared one.
    Assumed,
    /// A measurement, or an option of the command line.
    Real,
}

impl Slo {
    /// Returns `<service>-<slo>`, Sloth's `sloth_id`; unique.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}-{}", self.service, self.name)
    }

    /// The alert of this SLO in CamelCase, the same for page and ticket (`TitanicRequestsAvailability`): its words are
    /// those of service and SLO; the runbook has its name.
    #[must_use]
    pub fn alert_name(&self) -> String {
        let words = [self.service.as_str(), self.name.as_str()].join("-");
        words
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter_map(|word| {
                let mut letters = word.chars();
                letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
            })
            .collect()
    }

    /// Returns the alert of an incident, by its cause.
    #[must_use]
    pub fn alert_name_for(&self, cause: Cause) -> String {
        let ending = match cause {
            Cause::Burn => "",
            Cause::DataMissing => "DataMissing",
            Cause::CrashLoop => "CrashLoop",
            Cause::TrafficMissing => "TrafficMissing",
            Cause::TargetDown => "Down",
        };
        self.alert_name() + ending
    }

    /// Returns the causes that can open an incident of this SLO.
    pub fn causes(&self) -> impl Iterator<Item = Cause> {
        Cause::ALL.into_iter().filter(|cause| match cause {
            Cause::Burn => true,
            Cause::DataMissing => self.policy.data_alert.is_some() || self.has_condition_on(*cause),
            Cause::CrashLoop | Cause::TrafficMissing | Cause::TargetDown => self.has_condition_on(*cause),
        })
    }

    /// Returns whether a condition opens incidents of a cause.
    #[must_use]
    pub fn has_condition_on(&self, cause: Cause) -> bool {
        self.policy.conditions.iter().any(|condition| condition.cause() == cause)
    }

    /// Returns the seconds from an instant, in seconds since the epoch, to the same wall time a week before, for
    /// conditions on traffic. They differ from a week where the clocks of the zone changed in between.
    #[must_use]
    pub fn week_before_seconds(&self, at: i64) -> i64 {
        let week = 7 * 86_400;
        let before = jiff::Timestamp::from_second(at).and_then(|instant| {
            instant.to_zoned(self.time_zone.clone()).checked_sub(jiff::Span::new().days(7))
        });
        before.map_or(week, |before| at.saturating_sub(before.timestamp().as_second()))
    }

    /// Returns the name people read.
    #[must_use]
    pub fn title(&self) -> &str {
        self.display_name.as_deref().unwrap_or(&self.name)
    }

    /// Returns the share of events that must be good.
    #[must_use]
    pub const fn objective(&self) -> Objective {
        self.policy.objective
    }

    /// Returns the length of its period; of a calendar period the nominal length.
    #[must_use]
    pub const fn period(&self) -> Window {
        self.policy.period.nominal()
    }

    /// Returns the period for people: `30d`, or `month in Europe/Zurich`.
    #[must_use]
    pub fn period_text(&self) -> String {
        self.calendar.as_ref().map_or_else(|| self.period().to_string(), ToString::to_string)
    }

    /// Returns its tiers.
    #[must_use]
    pub fn tiers(&self) -> &[Tier] {
        &self.policy.tiers
    }

    /// Returns the evidence that a tier needs before it fires.
    #[must_use]
    pub const fn guard(&self) -> Guard {
        self.policy.guard
    }
}

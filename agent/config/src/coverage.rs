//! The check that somebody hears of every page at every hour of the week, and that every route is of use.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use lookout_engine::Severity;

use super::diagnostic::{Diagnostic, Level};
use super::model::{ActiveTime, Route};
use super::model::{Config, Slo};
use super::reader::{did_you_mean, quoted_list, suggestion};
use super::yaml::Place;

/// First day of the year whose hours are looked at: every weekday, and both changes of clocks.
const FIRST_DAY: Date = Date::constant(2024, 1, 1);
/// Number of days that are looked at.
const DAYS: i32 = 366;
/// Number of SLOs that a finding names.
const NAMED: usize = 3;

/// A destination as declared, whether it is off or not.
pub(super) struct Declared {
    pub(super) name: String,
    pub(super) route: Route,
    pub(super) fallback: Option<String>,
    pub(super) place: Place,
    pub(super) key: String,
}

/// All destinations with their places.
#[derive(Default)]
pub(super) struct Routes {
    pub(super) declared: Vec<Declared>,
    pub(super) place: Place,
    pub(super) key: String,
}

impl Routes {
    /// Returns what is wrong with the routes of a configuration whose SLOs are known.
    pub(super) fn findings(&self, file: &Path, config: &Config) -> Vec<Diagnostic> {
        let finding = |level, place: &Place, key: &str, message: String, help: String| Diagnostic {
            level,
            file: file.to_owned(),
            position: Some((place.line, place.column)),
            span: Some(place.span.clone()),
            key: key.to_owned(),
            message,
            help: Some(help),
        };
        let mut found = Vec::new();
        for declared in &self.declared {
            if let Some((message, help)) = self.useless(declared, config) {
                found.push(finding(Level::Error, &declared.place, &declared.key, message, help));
            }
        }
        if found.is_empty() && !self.declared.is_empty() {
            let holes = self.holes(config).into_iter();
            found.extend(
                holes.map(|(message, help)| finding(Level::Error, &self.place, &self.key, message, help)),
            );
        }
        for declared in &self.declared {
            for message in self.handed_to_nobody(declared, config) {
                let help = "set its secret or URL, or hand over to a destination that is in use";
                found.push(finding(Level::Warning, &declared.place, &declared.key, message, help.to_owned()));
            }
        }
        found
    }

    /// Returns the other destinations that one in use hands messages over to although they are off.
    fn handed_to_nobody(&self, declared: &Declared, config: &Config) -> Vec<String> {
        let in_use = |name: &str| config.destinations.iter().any(|one| one.name == name);
        let is_off = |name: &&str| self.declared.iter().any(|one| one.name == *name) && !in_use(name);
        let escalates = declared.route.escalate.as_ref().map(|escalate| ("escalate", escalate.to.as_str()));
        let falls_back = declared.fallback.as_deref().map(|fallback| ("fallback", fallback));
        let handed = [falls_back, escalates].into_iter().flatten().filter(|_| in_use(&declared.name));
        let to_nobody = handed.filter(|(_, other)| is_off(other));
        let told = |(key, other)| format!("`{key}` of `{}` names `{other}`, which is off", declared.name);
        to_nobody.map(told).collect()
    }

    /// Returns why nothing ever reaches a destination, and the remedy.
    fn useless(&self, declared: &Declared, config: &Config) -> Option<(String, String)> {
        let (name, route) = (&declared.name, &declared.route);
        if route.standby {
            let hands_over = |other: &Declared| {
                let escalates = other.route.escalate.as_ref().is_some_and(|escalate| escalate.to == *name);
                escalates || other.fallback.as_deref() == Some(name.as_str())
            };
            let help = "name it under `fallback` or `escalate` of another one, or leave out `standby`";
            return (!self.declared.iter().any(hands_over)).then(|| {
                (format!("`{name}` is on standby, and nothing is ever handed over to it"), help.to_owned())
            });
        }
        if config.slos.iter().any(|slo| route.selects(&slo.service, &slo.id(), &slo.labels)) {
            return None;
        }
        let services: Vec<&str> = config.slos.iter().map(|slo| slo.service.as_str()).collect();
        let ids: Vec<String> = config.slos.iter().map(Slo::id).collect();
        let services = route.matcher.services.iter().find_map(|service| suggestion(service, &services));
        let near = services.or_else(|| route.matcher.slos.iter().find_map(|slo| suggestion(slo, &ids)));
        let help = near.map_or_else(
            || "an SLO has a service, an id `SERVICE-SLO` and the labels of its `metadata`".to_owned(),
            |near| did_you_mean(&near),
        );
        // without any SLO there is nothing to select
        (!config.slos.is_empty())
            .then(|| (format!("no SLO is selected by `{name}`: {}", route.matcher), help))
    }

    /// Returns the pages that reach nobody at some hour, and the remedy.
    fn holes(&self, config: &Config) -> Vec<(String, String)> {
        let mut alike: BTreeMap<BTreeSet<usize>, Vec<String>> = BTreeMap::new();
        for slo in config.slos.iter().filter(|slo| pages(slo)) {
            let selects = |declared: &Declared| declared.route.selects(&slo.service, &slo.id(), &slo.labels);
            let takers = self.declared.iter().enumerate().filter(|(_, declared)| selects(declared));
            alike.entry(takers.map(|(n, _)| n).collect()).or_default().push(slo.id());
        }
        let mut holes = Vec::new();
        for (takers, slos) in alike {
            let routes: Vec<&Route> =
                takers.iter().filter_map(|n| self.declared.get(*n)).map(|it| &it.route).collect();
            let more = slos.len().saturating_sub(NAMED);
            let mut named = quoted_list(slos.get(..NAMED).unwrap_or(&slos));
            if more > 0 {
                named.push_str(&format!(" and {more} more"));
            }
            if routes.is_empty() {
                let help = "add a destination without `match`, or one that selects them";
                holes.push((format!("a page of {named} reaches nobody"), help.to_owned()));
            } else if let Some(hole) = first_hole(&routes) {
                let help = "take these hours too, or add a destination without `active_times`";
                holes.push((format!("a page of {named} reaches nobody {hole}"), help.to_owned()));
            }
        }
        holes
    }
}

/// Returns whether an incident of the SLO can be a page.
fn pages(slo: &Slo) -> bool {
    let page = Severity::Page;
    slo.policy.tiers.iter().any(|tier| tier.severity == page)
        || slo.policy.conditions.iter().any(|condition| condition.severity == page)
        || slo.policy.data_alert == Some(page)
}

/// Returns the first time of the week at which none of the routes is active: `on Saturday at 00:00 (Europe/Zurich)`.
///
/// Nobody can begin to be missing but when a part of the week ends or clocks change, so these instants are looked at.
fn first_hole(routes: &[&Route]) -> Option<String> {
    if routes.iter().any(|route| route.active_times.is_empty()) {
        return None;
    }
    let times: Vec<&ActiveTime> = routes.iter().flat_map(|route| &route.active_times).collect();
    let mut instants: BTreeSet<Timestamp> = BTreeSet::new();
    for time in &times {
        let first = FIRST_DAY.to_datetime(jiff::civil::Time::midnight());
        for day in 0..DAYS {
            let end = Span::new().days(day).minutes(i64::from(time.end_minute));
            let end = first.checked_add(end).ok().and_then(|end| time.zone.to_timestamp(end).ok());
            instants.extend(end);
        }
        let start = time.zone.to_timestamp(first).ok();
        let year = Span::new().hours(i64::from(DAYS) * 24);
        let end = start.and_then(|start| start.checked_add(year).ok());
        let changes = start.map(|start| time.zone.following(start)).into_iter().flatten();
        let within = changes.map(|change| change.timestamp()).take_while(|at| Some(*at) < end);
        instants.extend(within);
    }
    let uncovered = |at: &Timestamp| {
        let at = lookout_model::Timestamp::from_seconds(at.as_second());
        !times.iter().any(|time| time.covers(at))
    };
    let hole = instants.into_iter().find(uncovered)?;
    let zone = &times.first()?.zone;
    Some(shown(zone.to_datetime(hole), zone))
}

fn shown(local: DateTime, zone: &TimeZone) -> String {
    let day = match local.date().weekday() {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    };
    let zone = zone.iana_name().unwrap_or("UTC");
    format!("on {day} at {:02}:{:02} ({zone})", local.hour(), local.minute())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(times: &[(&[usize], u16, u16, &str)]) -> Route {
        let time = |&(begins, start_minute, end_minute, zone): &(&[usize], u16, u16, &str)| {
            let mut days = [false; 7];
            begins.iter().for_each(|day| days[*day] = true);
            ActiveTime { days, start_minute, end_minute, zone: TimeZone::get(zone).unwrap() }
        };
        Route { active_times: times.iter().map(time).collect(), ..Route::default() }
    }

    fn hole(routes: &[Route]) -> Option<String> {
        first_hole(&routes.iter().collect::<Vec<_>>())
    }

    const ALL: &[usize] = &[0, 1, 2, 3, 4, 5, 6];
    const WORK: &[usize] = &[0, 1, 2, 3, 4];

    #[test]
    fn every_minute_of_the_week_is_looked_at() {
        let day = route(&[(WORK, 480, 1080, "Europe/Zurich")]);
        assert_eq!(hole(std::slice::from_ref(&day)).as_deref(), Some("on Monday at 18:00 (Europe/Zurich)"));
        let night = route(&[(WORK, 1080, 480, "Europe/Zurich")]);
        assert_eq!(
            hole(&[day.clone(), night.clone()]).as_deref(),
            Some("on Saturday at 08:00 (Europe/Zurich)")
        );
        let nights = route(&[(ALL, 1080, 480, "Europe/Zurich")]);
        assert_eq!(
            hole(&[day.clone(), nights.clone()]).as_deref(),
            Some("on Saturday at 08:00 (Europe/Zurich)")
        );
        let weekend = route(&[(&[5, 6], 480, 1080, "Europe/Zurich")]);
        assert_eq!(hole(&[day.clone(), nights, weekend]), None);
        let one_minute_short = route(&[(ALL, 0, 1439, "UTC")]);
        assert_eq!(hole(&[one_minute_short]).as_deref(), Some("on Monday at 23:59 (UTC)"));
        assert_eq!(hole(&[day, Route::default()]), None);
    }

    #[test]
    fn two_zones_may_part_when_only_one_changes_its_clocks() {
        // in winter 08:00 in Zurich is 07:00 UTC; in summer it is 06:00 UTC
        let day = route(&[(ALL, 480, 1080, "Europe/Zurich")]);
        let night = route(&[(ALL, 1020, 420, "UTC")]);
        let found = hole(&[day.clone(), night]).unwrap();
        assert!(found.ends_with("at 18:00 (Europe/Zurich)"), "{found}");
        let long_night = route(&[(ALL, 960, 420, "UTC")]);
        assert_eq!(hole(&[day, long_night]), None);
    }
}

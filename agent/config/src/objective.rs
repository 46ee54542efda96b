//! The policy of an SLO: objective, period, tiers, guards and conditions.

use core::time::Duration;

use jiff::tz::TimeZone;
use lookout_engine::{
    Cause, Condition, Confidence, Criterion, Grid, Guard, History, Method, Objective, Period, Policy,
    PromiseBound, Severity, Tier, TierDemand, Window,
};

use super::calendar::Calendar;
use super::conditions::{Frame, read_conditions};
use super::method::{read_budgeting, read_method};
use super::model::{GateMinimum, Indicator, Queries, RateSource, Traffic};
use super::period::{check_slices, read_period};
use super::reader::{At, Fields, Reader};
use super::tiers::{faults, parse_tiers};
use super::traffic::{check_outage, read_page_within, read_traffic, shortest_seconds};
use super::yaml::Value;
use crate::keys::Key;
use crate::keys::openslo::{objective, slo, slo_annotations};
use crate::known::Known;
use crate::metadata::Metadata;

/// The objective, the method and the indicator of an SLO.
#[derive(Default)]
pub(super) struct ObjectiveFields<'n> {
    /// The objective, and where it stands.
    pub(super) objective: Option<(Objective, At<'n>)>,
    pub(super) method: Option<Method>,
    pub(super) indicator: Option<Indicator>,
}

/// Reads the objective and the method of an SLO with one indicator.
pub(super) fn read_objective_fields<'n>(
    reader: &mut Reader<'_>,
    fields: &Fields<'n>,
    indicator: Option<Indicator>,
    known: &Known,
) -> ObjectiveFields<'n> {
    let budgeting = read_budgeting(reader, fields);
    let how = "write `objectives: [{ targetPercent: 99.9 }]`";
    let list = reader.required(fields, slo::OBJECTIVES, how);
    let item = list.and_then(|at| read_item(reader, &at));
    let objective = item.as_ref().and_then(|item| read_objective(reader, item));
    let method = item.as_ref().and_then(|item| read_method(reader, item, budgeting, known.grid));
    ObjectiveFields { objective, method, indicator }
}

/// The evaluation of an SLO.
pub(super) struct Evaluation {
    pub(super) policy: Policy,
    /// The begins of the periods of its budget; `None` when they roll.
    pub(super) calendar: Option<Calendar>,
    pub(super) traffic: Traffic,
    pub(super) page_within: Option<PromiseBound>,
    pub(super) gate: GateMinimum,
    pub(super) time_zone: TimeZone,
}

/// Reads the policy of an SLO from its `spec` and its annotations.
pub(super) fn read_policy(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    metadata: &Metadata<'_>,
    read: &ObjectiveFields<'_>,
    (known, id): (&Known, &str),
) -> Option<Evaluation> {
    let ObjectiveFields { objective, method, indicator } = read;
    let how = "write `timeWindow: [{ duration: 30d, isRolling: true }]`";
    let window = reader.required(fields, slo::TIME_WINDOW, how);
    let budgeted = window.as_ref().and_then(|at| read_period(reader, at));
    let period = budgeted.as_ref().map(|budgeted| budgeted.period);
    let sliced = check_slices(reader, fields, period, method.as_ref());
    let length = period.map(Period::nominal);
    let traffic = read_traffic(reader, metadata, indicator.as_ref(), known);
    let page_within = read_page_within(reader, metadata);
    let bound = page_within.flatten().unwrap_or_default();
    let context = Context {
        objective: objective.as_ref(),
        period: length,
        grid: known.grid,
        method: method.as_ref(),
        traffic,
        bound,
    };
    let tiers = read_tiers(reader, fields, metadata, context);
    let guard = read_guard(reader, metadata, tiers.as_deref().unwrap_or_default(), known.grid);
    let stale_after = read_stale_after(reader, metadata, indicator.as_ref(), known);
    let frame = Frame {
        objective: objective.as_ref().map(|(objective, _)| *objective),
        period: length,
        grid: known.grid,
        stale_after_seconds: stale_after,
    };
    let conditions = read_conditions(reader, metadata, frame);
    let told = conditions.iter().flatten().any(|condition| condition.cause() == Cause::DataMissing);
    let usual = Some(Severity::Ticket).filter(|_| !told);
    let data_alert =
        metadata.annotation(slo_annotations::DATA_ALERT).map_or(Some(usual), |at| reader.severity_or_off(at));
    let gate = read_gate_minimum(reader, metadata);
    let time_zone = read_time_zone(reader, metadata);
    let conditions = with_idle(reader, metadata, conditions?, (indicator.as_ref(), traffic));
    sliced?;
    let policy = Policy {
        // without a grid there is an error already, or the file is checked on its own
        grid: known.grid.unwrap_or(fallback_grid()?),
        objective: objective.as_ref()?.0,
        period: period?,
        method: method.clone()?,
        tiers: tiers?,
        guard: guard?,
        conditions: conditions?,
        stale_after_seconds: stale_after?,
        data_alert: data_alert?,
    };
    let (traffic, page_within) = (traffic?, page_within?);
    // a spec on its own does not know the interval of its probes
    let is_known = |real: &Traffic| {
        real.source != RateSource::Assumed || !matches!(indicator, Some(Indicator::Probe { .. }))
    };
    let real = known.real_rates.as_ref().map(|rates| rates.of(id, traffic)).filter(is_known);
    if let Some(real) = real {
        check_outage(reader, (metadata, &objective.as_ref()?.1), &policy, real, page_within);
    }
    let (gate, time_zone) = (gate?, time_zone?);
    Some(Evaluation { policy, calendar: budgeted?.calendar, traffic, page_within, gate, time_zone })
}

/// Seconds without an event after which a source is idle, where events are not rare.
const IDLE_SECONDS: f64 = 3600.0;

/// Mean times between two events that never pass by chance without an event.
const IDLE_INTERVALS: f64 = 20.0;

/// Adds the condition on an idle source, unless there is one or idleness is normal.
fn with_idle(
    reader: &mut Reader<'_>,
    metadata: &Metadata<'_>,
    mut conditions: Vec<Condition>,
    (indicator, traffic): (Option<&Indicator>, Option<Traffic>),
) -> Option<Vec<Condition>> {
    let severity = match metadata.annotation(slo_annotations::IDLE) {
        Some(at) => {
            let choices =
                [("page", Some(Severity::Page)), ("ticket", Some(Severity::Ticket)), ("normal", None)];
            reader.choice(at, &choices)?
        }
        None => Some(Severity::Ticket),
    };
    let may_idle = matches!(indicator, Some(Indicator::Scrape { .. } | Indicator::Prometheus { .. }));
    let written = conditions.iter().any(|condition| matches!(condition.criterion, Criterion::Idle { .. }));
    if let Some(severity) = severity.filter(|_| may_idle && !written) {
        let after = IDLE_SECONDS.max(IDLE_INTERVALS * traffic?.rate.interval_seconds());
        conditions.push(Condition::idle(severity, Window::seconds(after.ceil() as u64)));
    }
    Some(conditions)
}

fn read_gate_minimum(reader: &mut Reader<'_>, metadata: &Metadata<'_>) -> Option<GateMinimum> {
    let observed = match metadata.annotation(slo_annotations::GATE_MINIMUM_OBSERVED) {
        Some(at) => Some(reader.duration(at)?),
        None => None,
    };
    let idle = metadata.annotation(slo_annotations::IDLE).map(|at| &at.node.value);
    Some(GateMinimum {
        observed,
        events: count(reader, metadata, slo_annotations::GATE_MINIMUM_EVENTS),
        idle_is_normal: idle == Some(&Value::Text("normal".to_owned())),
    })
}

fn read_time_zone(reader: &mut Reader<'_>, metadata: &Metadata<'_>) -> Option<TimeZone> {
    let Some(at) = metadata.annotation(slo_annotations::TIME_ZONE) else { return Some(TimeZone::UTC) };
    let zone = reader.text(at).and_then(|name| TimeZone::get(name).ok());
    if zone.is_none() {
        reader.error(at, "this is no IANA time zone", "write one like `Europe/Zurich`");
    }
    zone
}

fn fallback_grid() -> Option<Grid> {
    Grid::try_new(crate::known::GRID_SECONDS).ok()
}

/// Returns the only item of a list.
fn only<'n>(reader: &mut Reader<'_>, at: &At<'n>, several: &str, help: &str) -> Option<At<'n>> {
    let mut items = reader.list(at)?;
    if items.len() > 1 {
        reader.error(at, format!("not supported yet: {several}"), help);
    }
    if items.is_empty() {
        reader.error(at, "this list is empty", help);
        return None;
    }
    Some(items.swap_remove(0))
}

/// Reads the fields of the one objective.
fn read_item<'n>(reader: &mut Reader<'_>, at: &At<'n>) -> Option<Fields<'n>> {
    let several = "several objectives of one indicator";
    let at =
        only(reader, at, several, "write one SLO per objective, or give every objective its own indicator")?;
    let fields = reader.fields(&at, objective::OBJECT)?;
    refuse_threshold(reader, &fields);
    for key in [objective::INDICATOR, objective::INDICATOR_REF, objective::COMPOSITE_WEIGHT] {
        if let Some(at) = fields.get(key) {
            let message = "this goes with a composite, of which every objective has an indicator";
            reader.error(&at, message, "leave it out");
        }
    }
    Some(fields)
}

/// Refuses the comparison of a threshold metric, which lookout does not count.
pub(super) fn refuse_threshold(reader: &mut Reader<'_>, fields: &Fields<'_>) {
    for at in [objective::OP, objective::VALUE].into_iter().filter_map(|key| fields.get(key)) {
        reader.error(&at, "this goes with a threshold metric, not with a ratio", "leave it out");
    }
}

/// Reads the objective, and where it stands.
pub(super) fn read_objective<'n>(
    reader: &mut Reader<'_>,
    fields: &Fields<'n>,
) -> Option<(Objective, At<'n>)> {
    let (at, percent) = match (fields.get(objective::TARGET), fields.get(objective::TARGET_PERCENT)) {
        (Some(at), None) => {
            let target = reader.number(&at)?;
            if target > 1.0 && target <= 100.0 {
                let help = format!("write `targetPercent: {target}`");
                reader.error(&at, "`target` is a share of one, not a percentage", help);
                return None;
            }
            (at, target * 100.0)
        }
        (None, Some(at)) => {
            let percent = reader.number(&at)?;
            (at, percent)
        }
        _ => {
            let help = "write `targetPercent: 99.9` or `target: 0.999`";
            reader.error(&fields.at, "an objective has either `target` or `targetPercent`", help);
            return None;
        }
    };
    match Objective::try_from_percent(percent) {
        Ok(objective) => Some((objective, at)),
        Err(_) => {
            let (message, help) = objective_fault(percent);
            reader.error(&at, message, help);
            None
        }
    }
}

pub(super) fn objective_fault(percent: f64) -> (String, &'static str) {
    if (99.0..=100.0).contains(&percent) {
        let message = format!("an objective of {percent} % leaves no error budget");
        (message, "99.99 is the strictest common choice")
    } else {
        let message = format!("an objective of {percent} % is no share of events");
        (message, "write a percentage from 0 up to, but not including, 100")
    }
}

/// The facts that tiers have to fit to. What is not known is not judged.
struct Context<'c, 'n> {
    objective: Option<&'c (Objective, At<'n>)>,
    period: Option<Window>,
    grid: Option<Grid>,
    method: Option<&'c Method>,
    traffic: Option<Traffic>,
    bound: PromiseBound,
}

impl Context<'_, '_> {
    /// Returns the tiers of an SLO that names none.
    fn default_tiers(&self) -> Option<Vec<Tier>> {
        let slices = self.method.and_then(Method::slices);
        let rate = self.traffic?.rate;
        Some(Tier::defaults_for(TierDemand {
            objective: self.objective?.0,
            period: self.period?,
            rate: slices.map_or(rate, |slices| rate.at_most_every(f64::from(slices.width_seconds()))),
            bound: self.bound,
            shortest: Window::seconds(shortest_seconds(self.grid, slices)),
        }))
    }
}

fn read_tiers(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    metadata: &Metadata<'_>,
    context: Context<'_, '_>,
) -> Option<Vec<Tier>> {
    let Context { objective, period, grid, method, .. } = context;
    let target = objective.map(|(objective, _)| *objective);
    let Some(at) = metadata.annotation(slo_annotations::TIERS) else {
        let tiers = context.default_tiers()?;
        // nobody wrote these: the objective they do not fit is what can be pointed at
        let place = objective.map_or_else(|| fields.at.clone(), |(_, at)| at.clone());
        let mut whole = true;
        for (message, help) in tiers.iter().flat_map(|tier| faults(tier, target, period, (grid, method))) {
            let help =
                format!("{help}; your own tiers go into the annotation `{}`", slo_annotations::TIERS.name);
            reader.error(&place, message.replacen("the tier", "the default tier", 1), help);
            whole = false;
        }
        return whole.then_some(tiers);
    };
    let text = reader.text(at)?;
    let mut tiers: Vec<Tier> = Vec::new();
    let mut whole = true;
    for tier in parse_tiers(text) {
        match tier {
            Ok((tier, span)) => {
                for (message, help) in faults(&tier, target, period, (grid, method)) {
                    reader.error_in(at, text, span.clone(), message, &help);
                    whole = false;
                }
                if tiers.contains(&tier) {
                    reader.error_in(
                        at,
                        text,
                        span,
                        format!("the tier `{tier}` is written twice"),
                        "keep one",
                    );
                    whole = false;
                }
                tiers.push(tier);
            }
            Err(bad) => {
                reader.error_in(at, text, bad.span, bad.message, &bad.help);
                whole = false;
            }
        }
    }
    if whole && tiers.is_empty() {
        reader.error(
            at,
            "an SLO without tiers never alerts",
            "leave the annotation out for the default tiers",
        );
        whole = false;
    }
    whole.then_some(tiers)
}

fn read_guard(
    reader: &mut Reader<'_>,
    metadata: &Metadata<'_>,
    tiers: &[Tier],
    grid: Option<Grid>,
) -> Option<Guard> {
    let usual = Guard::default();
    let guard = Guard {
        minimum_events: count(reader, metadata, slo_annotations::MINIMUM_EVENTS)
            .unwrap_or(usual.minimum_events),
        minimum_bad: count(reader, metadata, slo_annotations::MINIMUM_BAD).unwrap_or(usual.minimum_bad),
        minimum_slots: count(reader, metadata, slo_annotations::MINIMUM_SLOTS).unwrap_or(usual.minimum_slots),
        confidence: None,
    };
    let most = |tier: &Tier| grid.map_or(u64::MAX, |grid| History::cells_of(grid, tier.long));
    if let Some(tier) = tiers.iter().find(|tier| most(tier) < guard.minimum_slots)
        && let Some(at) = metadata.annotation(slo_annotations::MINIMUM_SLOTS)
    {
        let message = format!("the tier `{tier}` can never fire: its long window has {} slots", most(tier));
        reader.error(at, message, "ask for fewer slots, or lengthen the window");
        return None;
    }
    let Some(at) = metadata.annotation(slo_annotations::CONFIDENCE) else { return Some(guard) };
    let text = reader.text(at)?;
    let percent = text.trim().strip_suffix('%').and_then(|number| number.trim().parse().ok());
    let confidence = percent.and_then(|percent| Confidence::try_from_percent(percent).ok());
    if confidence.is_none() {
        reader.error(at, "expected a percentage from 50% to 99.9999%", "write `\"98%\"`");
        return None;
    }
    Some(Guard { confidence, ..guard })
}

/// Returns a number in an annotation, which may be written with or without quotes.
fn count(reader: &mut Reader<'_>, metadata: &Metadata<'_>, key: Key) -> Option<u64> {
    let at = metadata.annotation(key)?;
    let number = match &at.node.value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    if number.is_none() {
        reader.error(at, "expected a number of events", "write a whole number, like `\"10\"`");
    }
    number
}

/// Reads the time after which data are missing. It is three rounds of the source by default.
fn read_stale_after(
    reader: &mut Reader<'_>,
    metadata: &Metadata<'_>,
    indicator: Option<&Indicator>,
    known: &Known,
) -> Option<u64> {
    let slot = known.grid.or_else(fallback_grid)?.width_seconds();
    let slot = Duration::from_secs(u64::from(slot));
    let Pace { round, silence } = match indicator {
        // a composite goes at the pace of its slowest
        Some(Indicator::Composite(components)) => {
            let paces = components.iter().map(|component| pace(Some(&component.indicator), slot, known));
            paces.fold(Pace::default(), Pace::slower)
        }
        one => pace(one, slot, known),
    };
    if let Some(at) = metadata.annotation(slo_annotations::STALE_AFTER) {
        let written = reader.duration(at)?;
        if written <= round {
            let every = lookout_model::print_duration(round);
            let message = format!("data that come every {every} would be stale all the time");
            reader.error(
                at,
                message,
                format!("write a longer time, like `{}`", lookout_model::print_duration(round * 3)),
            );
            return None;
        }
        return Some(whole_seconds(written));
    }
    Some(whole_seconds(silence))
}

/// The pace at which data arrive.
#[derive(Default)]
struct Pace {
    /// The longest there is between two of them when all is well.
    round: Duration,
    /// After how long something is wrong.
    silence: Duration,
}

impl Pace {
    fn slower(self, other: Self) -> Self {
        Self { round: self.round.max(other.round), silence: self.silence.max(other.silence) }
    }
}

fn pace(indicator: Option<&Indicator>, slot: Duration, known: &Known) -> Pace {
    let none = Duration::ZERO;
    let (interval, delay, timeout) = match indicator {
        Some(Indicator::Probe { target, .. }) => {
            let mut targets = known.targets.iter().flatten().filter(|(name, _)| name == target);
            let timing = targets.find_map(|(_, timing)| *timing);
            timing.map_or((none, none, none), |timing| (timing.interval, none, timing.timeout))
        }
        Some(Indicator::Prometheus { source, queries }) => {
            let mut servers = known.prometheus.iter().flatten().filter(|(name, _)| name == source);
            servers.find_map(|(_, timing)| *timing).map_or((slot, slot * 2, none), |timing| {
                let interval = match queries {
                    Queries::Counters(_) => timing.scrape_interval,
                    Queries::Windowed { .. } => timing.window,
                };
                (interval, timing.delay, timing.timeout)
            })
        }
        Some(Indicator::Scrape { .. } | Indicator::Up { .. } | Indicator::Composite(_)) | None => {
            (none, none, none)
        }
    };
    // what is asked for late is always that much older
    let round = slot.max(interval) + delay;
    Pace { round, silence: silence(slot, interval, timeout) + delay }
}

/// Returns the time after which data of a source are missing: three rounds of it.
pub(super) fn silence(slot: Duration, interval: Duration, timeout: Duration) -> Duration {
    (interval * 3 + timeout).max(slot * 3)
}

/// Seconds, rounded up.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

//! Calendar periods and versions of the objective as an agent lives through them: ticks, midnight, restarts.

use std::sync::Arc;
use std::time::Duration;

use lookout_engine::{Composite, Counts, Grid, Join, Method, Objective, Period, Tier, Window};

use super::{Driver, SloStatus};
use lookout_collect::Observation;
use lookout_config::{Calendar, Component, Config, Indicator, Unit, UrlOptions, config_of_urls};
use lookout_ledger::{Ledger, MemoryLedger, SqliteLedger};
use lookout_model::sample::correction;
use lookout_model::{CorrectionRecord, GridTime, Timestamp};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
/// Midnight between October and November 2026 in Zurich; clocks went back a week before.
const EDGE: &str = "2026-10-31T23:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn config(percent: f64, monthly: bool) -> Arc<Config> {
    let mut config = config_of_urls(&["http://api.test/".parse().unwrap()], &UrlOptions::default());
    config.grid = Grid::MINUTE;
    let slo = &mut config.slos[0];
    slo.policy.grid = Grid::MINUTE;
    slo.policy.objective = Objective::try_from_percent(percent).unwrap();
    slo.policy.tiers = vec![Tier::defaults(Window::days(30))[0]];
    slo.policy.period = Period::Rolling(Window::days(30));
    if monthly {
        let start = jiff::civil::date(2024, 1, 1).at(0, 0, 0, 0);
        let month = Calendar::new(Unit::Month, 1, start, "Europe/Zurich").unwrap();
        slo.policy.period = Period::Calendar { nominal: month.nominal() };
        slo.calendar = Some(month);
    }
    Arc::new(config)
}

struct Life {
    driver: Driver,
    ledger: Arc<dyn Ledger>,
    now: Timestamp,
}

impl Life {
    async fn begin(config: Arc<Config>, ledger: Arc<dyn Ledger>, now: Timestamp) -> Self {
        let driver = Driver::restore(config, Arc::clone(&ledger), Arc::new(|_| None), now).await.unwrap();
        Self { driver, ledger, now }
    }

    /// The process ends and another one begins, with what there is in the ledger.
    async fn restart(self, config: Arc<Config>) -> Self {
        Self::begin(config, self.ledger, self.now).await
    }

    /// Records minutes with a hundred events each, then ticks once.
    async fn minutes(&mut self, minutes: u32, bad: u64) -> SloStatus {
        let first = Grid::MINUTE.slot_at(self.now);
        for minute in 0..i64::from(minutes) {
            let counts = Counts { good: 100 - bad, bad };
            self.driver.record(Observation::new(0, first.plus(minute), counts));
        }
        self.now += minutes * MINUTE;
        self.driver.tick(first.plus(i64::from(minutes) - 1)).await.0.slos.remove(0)
    }
}

#[tokio::test]
async fn a_month_ends_at_its_midnight_and_survives_a_restart() {
    let config = config(99.0, true);
    let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::default());
    let mut life = Life::begin(Arc::clone(&config), ledger, at(EDGE) - 3 * HOUR).await;
    let before = life.minutes(179, 50).await;
    let october = before.evidence.calendar.clone().unwrap();
    assert_eq!(october.period, "month in Europe/Zurich, until 1 November");
    assert_eq!((october.from, october.to), (at("2026-09-30T22:00:00Z"), at(EDGE)));
    assert_eq!(before.evidence.period_s, (31 * 24 + 1) * 3600, "a month with an hour twice");
    assert_eq!((before.evidence.bad, before.evidence.total), (179 * 50, 179 * 100));
    assert_eq!(before.evidence.seconds_to_exhaustion, None, "November has a budget of its own");

    let mut life = life.restart(Arc::clone(&config)).await;
    let last = life.minutes(1, 50).await;
    assert_eq!((last.evidence.bad, last.evidence.calendar), (180 * 50, Some(october)), "nothing is lost");
    let first = life.minutes(1, 0).await;
    assert_eq!((first.evidence.bad, first.evidence.total), (0, 100));
    assert_eq!(first.evidence.budget_left_ratio, 1.0);
    assert_eq!(first.evidence.calendar.unwrap().from, at(EDGE));

    let jumped = life.minutes(24 * 60 * 40, 0).await;
    assert_eq!(jumped.evidence.calendar.unwrap().period, "month in Europe/Zurich, until 1 January 2027");
    let mut life = life.restart(config).await;
    let after = life.minutes(1, 0).await;
    assert_eq!(after.evidence.total, jumped.evidence.total + 100);
}

#[tokio::test]
async fn a_new_objective_does_not_rewrite_what_was_spent() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = SqliteLedger::open(&folder.path().join("ledger.db")).await.unwrap();
    let ledgers: [Arc<dyn Ledger>; 2] = [Arc::new(MemoryLedger::default()), Arc::new(sqlite)];
    for ledger in ledgers {
        for monthly in [false, true] {
            let begin = at("2026-11-02T00:00:00Z") + u32::from(monthly) * 60 * DAY;
            let mut life = Life::begin(config(99.0, monthly), Arc::clone(&ledger), begin).await;
            let before = life.minutes(600, 1).await;
            assert_eq!(before.evidence.versions, []);

            let mut life = life.restart(config(99.9, monthly)).await;
            let changed = life.minutes(1, 1).await;
            let (was, is) = (before.evidence.budget_left_ratio, changed.evidence.budget_left_ratio);
            assert!(is.is_finite() && (was - is).abs() < 1e-3, "{was} became {is}");
            let versions: Vec<(f64, u64)> =
                changed.evidence.versions.iter().map(|v| (v.objective_percent, v.total)).collect();
            assert_eq!(versions, [(99.0, 60_000), (99.9, 100)]);
            assert_eq!(changed.evidence.versions[1].from, begin + 600 * MINUTE);

            let mut life = life.restart(config(99.9, monthly)).await;
            life.ledger.prune(life.now + 8 * HOUR).await.unwrap();
            let later = life.minutes(1, 0).await;
            assert_eq!(later.evidence.versions[0], changed.evidence.versions[0], "as it was told");
            let mut again = life.restart(config(99.9, monthly)).await;
            let after = again.minutes(1, 0).await;
            assert_eq!(after.evidence.versions[0], changed.evidence.versions[0], "from minutes, too");
            let difference = (after.evidence.budget_left_ratio - later.evidence.budget_left_ratio).abs();
            assert!(difference < 1e-4, "{difference}");

            // and back: what was judged strictly stays so
            again.minutes(17, 0).await;
            let mut back = again.restart(config(99.0, monthly)).await;
            let versions = back.minutes(60, 0).await.evidence.versions;
            let versions: Vec<(f64, u64)> = versions.iter().map(|v| (v.objective_percent, v.total)).collect();
            assert_eq!(
                versions,
                [(99.0, 60_000), (99.9, 1500), (99.0, 6500)],
                "by whole quarters of an hour"
            );
        }
        ledger.close().await;
    }
}

/// The config with a budget for every calendar year in UTC.
fn yearly(percent: f64) -> Config {
    let mut config = Config::clone(&config(percent, false));
    let start = jiff::civil::date(2024, 1, 1).at(0, 0, 0, 0);
    let year = Calendar::new(Unit::Year, 1, start, "UTC").unwrap();
    config.slos[0].policy.period = Period::Calendar { nominal: year.nominal() };
    config.slos[0].calendar = Some(year);
    config
}

fn excluded(id: &str, from: Timestamp, to: Timestamp) -> CorrectionRecord {
    CorrectionRecord { from, to: Some(to), ..correction(id) }
}

async fn both_ledgers(folder: &tempfile::TempDir) -> [Arc<dyn Ledger>; 2] {
    let sqlite = SqliteLedger::open(&folder.path().join("ledger.db")).await.unwrap();
    [Arc::new(MemoryLedger::default()), Arc::new(sqlite)]
}

#[tokio::test]
async fn a_correction_of_old_counts_is_rounded_outward_to_quarters_of_an_hour() {
    let folder = tempfile::tempdir().unwrap();
    for ledger in both_ledgers(&folder).await {
        let config = Arc::new(yearly(99.0));
        let begin = at("2026-01-10T02:00:00Z");
        let mut life = Life::begin(Arc::clone(&config), Arc::clone(&ledger), begin).await;
        life.minutes(60, 1).await;
        let minute = |n: u32| begin + n * MINUTE;
        ledger.record_correction(&excluded("cor-1", minute(5), minute(20))).await.unwrap();
        let young = life.minutes(1, 0).await.evidence;
        assert_eq!((young.bad, young.total), (45, 46 * 100), "to the minute while minutes are known");

        life.now += 100 * DAY;
        ledger.prune(life.now).await.unwrap();
        let stored = ledger.counts(&config.slos[0].id(), Timestamp::EPOCH).await.unwrap();
        assert_eq!((stored.minutes().len(), stored.quarters().len()), (0, 5));
        let mut life = life.restart(Arc::clone(&config)).await;
        let old = life.minutes(1, 0).await.evidence;
        assert_eq!((old.bad, old.total), (30, 32 * 100), "two quarters were touched");
        assert_eq!(old.corrected.seconds, 15 * 60, "what was said is what is shown");

        // another one while it runs, of counts that are quarters already
        ledger.record_correction(&excluded("cor-2", minute(31), minute(32))).await.unwrap();
        let older = life.minutes(1, 0).await.evidence;
        assert_eq!((older.bad, older.total), (15, 18 * 100));
        ledger.close().await;
    }
}

#[tokio::test]
async fn a_correction_at_midnight_loses_nothing_of_the_period_that_begins() {
    let config = config(99.0, true);
    let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::default());
    let begin = at(EDGE) - 10 * MINUTE;
    let mut life = Life::begin(config, Arc::clone(&ledger), begin).await;
    let before = life.minutes(10, 30).await.evidence;
    assert_eq!(before.bad, 300);
    // known at the tick that closes the first minute of November
    ledger.record_correction(&excluded("cor-1", begin, at(EDGE) - 5 * MINUTE)).await.unwrap();
    let first = life.minutes(1, 20).await.evidence;
    assert_eq!((first.bad, first.total), (20, 100));
    assert_eq!(first.corrected.seconds, 0, "what does not count was October's");
    let second = life.minutes(1, 20).await.evidence;
    assert_eq!((second.bad, second.total), (40, 200));
}

#[tokio::test]
async fn a_composite_is_restored_from_quarters_of_its_components() {
    let folder = tempfile::tempdir().unwrap();
    for ledger in both_ledgers(&folder).await {
        let mut config = yearly(99.0);
        let slo = &mut config.slos[0];
        let (indicator, objective) = (slo.indicator.clone(), slo.policy.objective);
        let part = |name: &str| Component {
            name: name.to_owned(),
            display_name: None,
            objective,
            indicator: indicator.clone(),
        };
        slo.indicator = Indicator::Composite([part("search"), part("book")].into());
        let slices = Grid::try_new(900).unwrap();
        let parts = [lookout_engine::Component::default(); 2];
        let composite = Composite::try_new(slices, Join::WorstOf, parts).unwrap();
        slo.policy.method = Method::Composite(composite);
        let config = Arc::new(config);
        let begin = at("2026-01-10T02:00:00Z");
        let mut life = Life::begin(Arc::clone(&config), Arc::clone(&ledger), begin).await;
        let both = |life: &mut Life, minutes: u32, bad: u64| {
            let first = Grid::MINUTE.slot_at(life.now);
            for minute in 0..i64::from(minutes) {
                for (stream, bad) in [0, bad].into_iter().enumerate() {
                    let counts = Counts { good: 100 - bad, bad };
                    life.driver.record(Observation::new(stream, first.plus(minute), counts));
                }
            }
            life.now += minutes * MINUTE;
            first.plus(i64::from(minutes) - 1)
        };
        let last = both(&mut life, 60, 25);
        let young = life.driver.tick(last).await.0.slos.remove(0).evidence;
        assert_eq!((young.total, young.bad), (4, 1));

        life.now += 100 * DAY;
        ledger.prune(life.now).await.unwrap();
        let mut life = life.restart(config).await;
        let last = both(&mut life, 15, 0);
        let old = life.driver.tick(last).await.0.slos.remove(0).evidence;
        assert_eq!((old.total, old.bad), (5, 1));
        let counts: Vec<(u64, u64)> = old.components.iter().map(|part| (part.total, part.bad)).collect();
        assert_eq!(counts, [(7500, 0), (7500, 1500)]);
        let shares: Vec<Option<f64>> = old.components.iter().map(|part| part.burn_share).collect();
        assert_eq!(shares, [Some(0.0), Some(1.0)]);
        ledger.close().await;
    }
}

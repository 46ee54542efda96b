//! An agent that is killed at any time and started again: its incidents are those of an agent that ran on.

use lookout_collect::scrape::FetchError;
use lookout_engine::{BurnFactor, Cause, Severity, Tier, Window};
use lookout_model::{IncidentRecord, Timestamp};

use super::outages::{config, metrics};
use super::simulated::{HOUR, Simulation};

const END: i64 = 5 * HOUR + 1800;

/// Two minutes of total failure, an hour of a slow burn, a relapse and an outage, at ten requests a second.
fn exposition(second: i64) -> Result<String, FetchError> {
    if (4 * HOUR + 1200..4 * HOUR + 1500).contains(&second) {
        return Err(FetchError::Connect("connection refused".to_owned()));
    }
    let failed = |from: i64, to: i64| 10 * (second.clamp(from, to) - from);
    let slow = (second.clamp(2 * HOUR, 3 * HOUR) - 2 * HOUR) / 20;
    let bad = failed(HOUR, HOUR + 120) + slow + failed(3 * HOUR + 2700, 3 * HOUR + 2790);
    Ok(metrics(-HOUR, 36_000 + 10 * second - bad, bad))
}

async fn incidents(kills: &[i64]) -> Vec<IncidentRecord> {
    let mut config = config();
    for slo in config.slos.iter_mut().filter(|slo| slo.name == "requests") {
        // with a release threshold and a hold time, the counts alone do not tell which tier fires
        let tier = |severity, long, short, factor| {
            Tier::new(
                severity,
                Window::minutes(long),
                Window::minutes(short),
                BurnFactor::try_new(factor).unwrap(),
            )
        };
        let page = tier(Severity::Page, 60, 5, 14.4).until(BurnFactor::try_new(1.0).unwrap());
        let ticket = Tier { hold_seconds: 600, ..tier(Severity::Ticket, 120, 30, 3.0) };
        slo.policy.tiers = vec![page, ticket];
    }
    let simulation = Simulation::of(config);
    simulation.expose(exposition);
    for &kill in kills {
        simulation.run_until_killed(kill).await;
    }
    simulation.run(END, &[]).await;
    let mut incidents = simulation.incidents().await;
    incidents.sort_by_key(|incident| (incident.slo.clone(), incident.cause, incident.detected_at));
    incidents
}

/// Returns the name of an incident and its highest severity, without instants.
fn kind(incident: &IncidentRecord) -> (String, Cause, Severity, bool) {
    (incident.slo.clone(), incident.cause, incident.peak, incident.resolved_at.is_some())
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn an_agent_that_is_killed_at_any_time_has_the_incidents_of_one_that_ran_on() {
    let whole = incidents(&[]).await;
    assert!(whole.len() >= 3, "{whole:?}");
    let mut random = 1_u64;
    for round in 0..4 {
        let mut kills: Vec<i64> = (0..3)
            .map(|_| {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                // most of them while something is open
                HOUR + (random >> 33) as i64 % (4 * HOUR)
            })
            .collect();
        kills.sort_unstable();
        let killed = incidents(&kills).await;
        let kinds = |all: &[IncidentRecord]| all.iter().map(kind).collect::<Vec<_>>();
        assert_eq!(
            kinds(&killed),
            kinds(&whole),
            "round {round}, killed at {kills:?}: {killed:#?} {whole:#?}"
        );
        for (killed, whole) in killed.iter().zip(&whole) {
            // the slot in which it is killed is lost, and the first scrape of the next agent counts nothing
            let near = |a: Option<Timestamp>, b: Option<Timestamp>| match (a, b) {
                (Some(a), Some(b)) => a.millis_since(b).abs() <= 20_000 * (1 + kills.len() as i64),
                (a, b) => a == b,
            };
            let instants = |incident: &IncidentRecord| {
                [incident.started_at, Some(incident.detected_at), incident.recovered_at, incident.resolved_at]
            };
            for (after, before) in instants(killed).into_iter().zip(instants(whole)) {
                assert!(near(after, before), "round {round}, killed at {kills:?}: {killed:?} {whole:?}");
            }
        }
    }
}

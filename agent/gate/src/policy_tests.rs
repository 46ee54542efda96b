//! The rules as examples, and what no snapshot may break.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use lookout_engine::Status;
use lookout_model::{Corrected, Evidence as Measured, ImplausibleCounts, TierEvidence, Timestamp};

const NOW: Timestamp = Timestamp::from_seconds(1_767_225_600);

fn tier(severity: Severity, burn: Option<f64>) -> TierEvidence {
    TierEvidence {
        severity,
        long_s: 3600,
        short_s: 300,
        factor: 14.4,
        long_burn: burn,
        short_burn: burn,
        long_coverage: 1.0,
        short_coverage: 1.0,
        long_bad: 30,
        long_total: 100,
        firing: burn.is_some_and(|burn| burn > 14.4),
        pending: false,
        held_by_guard: false,
        held: None,
        release_factor: None,
    }
}

fn slo(name: &str) -> SloStatus {
    SloStatus {
        at: Timestamp::EPOCH,
        id: format!("titanic-{name}"),
        service: "titanic".to_owned(),
        slo: name.to_owned(),
        title: format!("Titanic {name}"),
        description: String::new(),
        source: "probe".to_owned(),
        alert: "Titanic".to_owned(),
        evidence: Measured {
            components: Vec::new(),
            objective_percent: 99.9,
            period_s: 30 * 86_400,
            calendar: None,
            versions: Vec::new(),
            data_state: DataState::Ok,
            budget_left_ratio: 0.75,
            seconds_to_exhaustion: None,
            bad: 25,
            total: 100_000,
            tiers: vec![tier(Severity::Page, Some(0.25)), tier(Severity::Ticket, Some(0.25))],
            present: Some(lookout_model::sample::present(Status::Healthy)),
            corrected: Corrected::default(),
            conditions: Vec::new(),
        },
        sli_ratio: Some(0.99975),
        data_age_s: Some(2.0),
        incidents: Vec::new(),
        resolved: Vec::new(),
        implausible: None,
        refused_by: Vec::new(),
        paused: None,
        gate: GateMinimum::default(),
    }
}

fn incident(severity: Severity, cause: Cause) -> IncidentRecord {
    IncidentRecord {
        id: "inc-1".to_owned(),
        slo_id: "titanic-requests".to_owned(),
        service: "titanic".to_owned(),
        slo: "requests".to_owned(),
        cause,
        severity,
        peak: severity,
        detected_at: NOW - Duration::from_secs(60),
        started_at: None,
        recovered_at: None,
        reopens_until: None,
        resolved_at: None,
    }
}

fn snapshot(slos: Vec<SloStatus>) -> Snapshot {
    Snapshot { at: NOW - Duration::from_secs(1), interval_s: 10, ledger_is_down: false, slos }
}

fn question(class: DeployClass) -> Question {
    Question { service: "titanic".to_owned(), class }
}

fn answer(class: DeployClass, slos: Vec<SloStatus>) -> Answer {
    decide(&question(class), &snapshot(slos), &GatePolicy::default(), NOW)
}

fn codes(answer: &Answer) -> Vec<Code> {
    answer.reasons.iter().map(|reason| reason.code).collect()
}

/// Decisions for feature, fix, config, in this order.
fn decisions(slo: &SloStatus) -> [Decision; 3] {
    [DeployClass::Feature, DeployClass::Fix, DeployClass::Config]
        .map(|class| answer(class, vec![slo.clone()]).decision)
}

#[test]
fn a_healthy_service_may_be_deployed_and_the_answer_has_the_agreed_shape() {
    let answer = answer(DeployClass::Feature, vec![slo("requests")]);
    let shown = serde_json::to_value(&answer).unwrap();
    assert_eq!(
        shown,
        serde_json::json!({
            "decision": "allow",
            "decided_by": "policy",
            "evidence": "good",
            "reasons": [{
                "code": "budget_left",
                "slo": "titanic-requests",
                "text": "Titanic requests: 75 % of the error budget is left and nothing burns too fast",
                "measured": 0.75,
                "threshold": 0.0,
                "window": "30d",
                "samples": 100_000,
            }],
            "minimum_detectable_effect": null,
            "evaluated_at": "2026-01-01T00:00:00Z",
            "valid_until": "2026-01-01T00:01:00Z",
            "data_age_seconds": 3.0,
            "decision_id": answer.decision_id,
            "policy_hash": answer.policy_hash,
        })
    );
    assert_eq!(serde_json::from_value::<Answer>(shown).unwrap(), answer);
    assert_eq!(answer.exit_code(), 0);
}

#[test]
fn a_page_denies_all_but_fixes_and_says_how_fast_it_burns() {
    let mut burning = slo("requests");
    burning.evidence.tiers[0] = tier(Severity::Page, Some(300.0));
    burning.incidents.push(incident(Severity::Page, Cause::Burn));
    assert_eq!(decisions(&burning), [Decision::Deny, Decision::Allow, Decision::Deny]);
    let answer = answer(DeployClass::Feature, vec![slo("probes"), burning]);
    assert_eq!((answer.evidence, answer.exit_code()), (Evidence::Bad, 1));
    let reason = &answer.reasons[0];
    assert_eq!(reason.code, Code::BurnFast);
    assert_eq!((reason.measured, reason.threshold), (Some(300.0), Some(14.4)));
    assert_eq!((reason.window.as_deref(), reason.samples), (Some("1h"), Some(100)));
    assert!(reason.text.contains("a page is open since 2025-12-31 23:59:00 UTC"), "{}", reason.text);
}

#[test]
fn a_ticket_stops_all_but_fixes() {
    let mut slow = slo("requests");
    slow.incidents.push(incident(Severity::Ticket, Cause::Burn));
    assert_eq!(decisions(&slow), [Decision::Deny, Decision::Allow, Decision::Deny]);
    assert_eq!(codes(&answer(DeployClass::Fix, vec![slow])), [Code::IncidentOpen]);
}

#[test]
fn a_spent_budget_lets_fixes_through() {
    let mut spent = slo("requests");
    spent.evidence.budget_left_ratio = 0.0;
    assert_eq!(decisions(&spent), [Decision::Deny, Decision::Allow, Decision::Deny]);
    assert_eq!(codes(&answer(DeployClass::Fix, vec![spent])), [Code::BudgetExhausted]);
    let strict = GatePolicy { minimum_budget: 0.8, ..GatePolicy::default() };
    let answer = decide(&question(DeployClass::Feature), &snapshot(vec![slo("requests")]), &strict, NOW);
    assert_eq!(answer.decision, Decision::Deny);
    assert!(answer.reasons[0].text.contains("75 % of the error budget is left, 80 % is asked for"));
}

#[test]
fn what_is_not_known_holds_everything_that_can_wait() {
    for state in [DataState::Stale, DataState::Partial, DataState::NoData] {
        let mut silent = slo("requests");
        silent.evidence.data_state = state;
        assert_eq!(decisions(&silent), [Decision::Hold; 3], "{state}");
        assert_eq!(codes(&answer(DeployClass::Fix, vec![silent.clone()])), [Code::DataStale], "{state}");
        let answer = answer(DeployClass::Feature, vec![slo("probes"), silent]);
        assert_eq!((answer.evidence, answer.exit_code()), (Evidence::Unknown, 3));
        assert_eq!(answer.reasons[0].code, Code::DataStale);
    }
}

#[test]
fn no_traffic_holds_unless_it_is_declared_normal() {
    let mut quiet = slo("requests");
    quiet.evidence.data_state = DataState::Idle;
    let held = answer(DeployClass::Feature, vec![quiet.clone()]);
    assert_eq!(
        (held.decision, held.evidence, held.exit_code()),
        (Decision::Hold, Evidence::InsufficientData, 3)
    );
    assert_eq!(codes(&held), [Code::NoTraffic]);
    let normal = GatePolicy { idle_is_normal: true, ..GatePolicy::default() };
    let allowed = decide(&question(DeployClass::Feature), &snapshot(vec![quiet.clone()]), &normal, NOW);
    assert_eq!(allowed.decision, Decision::Allow);
    (quiet.evidence.total, quiet.evidence.bad, quiet.evidence.budget_left_ratio) = (0, 0, 1.0);
    let unknown = decide(&question(DeployClass::Feature), &snapshot(vec![quiet]), &normal, NOW);
    assert_eq!((unknown.decision, unknown.exit_code()), (Decision::Hold, 3), "nothing was ever seen");
}

#[test]
fn a_hold_for_lack_of_evidence_says_what_is_missing_and_when_it_will_be_there() {
    let mut young = slo("requests");
    young.evidence.present.as_mut().unwrap().observed_window_s = 70;
    let answer = answer(DeployClass::Feature, vec![young]);
    assert_eq!((answer.decision, answer.exit_code()), (Decision::Hold, 3));
    assert_eq!(
        answer.reasons[0].text,
        "Titanic requests: 1 min 10 s of the last 5 min were observed; enough in 3 min 50 s if data keep coming, \
         at 2026-01-01 00:03:49 UTC"
    );
}

#[test]
fn a_rollback_says_what_it_passes_over() {
    let mut failing = slo("requests");
    failing.evidence.present = Some(lookout_model::sample::present(Status::Failing));
    let answer = answer(DeployClass::Rollback, vec![failing]);
    assert_eq!(answer.decision, Decision::Allow);
    assert_eq!(codes(&answer), [Code::PassedOver, Code::FailingNow]);
    assert_eq!(
        answer.reasons[0].text,
        "PASSED OVER: a rollback always passes; 1 finding below would deny any other change"
    );
}

#[test]
fn before_the_first_evaluation_no_service_is_called_unknown() {
    let nothing = Snapshot { at: Snapshot::NEVER, interval_s: 10, ledger_is_down: false, slos: Vec::new() };
    let answer = decide(&question(DeployClass::Feature), &nothing, &GatePolicy::default(), NOW);
    assert_eq!((answer.decision, answer.exit_code()), (Decision::Hold, 3));
    assert_eq!(codes(&answer), [Code::DataStale]);
    assert_eq!(
        answer.reasons[0].text,
        "the agent has just started; the first evaluation is at most 10 s away"
    );
    let rollback = decide(&question(DeployClass::Rollback), &nothing, &GatePolicy::default(), NOW);
    assert_eq!(rollback.decision, Decision::Allow);
}

#[test]
fn a_ledger_that_takes_no_writes_holds_the_gate() {
    let down = Snapshot { ledger_is_down: true, ..snapshot(vec![slo("requests")]) };
    let answer = decide(&question(DeployClass::Feature), &down, &GatePolicy::default(), NOW);
    assert_eq!((answer.decision, answer.evidence), (Decision::Hold, Evidence::Unknown));
    assert_eq!(codes(&answer), [Code::DataStale, Code::BudgetLeft]);
    assert!(answer.reasons[0].text.contains("the ledger takes no writes"), "{}", answer.reasons[0].text);
}

#[test]
fn an_evaluation_of_another_time_is_no_evidence() {
    for (now, code) in [
        (NOW + Duration::from_millis(29_001), Code::DataStale),
        (NOW - Duration::from_millis(31_001), Code::ClockSkew),
    ] {
        let late =
            decide(&question(DeployClass::Feature), &snapshot(vec![slo("a")]), &GatePolicy::default(), now);
        assert_eq!((late.decision, late.evidence), (Decision::Hold, Evidence::Unknown));
        assert_eq!(late.reasons[0].code, code);
    }
    let fresh = decide(
        &question(DeployClass::Feature),
        &snapshot(vec![slo("a")]),
        &GatePolicy::default(),
        NOW + Duration::from_secs(29),
    );
    assert_eq!(fresh.decision, Decision::Allow);
}

#[test]
fn an_unknown_service_is_told_the_known_ones() {
    let question = Question { service: "titanik".to_owned(), class: DeployClass::Feature };
    let answer = decide(&question, &snapshot(vec![slo("a"), slo("b")]), &GatePolicy::default(), NOW);
    assert_eq!((answer.decision, answer.exit_code()), (Decision::Hold, 3));
    assert_eq!(
        answer.reasons[0].text,
        "no SLO belongs to a service named \"titanik\"; known services: titanic"
    );
}

#[test]
fn a_hold_over_the_policy_is_another_exit_code_than_one_for_lack_of_evidence() {
    let mut answer = answer(DeployClass::Feature, Vec::new());
    assert_eq!((answer.decision, answer.exit_code()), (Decision::Hold, 3));
    answer.decided_by = DecidedBy::Freeze;
    for evidence in [Evidence::Good, Evidence::InsufficientData, Evidence::Unknown, Evidence::Bad] {
        answer.evidence = evidence;
        assert_eq!(answer.exit_code(), 5, "{evidence}");
    }
}

#[test]
fn an_slo_may_ask_for_other_evidence_than_the_policy() {
    let mut rare = slo("rare");
    rare.evidence.total = 4;
    let ask_for = |slo: SloStatus| answer(DeployClass::Feature, vec![slo]);
    assert_eq!(ask_for(rare.clone()).decision, Decision::Hold, "4 of 10 events");
    rare.gate.events = Some(4);
    let allowed = ask_for(rare.clone());
    assert_eq!(allowed.decision, Decision::Allow);
    assert_ne!(allowed.policy_hash, policy_hash(&GatePolicy::default(), &[]), "another rule, another name");
    rare.gate.observed = Some(Duration::from_secs(7 * 86_400));
    assert_eq!(ask_for(rare).decision, Decision::Hold, "a week was not observed yet");
    let mut idle = slo("idle");
    idle.evidence.data_state = DataState::Idle;
    assert_eq!(ask_for(idle.clone()).decision, Decision::Hold);
    idle.gate.idle_is_normal = true;
    assert_eq!(ask_for(idle).decision, Decision::Allow);
}

#[test]
fn a_policy_has_one_name() {
    let policy = GatePolicy::default();
    assert_eq!(policy_hash(&policy, &[]), policy_hash(&policy.clone(), &[]));
    assert_eq!(policy_hash(&policy, &[]).len(), 12);
    let other = GatePolicy { valid_for: Duration::from_secs(61), ..policy.clone() };
    assert_ne!(policy_hash(&policy, &[]), policy_hash(&other, &[]));
}

fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -10.0..10.0_f64,
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
        1 => Just(0.0),
    ]
}

fn any_incident() -> impl Strategy<Value = IncidentRecord> {
    let severities = prop_oneof![Just(Severity::Page), Just(Severity::Ticket)];
    (severities, prop_oneof![Just(Cause::Burn), Just(Cause::DataMissing)])
        .prop_map(|(severity, cause)| incident(severity, cause))
}

prop_compose! {
    fn any_slo()(
        state in prop_oneof![
            4 => Just(DataState::Ok), 1 => Just(DataState::Idle), 1 => Just(DataState::NoData),
            1 => Just(DataState::Insufficient), 1 => Just(DataState::Stale), 1 => Just(DataState::Partial)
        ],
        left in any_number(),
        burn in proptest::option::of(any_number()),
        total in prop_oneof![Just(0_u64), 1..1_000_000_u64],
        age in proptest::option::of(any_number()),
        factor in any_number(),
        incidents in proptest::collection::vec(any_incident(), 0..2),
    ) -> SloStatus {
        let mut slo = slo("requests");
        slo.evidence.data_state = state;
        slo.evidence.budget_left_ratio = left;
        slo.evidence.total = total;
        slo.evidence.tiers = vec![TierEvidence { factor, ..tier(Severity::Page, burn) }, tier(Severity::Ticket, burn)];
        slo.data_age_s = age;
        slo.incidents = incidents;
        slo
    }
}

proptest! {
    #[test]
    fn every_answer_is_finite_and_complete(
        slos in proptest::collection::vec(any_slo(), 0..4),
        minimum in -1.0..2.0_f64,
        now in prop_oneof![Just(NOW), any::<i64>().prop_map(Timestamp::from_millis)],
        class in proptest::sample::select(&DeployClass::ALL[..]),
    ) {
        let policy = GatePolicy { minimum_budget: minimum, valid_for: Duration::MAX, ..GatePolicy::default() };
        let answer = decide(&question(class), &snapshot(slos), &policy, now);
        prop_assert!(!answer.reasons.is_empty());
        let numbers = answer.reasons.iter().flat_map(|reason| [reason.measured, reason.threshold]);
        for number in numbers.chain([answer.data_age_seconds]).flatten() {
            prop_assert!(number.is_finite());
        }
        let text = serde_json::to_string(&answer).unwrap();
        prop_assert!(!text.contains("NaN") && !text.contains("inf "), "{}", text);
        let read: Answer = serde_json::from_str(&text).unwrap();
        prop_assert_eq!((read.decision, codes(&read)), (answer.decision, codes(&answer)));
        // what is known to be bad is denied: the policy never holds on evidence, which would be a 5
        let code = match answer.decision {
            Decision::Allow => 0,
            Decision::Deny => 1,
            Decision::Hold => 3,
        };
        prop_assert_eq!(answer.exit_code(), code);
        if class.always_passes() {
            prop_assert_eq!(answer.decision, Decision::Allow);
        }
    }

    #[test]
    fn one_more_incident_never_opens_the_gate(
        mut slos in proptest::collection::vec(any_slo(), 1..4),
        more in any_incident(),
        class in proptest::sample::select(&DeployClass::ALL[..]),
    ) {
        let before = answer(class, slos.clone()).decision;
        slos[0].incidents.push(more);
        prop_assert!(answer(class, slos).decision >= before);
    }

    #[test]
    fn no_evidence_is_never_a_pass(
        mut slos in proptest::collection::vec(any_slo(), 0..4),
        class in proptest::sample::select(&[DeployClass::Feature, DeployClass::Fix, DeployClass::Config][..]),
    ) {
        for slo in &mut slos {
            slo.evidence.total = 0;
        }
        prop_assert_ne!(answer(class, slos).decision, Decision::Allow);
    }

    #[test]
    fn a_budget_that_is_no_number_is_never_a_pass(mut only in any_slo()) {
        only.evidence.budget_left_ratio = f64::NAN;
        prop_assert_ne!(answer(DeployClass::Feature, vec![only]).decision, Decision::Allow);
    }
}

#[test]
fn a_corrected_period_is_noted_and_decides_nothing() {
    let plain = answer(DeployClass::Feature, vec![slo("requests")]);
    let mut corrected = slo("requests");
    corrected.evidence.corrected = Corrected { seconds: 7200, more: 1, ..Corrected::default() };
    let noted = answer(DeployClass::Feature, vec![corrected]);
    assert_eq!((noted.decision, noted.evidence), (plain.decision, plain.evidence));
    assert_eq!(codes(&noted), codes(&plain));
    let said = &noted.reasons[0].text;
    assert!(said.ends_with("too fast; a correction excludes 2 h of the period"), "{said}");
}

#[test]
fn pages_that_do_not_arrive_are_named_and_decide_nothing() {
    for class in DeployClass::ALL {
        for (state, healed) in states() {
            let mut refused = healed.clone();
            refused.refused_by = vec!["chat".to_owned(), "pager".to_owned()];
            let plain = answer(class, vec![SloStatus { refused_by: Vec::new(), ..healed }, slo("other")]);
            let noted = answer(class, vec![refused, slo("other")]);
            assert_eq!((noted.decision, noted.evidence), (plain.decision, plain.evidence), "{state}");
            let named: Vec<_> =
                noted.reasons.iter().filter(|reason| reason.code == Code::PagesUndelivered).collect();
            assert_eq!(named.len(), 1, "{state}");
            assert_eq!(named[0].slo, "titanic-requests");
            assert!(named[0].text.contains("do not arrive at chat, pager"), "{}", named[0].text);
            assert!(plain.reasons.iter().all(|reason| reason.code != Code::PagesUndelivered), "{state}");
        }
    }
}

fn stored_counts() -> ImplausibleCounts {
    ImplausibleCounts {
        stream: "titanic-requests".to_owned(),
        source: "scrape titanic".to_owned(),
        at: Timestamp::EPOCH,
        until: Timestamp::EPOCH + Duration::from_secs(10),
        value: "9,007,199,254,740,992 good and 0 bad events".to_owned(),
        reason: "more_than_a_service_can_have".to_owned(),
        stored: true,
    }
}

/// States of the truth table: a name for people, and an SLO in that state.
fn states() -> Vec<(&'static str, SloStatus)> {
    let with = |change: &dyn Fn(&mut SloStatus)| {
        let mut slo = slo("requests");
        change(&mut slo);
        slo
    };
    let status = |status: Status| {
        with(&move |slo| slo.evidence.present = Some(lookout_model::sample::present(status)))
    };
    let data = |state: DataState| with(&move |slo| slo.evidence.data_state = state);
    let open = |severity, cause| with(&move |slo| slo.incidents.push(incident(severity, cause)));
    vec![
        ("healthy", status(Status::Healthy)),
        ("healthy, and messages about it are refused", with(&|slo| slo.refused_by = vec!["chat".to_owned()])),
        (
            "young: half of the present window was observed",
            with(&|slo| {
                slo.evidence.present.as_mut().unwrap().observed_window_s = 150;
            }),
        ),
        ("young: one good event ever", with(&|slo| (slo.evidence.total, slo.evidence.bad) = (1, 0))),
        ("failing, nobody is paged yet", status(Status::Failing)),
        ("a tier is pending", with(&|slo| slo.evidence.tiers[0].pending = true)),
        (
            "paging, and it fails",
            with(&|slo| {
                slo.evidence.present = Some(lookout_model::sample::present(Status::Failing));
                slo.incidents.push(incident(Severity::Page, Cause::Burn));
            }),
        ),
        ("recovering: a page is open, the failure is over", open(Severity::Page, Cause::Burn)),
        ("a ticket is open", open(Severity::Ticket, Cause::Burn)),
        (
            "an incident about missing data is open",
            with(&|slo| {
                slo.evidence.data_state = DataState::Stale;
                slo.incidents.push(incident(Severity::Ticket, Cause::DataMissing));
            }),
        ),
        ("a crash loop", open(Severity::Page, Cause::CrashLoop)),
        ("the probes of a target fail in a row", open(Severity::Page, Cause::TargetDown)),
        ("traffic is missing", open(Severity::Ticket, Cause::TrafficMissing)),
        ("the budget is spent", with(&|slo| slo.evidence.budget_left_ratio = -0.1)),
        ("idle", data(DataState::Idle)),
        ("too few events now", data(DataState::Insufficient)),
        ("stale", data(DataState::Stale)),
        ("partial: a component is silent", data(DataState::Partial)),
        ("no data", data(DataState::NoData)),
        (
            "counts that cannot be true are in the ledger",
            with(&|slo| slo.implausible = Some(stored_counts())),
        ),
        ("the present is not known", with(&|slo| slo.evidence.present = None)),
    ]
}

#[test]
fn the_truth_table_of_the_document_is_what_the_gate_answers() {
    let mut table = "# The gate's truth table\n\nGenerated from the gate's policy by a test (`UPDATE_EXPECT=1` writes it anew). \
        A cell is the decision and the exit code of `lookout gate check`.\n\n| state |".to_owned();
    for class in DeployClass::ALL {
        table += &format!(" {class} |");
    }
    table += "\n|---|---|---|---|---|---|\n";
    for (name, slo) in states() {
        table += &format!("| {name} |");
        for class in DeployClass::ALL {
            let answer = answer(class, vec![slo.clone()]);
            table += &format!(" {} ({}) |", answer.decision, answer.exit_code());
            if !name.starts_with("healthy") && !class.always_passes() && class != DeployClass::Fix {
                assert_ne!(answer.exit_code(), 0, "{class} while {name}");
            }
            if class.always_passes() && !name.starts_with("healthy") {
                assert_eq!(answer.reasons[0].code, Code::PassedOver, "{class} passes over {name} in silence");
            }
        }
        table.push('\n');
    }
    expect_test::expect_file!["../../../docs/gate-truth-table.md"].assert_eq(&table);
}

/// The page lists the codes that the gate gives, and no others.
#[test]
fn the_page_about_troubles_explains_every_code() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/troubleshooting.md"))
        .unwrap();
    let (_, section) = page.split_once("## The gate says no").unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with("| code")).skip(2);
    let first_cells = rows.take_while(|line| line.starts_with('|')).filter_map(|line| line.split('|').nth(1));
    let mut explained: Vec<&str> = first_cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    explained.sort_unstable();
    let source = include_str!("answer.rs");
    let (_, names) = source.split_once("impl fmt::Display for Code").unwrap();
    let (names, _) = names.split_once("\n}\n").unwrap();
    let mut given: Vec<&str> = names.split('"').skip(1).step_by(2).collect();
    given.sort_unstable();
    assert_eq!(explained, given);
}

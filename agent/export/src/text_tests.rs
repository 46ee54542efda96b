//! The text of `/metrics`, checked by Prometheus' own tool.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use lookout_engine::{DataState, Severity, Status, Window};
use lookout_model::Timestamp;

use super::*;
use lookout_model::sample::component;
use lookout_model::{Corrected, Evidence, ImplausibleCounts, IncidentRecord, TierEvidence};
use lookout_runtime::events::names;

fn slo(name: &str, total: u64) -> SloStatus {
    let burn = (total > 0).then_some(28.8);
    SloStatus {
        at: Timestamp::EPOCH,
        id: format!("titanic-{name}"),
        service: "titanic".to_owned(),
        slo: name.to_owned(),
        title: "Requests".to_owned(),
        description: String::new(),
        source: "scrape".to_owned(),
        alert: "TitanicRequests".to_owned(),
        evidence: Evidence {
            components: Vec::new(),
            objective_percent: 99.9,
            period_s: 30 * 86_400,
            calendar: None,
            versions: Vec::new(),
            data_state: if total > 0 { DataState::Ok } else { DataState::NoData },
            budget_left_ratio: if total > 0 { -0.5 } else { 1.0 },
            seconds_to_exhaustion: burn.map(|_| 0.0),
            bad: total / 10,
            total,
            tiers: vec![TierEvidence {
                severity: Severity::Page,
                long_s: 3600,
                short_s: 300,
                factor: 14.4,
                long_burn: burn,
                short_burn: burn,
                long_coverage: 1.0,
                short_coverage: 1.0,
                long_bad: total / 10,
                long_total: total,
                firing: total > 0,
                pending: false,
                held_by_guard: false,
                held: None,
                release_factor: None,
            }],
            present: Some(lookout_model::sample::present(Status::Healthy)),
            corrected: Corrected::default(),
            conditions: Vec::new(),
        },
        sli_ratio: (total > 0).then_some(0.75),
        data_age_s: None,
        incidents: Vec::new(),
        resolved: Vec::new(),
        implausible: None,
        refused_by: Vec::new(),
        paused: None,
        gate: lookout_config::GateMinimum::default(),
    }
}

fn shown(slos: Vec<SloStatus>) -> String {
    let recorder = crate::detached_recorder();
    metrics::with_local_recorder(&recorder, || {
        metrics::counter!(names::PROBES, "target" => "a\"b", "outcome" => "ok").increment(2);
        metrics::histogram!(names::PROBE_SECONDS, "target" => "home").record(0.003);
        metrics::gauge!(names::DELIVERIES_WAITING, "destination" => "nan").set(f64::NAN);
        metrics::gauge!(names::TASK_LAST_SUCCESS, "task" => "evaluate").set(1_767_225_600.0);
    });
    let snapshot = Snapshot { at: Timestamp::EPOCH, interval_s: 10, ledger_is_down: false, slos };
    let mut out = String::new();
    render(&mut out, &recorder, &snapshot, &Host::new(), "http://127.0.0.1:9797", Format::Text);
    out
}

fn burning() -> SloStatus {
    let mut burning = slo("requests", 1000);
    burning.incidents.push(IncidentRecord {
        id: "inc-1".to_owned(),
        slo_id: burning.id.clone(),
        service: burning.service.clone(),
        slo: burning.slo.clone(),
        cause: Cause::Burn,
        severity: Severity::Page,
        peak: Severity::Page,
        detected_at: Timestamp::EPOCH,
        started_at: None,
        recovered_at: None,
        reopens_until: None,
        resolved_at: None,
    });
    burning
}

#[test]
fn an_incident_has_four_instants_and_a_window_its_observed_time() {
    let mut slo = burning();
    let at = |seconds| Some(Timestamp::from_seconds(seconds));
    slo.incidents[0].started_at = at(100);
    slo.incidents[0].detected_at = Timestamp::from_seconds(160);
    let over = IncidentRecord {
        cause: Cause::DataMissing,
        recovered_at: at(300),
        resolved_at: at(310),
        ..slo.incidents[0].clone()
    };
    slo.resolved.push(over);
    slo.evidence.tiers[0].long_coverage = 0.25;
    slo.implausible = Some(ImplausibleCounts {
        stream: slo.id.clone(),
        source: "scrape api".to_owned(),
        at: Timestamp::from_seconds(50),
        until: Timestamp::from_seconds(60),
        value: "1e308".to_owned(),
        reason: "absurd_growth".to_owned(),
        stored: false,
    });
    let long_s = slo.evidence.tiers[0].long_s;
    let window = Window::seconds(long_s);
    let text = shown(vec![slo]);
    let labels = "service=\"titanic\",slo=\"requests\"";
    for line in [
        format!("lookout_incident_started_timestamp_seconds{{{labels},cause=\"burn\"}} 100\n"),
        format!("lookout_incident_detected_timestamp_seconds{{{labels},cause=\"burn\"}} 160\n"),
        format!("lookout_incident_recovered_timestamp_seconds{{{labels},cause=\"data_missing\"}} 300\n"),
        format!("lookout_incident_resolved_timestamp_seconds{{{labels},cause=\"data_missing\"}} 310\n"),
        format!("lookout_slo_window_observed_seconds{{{labels},window=\"{window}\"}} {}\n", long_s / 4),
        format!("lookout_slo_window_seconds{{{labels},window=\"{window}\"}} {long_s}\n"),
        format!("lookout_slo_implausible_timestamp_seconds{{{labels},stored=\"false\"}} 50\n"),
    ] {
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
    for absent in ["recovered", "resolved"] {
        let line = format!("lookout_incident_{absent}_timestamp_seconds{{{labels},cause=\"burn\"}}");
        assert!(!text.contains(&line), "{line}");
    }
}

#[test]
fn components_are_told_apart() {
    let mut journey = burning();
    journey.evidence.components =
        vec![component("search", DataState::Ok, Some(1.0)), component("booking", DataState::Stale, None)];
    let text = shown(vec![journey]);
    let search = "service=\"titanic\",slo=\"requests\",component=\"search\"";
    let booking = search.replace("search", "booking");
    for line in [
        format!("lookout_slo_component_observed{{{search}}} 1\n"),
        format!("lookout_slo_component_observed{{{booking}}} 0\n"),
        format!("lookout_slo_component_period_events{{{search},result=\"bad\"}} 12\n"),
        format!("lookout_slo_component_burn_share{{{search}}} 1\n"),
    ] {
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
    assert!(
        !text.contains(&format!("lookout_slo_component_burn_share{{{booking}}}")),
        "nothing burnt: {text}"
    );
}

#[test]
fn sloths_names_carry_sloths_labels() {
    let text = shown(vec![burning()]);
    let labels = "sloth_id=\"titanic-requests\",sloth_service=\"titanic\",sloth_slo=\"requests\"";
    for line in [
        format!("slo:sli_error:ratio_rate5m{{{labels},sloth_window=\"5m\"}} 0.0288"),
        format!("slo:time_period:days{{{labels}}} 30\n"),
        format!("slo:current_burn_rate:ratio{{{labels}}} 28.8\n"),
        format!("slo:period_burn_rate:ratio{{{labels}}} 1.5\n"),
        format!("slo:period_error_budget_remaining:ratio{{{labels}}} -0.5\n"),
        format!("slo:sli_error:ratio_rate30d{{{labels},sloth_window=\"30d\"}} 0.25\n"),
        format!("sloth_slo_info{{{labels},"),
        "lookout_incident_open{service=\"titanic\",slo=\"requests\",severity=\"page\",cause=\"burn\"} 1\n"
            .to_owned(),
        "lookout_incident_open{service=\"titanic\",slo=\"requests\",severity=\"ticket\",cause=\"burn\"} 0\n"
            .to_owned(),
        "lookout_slo_period_events{service=\"titanic\",slo=\"requests\",result=\"good\"} 900\n".to_owned(),
        "lookout_slo_time_to_exhaustion_seconds{service=\"titanic\",slo=\"requests\"} 0\n".to_owned(),
    ] {
        assert!(text.contains(&line), "{line} is missing in\n{text}");
    }
}

#[test]
fn without_events_there_is_a_state_but_no_figure() {
    let text = shown(vec![slo("requests", 0)]);
    assert!(text.contains("state=\"no_data\"} 1\n"));
    assert!(text.contains("slo:objective:ratio{"));
    for absent in ["sli_error", "burn_rate", "remaining", "exhaustion", "NaN", "+Inf "] {
        assert!(!text.contains(absent), "{absent} in\n{text}");
    }
}

#[test]
fn one_head_per_family_and_no_blank_line() {
    let text = shown(vec![burning(), slo("probes", 50), slo("hostile\"\\\n", 0)]);
    let heads: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    assert_eq!(heads.iter().collect::<BTreeSet<_>>().len(), heads.len(), "{heads:?}");
    assert!(text.lines().all(|line| !line.is_empty()));
    assert!(text.ends_with('\n'));
    assert!(text.contains("lookout_probe_duration_seconds_bucket{target=\"home\",le=\"0.005\"} 1"));
}

#[test]
fn promtool_accepts_the_text() {
    let text = shown(vec![burning(), slo("probes", 50), slo("hostile\"\\\n", 0)]);
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is needed: install the Debian package `prometheus`");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let said = promtool.wait_with_output().unwrap();
    let lines = [said.stdout, said.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    // Sloth's names are those of recording rules, hence their colons. Nothing else may be remarked on.
    let remarks: Vec<&str> =
        lines.lines().filter(|line| !(line.starts_with("slo:") && line.contains("contain ':'"))).collect();
    assert!(remarks.is_empty(), "{remarks:#?}\n{text}");
}

#[test]
fn a_young_window_shows_the_ratio_of_what_was_observed() {
    let mut young = slo("requests", 1000);
    for tier in &mut young.evidence.tiers {
        (tier.long_coverage, tier.short_coverage) = (0.5, 0.0);
    }
    let text = shown(vec![young]);
    let value = |name: &str| text.lines().find(|line| line.starts_with(name)).map(str::to_owned);
    let hour = value("slo:sli_error:ratio_rate1h{").unwrap();
    assert!(hour.ends_with(" 0.057600000000000005") || hour.ends_with(" 0.0576"), "{hour}");
    assert_eq!(value("slo:sli_error:ratio_rate5m{"), None, "nothing was observed in it");
    assert_eq!(value("slo:current_burn_rate:ratio{"), None);
}

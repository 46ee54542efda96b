//! Notable things that happen: each is logged and counted in one place, under one name.

/// Names of the agent's own metrics. Nothing else in the agent spells a metric name.
pub mod names {
    /// Probe outcomes by `target` and `outcome` (`ok`, `fail`, `missed`).
    pub const PROBES: &str = "lookout_probe_total";
    /// Rounds of the probes of a target with `discover` and `down`, by `target` and `outcome` (`ok`, `fail`).
    pub const PROBE_ROUNDS: &str = "lookout_probe_round_total";
    /// Probe failures by `target` and `reason`.
    pub const PROBE_FAILURES: &str = "lookout_probe_failures_total";
    /// Slots without a probe by `target` and `reason`.
    pub const PROBE_MISSED: &str = "lookout_probe_missed_total";
    /// Probe durations by `target` and `outcome`.
    pub const PROBE_SECONDS: &str = "lookout_probe_duration_seconds";
    /// Duration of the last probe by `target` and `phase`.
    pub const PROBE_PHASE_SECONDS: &str = "lookout_probe_phase_seconds";
    /// Steps of journeys by `target`, `step` and `outcome`.
    pub const PROBE_STEPS: &str = "lookout_probe_step_total";
    /// Unix time at which certificates of a target end, by `target` and `chain` (`leaf`, `sent`, `verified`).
    pub const PROBE_CERTIFICATE_END: &str = "lookout_probe_certificate_not_after_timestamp_seconds";
    /// Probes by whether the certificate is valid for the `days` that an SLO asks for, by `target`, `days` and `outcome`.
    pub const PROBE_CERTIFICATES: &str = "lookout_probe_certificate_total";
    /// Labels of a target with `target` and `protocol`; 1, or 0 for the labels of before a reload.
    pub const PROBE_TARGET_INFO: &str = "lookout_probe_target_info";
    /// Pause of a target, by `target`: 1 while it is paused.
    pub const PROBE_PAUSED: &str = "lookout_probe_paused";
    /// Results by address of the targets that try several, by `target`, `family` (`4`, `6`) and `outcome`.
    pub const PROBE_ADDRESSES: &str = "lookout_probe_address_total";
    /// Handshakes of TLS of the targets that resume sessions, by `target` and `kind` (`full`, `resumed`).
    pub const PROBE_HANDSHAKES: &str = "lookout_probe_tls_handshakes_total";
    /// Time that the token endpoint took in the last probe, by `target`.
    pub const PROBE_TOKEN_SECONDS: &str = "lookout_probe_token_seconds";
    /// Lookups of addresses by `target` and `outcome` (`ok`, `fail`).
    pub const DISCOVERIES: &str = "lookout_discovery_total";
    /// Lookups of addresses that failed, by `target` and `reason`.
    pub const DISCOVERY_FAILURES: &str = "lookout_discovery_failures_total";
    /// Addresses that are in use, by `target`.
    pub const DISCOVERED: &str = "lookout_discovery_addresses";
    /// Time of the last lookup that found addresses, by `target`.
    pub const DISCOVERED_AT: &str = "lookout_discovery_last_success_timestamp_seconds";
    /// Success of the last lookup of addresses, by `target`: 0 while the previous addresses are used.
    pub const DISCOVERY_SUCCEEDED: &str = "lookout_discovery_last_lookup_successful";
    /// Scrapes by `source` and `outcome`.
    pub const SCRAPES: &str = "lookout_scrape_total";
    /// Counter resets seen by `source`.
    pub const SCRAPE_RESETS: &str = "lookout_scrape_counter_resets_total";
    /// Processes of a neighbour that were new at a scrape, by `source`.
    pub const SCRAPE_RESTARTS: &str = "lookout_scrape_restarts_total";
    /// Scrapes of an SLO that were not counted because they are not plausible, by `source` and `reason`.
    pub const SCRAPE_QUARANTINED: &str = "lookout_scrape_quarantined_total";
    /// Slots in which a part of the events of an SLO grew more than their total, by `source`.
    pub const SCRAPE_SKEWS: &str = "lookout_scrape_skewed_slots_total";
    /// Slots in which a histogram lacked the bound an SLO cuts it at, by `source`.
    pub const SCRAPE_UNBOUNDED: &str = "lookout_scrape_missing_bound_slots_total";
    /// Queries to a Prometheus by `source`, `outcome` (`ok`, `fail`) and, when they failed, `reason`.
    pub const PROMQL: &str = "lookout_promql_total";
    /// Observations that were read back from a Prometheus after a start or a gap, by `source`.
    pub const PROMQL_HISTORY: &str = "lookout_promql_history_total";
    /// Transitions by `service`, `slo` and `change`.
    pub const TRANSITIONS: &str = "lookout_incident_transitions_total";
    /// Delivery attempts by `destination` and `outcome` (`delivered`, `retry`, `failed`); `expired` counts each
    /// dead letter that is not tried again, `partial` each of
    /// several Alertmanagers that did not take a message which another one took, `quarantined` each alert that one of
    /// them refuses for good.
    pub const DELIVERIES: &str = "lookout_delivery_total";
    /// Deliveries that wait, by `destination`.
    pub const DELIVERIES_WAITING: &str = "lookout_delivery_waiting";
    /// Deliveries that a receiver refused for good and that can be tried again, by `destination`.
    pub const DEAD_LETTERS: &str = "lookout_delivery_dead_letters";
    /// Seconds by which the clock of an Alertmanager is ahead of ours, by `instance`.
    pub const ALERTMANAGER_CLOCK_SKEW: &str = "lookout_alertmanager_clock_skew_seconds";
    /// Gate decisions by `service` and `decision`.
    pub const DECISIONS: &str = "lookout_gate_decisions_total";
    /// Evaluation ticks that could not be stored and will be tried again.
    pub const LEDGER_FAILURES: &str = "lookout_ledger_failures_total";
    /// Rows of counts that were dropped, because too many waited for the ledger.
    pub const LEDGER_LOST_ROWS: &str = "lookout_ledger_lost_rows_total";
    /// Time at which a tick was last recorded in the ledger and read back by another connection.
    pub const LEDGER_RECORDED: &str = "lookout_ledger_last_recorded_timestamp_seconds";
    /// Seconds an evaluation of all SLOs took.
    pub const EVALUATION_SECONDS: &str = "lookout_evaluation_duration_seconds";
    /// Success of the last reload: 0 after one that was refused.
    pub const CONFIG_RELOADED: &str = "lookout_config_last_reload_successful";
    /// Time at which the configuration in use was taken.
    pub const CONFIG_RELOADED_AT: &str = "lookout_config_last_reload_success_timestamp_seconds";
    /// Wall clock jumps of more than a slot.
    pub const CLOCK_JUMPS: &str = "lookout_clock_jumps_total";
    /// The version and the address of this lookout.
    pub const BUILD_INFO: &str = "lookout_build_info";
    /// The state of an SLO's data, by `service`, `slo` and `state`: 1 for the one that holds.
    pub const SLO_DATA_STATE: &str = "lookout_slo_data_state";
    /// The status of an SLO, by `service`, `slo` and `status`: 1 for the one that holds.
    pub const SLO_STATUS: &str = "lookout_slo_status";
    /// Share of the error budget that is left, by `service` and `slo`.
    pub const SLO_BUDGET_LEFT: &str = "lookout_slo_budget_remaining_ratio";
    /// Time until the budget is gone at the present burn rate, by `service` and `slo`.
    pub const SLO_EXHAUSTION: &str = "lookout_slo_time_to_exhaustion_seconds";
    /// Begin of the last slot whose counts cannot be true, by `service`, `slo` and `stored`.
    pub const SLO_IMPLAUSIBLE: &str = "lookout_slo_implausible_timestamp_seconds";
    /// Seconds of the period that corrections exclude, by `service` and `slo`.
    pub const SLO_CORRECTED: &str = "lookout_slo_corrected_seconds";
    /// Events of the period, by `service`, `slo` and `result` (`good`, `bad`).
    pub const SLO_EVENTS: &str = "lookout_slo_period_events";
    /// Observed seconds of a window of a tier, by `service`, `slo` and `window`.
    pub const SLO_WINDOW_OBSERVED: &str = "lookout_slo_window_observed_seconds";
    /// Length of a window of a tier, by `service`, `slo` and `window`.
    pub const SLO_WINDOW: &str = "lookout_slo_window_seconds";
    /// A component of a composite that is observed, by `service`, `slo` and `component`.
    pub const COMPONENT_OBSERVED: &str = "lookout_slo_component_observed";
    /// Events of a component in the period, by `service`, `slo`, `component` and `result`.
    pub const COMPONENT_EVENTS: &str = "lookout_slo_component_period_events";
    /// Share of the composite's recent burn, by `service`, `slo` and `component`.
    pub const COMPONENT_BURN: &str = "lookout_slo_component_burn_share";
    /// Open incidents, by `service`, `slo`, `severity` and `cause`: 1 while one is open.
    pub const INCIDENT_OPEN: &str = "lookout_incident_open";
    /// Begin of the first bad slot of the latest incident, by `service`, `slo` and `cause`.
    pub const INCIDENT_STARTED: &str = "lookout_incident_started_timestamp_seconds";
    /// End of the slot in which its first alert fired.
    pub const INCIDENT_DETECTED: &str = "lookout_incident_detected_timestamp_seconds";
    /// End of its last bad slot.
    pub const INCIDENT_RECOVERED: &str = "lookout_incident_recovered_timestamp_seconds";
    /// End of the slot in which its last alert resolved.
    pub const INCIDENT_RESOLVED: &str = "lookout_incident_resolved_timestamp_seconds";
    /// Panics of supervised tasks by `task`.
    pub const TASK_PANICS: &str = "lookout_task_panics_total";
    /// Time at which a task last did its work, by `task`.
    pub const TASK_LAST_SUCCESS: &str = "lookout_task_last_success_timestamp_seconds";
    /// Spans handed to the trace exporter by `outcome` (`exported`, `failed`).
    pub const OTLP_SPANS: &str = "lookout_otlp_spans_total";
    /// Log lines handed to the log exporter by `outcome` (`exported`, `failed`).
    pub const OTLP_LOG_LINES: &str = "lookout_otlp_log_lines_total";
    /// Exports of metrics over OTLP by `outcome` (`exported`, `failed`).
    pub const OTLP_METRICS: &str = "lookout_otlp_metric_exports_total";
}

/// Returns an error with all its causes in one line. A cause that its error already names is left out. Causes are logged
/// once, where an error is handled.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |error| error.source()).fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.contains(&cause) { text } else { format!("{text}: {cause}") }
    })
}

//! The `probe_*` family of blackbox_exporter: its names, its labels, its presence.
//!
//! A dashboard or a rule that was written for blackbox_exporter reads these series unchanged. `docs/blackbox.md` lists
//! every value that differs from it, and why.

mod dns;
mod grpc;
mod http;
mod tls;

use std::net::IpAddr;
use std::time::Duration;

use lookout_collect::probe::{Outcome, Reason, Verdict, instance_of};
use lookout_config::{Check, Target};

use lookout_runtime::exposition::Format;

use crate::family::Families;

/// A probe and its target.
#[derive(Debug, Clone, Copy)]
pub struct Probed<'a> {
    /// The target.
    pub target: &'a Target,
    /// The outcome of its probe.
    pub outcome: &'a Outcome,
}

/// Returns the answer to `/probe`: the families of one probe, without labels that name its target.
#[must_use]
pub fn render_probe(probed: Probed<'_>) -> String {
    let mut families = Families::default();
    Writer { families: &mut families, labels: Vec::new() }.write(probed);
    let timeout = probed.target.timeout.as_secs_f64();
    families.gauge("probe_timeout_seconds", "Deadline of the probe.", &[], timeout);
    let mut out = String::new();
    families.write(&mut out, Format::Text);
    out
}

/// Returns the families of the last probes, each with the labels `instance` and `target`.
#[must_use]
pub fn render_probes<'a>(probes: impl IntoIterator<Item = Probed<'a>>) -> String {
    let mut families = Families::default();
    for probed in probes {
        let instance = instance_of(&probed.target.check).unwrap_or_else(|| probed.target.name.clone());
        let labels = vec![("instance", instance.as_str()), ("target", probed.target.name.as_str())];
        Writer { families: &mut families, labels }.write(probed);
    }
    let mut out = String::new();
    families.write(&mut out, Format::Text);
    out
}

/// Writer of the series of one probe.
struct Writer<'f, 'l> {
    families: &'f mut Families,
    /// Labels of every series.
    labels: Vec<(&'l str, &'l str)>,
}

impl Writer<'_, '_> {
    fn write(&mut self, probed: Probed<'_>) {
        let outcome = probed.outcome;
        self.gauge("probe_success", "1 when the probe succeeded, else 0.", flag(outcome.is_ok()));
        self.gauge("probe_duration_seconds", "Duration of the probe.", outcome.total.as_secs_f64());
        match &probed.target.check {
            Check::Http(_) => self.http(outcome),
            Check::Tcp(_) => {
                self.address(outcome);
                self.failed_due_to_regex("probe_failed_due_to_regex", outcome);
                self.tls(outcome, tls::AppProtocol::Tcp);
            }
            Check::Dns(_) => self.dns(outcome),
            Check::Icmp(_) => self.icmp(outcome),
            Check::Grpc(grpc) => self.grpc(outcome, grpc.tls.is_some()),
            Check::WebSocket(_) => self.websocket(outcome),
            Check::Heartbeat(_) | Check::Journey(_) => {}
        }
    }

    fn icmp(&mut self, outcome: &Outcome) {
        self.address(outcome);
        let phases = outcome.phases;
        for (phase, spent) in
            [("resolve", phases.resolve), ("setup", phases.connect), ("rtt", phases.processing)]
        {
            self.phase("probe_icmp_duration_seconds", phase, spent);
        }
    }

    fn websocket(&mut self, outcome: &Outcome) {
        self.address(outcome);
        let status = outcome.status.unwrap_or_default();
        self.gauge("probe_websocket_status_code", "Status that answered the upgrade.", status.into());
        let help = "1 when the connection was upgraded, else 0.";
        self.gauge("probe_websocket_connection_upgraded", help, flag(status == 101));
        self.failed_due_to_regex("probe_websocket_failed_due_to_regex", outcome);
        let phases = outcome.phases;
        for (phase, spent) in [
            ("resolve", phases.resolve),
            ("connect", phases.connect),
            ("processing", phases.processing),
            ("transfer", phases.transfer),
        ] {
            self.phase("probe_websocket_duration_seconds", phase, spent);
        }
        self.tls(outcome, tls::AppProtocol::Tcp);
    }

    /// The address that the name of the peer gave. Without one the numbers are zero.
    fn address(&mut self, outcome: &Outcome) {
        let resolved = outcome.received.resolved;
        let lookup = outcome.phases.resolve.unwrap_or_default().as_secs_f64();
        self.gauge("probe_dns_lookup_time_seconds", "Time until the name was resolved.", lookup);
        let protocol = match resolved {
            Some(IpAddr::V4(_)) => 4.0,
            Some(IpAddr::V6(_)) => 6.0,
            None => 0.0,
        };
        self.gauge("probe_ip_protocol", "Version of IP: 4 or 6.", protocol);
        let hash = resolved.map(hash_of).unwrap_or_default();
        self.gauge("probe_ip_addr_hash", "Hash of the address; it changes with it.", hash.into());
    }

    fn failed_due_to_regex(&mut self, name: &str, outcome: &Outcome) {
        let failed = matches!(
            outcome.verdict,
            Verdict::Fail { reason: Reason::Body | Reason::Header | Reason::Expect, .. }
        );
        self.gauge(name, "1 when the content was the reason of the failure, else 0.", flag(failed));
    }

    /// A phase that did not happen is zero, as blackbox_exporter has it.
    fn phase(&mut self, name: &str, phase: &str, spent: Option<Duration>) {
        let spent = spent.unwrap_or_default().as_secs_f64();
        self.labelled(name, "Duration of the probe by phase.", &[("phase", phase)], spent);
    }

    fn gauge(&mut self, name: &str, help: &'static str, value: f64) {
        self.labelled(name, help, &[], value);
    }

    fn labelled(&mut self, name: &str, help: &'static str, labels: &[(&str, &str)], value: f64) {
        let mut all: Vec<(&str, &str)> = self.labels.clone();
        all.extend_from_slice(labels);
        self.families.gauge(name, help, all.as_slice(), value);
    }
}

fn flag(on: bool) -> f64 {
    f64::from(u8::from(on))
}

/// FNV-1a of the bytes of an address, with 32 bits.
fn hash_of(address: IpAddr) -> u32 {
    let fold = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().iter().fold(0x811c_9dc5, fold),
        IpAddr::V6(address) => address.octets().iter().fold(0x811c_9dc5, fold),
    }
}

#[cfg(test)]
mod tests;

//! Series of probes of DNS.

use lookout_collect::probe::Outcome;

use super::{Writer, flag};

impl Writer<'_, '_> {
    pub(super) fn dns(&mut self, outcome: &Outcome) {
        self.address(outcome);
        let phases = outcome.phases;
        let connect = phases.connect.unwrap_or_default() + phases.tls.unwrap_or_default();
        for (phase, spent) in
            [("resolve", phases.resolve), ("connect", Some(connect)), ("request", phases.processing)]
        {
            self.phase("probe_dns_duration_seconds", phase, spent);
        }
        let answer = outcome.received.dns;
        let [answers, authorities, additionals] = answer.unwrap_or_default().counts;
        let help = "Records of the answer section.";
        self.gauge("probe_dns_answer_rrs", help, answers as f64);
        let help = "Records of the authority section.";
        self.gauge("probe_dns_authority_rrs", help, authorities as f64);
        let help = "Records of the additional section.";
        self.gauge("probe_dns_additional_rrs", help, additionals as f64);
        let help = "1 when the query was answered, else 0.";
        self.gauge("probe_dns_query_succeeded", help, flag(answer.is_some()));
        if let Some(serial) = answer.and_then(|answer| answer.serial) {
            self.gauge("probe_dns_serial", "Serial number of the zone.", serial.into());
        }
    }
}

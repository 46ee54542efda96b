//! Series of probes of HTTP.

use lookout_collect::probe::Outcome;

use super::{Writer, flag, tls};

impl Writer<'_, '_> {
    pub(super) fn http(&mut self, outcome: &Outcome) {
        let received = &outcome.received;
        self.address(outcome);
        let phases = outcome.phases;
        let name = "probe_http_duration_seconds";
        self.phase(name, "resolve", phases.resolve);
        if received.resolved.is_some() {
            for (phase, spent) in [
                ("connect", phases.connect),
                ("tls", phases.tls),
                ("processing", phases.processing),
                ("transfer", phases.transfer),
            ] {
                self.phase(name, phase, spent);
            }
        }
        let help = "Length that the answer announces; -1 when it announces none.";
        self.gauge("probe_http_content_length", help, content_length(outcome));
        let help = "Bytes of the body that were read.";
        self.gauge("probe_http_uncompressed_body_length", help, received.body_bytes as f64);
        self.gauge("probe_http_redirects", "Redirects that were answered.", received.redirects.into());
        let secured = outcome.status.is_some() && received.tls_version.is_some();
        self.gauge("probe_http_ssl", "1 when the last answer came over TLS, else 0.", flag(secured));
        let status = outcome.status.unwrap_or_default();
        self.gauge("probe_http_status_code", "Status of the answer; 0 without one.", status.into());
        let version = match received.protocol.filter(|_| outcome.status.is_some()) {
            Some("HTTP/2") => 2.0,
            Some("HTTP/1.0") => 1.0,
            Some(_) => 1.1,
            None => 0.0,
        };
        self.gauge("probe_http_version", "Version of HTTP of the answer; 0 without one.", version);
        self.failed_due_to_regex("probe_failed_due_to_regex", outcome);
        if let Some(seconds) = received.last_modified_s {
            let help = "Unix time of the last change that the answer names.";
            self.gauge("probe_http_last_modified_timestamp_seconds", help, seconds as f64);
        }
        if secured {
            self.tls(outcome, tls::AppProtocol::Http);
        }
    }
}

fn content_length(outcome: &Outcome) -> f64 {
    match (outcome.status, outcome.received.content_length) {
        (None, _) => 0.0,
        (Some(_), Some(length)) => length as f64,
        // these answers have no body
        (Some(204 | 304), None) => 0.0,
        (Some(_), None) => -1.0,
    }
}

//! Series of probes of gRPC health.

use lookout_collect::probe::{Outcome, Reason, Verdict};

use super::{Writer, flag, tls};

/// Serving statuses of the health service.
const STATUSES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/// Codes of a call that got no answer.
const DEADLINE_EXCEEDED: u16 = 4;
const UNAVAILABLE: u16 = 14;

impl Writer<'_, '_> {
    pub(super) fn grpc(&mut self, outcome: &Outcome, secure: bool) {
        let received = &outcome.received;
        self.address(outcome);
        let phases = outcome.phases;
        let resolve = phases.resolve.unwrap_or_default();
        let name = "probe_grpc_duration_seconds";
        self.phase(name, "resolve", Some(resolve));
        if received.resolved.is_some() {
            self.phase(name, "check", Some(outcome.total.saturating_sub(resolve)));
        }
        let help = "1 when the call went over TLS, else 0.";
        self.gauge("probe_grpc_ssl", help, flag(secure && received.tls_version.is_some()));
        let code = received.grpc_code.unwrap_or_else(|| code_of(&outcome.verdict));
        self.gauge("probe_grpc_status_code", "Status code of the call.", code.into());
        for status in STATUSES {
            let is = received.grpc_status.as_deref() == Some(status) && code == 0;
            let labels = [("serving_status", status)];
            let help = "1 for the serving status that was told, else 0.";
            self.labelled("probe_grpc_healthcheck_response", help, &labels, flag(is));
        }
        self.tls(outcome, tls::AppProtocol::Grpc);
    }
}

/// The code that a client of gRPC tells for a call without an answer. A name that did not resolve was never called.
const fn code_of(verdict: &Verdict) -> u16 {
    match verdict {
        Verdict::Ok | Verdict::Fail { reason: Reason::Dns, .. } => 0,
        Verdict::Fail {
            reason: Reason::ConnectTimeout | Reason::FirstByteTimeout | Reason::ReadTimeout,
            ..
        } => DEADLINE_EXCEEDED,
        Verdict::Fail { .. } => UNAVAILABLE,
    }
}

//! Series of probes of gRPC health.

use lookout_collect::probe::Outcome;

use super::{Writer, flag, tls};

/// Serving statuses of the health service.
const STATUSES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

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
        let code = received.grpc_code.unwrap_or_default();
        self.gauge("probe_grpc_status_code", "Status code of the call.", code.into());
        for status in STATUSES {
            let is = received.grpc_status.as_deref() == Some(status) && code == 0;
            let labels = [("serving_status", status)];
            let help = "1 for the serving status that was told, else 0.";
            self.labelled("probe_grpc_healthcheck_response", help, &labels, flag(is));
        }
        self.tls(outcome, tls::Of::Grpc);
    }
}

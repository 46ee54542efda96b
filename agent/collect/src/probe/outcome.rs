//! Outcome of a probe.

use std::net::SocketAddr;
use std::time::Duration;

use lookout_config::Phase;

use super::certificate::Certificate;
use super::received::Received;

macro_rules! reasons {
    ($(#[$about:meta])* $list:ident { $($(#[$doc:meta])* $name:ident => $label:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $list {
            $($(#[$doc])* $name,)*
        }

        impl $list {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The value of the label `reason`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $label,)*
                }
            }
        }
    };
}

reasons! {
    /// The reason of a failed probe: a closed list over all protocols.
    Reason {
    /// The name did not resolve.
    Dns => "dns",
    /// The address is none that the agent may reach on a request.
    Forbidden => "forbidden",
    /// The token endpoint gave no token, so that the target was not asked.
    OAuth2 => "oauth2",
    /// The proxy could not be reached, or refused the way to the target.
    Proxy => "proxy",
    /// The peer refuses connections.
    ConnectRefused => "connect_refused",
    /// No connection before the deadline.
    ConnectTimeout => "connect_timeout",
    /// Any other error while connecting.
    Connect => "connect",
    /// The peer refused to turn to TLS.
    StartTls => "starttls",
    /// The certificate has expired, or is not valid yet.
    CertificateExpired => "certificate_expired",
    /// No trusted authority signed the certificate.
    CertificateUntrusted => "certificate_untrusted",
    /// The certificate is for another name.
    CertificateName => "certificate_name",
    /// Any other fault of the certificate.
    CertificateInvalid => "certificate_invalid",
    /// Any other error in the handshake.
    Tls => "tls",
    /// The request could not be written.
    Write => "write",
    /// No answer before the deadline.
    FirstByteTimeout => "ttfb_timeout",
    /// The answer broke off or was not of the protocol.
    Read => "read",
    /// The answer did not end before the deadline.
    ReadTimeout => "read_timeout",
    /// The body was larger than allowed.
    BodyLimit => "body_limit",
    /// A redirect that is not followed.
    Redirect => "redirect",
    /// The peer refused the upgrade to WebSocket.
    Upgrade => "upgrade",
    /// The peer did not send what was awaited.
    Expect => "expect",
    /// An asserted status did not hold.
    Status => "status",
    /// An asserted duration did not hold.
    Latency => "latency",
    /// An asserted header did not hold.
    Header => "header",
    /// An assertion about the body did not hold.
    Body => "body",
    /// The body was no JSON, or a value in it was not the asserted one.
    Json => "json",
    /// An assertion about the version of a protocol did not hold.
    Protocol => "protocol",
    /// An assertion about the certificate did not hold.
    Certificate => "certificate",
    /// An assertion about an answer of DNS did not hold.
    DnsAnswer => "dns_answer",
    /// An assertion about the health told by gRPC did not hold.
    GrpcStatus => "grpc_status",
    /// A job did not call in time.
    Heartbeat => "heartbeat",
    /// A job may still call: nothing is known about it yet.
    Awaited => "awaited",
    /// This machine lacks open files or threads: nothing is known about the target.
    Resources => "resources",
    /// This process may not probe with the protocol: nothing is known about the target.
    Permission => "permission",
    }
}

reasons! {
    /// The reason for which a slot has no probe: a closed list.
    MissedReason {
        /// The probe before still ran.
        Overlap => "overlap",
        /// The agent woke only after the slot was over: a machine that slept or was overloaded, or a clock that was set.
        Suspended => "suspended",
        /// The target was paused.
        Paused => "paused",
        /// The agent stopped, or the target was removed, during the slot.
        Stopped => "stopped",
        /// The probe panicked.
        Panicked => "panicked",
        /// This machine lacked open files or threads.
        Resources => "resources",
        /// This process may not probe with the protocol.
        Permission => "permission",
        /// A job may still call.
        Awaited => "awaited",
    }
}

impl Reason {
    /// Returns the reason for which the slot is missed, where it says nothing about the target.
    #[must_use]
    pub const fn missed(self) -> Option<MissedReason> {
        match self {
            Self::Resources => Some(MissedReason::Resources),
            Self::Permission => Some(MissedReason::Permission),
            Self::Awaited => Some(MissedReason::Awaited),
            _ => None,
        }
    }

    /// Returns whether it says nothing about the target.
    #[must_use]
    pub const fn is_local(self) -> bool {
        self.missed().is_some()
    }

    /// Returns whether the certificate itself was refused, so that no client would go on.
    #[must_use]
    pub const fn refuses_certificate(self) -> bool {
        matches!(
            self,
            Self::CertificateExpired
                | Self::CertificateUntrusted
                | Self::CertificateName
                | Self::CertificateInvalid
        )
    }
}

/// Good, or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everything expected was met.
    Ok,
    /// An expectation was not met.
    Fail {
        /// From the closed list.
        reason: Reason,
        /// For people, with the measured value: `status (503) == 2xx`. Holds text from outside: escape it.
        detail: String,
    },
}

/// Durations of the phases. They are a partition of the total; a phase that did not happen is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Phases {
    /// Name to addresses.
    pub resolve: Option<Duration>,
    /// Connection.
    pub connect: Option<Duration>,
    /// TLS handshake.
    pub tls: Option<Duration>,
    /// Request written to first byte of the answer; a dialogue, a query, an echo.
    pub processing: Option<Duration>,
    /// First byte to the end of the body.
    pub transfer: Option<Duration>,
}

impl Phases {
    /// Names and durations in the order they happen.
    #[must_use]
    pub fn named(&self) -> [(&'static str, Option<Duration>); 5] {
        Phase::ALL.map(|phase| (phase.as_str(), self.get(phase)))
    }

    /// The duration of a phase.
    #[must_use]
    pub const fn get(&self, phase: Phase) -> Option<Duration> {
        match phase {
            Phase::Resolve => self.resolve,
            Phase::Connect => self.connect,
            Phase::Tls => self.tls,
            Phase::Processing => self.processing,
            Phase::Transfer => self.transfer,
        }
    }

    pub(super) const fn get_mut(&mut self, phase: Phase) -> &mut Option<Duration> {
        match phase {
            Phase::Resolve => &mut self.resolve,
            Phase::Connect => &mut self.connect,
            Phase::Tls => &mut self.tls,
            Phase::Processing => &mut self.processing,
            Phase::Transfer => &mut self.transfer,
        }
    }
}

/// Outcome of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Good, or why not.
    pub verdict: Verdict,
    /// From the start to the end of the answer, monotonic.
    pub total: Duration,
    /// Durations of the phases.
    pub phases: Phases,
    /// The status of HTTP, once an answer came.
    pub status: Option<u16>,
    /// The answer in a word: `status 200`, `NOERROR`, `SERVING`, `TLS 1.3`.
    pub summary: Option<String>,
    /// The address that was connected to.
    pub address: Option<SocketAddr>,
    /// Facts of the answer.
    pub received: Received,
    /// The certificate of the peer, whatever its verdict.
    pub certificate: Option<Box<Certificate>>,
    /// Results of the steps of a journey, in order; a step that was not made is absent.
    pub steps: Vec<StepOutcome>,
    /// Trace id sent along in `traceparent`, 32 hex digits.
    pub trace_id: String,
}

/// Result of one step of a journey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepOutcome {
    /// The name of the step.
    pub name: String,
    /// Good, or why not.
    pub verdict: Verdict,
    /// Its duration.
    pub total: Duration,
    /// Its phases.
    pub phases: Phases,
    /// The status of its answer.
    pub status: Option<u16>,
}

impl Outcome {
    /// Returns whether the probe is a good event.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.verdict == Verdict::Ok
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_documented() {
        let page = std::fs::read_to_string("../../docs/probes.md").unwrap();
        let (_, reasons) = page.split_once("\n## Reasons\n").unwrap();
        let reasons = reasons.split("\n## ").next().unwrap();
        for reason in Reason::ALL {
            assert!(
                reasons.contains(&format!("`{}`", reason.as_str())),
                "docs/probes.md lacks {}",
                reason.as_str()
            );
            // one label for one fact, whether a probe or its slot is asked
            assert_eq!(reason.missed().map_or(reason.as_str(), MissedReason::as_str), reason.as_str());
        }
        let missed = reasons.split("\nMissed slots").nth(1).unwrap();
        for reason in MissedReason::ALL {
            assert!(missed.contains(&format!("`{}`", reason.as_str())), "{}", reason.as_str());
        }
        let named = missed.split('`').skip(1).step_by(2);
        let known = |name: &str| MissedReason::ALL.iter().any(|reason| reason.as_str() == name);
        assert_eq!(named.filter(|name| !known(name)).collect::<Vec<_>>(), Vec::<&str>::new());
    }
}

//! What became of a probe.

use std::time::Duration;

/// Why a probe failed: a closed list, each with the phase it happened in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The name did not resolve.
    Dns,
    /// Nobody listens there.
    ConnectRefused,
    /// No connection before the deadline.
    ConnectTimeout,
    /// Any other trouble while connecting.
    Connect,
    /// The certificate is not trusted.
    TlsVerify,
    /// Any other trouble in the handshake.
    Tls,
    /// The request could not be written.
    Write,
    /// No answer before the deadline.
    FirstByteTimeout,
    /// The answer broke off or was no HTTP.
    Read,
    /// The body did not end before the deadline.
    ReadTimeout,
    /// The body was larger than allowed.
    BodyLimit,
    /// Another status than expected.
    Status,
    /// Slower than expected.
    Latency,
    /// The body was no JSON, or a value was missing or another one.
    Json,
    /// This machine lacked what a probe needs (open files): nothing is known about the target.
    Resources,
}

impl Reason {
    /// The value of the label `reason`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::ConnectRefused => "connect_refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::Connect => "connect",
            Self::TlsVerify => "tls_verify",
            Self::Tls => "tls",
            Self::Write => "write",
            Self::FirstByteTimeout => "ttfb_timeout",
            Self::Read => "read",
            Self::ReadTimeout => "read_timeout",
            Self::BodyLimit => "body_limit",
            Self::Status => "status",
            Self::Latency => "latency",
            Self::Json => "json",
            Self::Resources => "resources",
        }
    }
}

/// Good, or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everything expected was met.
    Ok,
    /// Something was not.
    Fail {
        /// From the closed list.
        reason: Reason,
        /// For people, with the measured value: `status 503, expected 200-299`. Holds text from outside: escape it.
        detail: String,
    },
}

/// Where the time went. The phases are a partition of the total; a phase that did not happen is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Phases {
    /// Name to addresses.
    pub resolve: Option<Duration>,
    /// TCP.
    pub connect: Option<Duration>,
    /// TLS handshake.
    pub tls: Option<Duration>,
    /// Request written to first byte of the answer.
    pub processing: Option<Duration>,
    /// First byte to the end of the body.
    pub transfer: Option<Duration>,
}

impl Phases {
    /// Names and durations in the order they happen.
    #[must_use]
    pub fn named(&self) -> [(&'static str, Option<Duration>); 5] {
        [
            ("resolve", self.resolve),
            ("connect", self.connect),
            ("tls", self.tls),
            ("processing", self.processing),
            ("transfer", self.transfer),
        ]
    }
}

/// What became of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Good, or why not.
    pub verdict: Verdict,
    /// From the start to the verdict, monotonic.
    pub total: Duration,
    /// Where the time went.
    pub phases: Phases,
    /// The status, once an answer came.
    pub status: Option<u16>,
    /// Trace id sent along in `traceparent`, 32 hex digits.
    pub trace_id: String,
}

impl Outcome {
    /// Whether the probe is a good event.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.verdict == Verdict::Ok
    }
}

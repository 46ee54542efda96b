//! Facts of an answer that outlive the probe, small enough to be kept per target.

use std::net::IpAddr;
use std::time::Duration;

/// Facts of an answer. Without an answer they are absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Received {
    /// The first address that the name of the peer gave.
    pub resolved: Option<IpAddr>,
    /// True if the name was resolved by an answer that was kept, so that the phase `resolve` took no time.
    pub cached_name: bool,
    /// The length that the header announces.
    pub content_length: Option<u64>,
    /// Bytes of the body that were read.
    pub body_bytes: usize,
    /// Redirects that were answered, whether followed or not.
    pub redirects: u32,
    /// Version of HTTP, like `HTTP/2`.
    pub protocol: Option<&'static str>,
    /// Unix time of the header `last-modified`.
    pub last_modified_s: Option<i64>,
    /// Version of TLS, like `TLS 1.3`.
    pub tls_version: Option<&'static str>,
    /// Name of the cipher suite.
    pub cipher: Option<String>,
    /// True if the session of TLS was resumed: then no certificate was verified. Absent without TLS.
    pub resumed: Option<bool>,
    /// Host and port of the proxy on the way.
    pub proxy: Option<String>,
    /// Time that the token endpoint took, which is no part of the total.
    pub token_time: Option<Duration>,
    /// Results by address, where a probe tries several.
    pub addresses: Vec<AddressResult>,
    /// The answer of DNS.
    pub dns: Option<DnsReceived>,
    /// The status code of the call of gRPC.
    pub grpc_code: Option<u16>,
    /// The serving status of gRPC health, or the name of a code that is no success.
    pub grpc_status: Option<String>,
}

/// Result of one address of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressResult {
    /// The address.
    pub address: IpAddr,
    /// Reason and detail of the failure; absent where everything expected was met. Holds text from outside: escape it.
    pub failure: Option<String>,
    /// From the connection to the end of the answer.
    pub total: Duration,
}

/// An answer of DNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DnsReceived {
    /// Records of the answer, authority and additional section.
    pub counts: [usize; 3],
    /// The serial number of a start of authority.
    pub serial: Option<u32>,
}

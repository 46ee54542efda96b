//! The differences from blackbox_exporter, each with its reason.

use std::collections::BTreeSet;

use super::cases::Case;

/// One difference in some cases.
struct Difference {
    series: &'static [&'static str],
    cases: &'static [&'static str],
    /// The value of each side, and the cause of the difference.
    reason: &'static str,
}

/// Every case of HTTP and of the other protocols.
const EVERY: &[&str] = &[
    "plain",
    "chunked",
    "missing",
    "broken",
    "by_name",
    "redirects",
    "not_followed",
    "loop",
    "slow_header",
    "slow_body",
    "huge_body",
    "gzip_bomb",
    "reset",
    "refused",
    "black_hole",
    "no_name",
    "body_regex",
    "ipv6",
    "tls",
    "insecure",
    "self_signed",
    "expired",
    "wrong_name",
    "tcp",
    "tcp_refused",
    "tcp_expect",
    "tcp_unexpected",
    "tcp_tls",
    "dns",
    "dns_unknown",
    "dns_refused",
    "icmp",
    "grpc",
    "grpc_down",
    "grpc_unknown",
    "grpc_refused",
];

const DIFFERENCES: &[Difference] = &[
    Difference {
        series: &["probe_timeout_seconds"],
        cases: EVERY,
        reason: "Only here: the series of a newer release. It is the deadline that held.",
    },
    Difference {
        series: &["probe_tls_cipher_info"],
        cases: &["tls", "insecure"],
        reason: "Only here: the series of a newer release.",
    },
    Difference {
        series: &["probe_ssl_last_chain_info"],
        cases: &["tls", "insecure", "tcp_tls"],
        reason: "Here with the label `serialnumber` of a newer release.",
    },
    Difference {
        series: &["probe_ssl_last_chain_expiry_timestamp_seconds"],
        cases: &["insecure"],
        reason: "Absent here. There it is the year 1, because no chain was verified: an alert on the end of the chain would fire.",
    },
    Difference {
        series: &["probe_ssl_earliest_cert_expiry"],
        cases: &["grpc", "grpc_down", "grpc_unknown", "grpc_refused"],
        reason: "Absent here. There it is 0 for a call without TLS, as if a certificate had ended in 1970.",
    },
    Difference {
        series: &["probe_http_duration_seconds{phase=\"processing\"}"],
        cases: &["slow_header"],
        reason: "Here the time until the deadline. There 0: the phase that used up the deadline is not counted.",
    },
    Difference {
        series: &["probe_http_duration_seconds{phase=\"connect\"}"],
        cases: &["black_hole"],
        reason: "Here the time until the deadline. There 0: the phase that used up the deadline is not counted.",
    },
    Difference {
        series: &["probe_http_uncompressed_body_length"],
        cases: &["not_followed"],
        reason: "Here the bytes of the redirect's body. There 0: the body of a redirect that is not followed is not read.",
    },
    Difference {
        series: &["probe_icmp_reply_hop_limit"],
        cases: &["icmp"],
        reason: "Absent here: an unprivileged socket tells the reply, not the head of its packet.",
    },
];

/// Returns every series and case that may differ.
pub(super) fn listed() -> BTreeSet<(String, &'static str)> {
    let pairs = DIFFERENCES.iter().flat_map(|difference| {
        let cases = difference.cases.iter();
        cases.flat_map(|case| difference.series.iter().map(|series| ((*series).to_owned(), *case)))
    });
    pairs.collect()
}

/// Returns the page in `docs/`.
pub(super) fn page(cases: &[Case]) -> String {
    let mut page = "# Differences from blackbox_exporter\n\n\
        <!-- generated from agent/export/tests/blackbox/differences.rs; change it there -->\n\n\
        A test probes the same targets with both programs and compares every series. These differ; all others are equal,\n\
        durations within the noise of the machine. It runs beside blackbox_exporter 0.23, as Debian 12 ships it.\n\n\
        | series | targets | difference and reason |\n|---|---|---|\n"
        .to_owned();
    let code = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    for Difference { series, cases, reason } in DIFFERENCES {
        page.push_str(&format!("| {} | {} | {reason} |\n", code(series), code(cases)));
    }
    page.push_str("\n## Targets\n\n| target | of it |\n|---|---|\n");
    for case in cases {
        page.push_str(&format!("| `{}` | {} |\n", case.name, case.about));
    }
    page
}

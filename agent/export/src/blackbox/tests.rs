//! Whole expositions.

use lookout_collect::probe::{Certificate, Phases, Received};

use super::*;

fn target(url: &str) -> Target {
    Target::of_url(&url.parse().unwrap()).unwrap()
}

fn failed(reason: Reason) -> Outcome {
    Outcome {
        verdict: Verdict::Fail { reason, detail: String::new() },
        total: Duration::from_millis(30),
        phases: Phases { resolve: Some(Duration::from_millis(30)), ..Phases::default() },
        status: None,
        summary: None,
        address: None,
        received: Received::default(),
        certificate: None,
        steps: Vec::new(),
        trace_id: String::new(),
    }
}

fn good() -> Outcome {
    let certificate = Certificate {
        subject: "CN=example.org".to_owned(),
        issuer: "CN=Example \"CA\"".to_owned(),
        names: vec!["example.org".to_owned(), "192.0.2.1".to_owned(), "www.example.org".to_owned()],
        serial: "0a1b".to_owned(),
        fingerprint: "ff00".to_owned(),
        not_after_s: 2_000,
        sent_not_after_s: 1_000,
        verified_not_after_s: Some(2_000),
        days_left: 1,
    };
    Outcome {
        verdict: Verdict::Ok,
        phases: Phases {
            connect: Some(Duration::from_millis(10)),
            tls: Some(Duration::from_millis(20)),
            ..Phases::default()
        },
        status: Some(200),
        received: Received {
            resolved: Some("127.0.0.1".parse().unwrap()),
            body_bytes: 7,
            redirects: 2,
            protocol: Some("HTTP/2"),
            tls_version: Some("TLS 1.3"),
            cipher: Some("TLS_AES_128_GCM_SHA256".to_owned()),
            ..Received::default()
        },
        certificate: Some(Box::new(certificate)),
        ..failed(Reason::Dns)
    }
}

fn samples(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

#[test]
fn a_name_that_does_not_resolve_has_no_later_phase() {
    let (target, outcome) = (target("http://no.invalid/"), failed(Reason::Dns));
    let text = render_probe(Probed { target: &target, outcome: &outcome });
    assert_eq!(
        samples(&text),
        [
            "probe_success 0",
            "probe_duration_seconds 0.03",
            "probe_dns_lookup_time_seconds 0.03",
            "probe_ip_protocol 0",
            "probe_ip_addr_hash 0",
            "probe_http_duration_seconds{phase=\"resolve\"} 0.03",
            "probe_http_content_length 0",
            "probe_http_uncompressed_body_length 0",
            "probe_http_redirects 0",
            "probe_http_ssl 0",
            "probe_http_status_code 0",
            "probe_http_version 0",
            "probe_failed_due_to_regex 0",
            "probe_timeout_seconds 5",
        ]
    );
}

#[test]
fn an_answer_over_tls_has_its_session_and_labels_of_its_target() {
    let (target, outcome) = (target("https://example.org/?key=secret"), good());
    let text = render_probes([Probed { target: &target, outcome: &outcome }]);
    let labels = "instance=\"https://example.org/?key=***\",target=\"example.org\"";
    for wanted in [
        format!("probe_http_status_code{{{labels}}} 200"),
        format!("probe_http_version{{{labels}}} 2"),
        format!("probe_http_content_length{{{labels}}} -1"),
        format!("probe_ip_addr_hash{{{labels}}} 3668918509"),
        format!("probe_ssl_earliest_cert_expiry{{{labels}}} 1000"),
        format!("probe_ssl_last_chain_expiry_timestamp_seconds{{{labels}}} 2000"),
        format!(
            "probe_ssl_last_chain_info{{{labels},fingerprint_sha256=\"ff00\",subject=\"CN=example.org\",\
             issuer=\"CN=Example \\\"CA\\\"\",subjectalternative=\"example.org,www.example.org\",\
             serialnumber=\"0a1b\"}} 1"
        ),
        format!("probe_tls_cipher_info{{{labels},cipher=\"TLS_AES_128_GCM_SHA256\"}} 1"),
        format!("probe_http_duration_seconds{{{labels},phase=\"tls\"}} 0.02"),
    ] {
        assert!(samples(&text).contains(&wanted.as_str()), "{wanted} in\n{text}");
    }
    assert!(!text.contains("secret") && !text.contains("probe_timeout_seconds"), "{text}");
}

#[test]
fn a_failed_handshake_has_no_session_and_a_job_only_its_verdict() {
    let target = target("tls://example.org");
    let outcome = Outcome {
        received: Received { tls_version: None, ..good().received },
        ..Outcome { verdict: failed(Reason::CertificateExpired).verdict, ..good() }
    };
    let text = render_probe(Probed { target: &target, outcome: &outcome });
    assert!(!text.contains("probe_ssl") && text.contains("\nprobe_failed_due_to_regex 0\n"), "{text}");
    let outcome = failed(Reason::Expect);
    let text = render_probe(Probed { target: &target, outcome: &outcome });
    assert!(text.contains("\nprobe_failed_due_to_regex 1\n"), "{text}");
}

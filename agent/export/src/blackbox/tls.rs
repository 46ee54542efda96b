//! Series of a TLS session. A handshake that failed has none, as with blackbox_exporter; the end of its certificate is in
//! `lookout_probe_certificate_not_after_timestamp_seconds`.

use std::net::IpAddr;

use lookout_collect::probe::Outcome;

use super::Writer;

/// The protocol above TLS, which decides on the presence of some series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AppProtocol {
    Http,
    Tcp,
    Grpc,
}

impl Writer<'_, '_> {
    pub(super) fn tls(&mut self, outcome: &Outcome, of: AppProtocol) {
        let (Some(version), Some(certificate)) = (outcome.received.tls_version, &outcome.certificate) else {
            return;
        };
        let earliest = certificate.sent_not_after_s as f64;
        let help = "Unix time at which the first certificate of the sent chain ends.";
        self.gauge("probe_ssl_earliest_cert_expiry", help, earliest);
        if let Some(end) = certificate.verified_not_after_s.filter(|_| of != AppProtocol::Grpc) {
            let help = "Unix time at which the verified chain ends.";
            self.gauge("probe_ssl_last_chain_expiry_timestamp_seconds", help, end as f64);
        }
        let is_name = |name: &&String| name.parse::<IpAddr>().is_err();
        let names: Vec<&str> = certificate.names.iter().filter(is_name).map(String::as_str).collect();
        let labels = [
            ("fingerprint_sha256", certificate.fingerprint.as_str()),
            ("subject", certificate.subject.as_str()),
            ("issuer", certificate.issuer.as_str()),
            ("subjectalternative", &names.join(",")),
            ("serialnumber", certificate.serial.as_str()),
        ];
        self.labelled("probe_ssl_last_chain_info", "Certificate of the peer; always 1.", &labels, 1.0);
        let labels = [("version", version)];
        self.labelled("probe_tls_version_info", "Version of TLS; always 1.", &labels, 1.0);
        if let Some(cipher) = outcome.received.cipher.as_deref().filter(|_| of == AppProtocol::Http) {
            let labels = [("cipher", cipher)];
            self.labelled("probe_tls_cipher_info", "Cipher suite of the session; always 1.", &labels, 1.0);
        }
    }
}

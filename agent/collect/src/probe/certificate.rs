//! Facts of a certificate, read from its bytes whatever the verdict about it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use x509_cert::Certificate as Parsed;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// Names of a certificate that are kept.
const MOST_NAMES: usize = 100;

/// Facts of the certificate that a peer showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Distinguished name of its holder.
    pub subject: String,
    /// Distinguished name of its issuer.
    pub issuer: String,
    /// Names and addresses it is valid for.
    pub names: Vec<String>,
    /// Its serial number, in hex.
    pub serial: String,
    /// SHA-256 of it, in hex.
    pub fingerprint: String,
    /// Unix time of the end of its validity.
    pub not_after_s: i64,
    /// Unix time of the first end of validity of all certificates that the peer sent.
    pub sent_not_after_s: i64,
    /// Unix time of the first end of validity of the chain that was verified; absent when none could be.
    pub verified_not_after_s: Option<i64>,
    /// Days until the first end of validity of the verified chain, else of the leaf; negative afterwards.
    pub days_left: i64,
}

impl Certificate {
    /// Reads the facts of a chain; none when the leaf is no certificate.
    pub(super) fn of(
        sent: &[CertificateDer<'_>],
        verified: &[CertificateDer<'_>],
        now_s: i64,
    ) -> Option<Self> {
        let leaf = sent.first()?;
        let parsed = Parsed::from_der(leaf).ok()?;
        let fields = parsed.tbs_certificate();
        let not_after_s = end_of(&parsed);
        let first_end = |chain: &[CertificateDer<'_>]| {
            chain.iter().filter_map(|der| Parsed::from_der(der).ok()).map(|parsed| end_of(&parsed)).min()
        };
        let verified_not_after_s = first_end(verified);
        let expires_s = verified_not_after_s.unwrap_or(not_after_s);
        Some(Self {
            subject: fields.subject().to_string(),
            issuer: fields.issuer().to_string(),
            names: names_of(&parsed),
            serial: hex(fields.serial_number().as_bytes()),
            fingerprint: hex(&Sha256::digest(leaf)),
            not_after_s,
            sent_not_after_s: first_end(sent).unwrap_or(not_after_s),
            verified_not_after_s,
            days_left: expires_s.saturating_sub(now_s).div_euclid(86_400),
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn end_of(parsed: &Parsed) -> i64 {
    let end = parsed.tbs_certificate().validity().not_after.to_unix_duration();
    i64::try_from(end.as_secs()).unwrap_or(i64::MAX)
}

fn names_of(parsed: &Parsed) -> Vec<String> {
    let Ok(Some((_, SubjectAltName(names)))) = parsed.tbs_certificate().get_extension::<SubjectAltName>()
    else {
        return Vec::new();
    };
    names.iter().filter_map(name_of).take(MOST_NAMES).collect()
}

fn name_of(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(name.as_str().to_owned()),
        GeneralName::IpAddress(bytes) => {
            let bytes = bytes.as_bytes();
            let v4 = <[u8; 4]>::try_from(bytes).ok().map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes)));
            let v6 = || <[u8; 16]>::try_from(bytes).ok().map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes)));
            v4.or_else(v6).map(|ip| ip.to_string())
        }
        _ => None,
    }
}

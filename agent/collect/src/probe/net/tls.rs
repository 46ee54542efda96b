//! TLS handshakes. The verifier records the certificate whatever its verdict.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use lookout_config::{Phase, TlsOptions};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, HandshakeKind, RootCertStore, SignatureScheme,
};
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::Reason;
use super::super::attempt::{Attempt, Failure};
use super::super::certificate::Certificate;
use super::Io;
use crate::wording::chain;

/// Client configurations that are kept: more options than that are built anew.
const MOST_CONFIGS: usize = 1024;

/// Certificates of a chain that are looked at.
const MOST_CERTIFICATES: usize = 16;

/// TLS clients of all targets. Each client configuration is built once, when the first probe needs it.
#[derive(Default)]
pub(in super::super) struct TlsClients {
    system: OnceCell<Arc<RootCertStore>>,
    configs: Mutex<HashMap<[u8; 32], Arc<ClientConfig>>>,
}

/// A connection that is secured.
pub(in super::super) type Secured = TlsStream<Box<dyn Io>>;

/// The options of a handshake.
pub(in super::super) struct HandshakeOptions<'a> {
    pub(in super::super) options: &'a TlsOptions,
    /// The host, verified unless the options name another.
    pub(in super::super) host: &'a str,
    /// Protocols offered by ALPN.
    pub(in super::super) alpn: &'a [&'static str],
}

tokio::task_local! {
    /// Certificates of the handshake that the present task makes. Handshakes share a verifier, because a session is
    /// resumed only with the verifier that began it.
    static RECORD: OnceLock<Record>;
}

/// A handshake that came to its end, and what the peer showed.
struct Handshake {
    result: io::Result<Secured>,
    record: Option<Record>,
}

impl TlsClients {
    /// Trusts `roots` instead of those of the system.
    #[cfg(test)]
    pub(in super::super) fn in_roots(roots: RootCertStore) -> Self {
        let clients = Self::default();
        clients.system.set(Arc::new(roots)).unwrap();
        clients
    }

    /// Loads the roots of the system, once. They are no part of a target's latency.
    pub(in super::super) async fn load(&self) -> Arc<RootCertStore> {
        Arc::clone(self.system.get_or_init(|| async { Arc::new(native_roots().await) }).await)
    }

    /// Secures a connection: the phase `tls`. Records the certificate and tells what is wrong with it.
    pub(in super::super) async fn secure(
        &self,
        attempt: &mut Attempt,
        wanted: &HandshakeOptions<'_>,
        stream: Box<dyn Io>,
    ) -> Result<Secured, Failure> {
        attempt.timer.enter(Phase::Tls);
        let Handshake { result, record } = self.handshake(wanted, stream).await?;
        attempt.facts.certificate = record.as_ref().and_then(Record::read);
        let stream = result.map_err(|error| failed(&error))?;
        let session = stream.get_ref().1;
        attempt.facts.tls_version = session.protocol_version().and_then(version_name);
        attempt.facts.cipher = session.negotiated_cipher_suite().map(|suite| cipher_name(suite.suite()));
        let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        attempt.facts.resumed = Some(resumed);
        if resumed {
            // the peer shows no certificate then: the facts are those of the handshake that began the session
            let sent = session.peer_certificates().unwrap_or_default().to_vec();
            let now_s = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
            attempt.facts.certificate = Certificate::of(&sent, &[], now_s);
        }
        Ok(stream)
    }

    /// Secures a connection to a server that is not the target. Nothing of it is recorded.
    pub(in super::super) async fn secure_unrecorded(
        &self,
        wanted: &HandshakeOptions<'_>,
        stream: Box<dyn Io>,
    ) -> Result<Secured, Failure> {
        self.handshake(wanted, stream).await?.result.map_err(|error| failed(&error))
    }

    async fn handshake(
        &self,
        wanted: &HandshakeOptions<'_>,
        stream: Box<dyn Io>,
    ) -> Result<Handshake, Failure> {
        let host = wanted.options.server_name.as_deref().unwrap_or(wanted.host);
        let Ok(name) = ServerName::try_from(host.to_owned()) else {
            return Err(Failure::new(Reason::Tls, "the host is no name that a certificate could carry"));
        };
        let connector = TlsConnector::from(self.config(wanted).await?);
        let connecting = async {
            let result = connector.connect(name, stream).await;
            Handshake { result, record: RECORD.with(|record| record.get().cloned()) }
        };
        Ok(RECORD.scope(OnceLock::new(), connecting).await)
    }

    async fn config(&self, wanted: &HandshakeOptions<'_>) -> Result<Arc<ClientConfig>, Failure> {
        let key = key_of(wanted);
        if let Some(config) = self.configs.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(config));
        }
        let roots = match (&wanted.options.ca, wanted.options.insecure) {
            (_, true) => None,
            (Some(pem), false) => Some(Arc::new(roots_in(pem)?)),
            (None, false) => Some(self.load().await),
        };
        let config = build(wanted, roots).map_err(|detail| Failure::new(Reason::Tls, detail))?;
        let config = Arc::new(config);
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if configs.len() < MOST_CONFIGS {
            configs.insert(key, Arc::clone(&config));
        }
        Ok(config)
    }
}

fn failed(error: &io::Error) -> Failure {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    Failure::new(reason_of(cause), format!("TLS handshake: {}", chain(error)))
}

/// Key of a client configuration.
fn key_of(wanted: &HandshakeOptions<'_>) -> [u8; 32] {
    let options = wanted.options;
    let mut hash = Sha256::new();
    hash.update([u8::from(options.insecure), u8::from(options.resume)]);
    let identity =
        options.identity.as_ref().map(|(chain, key)| [chain.as_str(), key.reveal()]).unwrap_or_default();
    let texts = [options.ca.as_deref().unwrap_or_default()].into_iter().chain(identity);
    for text in texts.chain(wanted.alpn.iter().copied()) {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    hash.finalize().into()
}

fn roots_in(pem: &str) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()).flatten() {
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(Failure::new(Reason::Tls, "the file of trusted certificates holds none"));
    }
    Ok(roots)
}

/// The roots of the system. They are files, thus read on a thread that may block.
async fn native_roots() -> RootCertStore {
    let loaded = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
    let mut roots = RootCertStore::empty();
    if let Ok(found) = loaded {
        for error in &found.errors {
            tracing::warn!(error = %error, "a part of the system's root certificates cannot be read");
        }
        roots.add_parsable_certificates(found.certs);
    }
    if roots.is_empty() {
        tracing::error!(
            "the system has no root certificates: no https target can be verified; install ca-certificates"
        );
    }
    roots
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider())))
}

/// Builds a configuration that trusts `roots`, or every certificate.
fn build(wanted: &HandshakeOptions<'_>, roots: Option<Arc<RootCertStore>>) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS is not available: {error}"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Recorder { roots, provider: provider() }));
    let mut config = match &wanted.options.identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let certificates: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes()).flatten().collect();
            let key = PrivateKeyDer::from_pem_slice(key.reveal().as_bytes())
                .map_err(|_| "the client key cannot be read".to_owned())?;
            builder
                .with_client_auth_cert(certificates, key)
                .map_err(|error| format!("the client certificate cannot be used: {error}"))?
        }
    };
    if !wanted.options.resume {
        // a resumed session is a shorter handshake that looks at no certificate: every probe makes the whole one
        config.resumption = Resumption::disabled();
    }
    config.alpn_protocols = wanted.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(config)
}

const fn version_name(version: rustls::ProtocolVersion) -> Option<&'static str> {
    match version {
        rustls::ProtocolVersion::TLSv1_2 => Some("TLS 1.2"),
        rustls::ProtocolVersion::TLSv1_3 => Some("TLS 1.3"),
        _ => None,
    }
}

/// The name of a cipher suite in the registry of IANA. The library marks those of TLS 1.3.
fn cipher_name(suite: rustls::CipherSuite) -> String {
    suite.as_str().map_or_else(|| format!("{suite:?}"), |name| name.replacen("TLS13_", "TLS_", 1))
}

const fn reason_of(cause: Option<&rustls::Error>) -> Reason {
    use CertificateError as E;
    let Some(rustls::Error::InvalidCertificate(error)) = cause else { return Reason::Tls };
    match error {
        E::Expired | E::ExpiredContext { .. } | E::NotValidYet | E::NotValidYetContext { .. } => {
            Reason::CertificateExpired
        }
        E::NotValidForName | E::NotValidForNameContext { .. } => Reason::CertificateName,
        E::UnknownIssuer => Reason::CertificateUntrusted,
        _ => Reason::CertificateInvalid,
    }
}

/// Certificates of one handshake.
#[derive(Debug, Clone)]
struct Record {
    sent: Vec<CertificateDer<'static>>,
    verified: Vec<CertificateDer<'static>>,
    now_s: i64,
}

impl Record {
    fn read(&self) -> Option<Certificate> {
        Certificate::of(&self.sent, &self.verified, self.now_s)
    }
}

/// Verifies handshakes and records the certificates of each. Without roots it accepts every certificate; a signature by a key
/// that nobody vouches for proves nothing then, so it is not checked either.
#[derive(Debug)]
struct Recorder {
    roots: Option<Arc<RootCertStore>>,
    provider: Arc<CryptoProvider>,
}

impl Recorder {
    /// Builds the chain to a root and returns it, then checks the name.
    fn verify(
        &self,
        roots: &RootCertStore,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
        verified: &mut Vec<CertificateDer<'static>>,
    ) -> Result<(), webpki::Error> {
        let certificate = webpki::EndEntityCert::try_from(leaf)?;
        let path = certificate.verify_for_usage(
            self.provider.signature_verification_algorithms.all,
            &roots.roots,
            intermediates,
            now,
            webpki::KeyUsage::server_auth(),
            None,
            None,
        )?;
        verified.push(leaf.clone().into_owned());
        verified.extend(path.intermediate_certificates().map(|between| between.der().into_owned()));
        certificate.verify_is_valid_for_subject_name(name)
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let mut verified = Vec::new();
        let verdict = match &self.roots {
            None => Ok(()),
            Some(roots) => self
                .verify(roots, end_entity, intermediates, server_name, now, &mut verified)
                .map_err(|error| rustls_error(error, server_name)),
        };
        let sent = std::iter::once(end_entity).chain(intermediates).take(MOST_CERTIFICATES);
        let now_s = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let sent = sent.map(|der| der.clone().into_owned()).collect();
        let _ = RECORD.try_with(|record| record.set(Record { sent, verified, now_s }));
        verdict.map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.roots.is_none() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.roots.is_none() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The verdict in the words of the TLS library.
fn rustls_error(error: webpki::Error, name: &ServerName<'_>) -> rustls::Error {
    let error = match error {
        webpki::Error::CertExpired { time, not_after } => {
            CertificateError::ExpiredContext { time, not_after }
        }
        webpki::Error::CertNotValidYet { time, not_before } => {
            CertificateError::NotValidYetContext { time, not_before }
        }
        webpki::Error::UnknownIssuer => CertificateError::UnknownIssuer,
        webpki::Error::CertNotValidForName(webpki::InvalidNameContext { presented, .. }) => {
            CertificateError::NotValidForNameContext { expected: name.to_owned(), presented }
        }
        other => CertificateError::Other(rustls::OtherError(Arc::new(other))),
    };
    rustls::Error::InvalidCertificate(error)
}

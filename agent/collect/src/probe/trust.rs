//! Whose certificates are believed. Each client configuration is built once, when the first probe needs it.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;

/// The two ways to look at a certificate.
#[derive(Default)]
pub(super) struct Trust {
    verified: OnceCell<Arc<ClientConfig>>,
    insecure: OnceCell<Arc<ClientConfig>>,
}

impl Trust {
    /// Believes in `roots` instead of those of the system.
    #[cfg(test)]
    pub(super) fn in_roots(roots: RootCertStore) -> Self {
        let trust = Self::default();
        let config = verifying(roots).unwrap();
        trust.verified.set(Arc::new(config)).unwrap();
        trust
    }

    /// A connector that verifies against the roots of the system, or believes everyone.
    ///
    /// # Errors
    /// When the TLS library refuses its own defaults.
    pub(super) async fn connector(&self, insecure: bool) -> Result<TlsConnector, rustls::Error> {
        let config = if insecure {
            self.insecure.get_or_try_init(|| async { believing().map(Arc::new) }).await?
        } else {
            self.verified.get_or_try_init(|| async { verifying(native_roots().await).map(Arc::new) }).await?
        };
        Ok(TlsConnector::from(Arc::clone(config)))
    }
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
    Arc::new(rustls::crypto::ring::default_provider())
}

fn verifying(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    Ok(for_probes(builder.with_root_certificates(roots).with_no_client_auth()))
}

fn believing() -> Result<ClientConfig, rustls::Error> {
    let provider = provider();
    let verifier = Arc::new(Believer(Arc::clone(&provider)));
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(for_probes(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()))
}

fn for_probes(mut config: ClientConfig) -> ClientConfig {
    // a resumed session is a shorter handshake that looks at no certificate: every probe makes the whole one
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

/// Believes every certificate. A signature by a key nobody vouches for proves nothing, so it is not looked at either.
#[derive(Debug)]
struct Believer(Arc<CryptoProvider>);

impl ServerCertVerifier for Believer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

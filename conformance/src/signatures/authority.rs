//! An authority of certificates in the place of Sigstore's: it writes into a certificate what Sigstore writes there about a
//! workflow of GitHub, so that the same rules judge it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use programs::on_path;

use crate::tool::content;

/// The extension that holds the issuer of the identity:
/// <https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md#1361415726418--issuer-v2>
const ISSUER: &str = "1.3.6.1.4.1.57264.1.8";

/// The key that signs, whoever it is certified as.
pub(super) const SIGNER: &str = "signer.key";
/// The certificate of that key.
pub(super) const CERTIFICATE: &str = "signer.pem";
/// The certificate that verifiers trust.
pub(super) const ROOT: &str = "authority.pem";

/// An identity: what runs, and who says so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity {
    pub(super) subject: &'static str,
    pub(super) issuer: &'static str,
}

/// The authority, in a folder that is not its own.
#[derive(Debug)]
pub(super) struct Authority<'f> {
    folder: &'f Path,
    openssl: PathBuf,
}

impl<'f> Authority<'f> {
    pub(super) fn found(folder: &'f Path) -> Result<Self> {
        let openssl = on_path(&["openssl"], "on Debian or Ubuntu: apt-get install openssl")?;
        let authority = Self { folder, openssl };
        for key in ["authority.key", SIGNER] {
            authority.openssl(&[
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-out",
                key,
            ])?;
        }
        authority.openssl(&[
            "req",
            "-x509",
            "-new",
            "-key",
            "authority.key",
            "-subj",
            "/O=test/CN=authority",
            "-days",
            "2",
            "-out",
            ROOT,
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
            "-addext",
            "extendedKeyUsage=codeSigning",
        ])?;
        Ok(authority)
    }

    /// Certifies that [`SIGNER`] is the key of an identity, in [`CERTIFICATE`].
    pub(super) fn certify(&self, identity: Identity) -> Result<()> {
        let text = format!(
            "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n\
             subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\nsubjectAltName=critical,URI:{}\n\
             {ISSUER}=ASN1:UTF8String:{}\n",
            identity.subject, identity.issuer
        );
        fs::write(self.folder.join("signer.ext"), text).context("writing what a certificate says")?;
        self.openssl(&["req", "-new", "-key", SIGNER, "-subj", "/", "-out", "signer.csr"])?;
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            "signer.csr",
            "-CA",
            ROOT,
            "-CAkey",
            "authority.key",
            "-CAcreateserial",
            "-days",
            "1",
            "-extfile",
            "signer.ext",
            "-out",
            CERTIFICATE,
        ])
    }

    fn openssl(&self, arguments: &[&str]) -> Result<()> {
        content(Command::new(&self.openssl).args(arguments).current_dir(self.folder)).map(drop)
    }
}

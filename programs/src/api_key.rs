//! Keys of the passenger API.

use sha2::{Digest as _, Sha256};

/// Returns the line of `API_KEYS` for a key.
#[must_use]
pub fn line(name: &str, scope: &str, key: &str) -> String {
    let digest: String = Sha256::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{name} {scope} sha256:{digest}")
}

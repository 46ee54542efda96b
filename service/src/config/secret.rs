//! Secrets: from a variable or a file, and never shown.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// The largest secret file that is read: some hundred API keys.
const SECRET_BYTES: u64 = 64 * 1024;

/// A text that is never shown.
#[derive(Clone)]
pub struct Secret(pub(super) String);

impl Secret {
    /// Returns whether this is the secret, in a time that tells neither where they differ nor how long it is.
    #[must_use]
    pub fn admits(&self, offered: &str) -> bool {
        let [secret, offered] = [&self.0, offered].map(Sha256::digest);
        secret.ct_eq(&offered).into()
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A file with a secret, which may change while the service runs.
#[derive(Debug, Clone)]
pub struct SecretFile {
    /// The variable, without `_FILE`.
    pub variable: String,
    path: PathBuf,
    /// The digest of what was read last: the secret, or the reason for which there was none.
    seen: [u8; 32],
}

impl SecretFile {
    /// Reads a file for the first time.
    pub(super) fn open(variable: &str, path: &str) -> (Self, Result<String, String>) {
        let mut file = Self { variable: variable.to_owned(), path: PathBuf::from(path), seen: [0; 32] };
        let read = file.read();
        file.seen = digest_of(&read);
        (file, read)
    }

    /// Reads the file. Returns the secret, or what was expected; nothing while it is the same as before.
    pub fn read_changed(&mut self) -> Option<Result<String, String>> {
        let read = self.read();
        let digest = digest_of(&read);
        let is_new = digest != self.seen;
        self.seen = digest;
        is_new.then_some(read)
    }

    fn read(&self) -> Result<String, String> {
        let mut text = String::new();
        let read =
            File::open(&self.path).and_then(|file| file.take(SECRET_BYTES + 1).read_to_string(&mut text));
        let secret = text.trim_end_matches(['\r', '\n']);
        match read {
            Err(error) => Err(format!("a readable text file ({error})")),
            Ok(length) if length as u64 > SECRET_BYTES => {
                Err(format!("a file of at most {SECRET_BYTES} bytes"))
            }
            Ok(_) if secret.is_empty() => Err(String::from("a file that is not empty")),
            Ok(_) => Ok(secret.to_owned()),
        }
    }
}

fn digest_of(read: &Result<String, String>) -> [u8; 32] {
    let (Ok(text) | Err(text)) = read;
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::config::{Config, ConfigErrors};

    fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        Config::of_test(variables.iter().copied())
    }

    #[test]
    fn a_secret_comes_from_a_file_and_is_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "iceberg\n").unwrap();
        let variables =
            BTreeMap::from([(String::from("ADMIN_TOKEN_FILE"), path.to_string_lossy().into_owned())]);
        let config = Config::of_test(&variables).unwrap();
        let token = config.admin_token.as_ref().unwrap();
        assert!(token.admits("iceberg"));
        assert!(!token.admits("iceberg\n"));
        assert!(!format!("{config:?}").contains("iceberg"));

        let errors = read(&[("ADMIN_TOKEN", "iceberg"), ("ADMIN_TOKEN_FILE", "/nowhere")]).unwrap_err();
        assert!(!errors.to_string().contains("iceberg"), "{errors}");
        let errors = read(&[("ADMIN_TOKEN_FILE", "/nowhere/at/all")]).unwrap_err().to_string();
        assert!(errors.contains("ADMIN_TOKEN_FILE is `/nowhere/at/all`: expected a readable"), "{errors}");
        let errors = read(&[("DATABASE_URL", "mysql://me:iceberg@host/db")]).unwrap_err().to_string();
        assert!(errors.contains("DATABASE_URL") && !errors.contains("iceberg"), "{errors}");
    }

    #[test]
    fn a_file_of_hundreds_of_keys_is_read_and_one_beyond_the_bound_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let variables =
            BTreeMap::from([(String::from("API_KEYS_FILE"), path.to_string_lossy().into_owned())]);
        let line = |number: u32| format!("the-holder-{number} things:write sha256:{number:064x}\n");
        let text: String = (0..600).map(line).collect();
        assert!(text.len() > 59_000, "{}", text.len());
        std::fs::write(&path, &text).unwrap();
        let crate::config::Keys::Required(keys) = Config::of_test(&variables).unwrap().clients.keys else {
            panic!("no keys were read");
        };
        assert_eq!((keys.len(), keys[599].name.as_str()), (600, "the-holder-599"));

        std::fs::write(&path, text.repeat(2)).unwrap();
        let errors = Config::of_test(&variables).unwrap_err().to_string();
        let expected =
            format!("API_KEYS_FILE is `{}`: expected a file of at most 65536 bytes", path.display());
        assert!(errors.contains(&expected), "{errors}");
    }
}

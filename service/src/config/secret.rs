//! Secrets: from a variable or a file, and never shown.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Reader, Variables};

/// The largest secret file that is read: some hundred API keys.
const SECRET_BYTES: u64 = 64 * 1024;

/// The token that allows drills. Only its digest is kept, which also makes the comparison blind to its length.
#[derive(Clone, Copy)]
pub struct AdminToken([u8; 32]);

impl AdminToken {
    /// Keeps the digest of a token.
    #[must_use]
    pub fn new(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Returns whether this is the token, in a time that does not depend on where they differ.
    #[must_use]
    pub fn admits(&self, offered: &str) -> bool {
        let offered: [u8; 32] = Sha256::digest(offered.as_bytes()).into();
        self.0.ct_eq(&offered).into()
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(***)")
    }
}

/// A file with a secret, which may change while the service runs.
#[derive(Debug, Clone)]
pub struct SecretFile {
    /// The variable, without `_FILE`.
    pub variable: &'static str,
    path: PathBuf,
    stamp: Option<Stamp>,
}

/// Device, inode, size and time of the last change: one of them differs after a file was written or replaced.
type Stamp = (u64, u64, u64, i64, i64);

fn stamp_of(file: &Metadata) -> Stamp {
    (file.dev(), file.ino(), file.size(), file.mtime(), file.mtime_nsec())
}

impl SecretFile {
    fn new(variable: &'static str, path: &str) -> Self {
        Self { variable, path: PathBuf::from(path), stamp: None }
    }

    /// Reads the secret, or says what was expected. The stamp is taken first, so that a file that changes meanwhile is
    /// read again.
    pub fn read(&mut self) -> Result<String, String> {
        self.stamp = std::fs::metadata(&self.path).ok().map(|file| stamp_of(&file));
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

    /// Reads the secret if the file has changed since it was read, or has gone.
    pub fn read_changed(&mut self) -> Option<Result<String, String>> {
        let stamp = std::fs::metadata(&self.path).ok().map(|file| stamp_of(&file));
        (stamp != self.stamp).then(|| self.read())
    }
}

impl<V: Variables> Reader<'_, V> {
    /// A secret, from the variable itself or from the file that `<name>_FILE` names. Its value is never shown.
    pub(super) fn secret(&mut self, name: &'static str) -> Option<String> {
        let file_variable = format!("{name}_FILE");
        let (inline, path) = (self.get(name), self.get(&file_variable));
        if inline.is_some() && path.is_some() {
            self.refuse(&file_variable, path, format!("to be unset while {name} is set (one of both)"));
            return None;
        }
        let Some(path) = path else { return inline };
        let mut file = SecretFile::new(name, &path);
        let read = file.read();
        self.secret_files.push(file);
        match read {
            Ok(secret) => return Some(secret),
            Err(expected) => self.refuse(&file_variable, Some(path), expected),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use crate::config::{Config, ConfigErrors};

    fn read(variables: &[(&'static str, &'static str)]) -> Result<Config, ConfigErrors> {
        Config::of_test(&variables.iter().copied().collect::<HashMap<_, _>>())
    }

    #[test]
    fn a_secret_comes_from_a_file_and_is_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "iceberg\n").unwrap();
        let variables =
            BTreeMap::from([(String::from("ADMIN_TOKEN_FILE"), path.to_string_lossy().into_owned())]);
        let config = Config::of_test(&variables).unwrap();
        let token = config.admin_token.unwrap();
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

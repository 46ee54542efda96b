//! Errors that say nothing about the other side: this machine lacks what a connection needs.

use std::io;

/// Returns whether this process or machine has too many open files. The numbers are the same on every Unix.
pub(crate) fn is_exhausted(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(error.raw_os_error(), Some(EMFILE | ENFILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_open_files_are_local_and_a_refusal_is_not() {
        for local in [23, 24] {
            assert!(is_exhausted(&io::Error::from_raw_os_error(local)));
        }
        assert!(!is_exhausted(&io::Error::from(io::ErrorKind::ConnectionRefused)));
        assert!(!is_exhausted(&io::Error::from_raw_os_error(13)));
    }
}

//! Records which declared keys are read, for the tests.

use std::collections::BTreeSet;
use std::sync::Mutex;

use super::{Key, Object};

static READ: Mutex<BTreeSet<(&str, &str)>> = Mutex::new(BTreeSet::new());

/// Notes that a key was asked for.
pub(crate) fn note(object: &'static Object, key: Key) {
    READ.lock().unwrap().insert((object.path, key.name));
}

/// Returns whether a key was asked for in a mapping.
pub(crate) fn was_read(object: &Object, name: &str) -> bool {
    READ.lock().unwrap().contains(&(object.path, name))
}

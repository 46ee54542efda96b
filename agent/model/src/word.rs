//! The engine's enums as words in JSON. The engine has no dependencies, so this module gives its types serde.

use lookout_engine::{Cause, Change, DataState, Severity, Status};
use serde::{Deserialize as _, Deserializer, Serializer};

/// A value that JSON, the ledger and messages show as one fixed word.
pub trait Word: Sized + Copy {
    /// The kind of value in an error: `a severity`.
    const KIND: &'static str;

    /// Returns the word.
    fn word(self) -> &'static str;

    /// Returns the value of a word.
    fn from_word(word: &str) -> Option<Self>;
}

macro_rules! word {
    ($type:ty, $kind:literal) => {
        impl Word for $type {
            const KIND: &'static str = $kind;

            fn word(self) -> &'static str {
                self.as_str()
            }

            fn from_word(word: &str) -> Option<Self> {
                Self::from_name(word)
            }
        }
    };
}

word!(Cause, "a cause of an incident");
word!(Severity, "a severity");
word!(Change, "a change of an incident");
word!(DataState, "a data state");
word!(Status, "a state of an SLO");

/// Writes the word of a value; for `#[serde(with = "word")]`.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<T: Word, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(value.word())
}

/// Reads a value from its word.
///
/// # Errors
/// A word that names no such value: a record of a newer version must not be mistaken for something known.
pub fn deserialize<'de, T: Word, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let word = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    T::from_word(&word).ok_or_else(|| {
        let shown: String = word.chars().take(40).collect();
        serde::de::Error::custom(format!("{shown:?} is not {}", T::KIND))
    })
}

//! Permissions of a bearer token.

use std::fmt;

macro_rules! scopes {
    ($($(#[$doc:meta])+ $name:ident = $word:literal,)+) => {
        /// A permission of a bearer token.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Scope {
            $($(#[$doc])+ $name,)+
        }

        impl Scope {
            /// Every permission.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Their words in a configuration.
            pub const WORDS: &[&'static str] = &[$($word),+];

            /// Returns the word of the permission.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }
        }
    };
}

scopes! {
    /// Ask the gate.
    Ask = "ask",
    /// Record deploys.
    Mark = "mark",
    /// Record and revoke corrections.
    Correct = "correct",
    /// Retry refused messages, test destinations, start drills.
    Deliver = "deliver",
    /// Call heartbeats.
    Heartbeat = "heartbeat",
    /// Pause targets and probe them again.
    Pause = "pause",
    /// Ask for a probe at `/probe`.
    Probe = "probe",
    /// Acknowledge incidents.
    Acknowledge = "acknowledge",
    /// Create and end silences.
    Silence = "silence",
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

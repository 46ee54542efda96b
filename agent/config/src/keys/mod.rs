//! The keys of every file that is read, each declared once.
//!
//! The reader takes from here which keys a mapping has, [`schema`](crate::schema) makes the JSON schemas of them, and
//! [`reference`](crate::reference) the reference in `docs/`. A new key is one entry here and one line that reads it:
//! `fields.get(http::URL)`. A key that is not declared has no constant. Tests find a key that is declared and never
//! read, and one that is read from a mapping that does not have it.

mod declaration;
mod spec_documents;

pub(crate) mod agent;
pub(crate) mod alerting;
pub(crate) mod document;
pub(crate) mod kubernetes;
pub(crate) mod openslo;
pub(crate) mod pyrra;
#[cfg(test)]
pub(crate) mod reads_tests;
pub(crate) mod server;
pub(crate) mod sloth;
pub(crate) mod target;
#[cfg(test)]
mod tests;

pub(crate) use declaration::{DURATION, Key, Literal, NAME, Object, Shape};
pub(crate) use spec_documents::SPEC_DOCUMENTS;

//! Specs of other tools, brought into the form of lookout's own documents.
//!
//! Each format has a folder. It reads its documents and gives nodes of OpenSLO v1 with lookout's annotations: `import`
//! writes them to files, and the reader of SLO specs takes them as they are.

mod document;
mod format;
mod into_memory;
mod node_edit;
mod openslo;
mod output;
mod pyrra;
mod query;
mod sloth;

pub use format::{Format, ImportOptions};

pub(crate) use document::{Document, map};
pub(crate) use format::is_spec;
pub(crate) use into_memory::{Converted, convert_in_memory};
#[cfg(test)]
pub(super) use output::{CHANGED, LOST};
pub(crate) use output::{Output, scalar_text};

pub(crate) mod formats {
    //! The readers of the formats.
    pub(crate) use super::openslo::read as openslo;
    pub(crate) use super::pyrra::read as pyrra;
    pub(crate) use super::sloth::read as sloth;
}

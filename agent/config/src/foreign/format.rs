//! The formats, and the documents that are of each.

use lookout_engine::Window;

use crate::parsed_file::scalar;
use crate::yaml::Node;

/// A format of SLO specs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Sloth's `prometheus/v1`, its `PrometheusServiceLevel` and its `AlertWindows`.
    Sloth,
    /// OpenSLO v1, all kinds.
    OpenSlo,
    /// Pyrra's `ServiceLevelObjective`.
    Pyrra,
}

/// Values that the files do not hold.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// The format of the files.
    pub format: Format,
    /// The period of the budget, which Sloth takes from its command line; 30 days when not given.
    pub period: Option<Window>,
    /// The service of SLOs that name none, as Pyrra's do.
    pub service: Option<String>,
    /// The name of the Prometheus source in `lookout.yaml`.
    pub source: String,
}

/// Returns whether a document says that it is Sloth's.
pub(crate) fn is_of_sloth(node: &Node) -> bool {
    let theirs = |version: &str| version.starts_with("sloth.slok.dev/");
    scalar(node, "version") == Some("prometheus/v1") || scalar(node, "apiVersion").is_some_and(theirs)
}

/// Returns whether a document says that it is Pyrra's.
pub(crate) fn is_of_pyrra(node: &Node) -> bool {
    scalar(node, "apiVersion").is_some_and(|version| version.starts_with("pyrra.dev/"))
}

/// Returns whether a document says what it is, so that its file is no `lookout.yaml`.
pub(crate) fn is_spec(node: &Node) -> bool {
    scalar(node, "apiVersion").is_some() || is_of_sloth(node)
}

/// Returns the format of a document that is not OpenSLO.
pub(crate) fn format(node: &Node) -> Option<Format> {
    if is_of_sloth(node) { Some(Format::Sloth) } else { is_of_pyrra(node).then_some(Format::Pyrra) }
}

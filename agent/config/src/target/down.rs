//! `down` of a target: `down: { after: 3, up_after: 2, severity: page }`.

use lookout_engine::Severity;

use super::http::read_whole;
use crate::keys::target::down;
use crate::reader::{At, Reader};

/// Failures and successes in a row that are enough, unless they are written.
const AFTER: u32 = 3;
const UP_AFTER: u32 = 2;

/// An incident about failures in a row, without an objective.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Down {
    /// Failures in a row that open the incident.
    pub after: u32,
    /// Successes in a row that end it.
    pub up_after: u32,
    /// Its severity.
    pub severity: Severity,
    /// The service that it belongs to; that of the SLOs of the target, or else the name of the target, when it is absent.
    pub service: Option<String>,
}

/// Reads `down`.
pub(super) fn read(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Down> {
    let fields = reader.fields(at, down::OBJECT)?;
    let mut number = |key, usual| match fields.get(key) {
        Some(at) => read_whole(reader, &at, key).and_then(|number| u32::try_from(number).ok()),
        None => Some(usual),
    };
    let (after, up_after) = (number(down::AFTER, AFTER), number(down::UP_AFTER, UP_AFTER));
    let severity = fields.get(down::SEVERITY).map_or(Some(Severity::Page), |at| reader.severity(&at));
    let service = match fields.get(down::SERVICE) {
        Some(at) => reader.name(&at).map(|name| Some(name.to_owned())),
        None => Some(None),
    };
    Some(Down { after: after?, up_after: up_after?, severity: severity?, service: service? })
}

//! The question: may a change of this class go to this service now?

use lookout_model::DeployClass;

/// Question of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The service, as the SLO specs name it.
    pub service: String,
    /// Kind of change.
    pub class: DeployClass,
}

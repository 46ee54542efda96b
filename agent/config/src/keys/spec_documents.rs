//! The documents that an SLO spec may hold.

use super::Object;
use super::{alerting, openslo, pyrra, sloth};

/// The documents that an SLO spec may hold.
pub(crate) const SPEC_DOCUMENTS: [&Object; 11] = [
    openslo::slo_document::OBJECT,
    openslo::sli_document::OBJECT,
    openslo::service_document::OBJECT,
    alerting::data_source_document::OBJECT,
    alerting::policy_document::OBJECT,
    alerting::condition_document::OBJECT,
    alerting::target_document::OBJECT,
    sloth::sloth_file::OBJECT,
    sloth::sloth_object::OBJECT,
    sloth::alert_windows::OBJECT,
    pyrra::pyrra_object::OBJECT,
];

//! The outside of the loop of a server.

use std::sync::Arc;

use lookout_engine::Grid;
use lookout_runtime::clock::Clock;

use super::clients::QueryApi;
use crate::Feed;

/// Dependencies of the loop.
#[derive(Clone)]
pub struct Ports {
    /// Client of the server.
    pub query_api: Arc<dyn QueryApi>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// The slots of the evaluation.
    pub grid: Grid,
    /// Receiver of the observations.
    pub feed: Feed,
}

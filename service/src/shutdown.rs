//! Being told to stop. The first signal asks for an orderly end, the second for any.

use tokio_util::sync::CancellationToken;

/// The two ways to end.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Cancelled when the service should end in order.
    pub begin: CancellationToken,
    /// Cancelled when it should stop waiting for anything.
    pub force: CancellationToken,
}

impl Shutdown {
    /// Ends on SIGTERM and SIGINT.
    pub fn on_signals() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        let shutdown = Self::default();
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let told = shutdown.clone();
        tokio::spawn(async move {
            for token in [told.begin, told.force] {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                tracing::info!(signal = name, again = token.is_cancelled(), "told to stop");
                token.cancel();
            }
        });
        Ok(shutdown)
    }

    /// Returns when the second signal came.
    pub async fn forced(&self) {
        self.force.cancelled().await;
    }
}

//! The promises of [`Ledger`], kept by every implementation: each of these runs against all of them.

use lookout_model::{
    CorrectionRecord, DecisionRecord, Delivery, DeliveryResult, DeployRecord, ObjectiveRecord, PauseRecord,
    Revocation,
};

use super::*;

/// Makes a test of each promise and implementation.
macro_rules! promises {
    ($($promise:ident)*) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $promise() {
                let folder = tempfile::tempdir().unwrap();
                let ledger = crate::SqliteLedger::open(&folder.path().join("ledger.db")).await.unwrap();
                super::$promise(&ledger).await;
                crate::Ledger::close(&ledger).await;
            })*
        }

        mod write_through {
            $(#[tokio::test]
            async fn $promise() {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("ledger.db");
                let clock = std::sync::Arc::new(lookout_runtime::clock::SystemClock);
                let ledger = crate::WriteThroughLedger::open(&path, clock).await.unwrap();
                super::$promise(&ledger).await;
                crate::Ledger::close(&ledger).await;
            })*
        }

        mod memory {
            $(#[tokio::test]
            async fn $promise() {
                super::$promise(&crate::MemoryLedger::default()).await;
            })*
        }
    };
}

mod attention;
mod corrections;
mod counts;
mod decisions;
mod deliveries;
mod incidents;
mod probe_history;
mod states;

const SLO: &str = "titanic-requests-availability";
const EPOCH: Timestamp = Timestamp::EPOCH;
const TICK: Duration = Timestamp::TICK;
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

fn row(start_s: i64, good: u64, bad: u64) -> CountRow {
    CountRow { slo_id: SLO.to_owned(), start_s, width_s: 10, good, bad }
}

async fn due(ledger: &dyn Ledger, destination: &str, now: Timestamp) -> Vec<Delivery> {
    ledger.due_deliveries(destination, now, 100).await.unwrap()
}

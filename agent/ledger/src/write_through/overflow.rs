//! Deliveries that stand in the file only, because too many wait. They are read in portions, in their order.

use lookout_engine::Change;
use lookout_model::{Delivery, Timestamp, TransitionRecord};
use lookout_runtime::events::chain;

use super::WriteThroughLedger;
use crate::LedgerError;

/// Number of incidents that are read from the file at once.
const PORTION: usize = 250;

impl WriteThroughLedger {
    /// Takes transitions that the file has into memory, and removes what has to be in the file only.
    pub(super) async fn keep(&self, transitions: &[TransitionRecord]) {
        let goes_on = |one: &&TransitionRecord| one.change != Change::Opened;
        let absent: Vec<String> = {
            let working = self.working();
            let absent = transitions.iter().filter(goes_on).map(|one| &one.incident.id);
            absent.filter(|id| !working.holds(id)).cloned().collect()
        };
        // it opens again: what still waits about it goes first
        if !absent.is_empty()
            && let Err(error) = self.load(&absent).await
        {
            tracing::warn!(error = chain(&error), "incidents go on without what was told of them before");
        }
        let shed = {
            let mut working = self.working();
            transitions.iter().for_each(|transition| working.record(transition));
            working.shed(self.recorder.clock.now())
        };
        if shed && let Err(error) = self.count_in_file_only().await {
            tracing::warn!(error = chain(&error), "what waits in the file is not counted");
        }
    }

    /// Reads incidents from the file.
    async fn load(&self, ids: &[String]) -> Result<(), LedgerError> {
        let file = self.readable()?;
        let read = self.time_limit.read(&file, file.read_incidents(ids)).await?;
        self.working().load_incidents(ids, read);
        Ok(())
    }

    /// Returns the deliveries that are due, and reads more of them from the file while memory has too few.
    pub(super) async fn due(&self, destination: &str, now: Timestamp, limit: u32) -> Vec<Delivery> {
        let mut before = None;
        loop {
            let due = {
                let mut working = self.working();
                let due = working.due(destination, now, limit);
                let is_enough = due.len() >= limit as usize || working.in_file_only(destination) == 0;
                // what adds nothing is not worth its memory
                if is_enough || before.is_some_and(|before| due.len() <= before) {
                    return due;
                }
                due
            };
            before = Some(due.len());
            match self.load_portion(destination, now).await {
                Ok(true) => {}
                Ok(false) => return due,
                Err(error) => {
                    tracing::warn!(
                        destination.name = destination,
                        error = chain(&error),
                        "deliveries that wait in the file are not read"
                    );
                    return due;
                }
            }
        }
    }

    /// Reads the next incidents with a delivery that is due and not in memory. Returns whether there were any.
    async fn load_portion(&self, destination: &str, now: Timestamp) -> Result<bool, LedgerError> {
        let file = self.readable()?;
        // meanwhile nothing is stored and nothing leaves memory
        let backlog = self.backlog.lock().await;
        let known = self.working().known();
        let due = file.due_elsewhere(destination, now, &known, PORTION);
        let ids = self.time_limit.read(&file, due).await?;
        if !ids.is_empty() {
            self.load(&ids).await?;
            self.count_in_file_only().await?;
        }
        drop(backlog);
        Ok(!ids.is_empty())
    }

    /// Counts what waits in the file only.
    pub(super) async fn count_in_file_only(&self) -> Result<(), LedgerError> {
        let known = self.working().known();
        let file = self.readable()?;
        let counts = self.time_limit.read(&file, file.waiting_elsewhere(&known)).await?;
        self.working().set_in_file_only(counts);
        Ok(())
    }
}

//! Silences: they stand in the file. The end of one counts at once, even while the file takes nothing.

use async_trait::async_trait;
use lookout_model::{SilenceRecord, Timestamp};
use lookout_runtime::events::chain;

use super::WriteThroughLedger;
use crate::{LedgerError, SilenceStore};

/// An end that the file does not have yet.
#[derive(Debug, Clone)]
pub(super) struct Expiry {
    actor: String,
    at: Timestamp,
}

impl Expiry {
    fn apply(&self, silence: &mut SilenceRecord) {
        if !silence.is_over(self.at) {
            (silence.ends_at, silence.expired_by) = (self.at, Some(self.actor.clone()));
        }
    }
}

#[async_trait]
impl SilenceStore for WriteThroughLedger {
    async fn record_silence(&self, silence: &SilenceRecord) -> Result<bool, LedgerError> {
        let file = self.writable()?;
        let silence = silence.clone();
        self.time_limit.write(async move { file.record_silence(&silence).await }).await
    }

    async fn expire_silence(
        &self,
        id: &str,
        actor: &str,
        now: Timestamp,
    ) -> Result<Option<SilenceRecord>, LedgerError> {
        if let Ok(file) = self.writable() {
            let (id, actor) = (id.to_owned(), actor.to_owned());
            let expire = async move { file.expire_silence(&id, &actor, now).await };
            if let Ok(expired) = self.time_limit.write(expire).await {
                return Ok(expired);
            }
        }
        let known = self.silences(Timestamp::EPOCH).await?.into_iter().find(|silence| silence.id == id);
        let Some(mut silence) = known else { return Ok(None) };
        if !silence.is_over(now) {
            let expiry = Expiry { actor: actor.to_owned(), at: now };
            expiry.apply(&mut silence);
            self.expiries().insert(id.to_owned(), expiry);
        }
        Ok(Some(silence))
    }

    async fn silences(&self, since: Timestamp) -> Result<Vec<SilenceRecord>, LedgerError> {
        let file = self.readable()?;
        let mut silences = self.time_limit.read(&file, file.silences(since)).await?;
        let expiries = self.expiries();
        for silence in &mut silences {
            if let Some(expiry) = expiries.get(&silence.id) {
                expiry.apply(silence);
            }
        }
        silences.retain(|silence| !silence.is_over(since));
        Ok(silences)
    }
}

impl WriteThroughLedger {
    /// Writes the ends of silences that the file does not have yet.
    pub(super) async fn write_expiries(&self) {
        let waiting = self.expiries().clone();
        for (id, expiry) in waiting {
            let Ok(file) = self.writable() else { return };
            let name = id.clone();
            let expire = async move { file.expire_silence(&name, &expiry.actor, expiry.at).await };
            match self.time_limit.write(expire).await {
                Ok(_) => {
                    self.expiries().remove(&id);
                }
                Err(error) => {
                    tracing::warn!(silence.id = id, error = chain(&error), "the end of a silence waits");
                    return;
                }
            }
        }
    }
}

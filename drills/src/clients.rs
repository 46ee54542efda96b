//! Clients that read and write, and remember every write that was acknowledged.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// Between two requests of one client.
const PAUSE: Duration = Duration::from_millis(15);

/// A write that the service said it had kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) id: String,
    pub(super) at: Instant,
}

/// Results of the requests so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Record {
    pub(super) writes: Vec<Write>,
    pub(super) reads: u64,
    pub(super) failed: u64,
}

impl Record {
    /// The first write that was acknowledged at or after a moment.
    pub(super) fn first_since(&self, since: Instant) -> Option<Instant> {
        self.writes.iter().map(|write| write.at).find(|at| *at >= since)
    }
}

/// Running clients. Dropping them stops them.
pub(super) struct Clients {
    record: Arc<Mutex<Record>>,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

impl Clients {
    /// Passengers who go on board and are looked up, one after the other, whether the service is there or not.
    pub(super) fn of_titanic(client: &Client, service: SocketAddr) -> Self {
        let (client, list) = (client.clone(), format!("http://{service}/api/v1/passengers"));
        let person = json!({"name": "Drill, Mr. Restored", "class": 3, "sex": "male", "survived": true});
        let (reader, one) = (client.clone(), list.clone());
        Self::start(move || client.post(&list).json(&person), move |id| reader.get(format!("{one}/{id}")))
    }

    /// Pipelines that mark a deploy and ask the gate: what a ledger keeps besides counts.
    pub(super) fn of_lookout(client: &Client, agent: SocketAddr, service: &str, token: &str) -> Self {
        let (client, api, token) = (client.clone(), format!("http://{agent}/api/v1"), token.to_owned());
        let deploy = json!({"service": service, "version": "1", "actor": "the drill"});
        let (asker, gate) = (client.clone(), format!("{api}/gate?service={service}"));
        let (marker, asker_token) = (client, token.clone());
        Self::start(
            move || {
                let key = format!("drill-{:016x}", fastrand::u64(..));
                let request = marker.post(format!("{api}/deploys")).bearer_auth(&token);
                request.header("Idempotency-Key", key).json(&deploy)
            },
            move |_| asker.get(&gate).bearer_auth(&asker_token),
        )
    }

    fn start(
        write: impl Fn() -> RequestBuilder + Send + 'static,
        read: impl Fn(&str) -> RequestBuilder + Send + 'static,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let record = Arc::new(Mutex::new(Record::default()));
        let noted = Arc::clone(&record);
        let task = tokio::spawn(async move {
            let note = |change: &dyn Fn(&mut Record)| {
                change(&mut noted.lock().unwrap_or_else(PoisonError::into_inner));
            };
            // a request that was begun is waited for, so that what was kept is known to be
            while !*stopped.borrow() && stopped.has_changed().is_ok() {
                match written(write()).await {
                    Ok(id) => {
                        let at = Instant::now();
                        note(&|record| record.writes.push(Write { id: id.clone(), at }));
                        match read(&id).send().await.and_then(Response::error_for_status) {
                            Ok(_) => note(&|record| record.reads += 1),
                            Err(_) => note(&|record| record.failed += 1),
                        }
                    }
                    Err(_) => note(&|record| record.failed += 1),
                }
                sleep(PAUSE).await;
            }
        });
        Self { record, stop, task: Some(task) }
    }

    pub(super) fn record(&self) -> Record {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends no more and waits for what is on its way.
    pub(super) async fn stop(mut self) -> Result<Record> {
        self.stop.send_replace(true);
        if let Some(task) = self.task.take() {
            task.await.context("stopping the clients")?;
        }
        Ok(self.record())
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.task.iter().for_each(JoinHandle::abort);
    }
}

/// The id that the answer to a write names.
async fn written(request: RequestBuilder) -> Result<String> {
    let text = request.send().await?.error_for_status()?.text().await?;
    let answer: Value = serde_json::from_str(&text).context("reading what was written")?;
    let id = answer.get("id").and_then(Value::as_str);
    id.map(str::to_owned).context("what was written has no id")
}

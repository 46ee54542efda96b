//! A steady stream of requests over kept connections, and an exact record of what became of each.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::Client;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};

/// Requests per second.
pub const RATE: u32 = 50;

/// One answered request: when, and whether it was good.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    pub at: Instant,
    pub good: bool,
}

/// Answers to the requests that were sent.
#[derive(Debug, Clone, Default)]
pub struct Record {
    pub answers: Vec<Answer>,
    /// Requests without any answer.
    pub lost: u64,
}

impl Record {
    pub fn failed(&self) -> u64 {
        self.answers.iter().filter(|answer| !answer.good).count() as u64
    }

    pub fn total(&self) -> u64 {
        self.answers.len() as u64
    }

    /// The first moment after `since` at which the share of bad answers over `window` exceeds `threshold`: what an
    /// observer could know at the earliest, given the answers that were really drawn.
    pub fn crossed(&self, since: Instant, window: Duration, threshold: f64) -> Option<Instant> {
        let (mut first, mut bad, mut total) = (0, 0_u64, 0_u64);
        for answer in &self.answers {
            (total, bad) = (total + 1, bad + u64::from(!answer.good));
            while let Some(old) =
                self.answers.get(first).filter(|old| answer.at.duration_since(old.at) > window)
            {
                (total, bad) = (total - 1, bad - u64::from(!old.good));
                first += 1;
            }
            if answer.at >= since && bad as f64 > threshold * total as f64 {
                return Some(answer.at);
            }
        }
        None
    }
}

/// The running load. Dropping it stops it.
pub struct Load {
    record: Arc<Mutex<Record>>,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

impl Load {
    /// Starts to send.
    pub fn start(client: &Client, url: &str) -> Self {
        let (stop, stopped) = watch::channel(false);
        let record = Arc::new(Mutex::new(Record::default()));
        let task = tokio::spawn(send(client.clone(), url.to_owned(), Arc::clone(&record), stopped));
        Self { record, stop, task: Some(task) }
    }

    /// The record so far.
    pub fn record(&self) -> Record {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends no more, waits for what is on its way.
    pub async fn stop(mut self) -> Result<Record> {
        self.stop.send_replace(true);
        if let Some(task) = self.task.take() {
            task.await.context("stopping the load")?;
        }
        Ok(self.record())
    }
}

async fn send(client: Client, url: String, record: Arc<Mutex<Record>>, mut stopped: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(Duration::from_secs(1) / RATE);
    // A pause of ours must not become a burst for the service.
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            _ = tick.tick() => {
                let request = client.get(&url);
                open.spawn(async move {
                    let answer = request.send().await.ok()?;
                    let good = answer.status().is_success();
                    // Read to the end, or the connection is not kept.
                    answer.bytes().await.ok()?;
                    Some(Answer { at: Instant::now(), good })
                });
            }
            // Also when the handle was dropped.
            _ = stopped.wait_for(|stop| *stop) => break,
            Some(done) = open.join_next() => note(&record, done.ok().flatten()),
        }
    }
    while let Some(done) = open.join_next().await {
        note(&record, done.ok().flatten());
    }
}

fn note(record: &Mutex<Record>, answer: Option<Answer>) {
    let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
    match answer {
        Some(answer) => record.answers.push(answer),
        None => record.lost += 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fifty answers a second; from `since` on, three of ten are bad.
    fn stepped(start: Instant, healthy: u32, faulty: u32) -> Record {
        let answers = (0..(healthy + faulty) * RATE).map(|n| Answer {
            at: start + Duration::from_secs(1) / RATE * n,
            good: n < healthy * RATE || n % 10 >= 3,
        });
        Record { answers: answers.collect(), lost: 0 }
    }

    #[test]
    fn the_crossing_agrees_with_the_closed_form() {
        let start = Instant::now();
        let since = start + Duration::from_secs(20);
        let crossed = stepped(start, 20, 10).crossed(since, Duration::from_secs(10), 0.2).unwrap();
        let seconds = crossed.duration_since(since).as_secs_f64();
        assert!((seconds - 10.0 * 0.2 / 0.3).abs() < 0.2, "{seconds}");
    }

    #[test]
    fn without_enough_errors_nothing_is_crossed() {
        let start = Instant::now();
        let record = stepped(start, 20, 10);
        assert_eq!(record.crossed(start, Duration::from_secs(10), 0.3), None);
        assert_eq!((record.total(), record.failed()), (1500, 150));
    }
}

//! Metrics of the database: durations of statements, waits for connections, and the state of the pool.
//!
//! Every statement takes an admission permit before it takes a connection. A drill can take all of them without touching
//! the connections, so that health checks, which need none, go on. There are more than requests: they queue at the pool.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use metrics::histogram;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tracing::{Span, field};

use super::error::{WriteFault, write_fault};
use super::pool_state::PoolState;
use crate::telemetry::metrics::{Recorder, counter, gauge};
use crate::telemetry::{self, SQL};

/// Bucket bounds in seconds of one round trip to a database.
const BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
const DURATION: &str = "db_client_operation_duration_seconds";
const WAIT: &str = "db_client_connection_wait_time_seconds";

/// Counts and durations of one database.
#[derive(Debug)]
pub(crate) struct Meter {
    system: &'static str,
    admission: Arc<Semaphore>,
    slots: u32,
    pending: AtomicU64,
    timeouts: AtomicU64,
    recorder: Recorder,
    wait: metrics::Histogram,
    durations: RwLock<HashMap<Outcome, metrics::Histogram>>,
    write_fault: Mutex<Option<(WriteFault, Instant)>>,
}

/// An operation, and the kind of error with which it ended.
type Outcome = (&'static str, Option<&'static str>);

/// Admission permits: more than there are ever requests.
const ADMISSIONS: u32 = 1 << 20;

/// An admission, held as long as the connection.
pub(crate) type AdmissionPermit = OwnedSemaphorePermit;

/// A statement that is measured.
pub(crate) struct Watch<'a> {
    meter: &'a Meter,
    operation: &'static str,
    span: Span,
}

impl Watch<'_> {
    /// Runs it, and records its duration and outcome. Its future stays where it is: one that is handed on by value is copied
    /// by each function that it passes, and takes their memory twice.
    pub(crate) async fn over<T>(
        self,
        run: Pin<&mut impl Future<Output = Result<T, sqlx::Error>>>,
    ) -> Result<T, sqlx::Error> {
        let since = Instant::now();
        // The span lasts as long as this does, and is not entered: nothing looks for a span that is current.
        let done = run.await;
        if let Err(error) = &done
            && let Some(fault) = write_fault(error)
        {
            self.meter.set_write_fault(Some(fault));
        }
        let error = done.as_ref().err().map(|error| kind_of(error, &self.span));
        self.meter.note(self.operation, error, since.elapsed().as_secs_f64());
        done
    }

    /// Ends with the outcome of a statement that served several requests at once and was measured once for all.
    pub(crate) fn shared<T>(
        self,
        together: usize,
        done: Result<T, Arc<sqlx::Error>>,
    ) -> Result<T, Arc<sqlx::Error>> {
        if together > 1 {
            self.span.record("db.operation.batch.size", together);
        }
        if let Err(error) = &done {
            kind_of(error, &self.span);
        }
        done
    }
}

/// A waiting request. It counts until it is dropped.
pub(crate) struct Waiting<'a>(&'a AtomicU64);

impl<'a> Waiting<'a> {
    fn begin(pending: &'a AtomicU64) -> Self {
        pending.fetch_add(1, Ordering::Relaxed);
        Self(pending)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Meter {
    pub(crate) fn new(system: &'static str, slots: u32) -> Self {
        let recorder = Recorder::new(
            &[
                (WAIT, "How long a database connection was waited for.", &BUCKETS),
                (DURATION, "Duration of statements, by what they do and how they failed.", &BUCKETS),
            ],
            &[],
        );
        Self {
            system,
            wait: recorder.record(|| histogram!(WAIT)),
            durations: RwLock::default(),
            admission: Arc::new(Semaphore::new(ADMISSIONS as usize)),
            slots,
            pending: AtomicU64::new(0),
            timeouts: AtomicU64::new(0),
            recorder,
            write_fault: Mutex::default(),
        }
    }

    /// Returns the connections in use. A request that is admitted and has none waits, because all are in use.
    pub(crate) fn used(&self) -> u32 {
        let outside = u32::try_from(self.admission.available_permits()).unwrap_or(ADMISSIONS);
        ADMISSIONS.saturating_sub(outside).min(self.slots)
    }

    /// Takes all admissions, and waits until all requests in between have ended.
    pub(crate) async fn exhaust(&self) -> Option<AdmissionPermit> {
        self.admission.clone().acquire_many_owned(ADMISSIONS).await.ok()
    }

    /// Waits for an admission and a connection, and records the time that both took together.
    pub(crate) async fn admit<T>(
        &self,
        limit: std::time::Duration,
        connection: Pin<&mut impl Future<Output = Result<T, sqlx::Error>>>,
    ) -> Result<(AdmissionPermit, T), sqlx::Error> {
        let (since, waiting) = (Instant::now(), Waiting::begin(&self.pending));
        let got = match self.admission.clone().try_acquire_owned() {
            // The pool has a limit of its own.
            Ok(permit) => connection.await.map(|connection| (permit, connection)),
            Err(_) => {
                let got = tokio::time::timeout(limit, async {
                    let permit =
                        self.admission.clone().acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
                    Ok((permit, connection.await?))
                });
                got.await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
            }
        };
        drop(waiting);
        self.wait.record(since.elapsed().as_secs_f64());
        if matches!(got, Err(sqlx::Error::PoolTimedOut)) {
            self.timeouts.fetch_add(1, Ordering::Relaxed);
        }
        got
    }

    /// Starts to measure a statement. The span has its text with placeholders, and never the values.
    pub(crate) fn watch(&self, sql: &str) -> Watch<'_> {
        if !telemetry::are_spans_exported() {
            return self.watch_unseen(sql);
        }
        let (operation, table) = (operation(sql), table(sql));
        let gap = if table.is_empty() { "" } else { " " };
        let span = tracing::info_span!(
            target: SQL,
            "sql",
            otel.name = field::display(format_args!("{operation}{gap}{table}")),
            otel.kind = "client",
            otel.status_code = field::Empty,
            db.system.name = self.system,
            db.operation.name = operation,
            db.collection.name = table,
            db.operation.batch.size = field::Empty,
            db.query.text = sql,
            db.response.status_code = field::Empty,
            error.type = field::Empty,
        );
        Watch { meter: self, operation, span }
    }

    /// Starts to measure a statement without a span of its own.
    pub(crate) fn watch_unseen(&self, sql: &str) -> Watch<'_> {
        Watch { meter: self, operation: operation(sql), span: Span::none() }
    }

    fn note(&self, name: &'static str, error: Option<&'static str>, seconds: f64) {
        let outcome = (name, error);
        let durations = self.durations.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = durations.get(&outcome) {
            return series.record(seconds);
        }
        drop(durations);
        let mut durations = self.durations.write().unwrap_or_else(PoisonError::into_inner);
        durations.entry(outcome).or_insert_with(|| self.series(outcome)).record(seconds);
    }

    fn series(&self, (name, error): Outcome) -> metrics::Histogram {
        let mut labels = vec![("db_system_name", self.system), ("db_operation_name", name)];
        labels.extend(error.map(|error| ("error_type", error)));
        self.recorder.record(|| histogram!(DURATION, &labels))
    }

    /// Remembers that changes fail, or that one succeeded.
    pub(crate) fn set_write_fault(&self, fault: Option<WriteFault>) {
        let mut known = self.write_fault.lock().unwrap_or_else(PoisonError::into_inner);
        if fault.is_some() || known.is_some() {
            *known = fault.map(|fault| (fault, Instant::now()));
        }
    }

    /// Returns the reason for which the last change failed, and when that was.
    pub(crate) fn last_write_fault(&self) -> Option<(WriteFault, Instant)> {
        *self.write_fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request that waits for a shared statement.
    pub(crate) fn waits(&self) -> Waiting<'_> {
        Waiting::begin(&self.pending)
    }

    /// Returns the number of requests that wait for a connection.
    pub(crate) fn pending(&self) -> u64 {
        self.pending.load(Ordering::Relaxed)
    }

    /// Returns the recorder of statements and waits.
    pub(super) fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Records the state of the pool. A stranded permit is a defect: alert on it.
    #[expect(clippy::cast_precision_loss, reason = "counts that are shown")]
    pub(super) fn record(&self, pool: &PoolState) {
        for (state, connections) in [("idle", pool.idle), ("used", self.used())] {
            let help = "Database connections of the pool, by what they are doing.";
            gauge("db_client_connection_count", help, &[("state", state.to_owned())], connections.into());
        }
        let used = pool.max.saturating_sub(pool.available + pool.recovering + pool.stranded);
        for (state, permits) in [
            ("available", pool.available),
            ("used", used),
            ("recovering", pool.recovering),
            ("stranded", pool.stranded),
        ] {
            let help = "Permits for database connections, by their use.";
            gauge("titanic_db_connection_permits", help, &[("state", state.to_owned())], permits.into());
        }
        for (reason, count) in [("silent", pool.discarded_silent), ("failed", pool.discarded_failed)] {
            let help = "Database connections that were closed before their time, by reason.";
            let reason = [("reason", reason.to_owned())];
            counter("titanic_db_connections_discarded_total", help, &reason, count);
        }
        let help = "Age of the oldest checkout of a database connection.";
        gauge("titanic_db_oldest_checkout_seconds", help, &[], pool.oldest_checkout.as_secs_f64());
        let help = "Requests that wait for a database connection.";
        gauge("db_client_connection_pending_requests", help, &[], self.pending() as f64);
        let help = "Database connections that may be open at most.";
        gauge("db_client_connection_max", help, &[], self.slots.into());
        let help = "Requests that waited in vain for a database connection.";
        let timeouts = self.timeouts.load(Ordering::Relaxed);
        counter("db_client_connection_timeouts_total", help, &[], timeouts);
    }
}

/// Returns the operation of a statement, from a list, because it is a label.
fn operation(sql: &str) -> &'static str {
    const KNOWN: [&str; 8] = ["SELECT", "INSERT", "UPDATE", "DELETE", "BEGIN", "COMMIT", "WITH", "LOCK"];
    let word = sql.split_ascii_whitespace().next().unwrap_or_default();
    KNOWN.into_iter().find(|known| known.eq_ignore_ascii_case(word)).unwrap_or("OTHER")
}

/// Returns the first table of a statement.
fn table(sql: &str) -> &str {
    let leads =
        |word: &str| ["from", "into", "update"].iter().any(|before| word.eq_ignore_ascii_case(before));
    let words = sql.split_ascii_whitespace();
    let name = words.clone().zip(words.skip(1)).find(|(word, next)| leads(word) && !next.starts_with('('));
    let name = name.map(|(_, next)| next).unwrap_or_default();
    name.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default()
}

/// Returns the kind of an error, from a list, because it is a label; the code of the database goes into the span.
fn kind_of(error: &sqlx::Error, span: &Span) -> &'static str {
    let kind = match error {
        sqlx::Error::PoolTimedOut => "timeout",
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => "closed",
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) => "connection",
        sqlx::Error::Database(error) => {
            if let Some(code) = error.code() {
                span.record("db.response.status_code", code.as_ref());
            }
            if error.is_unique_violation() || error.is_check_violation() { "constraint" } else { "database" }
        }
        _ => "other",
    };
    span.record("error.type", kind);
    span.record("otel.status_code", "ERROR");
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_tells_what_it_does_and_to_which_table() {
        for (sql, expected) in [
            ("select id, name from things where id = $1", ("SELECT", "things")),
            ("insert into things (id) values ($1)", ("INSERT", "things")),
            ("update things set name = $1", ("UPDATE", "things")),
            ("select count(*) from (select 1 from things limit 1) as one", ("SELECT", "things")),
            ("delete from things", ("DELETE", "things")),
            ("begin immediate", ("BEGIN", "")),
            ("vacuum", ("OTHER", "")),
            ("", ("OTHER", "")),
        ] {
            assert_eq!((operation(sql), table(sql)), expected, "{sql}");
        }
    }
}

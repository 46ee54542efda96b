//! Merges concurrent reads of single passengers into one statement.
//!
//! While two statements are on their way, the next request waits for one that reads all waiting ids. Under load requests
//! share a round trip and, on SQLite, the change to another thread and back, which costs more than the statement. Without
//! load no request waits. Each read still begins after its request. A shared statement that fails is the failure of no
//! request: each then reads alone, unless there was no connection, which is true for all.
//!
//! With three reads of one passenger to each list, it takes 29 % of the service's processor time away on PostgreSQL with 64
//! connections and 11 % with 16, and nothing on SQLite. With reads of one passenger alone these are 36 % and 19 %, and 26 %
//! and 14 % on SQLite.

use std::mem;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;

use super::columns::{COLUMNS, with_columns};
use crate::database::{Database, Statement, Value};
use crate::passengers::domain::model::Passenger;

/// Statements that may be on their way before others wait to be fetched together.
const MAX_FLIGHTS: usize = 2;
/// Time limit for a shared statement: less than that of each request that shares it.
const LIMIT: Duration = Duration::from_secs(8);
/// The most ids of one statement.
const MOST: usize = 32;

const GET: &str = with_columns!("select ", " from passengers where id = $1");

/// Statements for a few, some more, and so on, so that databases know all of them after a while: places that nobody takes
/// are filled with one that is asked for anyway.
static MANY: LazyLock<[(usize, String); 5]> = LazyLock::new(|| {
    [2, 4, 8, 16, MOST].map(|places| {
        let all: Vec<_> = (1..=places).map(|place| format!("${place}")).collect();
        (places, format!("select {COLUMNS} from passengers where id in ({})", all.join(", ")))
    })
});

/// The result of one read: the passenger, if there is one.
type Answer = Result<Option<Passenger>, Arc<sqlx::Error>>;

/// The waiting reads and the statements on their way.
#[derive(Debug, Default)]
pub(super) struct Batcher(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    asked: Vec<Asked>,
    /// Statements that are on their way.
    flights: usize,
}

#[derive(Debug)]
struct Asked {
    id: Uuid,
    answer: oneshot::Sender<(usize, Answer)>,
}

/// The right to one shared statement. Dropped, it starts the next one for the requests that came meanwhile.
struct Flight {
    batcher: Arc<Batcher>,
    db: Database,
}

impl Batcher {
    /// One passenger, if there is one of this id.
    pub(super) async fn get(self: &Arc<Self>, db: &Database, id: Uuid) -> Answer {
        let waiting = match self.join(db, id) {
            Ok(turn) => return turn.fetch_one(id).await,
            Err(waiting) => waiting,
        };
        let watch = db.meter().watch(GET);
        let answer = {
            let _waits = db.meter().waits();
            waiting.await
        };
        match answer {
            Ok((together, answer)) => watch.shared(together, answer),
            Err(_no_end) => db.row(one(id)).await.map_err(Arc::new),
        }
    }

    /// Fails all requests of a statement that got no connection, and those that wait: there is none for them either.
    fn tell_all(&self, asked: Vec<Asked>, error: &Arc<sqlx::Error>) {
        if matches!(**error, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed) {
            let waiting = mem::take(&mut self.state().asked);
            for Asked { answer, .. } in asked.into_iter().chain(waiting) {
                let _gone_meanwhile = answer.send((1, Err(Arc::clone(error))));
            }
        }
    }

    fn join(self: &Arc<Self>, db: &Database, id: Uuid) -> Result<Flight, oneshot::Receiver<(usize, Answer)>> {
        let mut state = self.state();
        if state.flights < MAX_FLIGHTS {
            state.flights += 1;
            return Ok(Flight { batcher: Arc::clone(self), db: db.clone() });
        }
        let (answer, waiting) = oneshot::channel();
        state.asked.push(Asked { id, answer });
        Err(waiting)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut state = self.batcher.state();
        // Who was given up by its client need not be fetched.
        state.asked.retain(|asked| !asked.answer.is_closed());
        if state.asked.is_empty() {
            state.flights -= 1;
            return;
        }
        let many = state.asked.len().min(MOST);
        let later = state.asked.split_off(many);
        let asked = mem::replace(&mut state.asked, later);
        drop(state);
        let turn = Self { batcher: Arc::clone(&self.batcher), db: self.db.clone() };
        // Without a runtime there is nobody who waits.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(turn.fetch(asked));
        }
    }
}

impl Flight {
    async fn fetch_one(self, id: Uuid) -> Answer {
        let answer = self.db.row(one(id)).await.map_err(Arc::new);
        answer.inspect_err(|error| self.batcher.tell_all(Vec::new(), error))
    }

    /// Reads the rows of all requests. A request without an answer reads alone.
    async fn fetch(self, asked: Vec<Asked>) {
        let ids: Vec<Uuid> = asked.iter().map(|asked| asked.id).collect();
        let Ok(rows) = timeout(LIMIT, self.db.rows_for_many::<Passenger>(many(&ids))).await else { return };
        let rows = match rows {
            Ok(rows) => rows,
            Err(error) => return self.batcher.tell_all(asked, &Arc::new(error)),
        };
        for Asked { id, answer } in asked {
            let found = rows.iter().find(|row| row.id == id).cloned();
            let _gone_meanwhile = answer.send((ids.len(), Ok(found)));
        }
    }
}

fn one(id: Uuid) -> Statement {
    Statement::fixed(GET, [Value::Key(id)])
}

/// Returns the statement for at most [`MOST`] ids.
fn many(ids: &[Uuid]) -> Statement {
    let [fewer @ .., most] = &*MANY;
    let (places, sql) = fewer.iter().find(|(places, _)| *places >= ids.len()).unwrap_or(most);
    let values: Vec<_> = ids.iter().cycle().take(*places).copied().map(Value::Key).collect();
    Statement::fixed(sql, values)
}

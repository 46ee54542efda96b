//! PostgreSQL stopped and started under load, as the clients of the real program meet it.
//!
//! 64 clients hold one connection each, from the first request to the last: one that is cut is a failure of its own. Every
//! answer is held against what the client knows. What was answered with 2xx is so; what was answered with 503 may be so or
//! not, and is settled by the next look at it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::program::{Program, until};
use crate::server::Postgres;
use crate::wire::{Said, call};

const CLIENTS: usize = 64;
/// The time limit for `/readyz` to say that the database is gone. It waits 2 s for a sign of life.
const NOTICED: Duration = Duration::from_secs(4);
/// The time limit for recovery after PostgreSQL lets somebody in.
const RECOVERED: Duration = Duration::from_secs(5);
const ALL: &str = "/api/v1/passengers";
const ONE: &str = "/api/v1/passengers/{id}";

/// The state that all clients share.
struct Scene {
    address: String,
    known: Value,
    /// Even while PostgreSQL is well, odd from when it is told to stop until everyone is served again.
    storms: AtomicU32,
    over: AtomicBool,
    served: Vec<AtomicU32>,
    refused: Vec<AtomicU32>,
    wrong: Mutex<Vec<String>>,
    seen: Mutex<BTreeSet<(&'static str, &'static str, u16)>>,
}

/// A passenger of a client's own: all that it may be like by now. `None` is gone.
struct Own {
    path: String,
    may_be: Vec<Option<Value>>,
}

/// One client and what it believes.
struct Client {
    scene: Arc<Scene>,
    number: usize,
    connection: TcpStream,
    own: Vec<Own>,
    /// Sent under a key and not yet answered for good.
    unsettled: Option<(String, Value)>,
    boarded: u32,
    /// Sent without a key and answered with 503: aboard or not, nobody can tell.
    doubtful: u32,
}

/// A state without the moment of its change, which only the service knows.
fn plain(mut passenger: Value) -> Value {
    passenger.as_object_mut().and_then(|object| object.remove("updated_at"));
    passenger
}

impl Own {
    /// Returns whether the state of the passenger is certain.
    fn is_known(&self) -> bool {
        matches!(self.may_be[..], [Some(_)])
    }
}

impl Client {
    /// Asks until the play is over, and returns what must be aboard.
    async fn play(mut self) -> Option<Self> {
        for turn in 0_u32.. {
            if self.scene.over.load(Ordering::Acquire) {
                return Some(self);
            }
            if let Err(wrong) = self.turn(turn).await {
                let wrong = format!("client {}, turn {turn}: {wrong}", self.number);
                self.scene.wrong.lock().unwrap_or_else(PoisonError::into_inner).push(wrong);
                return None;
            }
            sleep(Duration::from_millis(10)).await;
        }
        None
    }

    async fn turn(&mut self, turn: u32) -> Result<(), String> {
        let last = self.own.len().checked_sub(1);
        match (turn % 6, last) {
            (0, _) => self.read_known().await,
            (1, _) => self.list().await,
            (3, Some(last)) => self.read(last).await,
            (4, Some(last)) if self.own[last].is_known() => self.patch(last).await,
            (5, Some(last)) if last > 3 && self.own[0].is_known() => self.delete().await,
            (4 | 5, Some(_)) => self.read(0).await,
            _ => self.board(turn).await,
        }
    }

    /// Asks. `None` when the answer is that the database is away, which it must be then.
    async fn ask(
        &mut self,
        (method, route): (&'static str, &'static str),
        path: &str,
        (headers, body): (&str, Option<&Value>),
    ) -> Result<Option<Said>, String> {
        let before = self.scene.storms.load(Ordering::Acquire);
        let said = call(&mut self.connection, method, path, headers, body).await?;
        self.scene.seen.lock().unwrap_or_else(PoisonError::into_inner).insert((method, route, said.status));
        if said.status != 503 {
            self.scene.served[self.number].fetch_add(1, Ordering::AcqRel);
            return Ok(Some(said));
        }
        if before.is_multiple_of(2) && before == self.scene.storms.load(Ordering::Acquire) {
            return Err(format!("{method} {path} was refused while all was well: {said:?}"));
        }
        let code = said.body["code"].as_str().unwrap_or_default();
        if !["database_unavailable", "timeout"].contains(&code) || said.header("retry-after") != Some("1") {
            return Err(format!("{method} {path} was refused for no reason of ours: {said:?}"));
        }
        self.scene.refused[self.number].fetch_add(1, Ordering::AcqRel);
        Ok(None)
    }

    async fn read_known(&mut self) -> Result<(), String> {
        let known = self.scene.known.clone();
        let path = format!("{ALL}/{}", known["id"].as_str().unwrap_or_default());
        match self.ask(("GET", ONE), &path, ("", None)).await? {
            Some(said) if said.status != 200 || said.body != known => Err(format!("{said:?}, not {known}")),
            _ => Ok(()),
        }
    }

    async fn list(&mut self) -> Result<(), String> {
        match self.ask(("GET", ALL), &format!("{ALL}?limit=2"), ("", None)).await? {
            Some(said) if said.status != 200 || said.body["items"][0] != self.scene.known => {
                Err(format!("the list begins with {said:?}"))
            }
            _ => Ok(()),
        }
    }

    /// Brings somebody aboard. Half of the clients say who asks, and ask again until they know.
    async fn board(&mut self, turn: u32) -> Result<(), String> {
        let name = format!("Visitor {turn} of {}", self.number);
        let fresh = json!({"name": name, "class": 3, "sex": "female", "age": 30, "survived": true});
        let keyed = self.number.is_multiple_of(2);
        let (key, person) = self.unsettled.take().unwrap_or((format!("{}-{turn}", self.number), fresh));
        let header = if keyed { format!("idempotency-key: {key}\r\n") } else { String::new() };
        let Some(said) = self.ask(("POST", ALL), ALL, (&header, Some(&person))).await? else {
            self.doubtful += u32::from(!keyed);
            self.unsettled = keyed.then_some((key, person));
            return Ok(());
        };
        let as_sent =
            person.as_object().into_iter().flatten().all(|(field, value)| said.body[field] == *value);
        if said.status != 201 || !as_sent {
            return Err(format!("{said:?} to {person}"));
        }
        let path = format!("{ALL}/{}", said.body["id"].as_str().unwrap_or_default());
        self.own.push(Own { path, may_be: vec![Some(plain(said.body))] });
        self.boarded += 1;
        Ok(())
    }

    async fn read(&mut self, index: usize) -> Result<(), String> {
        let path = self.own[index].path.clone();
        let Some(said) = self.ask(("GET", ONE), &path, ("", None)).await? else { return Ok(()) };
        let now = match said.status {
            200 => Some(plain(said.body)),
            404 => None,
            _ => return Err(format!("{said:?}")),
        };
        let may_be = &mut self.own[index].may_be;
        if !may_be.contains(&now) {
            return Err(format!("{path} is {now:?}, which is none of {may_be:?}"));
        }
        *may_be = vec![now];
        if *may_be == [None] {
            self.own.remove(index);
        }
        Ok(())
    }

    async fn patch(&mut self, index: usize) -> Result<(), String> {
        let path = self.own[index].path.clone();
        let Some(Some(before)) = self.own[index].may_be.first().cloned() else { return Ok(()) };
        let mut wanted = before.clone();
        wanted["age"] = json!(before["age"].as_u64().unwrap_or(30) % 99 + 1);
        wanted["version"] = json!(before["version"].as_u64().unwrap_or(0) + 1);
        let patch = json!({"age": wanted["age"]});
        match self.ask(("PATCH", ONE), &path, ("", Some(&patch))).await? {
            None => self.own[index].may_be.push(Some(wanted)),
            Some(said) if said.status == 200 && plain(said.body.clone()) == wanted => {
                self.own[index].may_be = vec![Some(wanted)];
            }
            Some(said) => return Err(format!("{said:?}, not {wanted}")),
        }
        Ok(())
    }

    async fn delete(&mut self) -> Result<(), String> {
        let path = self.own[0].path.clone();
        match self.ask(("DELETE", ONE), &path, ("", None)).await? {
            None => self.own[0].may_be.push(None),
            Some(said) if said.status == 204 => {
                // Gone for good: whoever looks again finds nobody.
                self.own[0].may_be = vec![None];
                return self.read(0).await;
            }
            Some(said) => return Err(format!("{said:?}")),
        }
        Ok(())
    }
}

impl Scene {
    /// Waits for a state of the play, or for the first thing that is wrong in it.
    async fn until<T>(&self, what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
        until(what, async || {
            let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone();
            assert!(wrong.is_empty(), "before {what}: {wrong:#?}");
            ask().await
        })
        .await
    }

    /// Waits until each client has had this many more answers of a kind.
    async fn everyone(&self, what: &str, counts: &[AtomicU32], more: u32) {
        let before: Vec<_> = counts.iter().map(|count| count.load(Ordering::Acquire)).collect();
        let reached =
            || counts.iter().zip(&before).all(|(now, old)| now.load(Ordering::Acquire) >= old + more);
        self.until(what, async || reached().then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_stops_and_starts_under_sixty_four_clients() {
    let mut server = Postgres::start().await;
    let folder = tempfile::tempdir().unwrap();
    let url = server.database("outage").await;
    let variables = [("DATABASE_URL", url.as_str()), ("LOG_LEVEL", "error"), ("DRAIN_SECONDS", "0")];
    let mut program = Program::start(&folder, &variables).await;
    let get = async |path: &str| {
        let answer = program.http.get(format!("{}{path}", program.address)).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let known = get(&format!("{ALL}?limit=1")).await.1["items"][0].clone();
    let counts = || (0..CLIENTS).map(|_| AtomicU32::new(0)).collect::<Vec<_>>();
    let scene = Arc::new(Scene {
        address: program.address.trim_start_matches("http://").to_owned(),
        known,
        storms: AtomicU32::new(0),
        over: AtomicBool::new(false),
        served: counts(),
        refused: counts(),
        wrong: Mutex::default(),
        seen: Mutex::default(),
    });
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let connection = TcpStream::connect(&scene.address).await.unwrap();
        let client = Client {
            scene: scene.clone(),
            number,
            connection,
            own: Vec::new(),
            unsettled: None,
            boarded: 0,
            doubtful: 0,
        };
        clients.push(tokio::spawn(client.play()));
    }
    scene.everyone("all have come aboard", &scene.served, 12).await;

    for mode in ["fast", "immediate"] {
        scene.storms.fetch_add(1, Ordering::AcqRel);
        let since = Instant::now();
        tokio::task::block_in_place(|| server.stop_by(mode));
        scene.until("/readyz is 503", async || (get("/readyz").await.0 == 503).then_some(())).await;
        let noticed = since.elapsed();
        assert!(noticed < NOTICED, "{mode}: /readyz noticed after {noticed:?}");
        assert_eq!(get("/readyz").await.1["checks"]["database"], "fail");
        assert_eq!((get("/livez").await.0, get("/health").await.0), (200, 503));
        scene.everyone("all were told", &scene.refused, 1).await;

        server.resume().await;
        let since = Instant::now();
        let look = async || {
            scene.until("/readyz is 200", async || (get("/readyz").await.0 == 200).then_some(())).await;
            since.elapsed()
        };
        let visit = async || {
            scene.until("a page", async || (get(ALL).await.0 == 200).then_some(())).await;
            since.elapsed()
        };
        let all = async || {
            scene.everyone("everyone is served", &scene.served, 1).await;
            since.elapsed()
        };
        let (ready, first, everyone) = tokio::join!(look(), visit(), all());
        println!(
            "pg_ctl stop -m {mode}: not ready after {noticed:.1?}; once PostgreSQL was back: ready after {ready:.1?}, \
             first success after {first:.1?}, all {CLIENTS} clients served after {everyone:.1?}"
        );
        let last = ready.max(first).max(everyone);
        assert!(last < RECOVERED, "{mode}: ready {ready:?}, first success {first:?}, everyone {everyone:?}");
        // Whatever was begun before is answered by now: from here on nobody may be refused.
        scene.storms.fetch_add(1, Ordering::AcqRel);
        scene.everyone("all are served as before", &scene.served, 12).await;
    }

    scene.over.store(true, Ordering::Release);
    let (mut boarded, mut doubtful, mut left) = (0, 0, 0);
    for client in clients {
        let mut client = client.await.unwrap().unwrap_or_else(|| panic!("{:#?}", scene.wrong.lock()));
        boarded += client.boarded;
        doubtful += client.doubtful + u32::from(client.unsettled.is_some());
        for index in (0..client.own.len()).rev() {
            client.read(index).await.unwrap();
        }
        left += u32::try_from(client.own.len()).unwrap();
    }
    println!("{boarded} came aboard, {doubtful} perhaps, {left} of them are still there");
    assert!(boarded > 64 && left > 0);
    let total = get(&format!("{ALL}?limit=1&total=true")).await.1["total"].as_u64().unwrap();
    let (least, most) = (1309 + u64::from(left), 1309 + u64::from(left + doubtful));
    assert!((least..=most).contains(&total), "{total}, not {least} to {most}");
    nobody_came_aboard_twice(&program).await;

    let document = get("/openapi.json").await.1;
    for (method, route, status) in scene.seen.lock().unwrap().iter() {
        let answers = &document["paths"][route][method.to_lowercase()]["responses"];
        assert!(answers.get(status.to_string()).is_some(), "{method} {route} answered {status}");
    }
    program.signal("TERM").await;
    assert!(program.ended().await.success());
}

/// Names are made once each: who is there twice was stored twice.
async fn nobody_came_aboard_twice(program: &Program) {
    let (mut names, mut after) = (BTreeSet::new(), String::new());
    loop {
        let url = format!("{}{ALL}?name=visitor&limit=100{after}", program.address);
        let page = program.http.get(url).send().await.unwrap().json::<Value>().await.unwrap();
        for passenger in page["items"].as_array().unwrap() {
            let name = passenger["name"].as_str().unwrap().to_owned();
            assert!(names.insert(name.clone()), "{name} is there twice");
        }
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        after = format!("&cursor={cursor}");
    }
}

/// Not a word, not even that the connection is closed: a machine that is lost, a rule of a firewall.
#[tokio::test]
async fn a_database_that_falls_silent_holds_nobody_and_nothing_when_it_speaks_again() {
    let server = Postgres::start().await;
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&folder, &[("DATABASE_URL", &server.database("silent").await)]).await;
    let list = format!("{}{ALL}", program.address);
    let page: Value =
        program.http.get(format!("{list}?limit=40")).send().await.unwrap().json().await.unwrap();
    let ids: Vec<_> =
        page["items"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    let all = async || {
        let asked = ids.iter().map(|id| program.http.get(format!("{list}/{id}")).send());
        let answers = futures_util::future::join_all(asked).await;
        answers.into_iter().map(|answer| answer.unwrap().status().as_u16()).collect::<BTreeSet<_>>()
    };
    assert_eq!(all().await, BTreeSet::from([200]));
    server.fall_silent();
    let since = Instant::now();
    assert_eq!(all().await, BTreeSet::from([503]));
    assert!(since.elapsed() < Duration::from_secs(12), "after {:?}", since.elapsed());
    server.speak();
    let since = Instant::now();
    until("everyone is served", async || (all().await == BTreeSet::from([200])).then_some(())).await;
    assert!(since.elapsed() < RECOVERED, "after {:?}", since.elapsed());
}

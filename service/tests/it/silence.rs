//! A PostgreSQL that falls silent, fails over, or refuses, behind a proxy, as the clients of the real program meet it.
//!
//! After each fault every permit must be back, and 60 of 60 requests served, within 10 s.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use crate::program::{Program, until};
use crate::proxy::Proxy;
use crate::server::Postgres;

const ALL: &str = "/api/v1/passengers";
const RECOVERED: Duration = Duration::from_secs(10);
const GIVES_UP: Duration = Duration::from_millis(400);

/// The service behind the proxy.
struct Scene {
    server: Postgres,
    proxy: Proxy,
    program: Program,
    ids: Vec<String>,
    _folder: TempDir,
}

impl Scene {
    async fn start() -> Self {
        let server = Postgres::start().await;
        let direct = server.database("silence").await;
        let proxy = Proxy::start(server.port()).await;
        let url = direct.replace(&server.port().to_string(), &proxy.port.to_string());
        let folder = tempfile::tempdir().unwrap();
        let variables = [("DATABASE_URL", url.as_str()), ("LOG_LEVEL", "error"), ("DRAIN_SECONDS", "0")];
        let program = Program::start(&folder, &variables).await;
        let page = program.http.get(format!("{}{ALL}?limit=60", program.address)).send().await.unwrap();
        let page: Value = page.json().await.unwrap();
        let ids = page["items"].as_array().unwrap().iter();
        let ids = ids.map(|one| one["id"].as_str().unwrap().to_owned()).collect();
        let scene = Self { server, proxy, program, ids, _folder: folder };
        scene.is_served_again("at first").await;
        scene
    }

    /// Reads passengers at once; the statuses, 0 for a request that was given up.
    async fn read(&self, count: usize, patience: Duration) -> Vec<u16> {
        let asked = self.ids.iter().cycle().take(count).map(async |id| {
            let request = self.program.http.get(format!("{}{ALL}/{id}", self.program.address)).send();
            timeout(patience, request)
                .await
                .map_or(0, |answer| answer.map_or(0, |answer| answer.status().as_u16()))
        });
        join_all(asked).await
    }

    /// Adds passengers at once, each in a transaction.
    async fn write(&self, count: usize, patience: Duration, prefix: &str) -> Vec<u16> {
        let asked = (0..count).map(async |number| {
            let person =
                json!({"name": format!("{prefix} {number}"), "class": 3, "sex": "male", "survived": true});
            let request = self.program.http.post(format!("{}{ALL}", self.program.address));
            let request =
                request.header("idempotency-key", format!("{}-{number}", prefix.replace([' ', ','], "-")));
            let request = request.json(&person).send();
            timeout(patience, request)
                .await
                .map_or(0, |answer| answer.map_or(0, |answer| answer.status().as_u16()))
        });
        join_all(asked).await
    }

    async fn readyz(&self) -> u16 {
        let request = self.program.http.get(format!("{}/readyz", self.program.address)).send();
        request.await.map_or(0, |answer| answer.status().as_u16())
    }

    async fn metric(&self, series: &str) -> f64 {
        let scrape = self.program.http.get(format!("{}/metrics", self.program.admin_address)).send().await;
        let text = scrape.unwrap().text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series}")).parse().unwrap()
    }

    /// Waits until 60 of 60 are served and all permits are back, within the limit.
    async fn is_served_again(&self, case: &str) {
        let since = Instant::now();
        until(&format!("60 of 60 are served: {case}"), async || {
            let answers = self.read(60, RECOVERED).await;
            answers.iter().all(|status| *status == 200).then_some(())
        })
        .await;
        let served = since.elapsed();
        until(&format!("all permits are back: {case}"), async || {
            let back = self.metric("titanic_db_connection_permits{state=\"available\"}").await == 10.0
                && self.metric("titanic_db_connection_permits{state=\"recovering\"}").await == 0.0;
            back.then_some(())
        })
        .await;
        assert_eq!(self.metric("titanic_db_connection_permits{state=\"stranded\"}").await, 0.0, "{case}");
        until(&format!("it is ready: {case}"), async || (self.readyz().await == 200).then_some(())).await;
        println!(
            "{case}: served after {served:.1?}, all permits back and ready after {:.1?}",
            since.elapsed()
        );
        assert!(since.elapsed() < RECOVERED, "{case}: {:?}", since.elapsed());
    }

    /// Repeats a fault under each behaviour of clients, and heals it each time.
    async fn survives(&self, name: &str, fault: impl AsyncFn(&Self), heal: impl AsyncFn(&Self)) {
        for round in 1..=2 {
            let case = |what: &str| format!("{name}, {what}, round {round}");
            let healed = async |what: &str| {
                heal(self).await;
                self.is_served_again(&case(what)).await;
            };
            fault(self).await;
            self.read(12, GIVES_UP).await;
            healed("reads given up").await;

            fault(self).await;
            self.write(12, GIVES_UP, &case("a")).await;
            healed("transactions given up").await;

            fault(self).await;
            let since = Instant::now();
            let answers = self.read(12, Duration::from_secs(20)).await;
            assert!(answers.iter().all(|status| [200, 503].contains(status)), "{answers:?}");
            assert!(since.elapsed() < Duration::from_secs(11), "{:?}", since.elapsed());
            healed("patient reads").await;

            fault(self).await;
            let answers = self.write(12, Duration::from_secs(20), &case("b")).await;
            assert!(answers.iter().all(|status| [201, 409, 503].contains(status)), "{answers:?}");
            healed("patient transactions").await;

            fault(self).await;
            for _ in 0..3 {
                self.readyz().await;
            }
            healed("readiness alone").await;
        }
    }
}

/// Heals a fault that ends with its connections.
async fn by_itself(_: &Scene) {}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn established_connections_that_fall_silent_strand_nothing() {
    Scene::start().await.survives("silent", async |scene| scene.proxy.silence_established(), by_itself).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_half_open_strand_nothing() {
    let half_open = async |scene: &Scene| scene.proxy.half_open_established();
    Scene::start().await.survives("half-open", half_open, by_itself).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_slow_strands_nothing() {
    let slow = async |scene: &Scene| scene.proxy.delay(Duration::from_millis(700));
    Scene::start().await.survives("slow", slow, async |scene| scene.proxy.heal()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_silent_altogether_strands_nothing() {
    let scene = Scene::start().await;
    for round in 1..=2 {
        scene.proxy.silence_all();
        scene.read(12, GIVES_UP).await;
        scene.write(12, GIVES_UP, &format!("all {round}")).await;
        let answers = scene.read(12, Duration::from_secs(20)).await;
        assert!(answers.iter().all(|status| *status == 503), "{answers:?}");
        assert_eq!(scene.readyz().await, 503);
        scene.proxy.heal();
        scene.is_served_again("silent altogether").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_database_strands_nothing() {
    let set = async |scene: &Scene, how: &str| {
        scene.server.execute(&format!("alter database silence {how}")).await;
        let cut = "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'silence'";
        scene.server.execute(cut).await;
    };
    let read_only = async |scene: &Scene| set(scene, "set default_transaction_read_only = on").await;
    let writable = async |scene: &Scene| set(scene, "reset default_transaction_read_only").await;
    Scene::start().await.survives("read-only", read_only, writable).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_to_another_server_strands_nothing() {
    let scene = Scene::start().await;
    let other = Postgres::start().await;
    other.database("silence").await;
    let (ports, turn) = ([other.port(), scene.server.port()], AtomicUsize::new(0));
    let fail_over = async |scene: &Scene| {
        scene.proxy.fail_over_to(ports[turn.fetch_add(1, Ordering::Relaxed) % 2]);
        scene.proxy.silence_established();
    };
    scene.survives("failover", fail_over, by_itself).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_process_and_a_restart_strand_nothing() {
    let mut scene = Scene::start().await;
    for _ in 0..2 {
        scene.server.fall_silent();
        scene.read(12, GIVES_UP).await;
        scene.write(12, GIVES_UP, "stopped").await;
        let answers = scene.read(12, Duration::from_secs(20)).await;
        assert!(answers.iter().all(|status| *status == 503), "{answers:?}");
        scene.server.speak();
        scene.is_served_again("SIGSTOP").await;

        tokio::task::block_in_place(|| scene.server.stop_by("fast"));
        let answers = scene.read(12, Duration::from_secs(20)).await;
        assert!(answers.iter().all(|status| *status == 503), "{answers:?}");
        scene.server.resume().await;
        scene.is_served_again("stop and start").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_connections_left_strands_nothing() {
    let scene = Scene::start().await;
    for _ in 0..2 {
        scene.proxy.silence_established();
        scene
            .server
            .execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = 'silence'")
            .await;
        let mut taken = Vec::new();
        let options = scene.server.options("postgres");
        while let Ok(connection) = sqlx::ConnectOptions::connect(&options).await {
            taken.push(connection);
        }
        let answers = scene.read(12, Duration::from_secs(20)).await;
        assert!(answers.iter().all(|status| [200, 503].contains(status)), "{answers:?}");
        assert!(answers.contains(&503), "{answers:?}");
        drop(taken);
        scene.is_served_again("max_connections").await;
    }
}

/// Clients that give up before a silent connection is known to be silent, one after the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_give_up_one_after_the_other_are_served_again() {
    let scene = Scene::start().await;
    let list = format!("{}{ALL}?limit=1", scene.program.address);
    for round in 1..=2 {
        // Idle connections are pinged after a second.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        scene.proxy.silence_established();
        let since = Instant::now();
        let mut served = false;
        while !served && since.elapsed() < RECOVERED {
            let asked = timeout(GIVES_UP, scene.program.http.get(&list).send()).await;
            served = asked.is_ok_and(|answer| answer.is_ok_and(|answer| answer.status() == 200));
        }
        assert!(served, "round {round}: nobody was served within {RECOVERED:?}");
        scene.is_served_again("given up one after the other").await;
    }
}

/// New connections take longer than clients are patient. Each attempt goes on, and serves the next client.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_slow_to_connect_to_is_reached_by_impatient_clients() {
    let scene = Scene::start().await;
    let list = format!("{}{ALL}?limit=1", scene.program.address);
    for round in 1..=2 {
        scene.proxy.delay(Duration::from_millis(60));
        scene.proxy.silence_established();
        let since = Instant::now();
        let mut served = false;
        while !served && since.elapsed() < RECOVERED {
            let asked = timeout(Duration::from_millis(300), scene.program.http.get(&list).send()).await;
            served = asked.is_ok_and(|answer| answer.is_ok_and(|answer| answer.status() == 200));
        }
        assert!(served, "round {round}: nobody was served within {RECOVERED:?}");
        scene.proxy.delay(Duration::ZERO);
        scene.is_served_again("slow to connect to").await;
    }
}

/// New connections lead to a server that takes no changes, and after that to one that does. Nothing cuts those to the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_to_a_server_that_takes_no_changes_are_left() {
    let scene = Scene::start().await;
    let other = Postgres::start().await;
    other.database("silence").await;
    scene.proxy.fail_over_to(other.port());
    scene.proxy.silence_established();
    scene.is_served_again("the other server has the tables").await;
    for round in 1..=2 {
        other.execute("alter database silence set default_transaction_read_only = on").await;
        scene.proxy.fail_over_to(other.port());
        scene.proxy.silence_established();
        scene.is_served_again("connected to the other server").await;
        let answers = scene.write(12, RECOVERED, &format!("read-only {round}")).await;
        assert!(answers.iter().all(|status| *status == 503), "{answers:?}");
        scene.proxy.fail_over_to(scene.server.port());
        let since = Instant::now();
        until("60 of 60 are stored", async || {
            let tried = format!("left {round} {}", since.elapsed().as_millis());
            let answers = scene.write(60, RECOVERED, &tried).await;
            answers.iter().all(|status| *status == 201).then_some(())
        })
        .await;
        assert!(since.elapsed() < RECOVERED, "round {round}: {:?}", since.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_probes_shares_its_checks() {
    let scene = Scene::start().await;
    scene.proxy.delay(Duration::from_millis(20));
    for _ in 0..2 {
        let probes = join_all((0..200).map(async |_| scene.readyz().await));
        let of_operators = async {
            let since = Instant::now();
            let url = format!("{}/readyz", scene.program.admin_address);
            let status = scene.program.http.get(url).send().await.unwrap().status();
            (status.as_u16(), since.elapsed())
        };
        let (answers, (status, took)) = futures_util::join!(probes, of_operators);
        assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
        assert!(status == 200 && took < Duration::from_secs(3), "{status} after {took:?}");
    }
}

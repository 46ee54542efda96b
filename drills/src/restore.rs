//! The restore, rehearsed: two services, one on SQLite and one on PostgreSQL, and the agent that watches both are written to
//! by clients all the time. Everything is backed up, destroyed, restored and held against the backup, to the row; then
//! the clients go on. How long that took stands beside what was promised.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::clients::{Clients, Record};
use super::postgres::{Postgres, must};
use super::restored::{
    Compared, Records, Times, Took, compare_ledgers, compare_records, print_compared, saved_events,
    told_events,
};
use super::rollback::sha256;
use super::{play, programs};
use programs::binaries::Binaries;
use programs::http::{ask, client};
use programs::running::Running;

/// The whole drill may take so long.
const LIMIT: Duration = Duration::from_secs(60);
/// Load before the backups, between them and the disaster, and after the restore.
const LOAD: Duration = Duration::from_secs(3);
/// The longest the programs may take to be of use again once they are started.
const RETURN: Duration = Duration::from_secs(20);
/// The database on PostgreSQL.
const DATABASE: &str = "titanic";

/// The voyages of each service, and the ports of call of each voyage.
const VOYAGES: usize = 20;
const PORTS: [&str; 2] = ["Cherbourg", "Queenstown"];

/// Arguments of `cargo xtask drill restore`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Use the programs `titanic` and `lookout` of this folder instead of building them.
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let binaries = programs(arguments.binaries.as_deref())?;
    play(LIMIT, rehearse(&binaries))
}

/// A service: its name, which tells its database, and where it is.
struct Ship {
    name: &'static str,
    url: String,
    address: SocketAddr,
    admin: SocketAddr,
}

/// Everything that stays where it is while programs come and go.
struct Stage<'a> {
    began: Instant,
    binaries: &'a Binaries,
    folder: &'a Path,
    client: Client,
    postgres: Postgres,
    ships: [Ship; 2],
    agent: SocketAddr,
    config: PathBuf,
    token: String,
}

/// The backups.
struct Saved {
    services: Vec<Records>,
    ledger: Value,
}

async fn rehearse(binaries: &Binaries) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("lookout-drill-").tempdir().context("making a folder")?;
    let stage = Stage::set_up(binaries, folder.path()).await?;
    let mut times = Times::default();
    let mut programs = stage.start_ships().await?;
    stage.replace_voyages().await?;
    programs.push(stage.start_agent().await?);
    let [sqlite, postgres] = &stage.ships;
    let clients = [
        Clients::of_titanic(&stage.client, sqlite.address),
        Clients::of_titanic(&stage.client, postgres.address),
        Clients::of_lookout(&stage.client, stage.agent, sqlite.name, &stage.token),
    ];
    stage.say("clients write and read; pipelines mark deploys and ask the gate");
    sleep(LOAD).await;
    let saved = stage.back_up(&clients, &mut times).await?;
    stage.say("backed up meanwhile");
    sleep(LOAD).await;

    let disaster = Instant::now();
    let records = clients.each_ref().map(Clients::record);
    for program in programs.drain(..) {
        program.kill().await?;
    }
    stage.destroy().await?;
    stage.say("all programs killed, ledger and SQLite file deleted, PostgreSQL's database dropped");
    let lost = lost(&saved, &records, disaster, &stage.ships, &mut times);
    let compared = stage.restore(&saved, &mut times).await?;
    stage.say("restored");
    let differ: Vec<String> = print_compared(&compared).iter().map(|row| row.what.clone()).collect();
    ensure!(differ.is_empty(), "not as at the backup: {}", differ.join(", "));
    println!();

    programs.push(stage.start_agent().await?);
    stage.budget_is_back(&saved.ledger).await?;
    times
        .back
        .push(Took { what: "the agent with its budget of before".to_owned(), time: disaster.elapsed() });
    let again = Instant::now();
    programs.extend(stage.start_ships().await?);
    stage.first_writes(&clients, again, disaster, &mut times).await?;
    stage.say("clients are served again");
    sleep(LOAD).await;
    let [sqlite, postgres, pipelines] = clients;
    let records = [sqlite.stop().await?, postgres.stop().await?, pipelines.stop().await?];
    stage.goes_on(&saved, &records, again).await?;
    for program in programs {
        program.stop().await;
    }
    let Stage { began, postgres, .. } = stage;
    postgres.stop().await;

    let broken = times.print();
    let written: usize = records.iter().map(|record| record.writes.len()).sum();
    let failed: u64 = records.iter().map(|record| record.failed).sum();
    let reads: u64 = records.iter().map(|record| record.reads).sum();
    println!(
        "\nclients: {written} writes acknowledged, {lost} of them lost; {reads} good reads; {failed} requests failed"
    );
    println!("the whole drill: {:.1} s of at most {} s", began.elapsed().as_secs_f64(), LIMIT.as_secs());
    ensure!(broken.is_empty(), "not as promised: {}", broken.join(", "));
    Ok(())
}

/// Acknowledged writes that are in no backup, and the age of the oldest of them when all was lost.
fn lost(
    saved: &Saved,
    records: &[Record; 3],
    disaster: Instant,
    ships: &[Ship; 2],
    times: &mut Times,
) -> usize {
    let mut count = 0;
    for ((kept, record), ship) in saved.services.iter().zip(records).zip(ships) {
        let lost: Vec<Instant> = record
            .writes
            .iter()
            .filter(|write| !kept.ids.contains(&write.id))
            .map(|write| write.at)
            .collect();
        count += lost.len();
        let time = lost.first().map_or(Duration::ZERO, |first| disaster.duration_since(*first));
        times.lost.push(Took { what: ship.name.to_owned(), time });
    }
    let deploys = saved.ledger.get("deploys").and_then(Value::as_u64).unwrap_or(0);
    let [.., pipelines] = records;
    count + pipelines.writes.len().saturating_sub(usize::try_from(deploys).unwrap_or(usize::MAX))
}

/// An address to come back to, from below the ports that the system gives to outgoing connections: a client that tries
/// to reach who is not there must not take their place.
pub(super) fn free_address() -> Result<SocketAddr> {
    (0..100)
        .map(|_| SocketAddr::from(([127, 0, 0, 1], fastrand::u16(12_000..32_000))))
        .find(|address| std::net::TcpListener::bind(address).is_ok())
        .context("none of a hundred ports is free")
}

impl<'a> Stage<'a> {
    async fn set_up(binaries: &'a Binaries, folder: &'a Path) -> Result<Self> {
        let began = Instant::now();
        let postgres = Postgres::start(free_address()?.port()).await?;
        postgres.create(DATABASE).await?;
        let sqlite = format!("sqlite://{}", folder.join("titanic.db").display());
        let ship = |name, url| -> Result<Ship> {
            Ok(Ship { name, url, address: free_address()?, admin: free_address()? })
        };
        let ships = [ship("titanic-sqlite", sqlite)?, ship("titanic-postgresql", postgres.url(DATABASE))?];
        let token = format!("drill-{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let agent = free_address()?;
        let config = write_agent(folder, agent, &ships, &sha256(&token).await?)?;
        Ok(Self { began, binaries, folder, client: client()?, postgres, ships, agent, config, token })
    }

    fn say(&self, text: &str) {
        println!("{:>6.1} s  {text}", self.began.elapsed().as_secs_f64());
    }

    async fn start_ships(&self) -> Result<Vec<Running>> {
        let mut running = Vec::new();
        for ship in &self.ships {
            let mut program = Running::start(ship.name, self.binaries.titanic(), |command| {
                set_variables(command, ship).current_dir(self.folder);
            })?;
            program.listening().await?;
            running.push(program);
        }
        Ok(running)
    }

    /// Puts voyages in place of the built-in one, which a new database has without any restore.
    async fn replace_voyages(&self) -> Result<()> {
        for ship in &self.ships {
            let all = format!("http://{}/api/v1/voyages", ship.address);
            let page: Value = serde_json::from_str(&ask(&self.client, Method::GET, &all, None, None).await?)?;
            let listed = page.get("items").and_then(Value::as_array).context("a page without voyages")?;
            for id in listed.iter().filter_map(|voyage| voyage.get("id")?.as_str()) {
                ask(&self.client, Method::DELETE, &format!("{all}/{id}"), None, None).await?;
            }
            for number in 0..VOYAGES {
                let voyage = json!({"ship": format!("Drill {number}"), "departed_on": "1912-04-10"});
                let made = ask(&self.client, Method::POST, &all, None, Some(&voyage)).await?;
                let made: Value = serde_json::from_str(&made)?;
                let id = made.get("id").and_then(Value::as_str).context("a voyage without id")?;
                for port in PORTS {
                    let call = json!({"port": port, "called_on": "1912-04-11"});
                    let calls = format!("{all}/{id}/calls");
                    ask(&self.client, Method::POST, &calls, None, Some(&call)).await?;
                }
            }
        }
        Ok(())
    }

    async fn start_agent(&self) -> Result<Running> {
        let mut program = Running::start("lookout", self.binaries.lookout(), |command| {
            command.args(["run", "--log", "json", "-c"]).arg(&self.config).current_dir(self.folder);
        })?;
        program.listening().await?;
        Ok(program)
    }

    /// `titanic backup FILE` or `titanic restore FILE`.
    async fn titanic(&self, ship: &Ship, verb: &str, file: &Path) -> Result<()> {
        let mut command = Command::new(self.binaries.titanic());
        must(set_variables(&mut command, ship).arg(verb).arg(file).current_dir(self.folder)).await.map(drop)
    }

    /// `lookout ledger VERB [FILE]`.
    async fn ledger(&self, verb: &str, file: Option<&Path>) -> Result<Value> {
        let mut command = Command::new(self.binaries.lookout());
        command.args(["ledger", verb, "--json", "-c"]).arg(&self.config).args(file);
        let report = must(&mut command).await?;
        serde_json::from_str(&report).with_context(|| format!("reading what `lookout ledger {verb}` said"))
    }

    fn saved_records(&self, ship: &Ship) -> PathBuf {
        self.folder.join(format!("{}.ndjson", ship.name))
    }

    fn saved_ledger(&self) -> PathBuf {
        self.folder.join("ledger.backup")
    }

    /// Backs everything up while it is written. What was acknowledged before a backup began must be in it.
    async fn back_up(&self, clients: &[Clients; 3], times: &mut Times) -> Result<Saved> {
        let mut services = Vec::new();
        for (ship, clients) in self.ships.iter().zip(clients) {
            let kept = clients.record().writes;
            let (began, file) = (Instant::now(), self.saved_records(ship));
            self.titanic(ship, "backup", &file).await?;
            times.backups.push(Took { what: ship.name.to_owned(), time: began.elapsed() });
            let records = Records::read(&file)?;
            let missing = kept.iter().filter(|write| !records.ids.contains(&write.id)).count();
            let (name, kept) = (ship.name, kept.len());
            ensure!(kept > 0, "nobody could write to {name}");
            ensure!(missing == 0, "{missing} of {kept} passengers of {name} are not in its backup");
            let (voyages, calls) = (records.count("voyages"), records.count("calls"));
            ensure!(
                (voyages, calls) == (VOYAGES, VOYAGES * PORTS.len()),
                "{voyages} voyages with {calls} calls are in the backup of {name}"
            );
            services.push(records);
        }
        let [.., pipelines] = clients;
        let kept = pipelines.record().writes.len();
        let began = Instant::now();
        let ledger = self.ledger("backup", Some(&self.saved_ledger())).await?;
        times.backups.push(Took { what: "the ledger".to_owned(), time: began.elapsed() });
        let deploys = ledger.get("deploys").and_then(Value::as_u64).unwrap_or(0);
        ensure!(kept > 0 && deploys >= kept as u64, "{deploys} of {kept} deploys are in the ledger's backup");
        Ok(Saved { services, ledger })
    }

    /// Destroys all data.
    async fn destroy(&self) -> Result<()> {
        for name in ["titanic.db", "lookout.db"] {
            for suffix in ["", "-wal", "-shm"] {
                let file = self.folder.join(format!("{name}{suffix}"));
                if file.exists() {
                    std::fs::remove_file(&file).with_context(|| format!("deleting {}", file.display()))?;
                }
            }
            ensure!(!self.folder.join(name).exists(), "{name} survived");
        }
        self.postgres.drop_database(DATABASE).await
    }

    /// Restores everything, and holds it against what was saved before anybody is let in.
    async fn restore(&self, saved: &Saved, times: &mut Times) -> Result<Vec<Compared>> {
        let mut rows = Vec::new();
        for (ship, records) in self.ships.iter().zip(&saved.services) {
            let began = Instant::now();
            if ship.url.starts_with("postgres") {
                self.postgres.create(DATABASE).await?;
            }
            self.titanic(ship, "restore", &self.saved_records(ship)).await?;
            let control = self.folder.join(format!("{}-control.ndjson", ship.name));
            self.titanic(ship, "backup", &control).await?;
            rows.extend(compare_records(ship.name, records, &Records::read(&control)?));
            times.restores.push(Took { what: ship.name.to_owned(), time: began.elapsed() });
        }
        let began = Instant::now();
        self.ledger("restore", Some(&self.saved_ledger())).await?;
        rows.extend(compare_ledgers(&saved.ledger, &self.ledger("verify", None).await?));
        times.restores.push(Took { what: "the ledger".to_owned(), time: began.elapsed() });
        Ok(rows)
    }

    /// Waits until the agent tells the bad and all events of every SLO as they were at the backup. The services are not
    /// there yet, so that it can have them from nowhere else.
    async fn budget_is_back(&self, saved: &Value) -> Result<()> {
        let deadline = Instant::now() + RETURN;
        let wanted = saved_events(saved);
        loop {
            let url = format!("http://{}/api/v1/slos", self.agent);
            let told = ask(&self.client, Method::GET, &url, None, None).await?;
            let told = told_events(&serde_json::from_str(&told).context("reading the SLOs")?);
            if told == wanted {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the agent knows {told:?}, the backup {wanted:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until everybody could write again.
    async fn first_writes(
        &self,
        clients: &[Clients; 3],
        since: Instant,
        disaster: Instant,
        times: &mut Times,
    ) -> Result<()> {
        let names = [&self.ships[0], &self.ships[1]].map(|ship| format!("the first write to {}", ship.name));
        let names = names.into_iter().chain(["the first deploy marked".to_owned()]);
        for (what, clients) in names.zip(clients) {
            let deadline = Instant::now() + RETURN;
            let at = loop {
                if let Some(at) = clients.record().first_since(since) {
                    break at;
                }
                ensure!(Instant::now() < deadline, "{what} did not happen within {RETURN:?}");
                sleep(Duration::from_millis(20)).await;
            };
            times.back.push(Took { what, time: at.duration_since(disaster) });
        }
        Ok(())
    }

    /// Checks that restored data is still there, beside what was written since.
    async fn goes_on(&self, saved: &Saved, records: &[Record; 3], since: Instant) -> Result<()> {
        let written = |record: &Record| -> Vec<String> {
            record.writes.iter().filter(|write| write.at >= since).map(|write| write.id.clone()).collect()
        };
        for ((ship, kept), record) in self.ships.iter().zip(&saved.services).zip(records) {
            let file = self.folder.join(format!("{}-end.ndjson", ship.name));
            self.titanic(ship, "backup", &file).await?;
            let now = Records::read(&file)?;
            let new = written(record);
            ensure!(kept.is_within(&now), "{} lost records after its restore", ship.name);
            let missing = new.iter().filter(|id| !now.ids.contains(*id)).count();
            ensure!(missing == 0, "{missing} of {} new passengers of {} are gone", new.len(), ship.name);
        }
        let ledger = self.ledger("verify", None).await?;
        let number = |report: &Value| {
            report.get("deploys").and_then(Value::as_u64).context("a ledger without deploys")
        };
        let [.., pipelines] = records;
        let (before, now, new) = (number(&saved.ledger)?, number(&ledger)?, written(pipelines).len() as u64);
        ensure!(now >= before + new, "the ledger has {now} deploys, not {before} and {new} new ones");
        Ok(())
    }
}

/// The service's environment; open to writes, since nobody else reaches it.
fn set_variables<'c>(command: &'c mut Command, ship: &Ship) -> &'c mut Command {
    let port = |address: SocketAddr| address.port().to_string();
    command.env("PORT", port(ship.address)).env("ADMIN_PORT", port(ship.admin)).env("BIND", "127.0.0.1");
    command.env("DATABASE_URL", &ship.url).env("ENVIRONMENT", "dev").env("DRAIN_SECONDS", "0")
}

/// The agent watches both services by what they count themselves.
fn write_agent(folder: &Path, listen: SocketAddr, ships: &[Ship; 2], token: &str) -> Result<PathBuf> {
    let mut agent = format!(
        "listen: {listen}\nledger: lookout.db\ninterval: 1s\nauth:\n  tokens:\n    - name: pipeline\n      \
         sha256: {token}\n      scopes: [ask, mark]\nscrapes:\n"
    );
    for ship in ships {
        let Ship { name, admin, .. } = ship;
        // Its availability would go on being counted while the services are away.
        agent +=
            &format!("  - {{ name: {name}, url: \"http://{admin}/metrics\", timeout: 900ms, up: off }}\n");
        let counter = "http_server_request_duration_seconds_count";
        let source = |selector: String| {
            format!(
                "{{ metricSource: {{ type: scrape, spec: {{ source: {name}, selector: '{selector}' }} }} }}"
            )
        };
        let slo = format!(
            "apiVersion: openslo/v1
kind: SLO
metadata: {{ name: requests, annotations: {{ lookout.dev/tiers: page 20s/5s x14.4 }} }}
spec:
  service: {name}
  description: Requests are answered
  budgetingMethod: Occurrences
  timeWindow: [{{ duration: 1h, isRolling: true }}]
  objectives: [{{ target: 0.99 }}]
  indicator:
    metadata: {{ name: requests }}
    spec:
      ratioMetric:
        counter: true
        bad: {}
        total: {}
",
            source(format!("{counter}{{http_response_status_code=~\"5..\"}}")),
            source(counter.to_owned()),
        );
        let file = folder.join(format!("{name}.slo.yaml"));
        std::fs::write(&file, slo).with_context(|| format!("writing {}", file.display()))?;
    }
    let config = folder.join("lookout.yaml");
    std::fs::write(&config, agent).with_context(|| format!("writing {}", config.display()))?;
    Ok(config)
}

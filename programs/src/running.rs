//! A program we started: its log, the address it says it listens at, and its certain end.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// Lines that are kept for the explanation of a failure.
const TAIL: usize = 25;
/// The longest a program may take to listen.
const START: Duration = Duration::from_secs(20);
/// The time for which the log of an ended program is read on.
const OUTPUT_TIMEOUT: Duration = Duration::from_millis(500);
/// The longest a program may take to end after it was asked to.
const STOP_TIMEOUT: Duration = Duration::from_secs(6);

/// A running program. Dropping it kills it.
pub struct Running {
    name: String,
    child: Child,
    tail: Arc<Mutex<VecDeque<String>>>,
    listening: watch::Receiver<Option<Value>>,
}

impl Running {
    /// Starts a program in a process group of its own, so that an interrupt at the terminal reaches us alone and we
    /// end our programs in order.
    pub fn start(name: &str, program: impl Into<PathBuf>, set_up: impl FnOnce(&mut Command)) -> Result<Self> {
        let program = program.into();
        let mut command = Command::new(&program);
        set_up(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        let mut child =
            command.spawn().with_context(|| format!("starting {name} ({})", program.display()))?;
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let (found, listening) = watch::channel(None);
        let found = Arc::new(found);
        if let Some(out) = child.stdout.take() {
            tokio::spawn(follow(out, Arc::clone(&tail), Arc::clone(&found)));
        }
        if let Some(err) = child.stderr.take() {
            tokio::spawn(follow(err, Arc::clone(&tail), found));
        }
        Ok(Self { name: name.to_owned(), child, tail, listening })
    }

    /// Waits until the program logs that it listens. Returns the fields of that line.
    pub async fn listening(&mut self) -> Result<Value> {
        let mut seen = self.listening.clone();
        let line = tokio::select! {
            // A program that closes its log is not heard this way any more; it ends, or the time does.
            Ok(line) = async { seen.wait_for(Option::is_some).await.map(|line| line.clone()) } => line,
            status = self.child.wait() => {
                let status = status.with_context(|| format!("waiting for {}", self.name))?;
                // What it said last may still be on its way to us.
                let mut rest = self.listening.clone();
                let _ = timeout(OUTPUT_TIMEOUT, async { while rest.changed().await.is_ok() {} }).await;
                bail!("{} ended with {status} before it listened{}", self.name, self.last_lines());
            }
            () = tokio::time::sleep(START) => None,
        };
        let name = &self.name;
        line.with_context(|| {
            format!("{name} did not say within {START:?} where it listens{}", self.last_lines())
        })
    }

    /// Fails when the program has ended.
    pub fn must_be_running(&mut self) -> Result<()> {
        match self.child.try_wait().with_context(|| format!("looking after {}", self.name))? {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}{}", self.name, self.last_lines()),
        }
    }

    /// The process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// The last lines of its log, for a message.
    pub fn last_lines(&self) -> String {
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: String = tail.iter().map(|line| format!("\n    {line}")).collect();
        if lines.is_empty() {
            "; it logged nothing".to_owned()
        } else {
            format!("; its last lines were:{lines}")
        }
    }

    /// As `kill -9` does: nothing is flushed, nothing is said. It is gone when this returns.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill().await.with_context(|| format!("killing {}", self.name))
    }

    /// Asks the program to end as an orchestrator would, and kills it when it does not. Returns how it ended.
    pub async fn stop(mut self) -> String {
        let began = Instant::now();
        if let Some(id) = self.child.id() {
            let mut kill = Command::new("sh");
            kill.args(["-c", &format!("kill -TERM {id}")]).stderr(Stdio::null());
            if kill.status().await.is_err() {
                let _ = self.child.start_kill();
            }
        }
        match timeout(STOP_TIMEOUT, self.child.wait()).await {
            Ok(Ok(status)) => format!("{}: {status} after {:.1} s", self.name, began.elapsed().as_secs_f64()),
            Ok(Err(error)) => format!("{}: {error}", self.name),
            Err(_) => {
                let _ = self.child.kill().await;
                format!("{}: killed, it did not end within {STOP_TIMEOUT:?}", self.name)
            }
        }
    }
}

async fn follow(
    pipe: impl AsyncRead + Unpin,
    tail: Arc<Mutex<VecDeque<String>>>,
    found: Arc<watch::Sender<Option<Value>>>,
) {
    let mut lines = BufReader::new(pipe).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(fields) = listening_line(&line) {
            found.send_if_modified(|seen| {
                let first = seen.is_none();
                *seen = Some(seen.take().unwrap_or(fields));
                first
            });
        }
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.len() == TAIL {
            tail.pop_front();
        }
        tail.push_back(line);
    }
}

/// The fields of a JSON log line that says where its program listens. Ours write `listening`, Prometheus and its
/// relatives `Listening on`; tracing may put the message and its fields one level down.
fn listening_line(line: &str) -> Option<Value> {
    let line: Value = serde_json::from_str(line).ok()?;
    let nested = line.get("fields").filter(|fields| fields.is_object()).cloned();
    [nested, Some(line)].into_iter().flatten().find(|fields| {
        let said = fields.get("message").or_else(|| fields.get("msg")).and_then(Value::as_str);
        matches!(said, Some("listening" | "Listening on")) && fields.get("address").is_some()
    })
}

/// A text field of a log line.
pub fn field<'a>(line: &'a Value, name: &str) -> Result<&'a str> {
    line.get(name)
        .and_then(Value::as_str)
        .with_context(|| format!("the log line {line} has no field `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_every_shape_of_log_line() {
        for line in [
            r#"{"level":"INFO","message":"listening","address":"127.0.0.1:1"}"#,
            r#"{"level":"INFO","fields":{"message":"listening","address":"127.0.0.1:1"}}"#,
            r#"{"level":"info","msg":"Listening on","address":"127.0.0.1:1"}"#,
        ] {
            let found = listening_line(line);
            assert_eq!(
                found.as_ref().and_then(|line| field(line, "address").ok()),
                Some("127.0.0.1:1"),
                "{line}"
            );
        }
        assert_eq!(listening_line(r#"{"message":"listening"}"#), None);
        assert_eq!(listening_line("listening address=127.0.0.1:1"), None);
    }

    #[tokio::test]
    async fn a_program_that_ends_early_is_quoted() {
        let mut running = Running::start("shell", "sh", |sh| {
            sh.args(["-c", "echo no such table >&2; exit 3"]);
        })
        .unwrap();
        let error = running.listening().await.unwrap_err().to_string();
        assert!(error.contains("shell ended with exit status: 3"), "{error}");
        assert!(error.contains("no such table"), "{error}");
    }

    #[tokio::test]
    async fn a_program_that_listens_is_heard_and_ends_when_asked() {
        let mut running = Running::start("shell", "sh", |sh| {
            sh.args(["-c", "echo '{\"message\":\"listening\",\"address\":\"here\"}'; exec sleep 600"]);
        })
        .unwrap();
        assert_eq!(field(&running.listening().await.unwrap(), "address").unwrap(), "here");
        running.must_be_running().unwrap();
        let ended = running.stop().await;
        assert!(ended.contains("signal: 15"), "{ended}");
    }
}

//! Output of the demo: lines that stay, and on a terminal one line that moves.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Without a terminal, how often progress is worth a line.
const PLAIN_PROGRESS: Duration = Duration::from_secs(5);

/// The output of the demo. Clones share it.
#[derive(Clone)]
pub(super) struct Narrator {
    began: Instant,
    live: bool,
    progress: Arc<Mutex<Progress>>,
}

#[derive(Default)]
struct Progress {
    /// A moving line stands on the terminal.
    shown: bool,
    last_plain: Option<Instant>,
}

impl Narrator {
    pub(super) fn new() -> Self {
        let ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
        Self { began: Instant::now(), live: std::io::stdout().is_terminal() && !ci, progress: Arc::default() }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// A line that stays.
    pub(super) fn say(&self, text: &str) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        self.clear(&mut progress);
        println!("{:>6.1} s  {text}", self.elapsed().as_secs_f64());
    }

    /// Lines that belong to the last one, indented.
    pub(super) fn quote(&self, text: &str) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        self.clear(&mut progress);
        for line in text.lines() {
            println!("{}", format!("          | {line}").trim_end());
        }
    }

    /// A line without time or indentation.
    pub(super) fn plain(&self, text: &str) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        self.clear(&mut progress);
        println!("{text}");
    }

    /// Shows the present state on the moving line.
    pub(super) fn progress(&self, text: &str) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = self.elapsed().as_secs_f64();
        if self.live {
            print!("\r\x1b[2K{elapsed:>6.1} s  … {text}");
            let _ = std::io::stdout().flush();
            progress.shown = true;
        } else if progress.last_plain.is_none_or(|last| last.elapsed() >= PLAIN_PROGRESS) {
            println!("{elapsed:>6.1} s  … {text}");
            progress.last_plain = Some(Instant::now());
        }
    }

    fn clear(&self, progress: &mut Progress) {
        if self.live && progress.shown {
            print!("\r\x1b[2K");
            progress.shown = false;
        }
    }
}

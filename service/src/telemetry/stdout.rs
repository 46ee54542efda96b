//! Lines on their way to stdout: put together with others, so that not each of them is a system call of its own, and never
//! in the way of a request, however slowly they are read. `json` compares the cost with `tracing-appender`, which bounds its
//! queue in lines, not in bytes.

use std::io::{self, Write};
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Time for which lines are collected after a write. A killed process loses at most this much of its log.
const GATHER: Duration = Duration::from_millis(10);
/// Bytes that may wait while nobody reads. Lines beyond that are dropped and counted.
const MOST_BYTES: usize = 1 << 20;
/// A buffer that had to be larger is not kept.
const KEPT_BYTES: usize = 64 << 10;
/// Time limit for writing the last lines.
const LAST: Duration = Duration::from_secs(1);

/// Lines that were lost since the start; one for the process, because its log is one.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Returns the number of lines that were dropped because the reader was too slow or a write failed.
pub fn lost_lines() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// A queue of lines and the thread that writes them. [`Last`] waits until all are written.
#[derive(Debug)]
pub(super) struct Stdout<M> {
    queue: Arc<Queue>,
    open: M,
}

/// Writes the last lines when it is dropped.
#[derive(Debug)]
pub(super) struct Last(Arc<Queue>);

#[derive(Debug, Default)]
struct Queue {
    lines: Mutex<Lines>,
    /// There is something to write, or to end.
    more: Condvar,
    /// All lines are written.
    done: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    bytes: Vec<u8>,
    lost: u64,
    phase: Phase,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The writer waits to be woken.
    #[default]
    Asleep,
    /// It writes, or gathers.
    Awake,
    /// The last lines are being written.
    Ending,
    /// There is no writer any more.
    Ended,
}

impl Queue {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what comes until the end.
    fn serve(&self, mut to: impl Write) {
        let mut batch = Vec::new();
        loop {
            let mut lines = self.lines();
            while lines.bytes.is_empty() && lines.lost == 0 {
                if lines.phase == Phase::Ending {
                    lines.phase = Phase::Ended;
                    self.done.notify_all();
                    return;
                }
                lines.phase = Phase::Asleep;
                lines = self.more.wait(lines).unwrap_or_else(PoisonError::into_inner);
            }
            if lines.phase == Phase::Asleep {
                lines.phase = Phase::Awake;
            }
            mem::swap(&mut lines.bytes, &mut batch);
            let lost = mem::take(&mut lines.lost);
            let ends = lines.phase == Phase::Ending;
            drop(lines);
            if to.write_all(&batch).and_then(|()| to.flush()).is_err() {
                // There is nowhere left to complain when the log itself cannot be written, but somewhere to count.
                let lines = batch.iter().filter(|byte| **byte == b'\n').count();
                LOST.fetch_add(lines as u64, Ordering::Relaxed);
            }
            batch.clear();
            batch.shrink_to(KEPT_BYTES);
            if lost > 0 {
                tracing::warn!(lines = lost, "log lines were lost: nobody read those before them");
            }
            if !ends {
                // Only the end comes earlier: who puts a line here wakes only one who is asleep.
                let lines = self.lines();
                let _gathered =
                    self.more.wait_timeout_while(lines, GATHER, |lines| lines.phase != Phase::Ending);
            }
        }
    }
}

impl<M: Fn() -> W + Clone + Send + 'static, W: Write> Stdout<M> {
    /// Starts writing. Where no thread can be had, each line is written by itself.
    pub(super) fn start(open: M) -> (Self, Last) {
        let queue = Arc::new(Queue::default());
        let (serving, out) = (Arc::clone(&queue), open.clone());
        let started = thread::Builder::new().name("log".to_owned()).spawn(move || serving.serve(out()));
        if started.is_err() {
            queue.lines().phase = Phase::Ended;
        }
        (Self { queue: Arc::clone(&queue), open }, Last(queue))
    }

    fn put(&self, line: &[u8]) -> io::Result<()> {
        let mut lines = self.queue.lines();
        if lines.phase == Phase::Ended {
            drop(lines);
            return (self.open)().write_all(line);
        }
        if lines.bytes.len() + line.len() > MOST_BYTES {
            lines.lost += 1;
            LOST.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        lines.bytes.extend_from_slice(line);
        let asleep = lines.phase == Phase::Asleep;
        if asleep {
            lines.phase = Phase::Awake;
        }
        drop(lines);
        if asleep {
            self.queue.more.notify_one();
        }
        Ok(())
    }
}

/// One line is one write.
impl<M: Fn() -> W + Clone + Send + 'static, W: Write> Write for &Stdout<M> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line).map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a, M: Fn() -> W + Clone + Send + 'static, W: Write> MakeWriter<'a> for Stdout<M> {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

impl Drop for Last {
    fn drop(&mut self) {
        let mut lines = self.0.lines();
        if lines.phase == Phase::Ended {
            return;
        }
        lines.phase = Phase::Ending;
        self.0.more.notify_one();
        let ended = self.0.done.wait_timeout_while(lines, LAST, |lines| lines.phase != Phase::Ended);
        // If nobody reads, whoever writes from now on is on its own.
        ended.unwrap_or_else(PoisonError::into_inner).0.phase = Phase::Ended;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::mpsc;

    use super::*;

    /// Shows what is written and writes on when told to.
    #[derive(Clone)]
    struct Slow {
        written: mpsc::Sender<Vec<u8>>,
        go_on: Arc<Mutex<mpsc::Receiver<()>>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _nobody_looks = self.written.send(bytes.to_vec());
            let _gone = self.go_on.lock().unwrap().recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[derive(Clone, Default)]
    struct Fast(Arc<Mutex<Vec<Vec<u8>>>>);

    impl Write for Fast {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_written_in_order_and_many_at_once() {
        let to = Fast::default();
        let opened = to.clone();
        let (stdout, last) = Stdout::start(move || opened.clone());
        thread::scope(|scope| {
            for thread in 0..4 {
                let stdout = &stdout;
                scope.spawn(move || {
                    for number in 0..1000 {
                        let mut line = stdout.make_writer();
                        line.write_all(format!("{thread} {number}\n").as_bytes()).unwrap();
                    }
                });
            }
        });
        drop(last);
        (&stdout).write_all(b"afterwards\n").unwrap();
        let written = to.0.lock().unwrap();
        let text = String::from_utf8(written.concat()).unwrap();
        let mut next = HashMap::new();
        for line in text.lines().filter(|line| *line != "afterwards") {
            let (thread, number) = line.split_once(' ').unwrap();
            let expected = next.entry(thread).or_insert(0);
            assert_eq!(number, expected.to_string(), "of thread {thread}");
            *expected += 1;
        }
        assert!(next.len() == 4 && next.values().all(|count| *count == 1000), "{next:?}");
        assert!(text.ends_with("afterwards\n"), "what comes after the end is still written");
        assert!(written.len() < 1000, "{} writes for 4000 lines", written.len());
    }

    #[test]
    fn nobody_waits_for_a_reader_and_what_is_lost_is_counted() {
        let ((written, writes), (go_on, told)) = (mpsc::channel(), mpsc::channel());
        let slow = Slow { written, go_on: Arc::new(Mutex::new(told)) };
        let (stdout, last) = Stdout::start(move || slow.clone());
        let line = vec![b'x'; MOST_BYTES / 4];
        let before = lost_lines();
        (&stdout).write_all(b"first\n").unwrap();
        assert_eq!(writes.recv().unwrap(), b"first\n");
        // The writer is stuck. As much as may wait waits, and nobody else does.
        for _ in 0..6 {
            (&stdout).write_all(&line).unwrap();
        }
        go_on.send(()).unwrap();
        assert_eq!(writes.recv().unwrap().len(), MOST_BYTES);
        drop(go_on);
        drop(last);
        assert_eq!(lost_lines() - before, 2);
    }
}

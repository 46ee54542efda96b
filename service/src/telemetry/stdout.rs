//! The queue of log lines on their way to stdout, and the thread that writes them.
//!
//! A request appends its line to one buffer, and the thread writes what was gathered every [`GATHER`]. No request waits for a
//! reader, and only the first line after a pause wakes the thread. `tracing-appender` allocates each line and wakes its
//! thread for nearly all of them; decision 12 has the figures.

use std::io::{self, Write};
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
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

/// One for the process, because its log is one.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Returns the number of lines that were dropped because the reader was too slow or a write failed.
pub fn lost_lines() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// The writer of lines. One write is one line.
#[derive(Debug, Clone)]
pub(super) struct Stdout {
    queue: Arc<Mutex<Queue>>,
    thread: Thread,
}

#[derive(Debug, Default)]
struct Queue {
    bytes: Vec<u8>,
    ends: bool,
}

/// Writes the last lines when it is dropped. Later lines are lost.
#[derive(Debug)]
pub(super) struct LastLines {
    stdout: Stdout,
    ended: Receiver<()>,
}

fn locked(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stdout {
    /// Starts the thread, which writes to `out`.
    pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<(Self, LastLines)> {
        let queue = Arc::new(Mutex::new(Queue::default()));
        let (end, ended) = channel::<()>();
        let waiting = Arc::clone(&queue);
        let thread = thread::Builder::new().name(String::from("log")).spawn(move || {
            write_until_end(&waiting, out);
            drop(end);
        })?;
        let stdout = Self { queue, thread: thread.thread().clone() };
        Ok((stdout.clone(), LastLines { stdout, ended }))
    }
}

#[expect(clippy::disallowed_methods, reason = "a thread of its own sleeps, and no task")]
fn write_until_end(queue: &Mutex<Queue>, mut out: impl Write) {
    let mut batch = Vec::new();
    loop {
        let mut waiting = locked(queue);
        mem::swap(&mut waiting.bytes, &mut batch);
        let ends = waiting.ends;
        drop(waiting);
        if batch.is_empty() {
            if ends {
                return;
            }
            thread::park();
            continue;
        }
        if out.write_all(&batch).and_then(|()| out.flush()).is_err() {
            // There is nowhere left to complain when the log itself cannot be written, but somewhere to count.
            let lines = batch.iter().filter(|byte| **byte == b'\n').count();
            LOST.fetch_add(lines as u64, Ordering::Relaxed);
        }
        batch.clear();
        batch.shrink_to(KEPT_BYTES);
        thread::sleep(GATHER);
    }
}

impl Write for &Stdout {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = locked(&self.queue);
        if waiting.bytes.len() + line.len() > MOST_BYTES {
            LOST.fetch_add(1, Ordering::Relaxed);
            return Ok(line.len());
        }
        let was_empty = waiting.bytes.is_empty();
        waiting.bytes.extend_from_slice(line);
        drop(waiting);
        if was_empty {
            self.thread.unpark();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Stdout {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

impl Drop for LastLines {
    fn drop(&mut self) {
        locked(&self.stdout.queue).ends = true;
        self.stdout.thread.unpark();
        // Nobody sends anything: it comes with the end of the thread.
        let _ended_or_nobody_reads = self.ended.recv_timeout(LAST);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::mpsc::Sender;

    use super::*;

    /// Hands over what is written, and takes as long as its reader.
    struct Slow {
        written: Sender<Vec<u8>>,
        go_on: Receiver<()>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _nobody_looks = self.written.send(bytes.to_vec());
            let _gone = self.go_on.recv();
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
        let (stdout, last) = Stdout::start(to.clone()).unwrap();
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
        let written = to.0.lock().unwrap();
        let text = String::from_utf8(written.concat()).unwrap();
        let mut next = HashMap::new();
        for line in text.lines() {
            let (thread, number) = line.split_once(' ').unwrap();
            let expected = next.entry(thread).or_insert(0);
            assert_eq!(number, expected.to_string(), "of thread {thread}");
            *expected += 1;
        }
        assert!(next.len() == 4 && next.values().all(|count| *count == 1000), "{next:?}");
        assert!(written.len() < 1000, "{} writes for 4000 lines", written.len());
    }

    #[test]
    fn a_line_after_a_pause_is_written_without_another() {
        let ((written, writes), (go_on, told)) = (channel(), channel());
        let (stdout, _last) = Stdout::start(Slow { written, go_on: told }).unwrap();
        for line in [b"first\n", b"again\n"] {
            (&stdout).write_all(line).unwrap();
            assert_eq!(writes.recv_timeout(Duration::from_secs(10)).unwrap(), line);
            go_on.send(()).unwrap();
        }
    }

    #[test]
    fn nobody_waits_for_a_reader_and_what_is_lost_is_counted() {
        let ((written, writes), (go_on, told)) = (channel(), channel());
        let (stdout, last) = Stdout::start(Slow { written, go_on: told }).unwrap();
        let line = vec![b'x'; MOST_BYTES / 4];
        let before = lost_lines();
        (&stdout).write_all(b"first\n").unwrap();
        assert_eq!(writes.recv().unwrap(), b"first\n");
        // The thread is stuck. As much as may wait waits, and nobody else does.
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

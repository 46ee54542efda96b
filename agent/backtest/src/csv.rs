//! Counts from a CSV file: a header that names `time` and two of `good`, `bad` and `total`, then one line per interval.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;

use lookout_engine::Counts;
use lookout_model::{Timestamp, format};

use super::instant::{self, shown};
use super::{Bounds, LoadError, SPAN_LIMIT};

/// Largest size of a file.
const FILE_LIMIT: u64 = 512 << 20;
/// Largest length of a line in bytes.
const LINE_LIMIT: usize = 4096;

/// Reads the counts of a file that lie inside the bounds, by the second at which they begin.
///
/// # Errors
/// Fails when the file cannot be read; else the first line that is wrong.
pub fn read(path: &Path, bounds: Bounds) -> Result<Vec<(i64, Counts)>, LoadError> {
    let mut columns: Option<Columns> = None;
    let mut kept = BoundedCounts { bounds, counts: Vec::new() };
    each_line(path, |line| match line {
        // most lines of a long file, a year of which has three million
        Line::Ahead(bytes) => {
            let Some((length, at, row)) = columns.and_then(|columns| columns.plain(bytes)) else {
                return Ok(0);
            };
            kept.keep(at, row).map(|()| length)
        }
        Line::Text(text) => {
            match columns {
                None => columns = Some(Columns::of(text)?),
                Some(columns) => {
                    let (at, row) = columns.row(text)?;
                    kept.keep(at, row)?;
                }
            }
            Ok(0)
        }
    })?;
    Ok(kept.counts)
}

/// Counts of a file within the bounds.
struct BoundedCounts {
    bounds: Bounds,
    counts: Vec<(i64, Counts)>,
}

impl BoundedCounts {
    fn keep(&mut self, at: Timestamp, row: Counts) -> Result<(), String> {
        if !self.bounds.contain(at) {
            return Ok(());
        }
        let second = at.as_seconds();
        if let Some((last, _)) = self.counts.last().filter(|(last, _)| *last > second) {
            return Err(format!(
                "this is earlier than the line before ({}); sort the file by time",
                format::rfc3339(Timestamp::from_seconds(*last))
            ));
        }
        if i64::try_from(self.counts.len()).unwrap_or(i64::MAX) >= SPAN_LIMIT {
            return Err(format!("the file has more than {SPAN_LIMIT} counts; narrow the time with --since"));
        }
        self.counts.push((second, row));
        Ok(())
    }
}

/// Calls `each` with every line that is neither empty nor a comment; a fault that it finds becomes an error with the
/// line.
pub(super) fn lines(path: &Path, mut each: impl FnMut(&str) -> Result<(), String>) -> Result<(), LoadError> {
    each_line(path, |line| match line {
        Line::Ahead(_) => Ok(0),
        Line::Text(text) => each(text).map(|()| 0),
    })
}

/// Next line of a file.
enum Line<'a> {
    /// The bytes in memory, from the beginning of a line on. A caller that can parse the line returns its length; zero
    /// requests it as text.
    Ahead(&'a [u8]),
    /// The line as trimmed text, neither empty nor a comment.
    Text(&'a str),
}

fn each_line(path: &Path, mut each: impl FnMut(Line<'_>) -> Result<usize, String>) -> Result<(), LoadError> {
    let failed = |source| LoadError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let mut reader = BufReader::with_capacity(1 << 16, file.take(FILE_LIMIT + 1));
    let mut bytes = Vec::new();
    let (mut line, mut read) = (0, 0_u64);
    loop {
        bytes.clear();
        line += 1;
        let wrong = |what: String| LoadError::Line { path: path.to_owned(), line, what };
        let understood = each(Line::Ahead(reader.fill_buf().map_err(failed)?)).map_err(wrong)?;
        if understood > 0 {
            reader.consume(understood);
            read = read.saturating_add(understood as u64);
            if read > FILE_LIMIT {
                return Err(wrong(format!("the file has more than {} MiB; split it", FILE_LIMIT >> 20)));
            }
            continue;
        }
        let limit = LINE_LIMIT as u64 + 1;
        let n = reader.by_ref().take(limit).read_until(b'\n', &mut bytes).map_err(failed)?;
        if n == 0 {
            return Ok(());
        }
        read = read.saturating_add(n as u64);
        if n > LINE_LIMIT {
            return Err(wrong(format!("this line has more than {LINE_LIMIT} bytes")));
        }
        if read > FILE_LIMIT {
            return Err(wrong(format!("the file has more than {} MiB; split it", FILE_LIMIT >> 20)));
        }
        let text = core::str::from_utf8(&bytes).map_err(|_| wrong("this is not UTF-8 text".to_owned()))?;
        let text = text.trim_start_matches('\u{feff}').trim();
        if !text.is_empty() && !text.starts_with('#') {
            each(Line::Text(text)).map_err(wrong)?;
        }
    }
}

/// Meaning of the cells.
#[derive(Debug, Clone, Copy)]
struct Columns {
    time: usize,
    good: Option<usize>,
    bad: Option<usize>,
    total: Option<usize>,
}

impl Columns {
    fn of(header: &str) -> Result<Self, String> {
        let names: Vec<String> = header.split(',').map(|name| unquoted(name).to_ascii_lowercase()).collect();
        let place = |wanted: &str| names.iter().position(|name| name == wanted);
        let (good, bad, total) = (place("good"), place("bad"), place("total"));
        match place("time") {
            Some(time) if [good, bad, total].iter().flatten().count() >= 2 => {
                Ok(Self { time, good, bad, total })
            }
            _ => Err(format!("expected a header like `time,good,total`, found `{}`", shown(header))),
        }
    }

    fn row(self, text: &str) -> Result<(Timestamp, Counts), String> {
        // one pass over the line: a year has three million of them
        let (mut time, mut good, mut bad, mut total) = (None, None, None, None);
        for (at, cell) in text.split(',').enumerate() {
            if at == self.time {
                time = Some(cell);
            } else if self.good == Some(at) {
                good = Some(whole(cell, "good")?);
            } else if self.bad == Some(at) {
                bad = Some(whole(cell, "bad")?);
            } else if self.total == Some(at) {
                total = Some(whole(cell, "total")?);
            }
        }
        let expected =
            [(Some(self.time), time.is_some()), (self.good, good.is_some()), (self.bad, bad.is_some())];
        let missing =
            expected.iter().chain(&[(self.total, total.is_some())]).any(|(at, there)| at.is_some() && !there);
        let (Some(time), false) = (time, missing) else {
            return Err(format!("there are fewer cells than in the header in `{}`", shown(text)));
        };
        let at = instant::parse(unquoted(time))?;
        let told = || format!("good, bad and total contradict each other in `{}`", shown(text));
        Ok((at, agreed(good, bad, total).ok_or_else(told)?))
    }

    /// Parses a line of digits and commas that is complete and consistent, and returns its length, time and counts.
    /// Every other line is left to [`Columns::row`].
    fn plain(self, bytes: &[u8]) -> Option<(usize, Timestamp, Counts)> {
        let (mut time, mut good, mut bad, mut total) = (None, None, None, None);
        let (mut cell, mut number, mut digits) = (0, 0_u64, 0);
        for (at, &byte) in bytes.iter().enumerate() {
            if byte.is_ascii_digit() {
                number = number.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
                digits += 1;
                continue;
            }
            // more digits might not fit
            if !matches!(byte, b',' | b'\n') || !(1..=18).contains(&digits) {
                return None;
            }
            if cell == self.time {
                time = i64::try_from(number).ok();
            } else if self.good == Some(cell) {
                good = Some(number);
            } else if self.bad == Some(cell) {
                bad = Some(number);
            } else if self.total == Some(cell) {
                total = Some(number);
            }
            (cell, number, digits) = (cell + 1, 0, 0);
            if byte == b'\n' {
                let there = [(self.good, good), (self.bad, bad), (self.total, total)];
                let complete = there.iter().all(|(wanted, found)| wanted.is_some() == found.is_some());
                let counts = agreed(good, bad, total).filter(|_| complete)?;
                return Some((at + 1, instant::of_number(time?), counts));
            }
        }
        None
    }
}

/// Returns the counts if up to three cells agree on them.
fn agreed(good: Option<u64>, bad: Option<u64>, total: Option<u64>) -> Option<Counts> {
    match (good, bad, total) {
        (Some(good), Some(bad), None) => Some(Counts { good, bad }),
        (Some(good), None, Some(total)) => Counts::of_total(good, total),
        (None, Some(bad), Some(total)) => total.checked_sub(bad).map(|good| Counts { good, bad }),
        (Some(good), Some(bad), Some(total)) => {
            let counts = Counts { good, bad };
            (counts.total() == total).then_some(counts)
        }
        _ => None,
    }
}

/// Parses a count: whole, though a tool may have written it with a decimal point.
fn whole(cell: &str, name: &str) -> Result<u64, String> {
    if let Ok(number) = cell.parse() {
        return Ok(number);
    }
    let text = unquoted(cell);
    let digits = text.split_once('.').map_or(text, |(whole, fraction)| {
        if fraction.bytes().all(|byte| byte == b'0') { whole } else { text }
    });
    digits.parse().map_err(|_| format!("`{name}` is `{}`; expected a whole number of events", shown(text)))
}

fn unquoted(cell: &str) -> &str {
    let cell = cell.trim();
    cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"')).unwrap_or(cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<(i64, Counts)>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("counts.csv");
        std::fs::write(&path, text).unwrap();
        read(&path, Bounds::ALL).map_err(|error| {
            error
                .to_string()
                .replace(&*folder.path().to_string_lossy(), "")
                .trim_start_matches('/')
                .to_owned()
        })
    }

    #[test]
    fn columns_go_by_their_names() {
        let expected = vec![(0, Counts { good: 9, bad: 1 }), (60, Counts { good: 5, bad: 0 })];
        for text in [
            "time,good,total\n0,9,10\n60,5,5\n",
            "time,good,bad\n1970-01-01T00:00:00Z,9,1\n1970-01-01T00:01:00Z,5,0",
            "\u{feff}# from the warehouse\r\nTime, Bad ,route,total\r\n0,1,/a,10\r\n\r\n60,0,/a,5\r\n",
            "\"time\",\"good\",\"bad\",\"total\"\n\"0\",\"9\",\"1\",\"10\"\n60.0,5.0,0,5\n",
        ] {
            assert_eq!(parsed(text), Ok(expected.clone()), "{text}");
        }
        assert_eq!(parsed("time,good,bad\n"), Ok(Vec::new()));
    }

    #[test]
    fn a_wrong_line_is_named() {
        let long = format!("time,good,bad\n0,1,{}\n", "1".repeat(5000));
        for (text, told) in [
            ("good,bad\n1,2\n", "counts.csv:1: expected a header like `time,good,total`, found `good,bad`"),
            ("time,good\n", "counts.csv:1: expected a header"),
            (
                "time,good,total\n\n0,3,2\n",
                "counts.csv:3: good, bad and total contradict each other in `0,3,2`",
            ),
            ("time,good,bad,total\n0,1,1,3\n", "counts.csv:2: good, bad and total contradict"),
            (
                "time,good,bad\n0,1,2\n0,1.5,2\n",
                "counts.csv:3: `good` is `1.5`; expected a whole number of events",
            ),
            ("time,good,bad\n0,-1,2\n", "counts.csv:2: `good` is `-1`"),
            ("time,good,bad\n0,NaN,2\n", "counts.csv:2: `good` is `NaN`"),
            ("time,good,bad\nnow,1,2\n", "counts.csv:2: `now` is no time"),
            ("time,good,bad\n0,1\n", "counts.csv:2: there are fewer cells than in the header in `0,1`"),
            (
                "time,good,bad\n60,1,2\n0,1,2\n",
                "counts.csv:3: this is earlier than the line before (1970-01-01T00:01:00Z)",
            ),
            (&long, "counts.csv:2: this line has more than 4096 bytes"),
        ] {
            let found = parsed(text).unwrap_err();
            assert!(found.starts_with(told), "{found}");
        }
    }

    #[test]
    fn plain_lines_and_all_others_say_the_same() {
        let rows: Vec<(i64, Counts)> =
            (0..30_000).map(|n| (n * 10, Counts { good: n as u64 % 977, bad: n as u64 % 7 })).collect();
        let written = |line: &dyn Fn(&(i64, Counts)) -> String| -> String { rows.iter().map(line).collect() };
        let header = "time,route,good,total\n";
        for body in [
            written(&|(s, c)| format!("{s},7,{},{}\n", c.good, c.total())),
            written(&|(s, c)| format!("{}000,7,{},{}\r\n", s + 100_000_000, c.good, c.total())),
            written(&|(s, c)| format!("{s},/a,{}.0, {}\n\n", c.good, c.total())),
        ] {
            let mut found = parsed(&format!("{header}{}", body.trim_end())).unwrap();
            let start = found[0].0;
            found.iter_mut().for_each(|(second, _)| *second -= start);
            assert!(found == rows, "{}", &body[..60]);
        }
        let late = parsed(&format!(
            "{header}{}9,7,2,1\n",
            written(&|(s, c)| format!("{s},7,{},{}\n", c.good, c.total()))
        ));
        assert!(late.unwrap_err().starts_with("counts.csv:30002: good, bad and total contradict"));
    }

    #[test]
    fn only_what_lies_inside_the_bounds_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("counts.csv");
        std::fs::write(&path, "time,good,bad\n0,1,0\n60,2,0\n120,3,0\n").unwrap();
        let kept =
            read(&path, Bounds { from: Timestamp::from_seconds(60), until: Timestamp::from_seconds(120) })
                .unwrap();
        assert_eq!(kept, [(60, Counts { good: 2, bad: 0 })]);
    }
}

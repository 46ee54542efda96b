//! Counts of tests, read from the output of the runner.

use std::fmt;

/// Tests that ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Summary {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
}

impl Summary {
    /// Takes in one line of output of `cargo nextest run` or `cargo test`.
    pub(super) fn read(&mut self, line: &str) {
        let line = line.trim();
        // nextest: `Summary [ 1.2s] 12 tests run: 11 passed (1 slow), 1 failed, 2 skipped`
        // cargo:   `test result: ok. 11 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out`
        let figures = if let Some(rest) = line.strip_prefix("Summary [") {
            // a test that failed showed its own result before
            *self = Self::default();
            rest.split_once("run:").map(|(_, figures)| figures)
        } else {
            line.strip_prefix("test result:")
        };
        let Some(figures) = figures else { return };
        let words: Vec<&str> =
            figures.split([' ', ',', ';', '.', '(', ')']).filter(|word| !word.is_empty()).collect();
        for pair in words.windows(2) {
            let [number, what] = pair else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match *what {
                "passed" => self.passed += number,
                "failed" | "timed" => self.failed += number,
                "skipped" | "ignored" => self.skipped += number,
                _ => {}
            }
        }
    }

    /// Counts tests as skipped that the runner saw pass: they left a record instead of a result.
    pub(super) fn skip(&mut self, tests: u64) {
        self.passed = self.passed.saturating_sub(tests);
        self.skipped += tests;
    }

    /// Forgets tests that were not asked for, which nextest counts as skipped.
    pub(super) const fn ran(self) -> Self {
        Self { skipped: 0, ..self }
    }

    /// Adds another runner's figures.
    pub(super) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let run = self.passed + self.failed;
        write!(f, "{run} tests run: {} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nextest_is_understood() {
        let mut summary = Summary::default();
        summary.read("     Summary [  10.1s] 14 tests run: 11 passed (2 slow, 1 flaky), 2 failed, 1 timed out, 3 skipped");
        assert_eq!(summary, Summary { passed: 11, failed: 3, skipped: 3 });
    }

    #[test]
    fn cargo_test_is_added_up() {
        let mut summary = Summary::default();
        summary.read("running 3 tests");
        summary.read(
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s",
        );
        summary.read("test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s");
        assert_eq!(summary.to_string(), "9 tests run: 7 passed, 2 failed, 1 skipped");
    }
}

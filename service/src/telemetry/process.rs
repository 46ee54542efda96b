//! Figures of this process, under the names that Prometheus' client libraries gave them.

use std::fs;

use super::exposition::{Exposition, Kind};

/// Linux counts processor time in hundredths of a second wherever it shows it.
const TICKS: f64 = 100.0;

/// Figures of this process. A figure that the system does not report is absent.
#[derive(Debug, Default, Clone, Copy)]
pub struct Process {
    /// Processor time used so far.
    pub cpu_seconds: Option<f64>,
    /// The start time in seconds since 1970.
    pub start_seconds: Option<f64>,
    /// Memory that is really there.
    pub resident_bytes: Option<f64>,
    /// Address space.
    pub virtual_bytes: Option<f64>,
    /// Threads.
    pub threads: Option<f64>,
    /// Open files and sockets.
    pub open_files: Option<f64>,
    /// Limit of open files and sockets.
    pub most_files: Option<f64>,
}

impl Process {
    /// Reads `/proc`.
    #[must_use]
    pub fn now() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let status = text("/proc/self/status");
        let kib = |name| line(&status, name).map(|kib| kib * 1024.0);
        let stat = text("/proc/self/stat");
        // The name of the program is in parentheses and may hold anything; fields are counted behind it.
        let fields: Vec<&str> =
            stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
        let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok());
        let booted = line(&text("/proc/stat"), "btime");
        let open = fs::read_dir("/proc/self/fd").ok().map(Iterator::count);
        Self {
            cpu_seconds: ticks(11).zip(ticks(12)).map(|(user, system)| (user + system) / TICKS),
            start_seconds: ticks(19).zip(booted).map(|(start, booted)| booted + start / TICKS),
            resident_bytes: kib("VmRSS:"),
            virtual_bytes: kib("VmSize:"),
            threads: line(&status, "Threads:"),
            // Less the one that the look itself opens.
            open_files: open.and_then(|open| u32::try_from(open).ok()).map(|open| f64::from(open) - 1.0),
            most_files: line(&text("/proc/self/limits"), "Max open files"),
        }
    }

    pub(crate) fn write(&self, out: &mut Exposition) {
        let mut figure = |name: &str, kind, help: &str, value: Option<f64>| {
            if let Some(value) = value {
                out.only(name, kind, help, value);
            }
        };
        figure(
            "process_cpu_seconds_total",
            Kind::Counter,
            "Processor time used by this process.",
            self.cpu_seconds,
        );
        figure(
            "process_start_time_seconds",
            Kind::Gauge,
            "When this process was started, in seconds since 1970.",
            self.start_seconds,
        );
        figure(
            "process_resident_memory_bytes",
            Kind::Gauge,
            "Resident memory of this process.",
            self.resident_bytes,
        );
        figure(
            "process_virtual_memory_bytes",
            Kind::Gauge,
            "Address space of this process.",
            self.virtual_bytes,
        );
        figure("process_threads", Kind::Gauge, "Threads of this process.", self.threads);
        figure("process_open_fds", Kind::Gauge, "Open files and sockets of this process.", self.open_files);
        figure(
            "process_max_fds",
            Kind::Gauge,
            "How many files and sockets this process may have open.",
            self.most_files,
        );
    }
}

/// The first number of the line that begins with a name.
fn line(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_described() {
        let process = Process::now();
        assert!(process.resident_bytes.is_some_and(|bytes| bytes > 500_000.0), "{process:?}");
        assert!(process.virtual_bytes >= process.resident_bytes, "{process:?}");
        assert!(process.threads.is_some_and(|threads| threads >= 1.0), "{process:?}");
        assert!(process.open_files.is_some_and(|open| open >= 1.0), "{process:?}");
        assert!(process.most_files > process.open_files, "{process:?}");
        assert!(process.cpu_seconds.is_some_and(|seconds| seconds < 1000.0), "{process:?}");
        assert!(process.start_seconds.is_some_and(|seconds| seconds > 1.7e9), "{process:?}");
    }
}

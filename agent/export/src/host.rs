//! Figures of this process and of the machine it runs on.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sysinfo::{
    MemoryRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, RefreshKind, System, get_current_pid,
};
use tokio::time::Instant;

use lookout_runtime::exposition::Kind;

use super::family::Families;

/// Time for which figures are cached. Reading them takes about ten system calls.
const FRESH: Duration = Duration::from_secs(5);

/// Figures of one reading; a figure that the system does not give is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    /// Resident memory of this process in bytes.
    pub resident_bytes: Option<u64>,
    /// CPU time of this process since it started, in seconds.
    pub cpu_seconds: Option<f64>,
    /// CPU use of this process since the last reading, in percent of one CPU.
    pub cpu_percent: Option<f64>,
    /// Threads of this process.
    pub threads: Option<u64>,
    /// Start of this process, seconds since the epoch.
    pub start_time_seconds: Option<u64>,
    /// Memory of the machine in bytes.
    pub memory_total_bytes: Option<u64>,
    /// Available memory, in bytes.
    pub memory_available_bytes: Option<u64>,
    /// Load average over one minute.
    pub load1: Option<f64>,
    /// CPUs of the machine.
    pub cpus: Option<u64>,
    /// Seconds since the machine started.
    pub uptime_seconds: Option<u64>,
}

#[derive(Debug)]
struct Reading {
    system: Option<System>,
    process: Option<Pid>,
    figures: Figures,
    read_at: Option<Instant>,
}

/// Source of the figures, shared by all readers.
#[derive(Debug)]
pub struct Host(Mutex<Reading>);

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    /// Creates the source. On a system without such figures all of them are absent, and the agent runs all the same.
    #[must_use]
    pub fn new() -> Self {
        let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
        let system = System::new_with_specifics(memory).ok();
        let process = get_current_pid().ok();
        Self(Mutex::new(Reading { system, process, figures: Figures::default(), read_at: None }))
    }

    /// Returns the figures, at most five seconds old.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let mut reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let since = reading.read_at.map(|at| now.saturating_duration_since(at));
        if since.is_none_or(|age| age >= FRESH) {
            reading.refresh(since);
            reading.read_at = Some(now);
        }
        reading.figures
    }
}

impl Reading {
    fn refresh(&mut self, since: Option<Duration>) {
        let before = self.figures.cpu_seconds;
        let mut figures = Figures {
            load1: System::load_average().ok().map(|load| load.one),
            cpus: std::thread::available_parallelism().ok().map(|n| n.get() as u64),
            uptime_seconds: System::uptime().ok(),
            ..Figures::default()
        };
        if let Some(system) = &mut self.system {
            system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
            figures.memory_total_bytes = Some(system.total_memory()).filter(|bytes| *bytes > 0);
            figures.memory_available_bytes = Some(system.available_memory());
            if let Some(pid) = self.process {
                read_process(system, pid, &mut figures);
            }
        }
        figures.cpu_percent =
            before.zip(figures.cpu_seconds).zip(since).and_then(|((before, now), since)| {
                let percent = (now - before).max(0.0) / since.as_secs_f64() * 100.0;
                percent.is_finite().then_some(percent)
            });
        self.figures = figures;
    }
}

fn read_process(system: &mut System, pid: Pid, figures: &mut Figures) {
    let wanted = ProcessRefreshKind::nothing().with_memory().with_cpu().with_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, wanted);
    let Some(process) = system.process(pid) else { return };
    figures.resident_bytes = Some(process.memory()).filter(|bytes| *bytes > 0);
    figures.cpu_seconds = Some(process.accumulated_cpu_time() as f64 / 1000.0);
    figures.start_time_seconds = Some(process.start_time()).filter(|seconds| *seconds > 0);
    // The tasks are the threads beside the main one.
    figures.threads = process.tasks().map(|tasks| tasks.len() as u64 + u64::from(!tasks.contains(&pid)));
}

impl Figures {
    pub(super) fn add_to(&self, families: &mut Families) {
        let whole = |value: Option<u64>| value.map(|value| value as f64);
        let gauges = [
            ("process_resident_memory_bytes", "Resident memory of this process.", whole(self.resident_bytes)),
            (
                "process_start_time_seconds",
                "Start of this process since the epoch.",
                whole(self.start_time_seconds),
            ),
            ("process_threads", "Threads of this process.", whole(self.threads)),
            (
                "process_cpu_utilization_ratio",
                "CPU use of this process since the last reading; 1 is one CPU.",
                self.cpu_percent.map(|percent| percent / 100.0),
            ),
            ("host_memory_total_bytes", "Memory of the machine.", whole(self.memory_total_bytes)),
            (
                "host_memory_available_bytes",
                "Memory that could be given out.",
                whole(self.memory_available_bytes),
            ),
            ("host_load1", "Load average over one minute.", self.load1),
            ("host_cpus", "CPUs this process may use.", whole(self.cpus)),
            ("host_uptime_seconds", "Time since the machine started.", whole(self.uptime_seconds)),
        ];
        for (name, help, value) in gauges {
            if let Some(value) = value {
                families.gauge(name, help, &[], value);
            }
        }
        if let Some(seconds) = self.cpu_seconds {
            let help = "CPU time of this process.";
            families.add(Kind::Counter, "process_cpu_seconds_total", help, (&[]).into(), seconds);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_threads_and_a_start() {
        let host = Host::new();
        let figures = host.figures();
        assert!(figures.resident_bytes.unwrap() > 500_000, "{figures:?}");
        assert!(figures.memory_total_bytes.unwrap() >= figures.memory_available_bytes.unwrap());
        assert!(figures.threads.unwrap() >= 1, "{figures:?}");
        assert!(figures.start_time_seconds.unwrap() > 1_600_000_000, "{figures:?}");
        assert!(figures.cpus.unwrap() >= 1);
    }

    #[tokio::test(start_paused = true)]
    async fn figures_are_read_at_most_once_in_five_seconds() {
        let host = Host::new();
        let first = host.figures();
        assert_eq!(first.cpu_percent, None);
        tokio::time::advance(Duration::from_millis(4999)).await;
        assert_eq!(host.figures(), first);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(host.figures().cpu_percent.unwrap().is_finite());
    }
}

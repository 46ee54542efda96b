//! CPU time and memory of processes, from `/proc`.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Time on processors of a process, of its children, and of those it had.
pub(crate) fn cpu_of(id: u32) -> Result<Duration> {
    let path = format!("/proc/{id}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let own = Stat::read(&stat).with_context(|| format!("{path} has no times"))?;
    let mut ticks = own.ticks + own.ticks_of_ended;
    for entry in fs::read_dir("/proc").context("listing /proc")?.flatten() {
        if !entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        // Others come and go meanwhile.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        if let Some(child) = Stat::read(&stat).filter(|child| child.parent == id) {
            ticks += child.ticks;
        }
    }
    // Linux shows hundredths of a second, whatever the kernel counts in.
    Ok(Duration::from_millis(ticks * 10))
}

/// The same of this process alone.
pub(crate) fn own_cpu() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").context("reading /proc/self/stat")?;
    let own = Stat::read(&stat).context("/proc/self/stat has no times")?;
    Ok(Duration::from_millis(own.ticks * 10))
}

struct Stat {
    parent: u32,
    ticks: u64,
    ticks_of_ended: u64,
}

impl Stat {
    fn read(text: &str) -> Option<Self> {
        // The name of the program is in brackets and may hold anything.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            ticks: number(11)? + number(12)?,
            ticks_of_ended: number(13)? + number(14)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_the_parent_are_found_behind_any_name() {
        let stat = Stat::read("7 (a) b (c)) S 3 7 7 0 -1 4194304 94 0 0 0 50 25 10 5 20 0 1 0").unwrap();
        assert_eq!((stat.parent, stat.ticks, stat.ticks_of_ended), (3, 75, 15));
        assert!(Stat::read("7 (short) S 3").is_none());
    }

    #[test]
    fn what_is_computed_is_paid_for() {
        let before = cpu_of(std::process::id()).unwrap();
        let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        assert!(std::process::Command::new("sh").args(["-c", busy]).status().unwrap().success());
        assert!(cpu_of(std::process::id()).unwrap() > before);
        assert!(cpu_of(u32::MAX).is_err());
    }
}

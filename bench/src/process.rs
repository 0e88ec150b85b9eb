//! What the kernel charges to a contender: processor time and memory of its process and all below it.

use std::fs;
use std::time::Duration;

/// A process and its descendants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// Processor time in user and kernel mode, to the nanosecond: what `utime + stime` in `/proc/PID/stat` says in ticks.
    pub(crate) fn cpu(self) -> Duration {
        let own: u64 = self.threads().filter_map(|task| nanoseconds(&task)).sum();
        self.children()
            .map(Self::cpu)
            .fold(Duration::from_nanos(own), |sum, cpu| sum + cpu)
    }

    /// Resident memory in KiB, of the largest process: workers, not the master that started them.
    pub(crate) fn rss(self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most that it was.
    pub(crate) fn peak_rss(self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(self, key: &str) -> u64 {
        let own = fs::read_to_string(format!("/proc/{}/status", self.0))
            .ok()
            .and_then(|status| {
                let line = status.lines().find(|line| line.starts_with(key))?;
                line.split_whitespace().nth(1)?.parse().ok()
            })
            .unwrap_or(0);
        self.children().map(|child| child.memory(key)).fold(own, u64::max)
    }

    fn threads(self) -> impl Iterator<Item = String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.0)).ok();
        tasks
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path().to_string_lossy().into_owned()))
    }

    pub(crate) fn children(self) -> impl Iterator<Item = Self> {
        let children: Vec<u32> = self
            .threads()
            .filter_map(|task| fs::read_to_string(format!("{task}/children")).ok())
            .flat_map(|list| {
                list.split_whitespace()
                    .filter_map(|pid| pid.parse().ok())
                    .collect::<Vec<_>>()
            })
            .collect();
        children.into_iter().map(Self)
    }
}

fn nanoseconds(task: &str) -> Option<u64> {
    let schedstat = fs::read_to_string(format!("{task}/schedstat")).ok()?;
    schedstat.split(' ').next()?.parse().ok()
}

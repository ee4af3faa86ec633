//! What else the machine did: a number that was made beside other work is worth less, and its reader should know.
//!
//! The load average says how it was before. While `bench` runs, the system's own count of busy time less this
//! process's says what part of all cores somebody else had, neighbours of a virtual machine included.

use std::fs;

use serde::Serialize;

/// Work that was not ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Load {
    /// The load average of the minute before; nothing where the system does not tell.
    pub(super) load_average_before: Option<f64>,
    /// The part of all cores' time that others had while it was measured, in per cent.
    pub(super) others_percent: Option<f64>,
}

/// Counts from its start on.
#[derive(Debug)]
pub(super) struct Watch {
    load_average: Option<f64>,
    before: Option<Ticks>,
}

/// Processor time since the machine started, in the system's ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticks {
    /// Of all cores, whatever they did.
    all: u64,
    /// Of all cores, doing nothing.
    idle: u64,
    /// Of this process.
    ours: u64,
}

impl Watch {
    /// Begins to count.
    pub(super) fn start() -> Self {
        Watch {
            load_average: fs::read_to_string("/proc/loadavg")
                .ok()
                .and_then(|text| text.split(' ').next()?.parse().ok()),
            before: Ticks::now(),
        }
    }

    /// What it was until now.
    pub(super) fn load(&self) -> Load {
        let others = |before: Ticks, after: Ticks| before.others_until(after);
        Load {
            load_average_before: self.load_average,
            others_percent: self
                .before
                .zip(Ticks::now())
                .and_then(|(before, after)| others(before, after)),
        }
    }
}

impl Ticks {
    fn now() -> Option<Self> {
        let (all, idle) = machine_of(&fs::read_to_string("/proc/stat").ok()?)?;
        let ours = process_of(&fs::read_to_string("/proc/self/stat").ok()?)?;
        Some(Ticks { all, idle, ours })
    }

    /// The part that others had between two counts, in per cent to one digit.
    fn others_until(self, after: Ticks) -> Option<f64> {
        let all = after.all.checked_sub(self.all).filter(|all| *all > 0)?;
        let idle = after.idle.saturating_sub(self.idle);
        let ours = after.ours.saturating_sub(self.ours);
        let others = all.saturating_sub(idle).saturating_sub(ours);
        Some((others as f64 / all as f64 * 1000.0).round() / 10.0)
    }
}

/// All and idle time from the first line of `/proc/stat`. Guests' time is part of user time there and not counted twice;
/// waiting for disks is idle, and time that a hypervisor took is not.
fn machine_of(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line
        .split_whitespace()
        .take(8)
        .map(|text| text.parse().ok())
        .collect::<Option<_>>()?;
    Some((ticks.iter().sum(), ticks.get(3)? + ticks.get(4)?))
}

/// User and system time from `/proc/self/stat`. The name of the program, in brackets, may hold spaces and brackets.
fn process_of(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_had_what_was_neither_idle_nor_ours() {
        let before = Ticks {
            all: 1000,
            idle: 500,
            ours: 100,
        };
        let after = |all, idle, ours| Ticks { all, idle, ours };
        assert_eq!(before.others_until(after(1200, 550, 200)), Some(25.0));
        assert_eq!(before.others_until(after(1200, 500, 301)), Some(0.0));
        assert_eq!(before.others_until(before), None);
    }

    #[test]
    fn the_systems_counts_are_read() {
        let stat = "cpu  10 1 20 300 40 5 6 7 8 9\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(machine_of(stat), Some((389, 340)));
        assert_eq!(machine_of("intr 1 2"), None);
        let process = "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 70 8 0 0 20 0 5 0 100\n";
        assert_eq!(process_of(process), Some(78));
        assert_eq!(process_of("42"), None);
    }
}

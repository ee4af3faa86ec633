//! Where and with what the numbers were made.

use std::fs;
use std::thread::available_parallelism;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::load::Load;

/// The machine, the program and the day.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Machine {
    /// The processor's name.
    pub(super) cpu: String,
    /// Cores that this process may use.
    pub(super) cores: usize,
    /// Operating system and its version.
    pub(super) kernel: String,
    /// The compiler that built this program.
    pub(super) rustc: &'static str,
    /// The version of this program.
    pub(super) roadshow: &'static str,
    /// The commit that this program was built from, followed by `+changes` if there were any.
    pub(super) commit: &'static str,
    /// Whether the compiler optimised.
    pub(super) optimised: bool,
    /// The day, in UTC, as `2026-01-31`.
    pub(super) date: String,
    /// What else the machine did.
    #[serde(flatten)]
    pub(super) load: Load,
}

impl Machine {
    /// This one, today, under this load. What the system does not tell is `unknown`.
    pub(super) fn this(load: Load) -> Self {
        let unknown = || "unknown".to_owned();
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_else(|_| unknown());
        Machine {
            cpu: fs::read_to_string("/proc/cpuinfo")
                .ok()
                .and_then(|text| model_of(&text))
                .unwrap_or_else(unknown),
            cores: available_parallelism().map_or(1, usize::from),
            kernel: format!("{} {}", std::env::consts::OS, release.trim()),
            rustc: option_env!("ROADSHOW_RUSTC").unwrap_or("unknown"),
            roadshow: env!("CARGO_PKG_VERSION"),
            commit: option_env!("ROADSHOW_COMMIT").unwrap_or("unknown"),
            optimised: !cfg!(debug_assertions),
            date: date_of(days_since_1970()),
            load,
        }
    }

    /// The machine itself and the day.
    pub(super) fn title(&self) -> String {
        format!("{}, {} cores, {}", self.cpu, self.cores, self.date)
    }

    /// What ran on it.
    pub(super) fn versions(&self) -> String {
        let build = if self.optimised {
            ""
        } else {
            ", built without optimisation"
        };
        format!(
            "{}, {}, roadshow {} at {}{build}",
            self.kernel, self.rustc, self.roadshow, self.commit
        )
    }

    /// What else ran on it.
    pub(super) fn others(&self) -> String {
        let average = match self.load.load_average_before {
            Some(average) => format!("load average {average:.2} before"),
            None => "load average unknown".to_owned(),
        };
        match self.load.others_percent {
            Some(percent) => format!("{average}; others had {percent:.1} % of the cores meanwhile"),
            None => average,
        }
    }
}

fn model_of(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a report names the day of the machine, and no node runs whose clock could be asked"
)]
fn days_since_1970() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() / 86_400
}

/// Counts years and months off, which is slow and plain: once a report.
fn date_of(mut days: u64) -> String {
    let is_leap = |year: u64| (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_through_leap_years() {
        let table = [
            (0, "1970-01-01"),
            (58, "1970-02-28"),
            (59, "1970-03-01"),
            (364, "1970-12-31"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (20_513, "2026-03-01"),
        ];
        for (days, expected) in table {
            assert_eq!(date_of(days), expected, "day {days}");
        }
    }

    #[test]
    fn the_processor_is_named_by_its_model() {
        let cpuinfo = "processor\t: 0\nmodel name\t: EPYC: seven\nmodel\t\t: 1\n";
        assert_eq!(model_of(cpuinfo).as_deref(), Some("EPYC: seven"));
        assert_eq!(model_of("processor : 0"), None);
    }
}

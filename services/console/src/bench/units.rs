//! Rates and times as people read them.

use std::time::Duration;

/// A rate in at most five characters, without its unit.
pub(super) fn rate(per_second: f64) -> String {
    match per_second {
        rate if rate >= 1e6 => format!("{:.2} M", rate / 1e6),
        rate if rate >= 1e3 => format!("{:.1} k", rate / 1e3),
        rate => format!("{rate:.0}"),
    }
}

/// A time with its unit.
pub(super) fn time(nanoseconds: u64) -> String {
    format!("{:.2?}", Duration::from_nanos(nanoseconds))
}

/// A time with its unit, in whole units from ten on.
pub(super) fn short_time(nanoseconds: u64) -> String {
    let (value, unit) = match nanoseconds {
        ns if ns < 1_000 => return format!("{ns} ns"),
        ns if ns < 1_000_000 => (ns as f64 / 1e3, "µs"),
        ns if ns < 1_000_000_000 => (ns as f64 / 1e6, "ms"),
        ns => (ns as f64 / 1e9, "s"),
    };
    let digits = usize::from(value < 10.0 && value.fract() > 0.0);
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_short() {
        for (per_second, expected) in [(999.4, "999"), (1e3, "1.0 k"), (8_500_000.0, "8.50 M")] {
            assert_eq!(rate(per_second), expected);
        }
    }

    #[test]
    fn short_times_have_two_digits_or_more() {
        let table = [
            (140, "140 ns"),
            (1_000, "1 µs"),
            (9_840, "9.8 µs"),
            (80_400, "80 µs"),
            (1_500_000, "1.5 ms"),
            (2_000_000_000, "2 s"),
        ];
        for (nanoseconds, expected) in table {
            assert_eq!(short_time(nanoseconds), expected);
        }
    }
}

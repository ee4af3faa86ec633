//! Durations and sizes as people write them: one whole number and its unit.
//!
//! A unit is required, because a bare number means milliseconds to one reader and seconds to the next. Sizes know binary
//! units only, for the same reason.

use std::time::Duration;

const TIMES: [(&str, u64); 6] = [
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

const SIZES: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// Reads a duration such as `250ms`.
pub(crate) fn duration(text: &str) -> Result<Duration, &'static str> {
    quantity(text, &TIMES)
        .map(Duration::from_nanos)
        .ok_or("expected a whole number with a unit of time (us, ms, s, m, h, d), as in 5s")
}

/// Reads a size such as `1MiB`, in bytes.
pub(crate) fn size(text: &str) -> Result<u64, &'static str> {
    quantity(text, &SIZES).ok_or("expected a whole number with a unit of size (B, KiB, MiB, GiB), as in 1MiB")
}

/// Writes a duration in the largest unit that loses nothing.
pub(crate) fn show_duration(duration: Duration) -> String {
    show(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX), "0s", &TIMES)
}

/// Writes a size in the largest unit that loses nothing.
pub(crate) fn show_size(bytes: u64) -> String {
    show(bytes, "0B", &SIZES)
}

fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let begin_of_unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(begin_of_unit);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn show(amount: u64, zero: &str, units: &[(&str, u64)]) -> String {
    if amount == 0 {
        return zero.to_owned();
    }
    let unit = units.iter().rev().find(|(_, factor)| amount.is_multiple_of(*factor));
    match unit {
        Some((name, factor)) => format!("{}{name}", amount / factor),
        // Only a time below the smallest unit comes here; none can be read in.
        None => format!("{amount}ns"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for text in [
            "",
            "5",
            "s",
            "5 s",
            "-5s",
            "1.5s",
            "5S",
            "5sec",
            "99999999999999d",
            "٥s",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_binary() {
        assert_eq!(size("1MiB"), Ok(1 << 20));
        assert_eq!(size("512B"), Ok(512));
        for text in ["", "1", "1MB", "1kb", "1 MiB", "99999999999GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn values_are_shown_in_the_largest_unit_that_loses_nothing() {
        let table = [
            ("90s", "90s"),
            ("60s", "1m"),
            ("1500ms", "1500ms"),
            ("86400s", "1d"),
            ("0ms", "0s"),
        ];
        for (text, shown) in table {
            assert_eq!(show_duration(duration(text).expect(text)), shown);
        }
        assert_eq!(show_size(size("2048KiB").expect("a size")), "2MiB");
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(us in 0_u64..u64::MAX / 1_000, bytes: u64) {
            let time = Duration::from_micros(us);
            prop_assert_eq!(duration(&show_duration(time)), Ok(time));
            prop_assert_eq!(size(&show_size(bytes)), Ok(bytes));
        }
    }
}

//! Figures and foreign names as the findings write them.

use std::time::Duration;

use crate::harmless::is_harmless;

/// How many characters of a foreign name or message are repeated.
const SHOWN_CHARS_MAX: usize = 400;

/// A time in at most two units: `250ms`, `30s`, `6m51s`, `2h05m`.
pub(super) fn time(time: Duration) -> String {
    let (seconds, millis) = (time.as_secs(), time.subsec_millis());
    match (seconds, millis) {
        (0, 0) if !time.is_zero() => format!("{}us", time.as_micros().max(1)),
        (0, 0) => "0s".to_owned(),
        (0, _) => format!("{millis}ms"),
        (..60, 1..) => format!("{:.1}s", time.as_secs_f64()),
        (..60, 0) => format!("{seconds}s"),
        (..3_600, _) if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        (..3_600, _) => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ if seconds.is_multiple_of(3_600) => format!("{}h", seconds / 3_600),
        _ => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
    }
}

/// A time that can be given as a setting again: whole seconds, rounded up.
pub(super) fn whole_seconds(time: Duration) -> String {
    let up = u64::from(time.subsec_nanos() > 0);
    format!("{}s", time.as_secs().saturating_add(up))
}

/// A size in its largest unit: `64MiB`, `1.3GiB`.
pub(super) fn size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let Some((unit, name)) = units.into_iter().find(|(unit, _)| bytes >= *unit) else {
        return format!("{bytes}B");
    };
    if bytes.is_multiple_of(unit) {
        return format!("{}{name}", bytes / unit);
    }
    format!("{:.1}{name}", bytes as f64 / unit as f64)
}

/// `1 command`, `2 commands`.
pub(super) fn count(number: usize, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {one}{plural}")
}

/// The first names of a list, and how many there are beside them.
pub(super) fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 3;
    match names {
        [all @ .., last] if names.len() <= SHOWN && !all.is_empty() => format!("{} and {last}", all.join(", ")),
        _ if names.len() <= SHOWN => names.concat(),
        _ => format!("{} and {} more", names[..SHOWN - 1].join(", "), names.len() + 1 - SHOWN),
    }
}

/// Makes a text from outside fit for one line.
pub(super) fn shown(text: &str) -> String {
    let mut line = String::new();
    for c in text.trim().chars().take(SHOWN_CHARS_MAX) {
        if is_harmless(c) {
            line.push(c);
        } else {
            line.extend(c.escape_default());
        }
    }
    if text.trim().chars().nth(SHOWN_CHARS_MAX).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short_and_say_what_they_mean() {
        let table = [
            (0, "0s"),
            (12, "12us"),
            (250_000, "250ms"),
            (1_500_000, "1.5s"),
            (30_000_000, "30s"),
            (60_000_000, "1m"),
            (90_000_000, "1m30s"),
            (411_400_000, "6m51s"),
            (3_600_000_000, "1h"),
            (7_500_000_000, "2h05m"),
        ];
        for (micros, expected) in table {
            assert_eq!(time(Duration::from_micros(micros)), expected);
        }
        assert_eq!(whole_seconds(Duration::from_millis(32_001)), "33s");
        assert_eq!(whole_seconds(Duration::from_secs(32)), "32s");
    }

    #[test]
    fn sizes_and_lists_are_short() {
        assert_eq!(
            (size(7), size(64 << 20), size(1_400 << 20)),
            ("7B".into(), "64MiB".into(), "1.4GiB".into())
        );
        let names: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        let lists: Vec<String> = (0..=4).map(|n| some_of(&names[..n])).collect();
        assert_eq!(lists, ["", "a", "a and b", "a, b and c", "a, b and 2 more"]);
        assert_eq!(
            (count(1, "note"), count(2, "note")),
            ("1 note".to_owned(), "2 notes".to_owned())
        );
    }

    #[test]
    fn a_text_from_outside_cannot_paint_the_terminal() {
        assert_eq!(shown(" a\n\u{1b}[31mb "), "a\\n\\u{1b}[31mb");
        assert_eq!(shown("a\u{202e}b\u{2028}c"), "a\\u{202e}b\\u{2028}c");
        assert!(shown(&"x".repeat(1_000)).chars().count() < 410);
    }
}

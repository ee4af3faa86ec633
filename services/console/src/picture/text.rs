//! Texts of another process, made fit for one line of a terminal; and times for people.

use crate::harmless::with_spaces;

/// How many characters of one text are shown where nothing else bounds it.
const CHARS_MAX: usize = 2_000;

/// A text without anything that could move the cursor or turn what follows around.
pub(crate) fn shown(text: &str) -> String {
    let end = text.char_indices().nth(CHARS_MAX).map(|(at, _)| at);
    let mut line = with_spaces(&text[..end.unwrap_or(text.len())]);
    if end.is_some() {
        line.push('…');
    }
    line
}

/// A text in at most `width` columns; what does not fit is replaced by an ellipsis.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut line: String = text.chars().take(width.saturating_sub(1)).collect();
    if width > 0 {
        line.push('…');
    }
    line
}

/// A text broken between words into at most `lines_max` lines of `width` columns.
pub(crate) fn wrap(text: &str, width: usize, lines_max: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() && lines.len() < lines_max {
        if lines.len() + 1 == lines_max || rest.chars().count() <= width {
            lines.push(cut(rest, width));
            return lines;
        }
        let end = rest.char_indices().nth(width).map_or(rest.len(), |(at, _)| at);
        // A space right behind the last column is a place to break too.
        let upto = rest[end..].chars().next().map_or(end, |next| end + next.len_utf8());
        let at = rest[..upto].rfind(' ').filter(|at| *at > 0).unwrap_or(end);
        if at == 0 {
            return lines;
        }
        let (line, after) = rest.split_at(at);
        lines.push(line.trim_end().to_owned());
        rest = after.trim_start();
    }
    lines
}

/// A time in its two largest units.
pub(crate) fn time(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes, seconds) {
        (0, 0, 0, 0) => format!("{ms}ms"),
        (0, 0, 0, _) => format!("{seconds}.{}s", ms % 1_000 / 100),
        (0, 0, _, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, _, _, _) => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_its_two_largest_units() {
        let table = [
            (20, "20ms"),
            (999, "999ms"),
            (1_050, "1.0s"),
            (61_000, "1m01s"),
            (3_600_000, "1h00m"),
            (90_061_000, "1d01h"),
        ];
        for (ms, expected) in table {
            assert_eq!(time(ms), expected);
        }
    }

    #[test]
    fn a_text_breaks_between_words_and_ends_with_an_ellipsis() {
        let text = "the probe was told to panic";
        assert_eq!(wrap(text, 40, 3), [text]);
        assert_eq!(wrap(text, 9, 9), ["the probe", "was told", "to panic"]);
        assert_eq!(wrap(text, 9, 2), ["the probe", "was told…"]);
        assert_eq!(wrap("añb añb", 3, 9), ["añb", "añb"]);
        assert_eq!(wrap("unbreakable", 4, 9), ["unbr", "eaka", "ble"]);
        assert_eq!(wrap(text, 0, 3), Vec::<String>::new());
        assert_eq!(wrap("", 9, 3), Vec::<String>::new());
    }
}

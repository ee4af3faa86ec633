//! The terminal as something to draw on: how wide it is, and a whole screen that is given back as it was found.

use std::io::{self, IsTerminal as _, Write as _};

use terminal_size::{Height, Width, terminal_size_of};

/// How wide a terminal is taken to be that does not say so.
const COLUMNS: usize = 80;
/// How high a terminal is taken to be that does not say so.
const ROWS: usize = 24;

/// The other screen, without a cursor and without line wrapping.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l";
const LEAVE: &str = "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l";
const HOME: &str = "\u{1b}[H";
const CLEAR_LINE: &str = "\u{1b}[K";
const CLEAR_BELOW: &str = "\u{1b}[J";

/// How many columns stdout has; `None` if it is no terminal. `COLUMNS` beats what the terminal says.
pub(crate) fn columns() -> Option<usize> {
    let told = terminal_size_of(io::stdout()).map(|(Width(columns), _)| columns.into());
    columns_of(
        io::stdout().is_terminal(),
        std::env::var("COLUMNS").ok().as_deref(),
        told,
    )
}

fn columns_of(is_terminal: bool, variable: Option<&str>, told: Option<usize>) -> Option<usize> {
    let wanted = variable.and_then(|columns| columns.parse().ok());
    is_terminal.then(|| {
        let known = wanted.or(told).filter(|columns| *columns > 0);
        known.unwrap_or(COLUMNS)
    })
}

/// A whole terminal, taken for a while. Dropping it gives the terminal back as it was.
#[derive(Debug)]
pub(crate) struct Screen(());

impl Screen {
    /// Takes the terminal of stdout; `None` if it is none, or one that knows no cursor movements.
    ///
    /// # Errors
    ///
    /// What the terminal says.
    pub(crate) fn take() -> io::Result<Option<Self>> {
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if is_dumb || !io::stdout().is_terminal() {
            return Ok(None);
        }
        let screen = Self(());
        put(ENTER)?;
        Ok(Some(screen))
    }

    /// Replaces what is on the screen. Lines that do not fit are left out, and the last line says how many.
    ///
    /// # Errors
    ///
    /// What the terminal says.
    pub(crate) fn show(&self, lines: &[String]) -> io::Result<()> {
        let told = terminal_size_of(io::stdout()).map(|(_, Height(rows))| rows.into());
        let rows = told.filter(|rows| *rows > 0).unwrap_or(ROWS);
        put(&frame(lines, rows))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // The terminal is gone: there is nothing to give back.
        let _ = put(LEAVE);
    }
}

fn frame(lines: &[String], rows: usize) -> String {
    let mut frame = HOME.to_owned();
    let shown = if lines.len() > rows {
        rows.saturating_sub(1)
    } else {
        lines.len()
    };
    let left_out = lines.len() - shown;
    let more = (left_out > 0).then(|| format!("… {left_out} more lines: the terminal is too low"));
    for (at, line) in lines.iter().take(shown).chain(&more).enumerate() {
        if at > 0 {
            frame.push_str("\r\n");
        }
        frame.push_str(line);
        frame.push_str(CLEAR_LINE);
    }
    frame.push_str(CLEAR_BELOW);
    frame
}

fn put(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_width_is_that_of_the_variable_or_the_terminal_or_eighty() {
        let table = [
            (false, Some("40"), Some(100), None),
            (true, Some("40"), Some(100), Some(40)),
            (true, Some("wide"), Some(100), Some(100)),
            (true, Some("0"), None, Some(80)),
            (true, None, Some(0), Some(80)),
            (true, None, None, Some(80)),
        ];
        for (is_terminal, variable, told, expected) in table {
            assert_eq!(
                columns_of(is_terminal, variable, told),
                expected,
                "{variable:?} {told:?}"
            );
        }
    }

    #[test]
    fn a_frame_never_scrolls_the_screen() {
        let lines: Vec<String> = (1..=5).map(|line| line.to_string()).collect();
        assert_eq!(frame(&lines, 5).matches("\r\n").count(), 4);
        let cut = frame(&lines, 3);
        assert_eq!(cut.matches("\r\n").count(), 2);
        assert!(cut.contains("… 3 more lines") && !cut.contains('4'), "{cut:?}");
        assert!(frame(&[], 3).ends_with(CLEAR_BELOW));
    }
}

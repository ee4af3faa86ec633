//! Colours and weights of text, where a person reads it on a terminal.
//!
//! A stream has colours when it is a terminal, `NO_COLOR` is unset or empty (no-color.org) and `TERM` is not `dumb`.
//! What a colour says is said by a word or a symbol too: nothing is lost without colours, and nothing is lost on somebody
//! who does not see them. Deliberately not here: a flag that forces colours, and cursor movements, which are the watch's.

use std::ffi::OsStr;
use std::fmt::Display;
use std::io::{self, IsTerminal as _};

use clap::builder::StyledStr;

/// What a text says by its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing.
    Plain,
    /// As it should be.
    Good,
    /// On its way, or worth a look.
    Warn,
    /// Broken.
    Bad,
    /// Less than the rest.
    Faint,
}

/// How to write to one stream: with colours or without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Style {
    is_coloured: bool,
}

impl Style {
    /// The style of stdout.
    pub(crate) fn for_stdout() -> Self {
        Self::for_stream(io::stdout().is_terminal())
    }

    /// The style of stderr.
    pub(crate) fn for_stderr() -> Self {
        Self::for_stream(io::stderr().is_terminal())
    }

    /// No colours.
    pub(crate) const fn plain() -> Self {
        Self { is_coloured: false }
    }

    /// Colours, whatever the stream is.
    #[cfg(test)]
    pub(crate) const fn coloured() -> Self {
        Self { is_coloured: true }
    }

    fn for_stream(is_terminal: bool) -> Self {
        let no_color = std::env::var_os("NO_COLOR");
        let term = std::env::var_os("TERM");
        Self::decide(is_terminal, no_color.as_deref(), term.as_deref())
    }

    fn decide(is_terminal: bool, no_color: Option<&OsStr>, term: Option<&OsStr>) -> Self {
        let is_refused = no_color.is_some_and(|value| !value.is_empty());
        let is_dumb = term.is_some_and(|term| term == "dumb");
        Self {
            is_coloured: is_terminal && !is_refused && !is_dumb,
        }
    }

    /// Whether there are colours at all.
    pub(crate) fn is_coloured(self) -> bool {
        self.is_coloured
    }

    /// A text in the colour of its tone.
    pub(crate) fn tone(self, tone: Tone, text: impl Display) -> String {
        match tone {
            Tone::Plain => text.to_string(),
            Tone::Good => self.good(text),
            Tone::Warn => self.warn(text),
            Tone::Bad => self.bad(text),
            Tone::Faint => self.faint(text),
        }
    }

    /// What is as it should be: green.
    pub(crate) fn good(self, text: impl Display) -> String {
        self.wrap("32", text)
    }

    /// What is on its way, or deserves a look: yellow.
    pub(crate) fn warn(self, text: impl Display) -> String {
        self.wrap("33", text)
    }

    /// What is broken: bold red.
    pub(crate) fn bad(self, text: impl Display) -> String {
        self.wrap("1;31", text)
    }

    /// What matters less than the rest.
    pub(crate) fn faint(self, text: impl Display) -> String {
        self.wrap("2", text)
    }

    /// What matters more than the rest: bold.
    pub(crate) fn strong(self, text: impl Display) -> String {
        self.wrap("1", text)
    }

    /// A text of clap's, which brings its own colours.
    pub(crate) fn of_clap(self, text: &StyledStr) -> String {
        if self.is_coloured {
            text.ansi().to_string()
        } else {
            text.to_string()
        }
    }

    fn wrap(self, code: &str, text: impl Display) -> String {
        if self.is_coloured {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_string()
        }
    }
}

/// A text without colours and weights: what a terminal shows of it, for whoever counts columns.
pub(crate) fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, sequence)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = sequence.split_once('m').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_terminal_that_wants_colours_gets_them() {
        let table: [(bool, Option<&str>, Option<&str>, bool); 7] = [
            (true, None, Some("xterm-256color"), true),
            (true, None, None, true),
            (true, Some(""), Some("xterm"), true),
            (true, Some("1"), Some("xterm"), false),
            (true, Some("0"), Some("xterm"), false),
            (true, None, Some("dumb"), false),
            (false, None, Some("xterm-256color"), false),
        ];
        for (is_terminal, no_color, term, expected) in table {
            let style = Style::decide(is_terminal, no_color.map(OsStr::new), term.map(OsStr::new));
            assert_eq!(style.is_coloured(), expected, "{is_terminal} {no_color:?} {term:?}");
        }
    }

    #[test]
    fn colours_can_be_taken_off_again_and_plain_text_has_none() {
        let coloured = Style::coloured();
        let line = format!("{} and {}!", coloured.bad("failed"), coloured.faint(12));
        assert_eq!(line, "\u{1b}[1;31mfailed\u{1b}[0m and \u{1b}[2m12\u{1b}[0m!");
        assert_eq!(without_colours(&line), "failed and 12!");
        assert_eq!(Style::plain().bad("failed"), "failed");
    }
}

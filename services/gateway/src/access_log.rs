//! The access log: one line per request, answered or abandoned, off unless asked for.
//!
//! It says who asked for what and how that ended, and never what was in it: no query, no header but the two ids, no body.

use std::fmt::{self, Display, Write};
use std::net::SocketAddr;
use std::time::Duration;

use http::request::Parts;
use tracing::field::{DisplayValue, display};
use tracing::info;

use crate::answer::Answer;
use crate::caller_headers::TRACEPARENT;
use crate::visit::{REQUEST_ID, Visit, request_id_of};

/// The longest text from outside that a line repeats, in characters.
const TEXT_LEN_MAX: usize = 512;

/// Writes the line of an answer.
pub(crate) fn note(peer: SocketAddr, parts: &Parts, answer: &Answer, visit: &Visit<'_>, took: Duration) {
    let headers = answer.headers();
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &http::HeaderValue| value.to_str().ok())
    };
    let trace = text(TRACEPARENT).and_then(|trace| trace.get(3..35));
    info!(
        target: "roadshow::access",
        %peer,
        method = %Plain(parts.method.as_str()),
        path = %Plain(parts.uri.path()),
        route = visit.meter.place(),
        status = answer.status().as_u16(),
        duration_ms = milliseconds(took),
        bytes_out = answer.body().len(),
        request_id = text(REQUEST_ID),
        trace,
        principal = principal_of(visit),
        "answered"
    );
}

/// Writes the line of a request whose caller hung up before its answer. The id is the caller's own, if it gave one.
pub(crate) fn note_abandoned(peer: SocketAddr, parts: &Parts, visit: &Visit<'_>, took: Duration) {
    info!(
        target: "roadshow::access",
        %peer,
        method = %Plain(parts.method.as_str()),
        path = %Plain(parts.uri.path()),
        route = visit.meter.place(),
        status = "abandoned",
        duration_ms = milliseconds(took),
        bytes_out = 0,
        request_id = request_id_of(&parts.headers).and_then(|id| id.to_str().ok()),
        principal = principal_of(visit),
        "abandoned"
    );
}

fn milliseconds(took: Duration) -> f64 {
    took.as_micros() as f64 / 1_000.0
}

fn principal_of<'v>(visit: &'v Visit<'_>) -> Option<DisplayValue<Plain<'v>>> {
    visit.principal.as_deref().map(|principal| display(Plain(principal)))
}

/// A text from outside that can neither end its line nor play with a terminal, and is no longer than it should be.
struct Plain<'t>(&'t str);

impl Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (written, character) in self.0.chars().enumerate() {
            if written == TEXT_LEN_MAX {
                return f.write_str("...");
            }
            if character.is_ascii_graphic() || character == ' ' || character.is_alphanumeric() {
                f.write_char(character)?;
            } else {
                write!(f, "{}", character.escape_default())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_a_line() {
        let table = [
            ("/api/v1/users", "/api/v1/users"),
            ("/a\r\nb\u{1b}[31m", "/a\\r\\nb\\u{1b}[31m"),
            ("Zo\u{eb}", "Zo\u{eb}"),
            ("\u{202e}\u{2028}\u{85}\u{7f}", "\\u{202e}\\u{2028}\\u{85}\\u{7f}"),
        ];
        for (text, expected) in table {
            assert_eq!(Plain(text).to_string(), expected);
        }
        assert_eq!(Plain(&"x".repeat(600)).to_string().len(), 515);
    }
}

//! Messages of logs, errors and failures: lowercase, no full stop.
//!
//! They are joined into longer lines (a cause chain, a log line, a problem's text), and read wrong otherwise. A word
//! that is a name (`HTTP`, `JSON`) keeps its capitals: only a capital before a small letter is taken for a sentence.

use super::source::{Source, item_end};
use super::tree::Finding;

/// What takes a message: macros of tracing, thiserror's attribute, constructors of failures and errors.
const TAKERS: &[&str] = &[
    "trace!(",
    "debug!(",
    "info!(",
    "warn!(",
    "error!(",
    "#[error(",
    "Failure::new(",
    "Failure::invalid(",
    "Failure::unauthenticated(",
    "Failure::forbidden(",
    "Failure::not_found(",
    "Failure::conflict(",
    "Failure::exhausted(",
    "Failure::timeout(",
    "Failure::unavailable(",
    "Failure::internal(",
    "Error::new(",
    "Error::config(",
    "Error::unsupported(",
    "Error::unavailable(",
    "Error::rejected(",
    "Error::closed(",
];

/// Messages that read like sentences.
pub(crate) fn findings(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for taker in TAKERS {
        for (start, _) in source.code.match_indices(taker) {
            let open = start + taker.len() - 1;
            if source.is_test(start) {
                continue;
            }
            for (at, literal) in literals(source, open, closing(&source.code, open)) {
                if literal.contains(' ') && reads_like_a_sentence(literal) {
                    let rule = format!("message {literal:?}: lowercase, no full stop");
                    found.push(Finding::new(&source.path, source.line_of(at), rule));
                }
            }
        }
    }
    found
}

fn reads_like_a_sentence(message: &str) -> bool {
    let mut letters = message.chars();
    let first = letters.next().is_some_and(char::is_uppercase);
    let second = letters.next().is_some_and(char::is_lowercase);
    let stops = message.ends_with('.') && !message.ends_with("..");
    (first && second) || stops
}

/// The `)` that closes the `(` at `open`.
fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return at;
        }
    }
    item_end(code, open).1
}

/// The plain string literals between two places, with where they start: quotes that the code has blanked.
fn literals(source: &Source, from: usize, to: usize) -> Vec<(usize, &str)> {
    let (text, code) = (source.text.as_bytes(), source.code.as_bytes());
    let mut found = Vec::new();
    let mut at = from;
    while at < to {
        if text[at] == b'"' && code[at] == b' ' {
            let end = (at + 1..to)
                .find(|end| text[*end] == b'"' && text[end - 1] != b'\\')
                .unwrap_or(to);
            found.push((at, &source.text[at + 1..end]));
            at = end;
        }
        at += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_found_and_a_phrase_is_not() {
        let table = [
            (r#"warn!(%subject, attempt, "delivery will be retried");"#, 0),
            (r#"warn!("Delivery will be retried");"#, 1),
            (r#"info!(node = "Blue", "ready to serve.");"#, 1),
            (r#"#[error("cannot read {path}: {source}")]"#, 0),
            (r#"#[error("Cannot read {path}")]"#, 1),
            (r#"Failure::invalid(format!("HTTP header {} is too long", f(x)));"#, 0),
            (r#"Failure::invalid(format!("Header {} is too long", f(x)))"#, 1),
            (r#"println!("Done now."); // info!("Not code.")"#, 0),
        ];
        for (text, expected) in table {
            assert_eq!(findings(&Source::new("a/src/b.rs", text)).len(), expected, "{text}");
        }
    }
}

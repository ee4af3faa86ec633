//! A reply as it is printed: for programs as it came, for people with a line for every part.

use serde::de::IgnoredAny;

use crate::harmless::{is_harmless, with_spaces};
use crate::style::Style;

/// How far a part is further in than the whole.
const INDENT: &str = "  ";

/// Lays JSON out for people. Numbers and the order of keys stay as they came, and nothing in it can move the cursor.
pub(crate) fn laid_out(reply: &[u8], style: Style) -> String {
    let text = String::from_utf8_lossy(reply);
    if serde_json::from_str::<IgnoredAny>(&text).is_err() {
        return with_spaces(&text);
    }
    let mut page = Page {
        text: String::new(),
        depth: 0,
        style,
    };
    let mut rest = text.trim();
    while let Some(first) = rest.chars().next() {
        rest = page.put(first, rest);
    }
    page.text
}

struct Page {
    text: String,
    depth: usize,
    style: Style,
}

impl Page {
    /// Puts the token that `rest` begins with, and returns what follows it.
    fn put<'t>(&mut self, first: char, rest: &'t str) -> &'t str {
        let after = &rest[first.len_utf8()..];
        match first {
            '{' | '[' => {
                self.text.push(first);
                let inside = after.trim_start();
                if let Some(after) = inside.strip_prefix(['}', ']']) {
                    self.text.push(if first == '{' { '}' } else { ']' });
                    return after;
                }
                self.depth += 1;
                self.new_line();
                inside
            }
            '}' | ']' => {
                self.depth = self.depth.saturating_sub(1);
                self.new_line();
                self.text.push(first);
                after
            }
            ',' => {
                self.text.push(first);
                self.new_line();
                after
            }
            ':' => {
                self.text.push_str(": ");
                after
            }
            '"' => self.put_string(rest),
            space if space.is_whitespace() => after,
            _ => {
                let end = rest.find([',', '}', ']', ' ', '\n', '\r', '\t']).unwrap_or(rest.len());
                self.text.push_str(&self.style.warn(&rest[..end]));
                &rest[end..]
            }
        }
    }

    fn put_string<'t>(&mut self, rest: &'t str) -> &'t str {
        let mut is_escaped = false;
        let end = rest.char_indices().skip(1).find(|(_, c)| {
            let is_end = *c == '"' && !is_escaped;
            is_escaped = *c == '\\' && !is_escaped;
            is_end
        });
        let (string, after) = rest.split_at(end.map_or(rest.len(), |(at, _)| at + 1));
        let is_key = after.trim_start().starts_with(':');
        let mut shown = String::with_capacity(string.len());
        for c in string.chars() {
            // Below 0x20 there are none in JSON; these are its own words for the rest.
            if is_harmless(c) {
                shown.push(c);
            } else {
                shown.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
        }
        let shown = if is_key {
            self.style.strong(shown)
        } else {
            self.style.good(shown)
        };
        self.text.push_str(&shown);
        after
    }

    fn new_line(&mut self) {
        self.text.push('\n');
        for _ in 0..self.depth {
            self.text.push_str(INDENT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::without_colours;

    #[test]
    fn json_is_laid_out_and_nothing_in_it_changes() {
        let table = [
            ("null", "null"),
            ("{}", "{}"),
            (" [ ] ", "[]"),
            ("12345678901234567890.10", "12345678901234567890.10"),
            (
                r#"{"b":1.50,"a":[true, {}],"c":"x, {\"y\\\"}"}"#,
                "{\n  \"b\": 1.50,\n  \"a\": [\n    true,\n    {}\n  ],\n  \"c\": \"x, {\\\"y\\\\\\\"}\"\n}",
            ),
            ("\"\u{9b}2J\"", "\"\\u009b2J\""),
            ("no JSON\u{1b}[2J", "no JSON [2J"),
        ];
        for (reply, expected) in table {
            assert_eq!(laid_out(reply.as_bytes(), Style::plain()), expected, "{reply:?}");
            let coloured = laid_out(reply.as_bytes(), Style::coloured());
            assert_eq!(without_colours(&coloured).replace(' ', ""), expected.replace(' ', ""));
        }
    }

    #[test]
    fn what_is_laid_out_means_the_same() {
        let value = serde_json::json!({"a": [1, [], {}, {"b": null}], "": "\\\"", "c": [[["x"]]], "d": -1.5e-7});
        let text = laid_out(value.to_string().as_bytes(), Style::plain());
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), value);
    }
}

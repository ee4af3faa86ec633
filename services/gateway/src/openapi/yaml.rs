//! JSON as YAML in block style, for people.
//!
//! Only what JSON can say is written, so this is a page of code and no dependency: the crates that could do it either
//! stand on a C library's translation or bring a parser along. A text stands without quotes only where no reader of
//! YAML 1.1 or 1.2 could take it for anything else; all others are JSON texts, which YAML reads as they are.

use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A JSON value whose members keep their order, and whose numbers their text.
enum Node {
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// Writes a JSON text as YAML.
pub(crate) fn from_json(json: &str) -> String {
    let node: Node = serde_json::from_str(json).expect("the text was just written as JSON");
    let mut out = String::with_capacity(json.len());
    write(&node, 0, &mut out);
    out
}

/// Writes a value in lines of its own, each indented.
fn write(node: &Node, indent: usize, out: &mut String) {
    match node {
        Node::Map(members) if !members.is_empty() => {
            for (name, value) in members {
                out.extend(std::iter::repeat_n(' ', indent));
                out.push_str(&text(name));
                out.push(':');
                after_colon(value, indent, out);
            }
        }
        Node::List(items) if !items.is_empty() => {
            for item in items {
                out.extend(std::iter::repeat_n(' ', indent));
                out.push('-');
                after_dash(item, indent, out);
            }
        }
        other => {
            out.push_str(short(other));
            out.push('\n');
        }
    }
}

fn after_colon(value: &Node, indent: usize, out: &mut String) {
    match value {
        Node::Map(members) if !members.is_empty() => {
            out.push('\n');
            write(value, indent + 2, out);
        }
        Node::List(items) if !items.is_empty() => {
            out.push('\n');
            write(value, indent + 2, out);
        }
        other => {
            out.push(' ');
            write(other, 0, out);
        }
    }
}

/// The first line of an item stands behind its dash.
fn after_dash(item: &Node, indent: usize, out: &mut String) {
    out.push(' ');
    let mut lines = String::new();
    write(item, indent + 2, &mut lines);
    out.push_str(lines.trim_start_matches(' '));
}

/// A value that fits behind a colon.
fn short(node: &Node) -> &str {
    match node {
        Node::Scalar(text) => text,
        Node::List(_) => "[]",
        Node::Map(_) => "{}",
    }
}

/// A text, in quotes where it could be taken for something else.
fn text(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let quoted = serde_json::to_string(text).expect("any text is a JSON text");
    // Control characters and line ends that JSON lets stand, and YAML does not.
    let mut safe = String::with_capacity(quoted.len());
    for c in quoted.chars() {
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                safe.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => safe.push(c),
        }
    }
    safe
}

/// Whether a text stands for itself without quotes, for every reader.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let begins = text.starts_with(|first: char| first.is_ascii_alphabetic() || "/$".contains(first));
    let holds = |c: char| c.is_ascii_alphanumeric() || "-+._/$@{} ,;()'`".contains(c);
    begins && !text.ends_with(' ') && text.chars().all(holds) && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let json = raw.get();
        let read = match json.as_bytes().first() {
            Some(b'{') => serde_json::Deserializer::from_str(json).deserialize_map(NodeVisitor),
            Some(b'[') => serde_json::Deserializer::from_str(json).deserialize_seq(NodeVisitor),
            Some(b'"') => serde_json::from_str::<String>(json).map(|own| Node::Scalar(text(&own))),
            _ => Ok(Node::Scalar(json.to_owned())),
        };
        read.map_err(serde::de::Error::custom)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut read = Vec::new();
        while let Some(item) = items.next_element()? {
            read.push(item);
        }
        Ok(Node::List(read))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let mut read = Vec::new();
        while let Some(member) = members.next_entry()? {
            read.push(member);
        }
        Ok(Node::Map(read))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use yaml_rust2::YamlLoader;

    use super::*;

    #[test]
    fn a_text_is_a_text_whatever_it_looks_like() {
        let texts = [
            "",
            " ",
            "a",
            "null",
            "Null",
            "~",
            "true",
            "yes",
            "No",
            "on",
            "y",
            "1",
            "1e3",
            "0x1F",
            "1_000",
            "1:20",
            ".inf",
            "NaN",
            "2030-01-31",
            "=",
            "<<",
            "- a",
            "a: b",
            "a:",
            "a #b",
            "#a",
            "&a",
            "*a",
            "!a",
            "|",
            ">",
            "@a",
            "`a`",
            "%a",
            "{a}",
            "[a]",
            "a, b",
            "'a'",
            "\"a\"",
            "a\\b",
            " a",
            "a ",
            "a\nb",
            "a\tb",
            "a\r\nb",
            "\u{0}",
            "\u{7f}",
            "\u{85}",
            "\u{2028}",
            "\u{feff}a",
            "é",
            "🦀",
            "$ref",
            "application/json",
            "---",
            "...",
            "? a",
            "-",
        ];
        for text in texts {
            let written = from_json(&json!({ "at": { text: [text, [text]] } }).to_string());
            let read = YamlLoader::load_from_str(&written).unwrap_or_else(|error| panic!("{text:?}: {error}"));
            let at = &read[0]["at"][text];
            assert_eq!(at[0].as_str(), Some(text), "{written}");
            assert_eq!(at[1][0].as_str(), Some(text), "{written}");
        }
    }

    #[test]
    fn lists_and_objects_are_blocks() {
        let json = json!({ "a": [{ "b": 1, "c": [] }, [true, null], {}], "d": { "e": 1.5 } });
        let expected = "a:\n  - b: 1\n    c: []\n  - - true\n    - null\n  - {}\nd:\n  e: 1.5\n";
        assert_eq!(from_json(&json.to_string()), expected);
    }
}

//! Rules about words in the code: what may not be called, imported, declared or left behind.
//!
//! Each rule is a function from one source to its findings. The words that the rules look for stand here in string
//! literals, which the rules themselves do not see.

use super::source::{Source, words_in};
use super::tree::Finding;

/// A file holds one noun: no file is longer.
const FILE_LINES_MAX: usize = 500;

/// The rules of this module, with the names that `tests/tidy.rs` shows.
pub(crate) fn findings(source: &Source) -> Vec<Finding> {
    let rules = [
        module_doc,
        file_length,
        glob_import,
        ignored_test,
        channel_without_capacity,
        unwrap,
        placeholder,
        unsafe_code,
        vague_name,
        printing,
        kept_library,
        environment,
        silent_exception,
    ];
    rules.iter().flat_map(|rule| rule(source)).collect()
}

fn at(source: &Source, byte: usize, rule: impl Into<String>) -> Finding {
    Finding::new(&source.path, source.line_of(byte), rule)
}

fn module_doc(source: &Source) -> Vec<Finding> {
    let first = source
        .text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with("#!["));
    let documented = first.is_some_and(|line| line.starts_with("//! ") || line.starts_with("/*!"))
        || source.text.contains("#![doc = include_str!");
    if documented {
        return Vec::new();
    }
    vec![Finding::new(
        &source.path,
        1,
        "a module begins with `//!`: what it is, why it is so, what is not here",
    )]
}

fn file_length(source: &Source) -> Vec<Finding> {
    let lines = source.text.lines().count();
    if lines <= FILE_LINES_MAX {
        return Vec::new();
    }
    let rule = format!("the file has {lines} lines; at most {FILE_LINES_MAX}: one noun a file");
    vec![Finding::new(&source.path, lines, rule)]
}

fn glob_import(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for start in source.words("use") {
        let Some(statement) = source.code[start..].split(';').next() else {
            continue;
        };
        let path: String = statement["use".len()..].split_whitespace().collect();
        let allowed = (path == "super::*" && source.is_test(start)) || path.ends_with("::prelude::*");
        let is_bound = path.starts_with('<') || path.starts_with("std::ops::");
        if path.contains('*') && !allowed && !is_bound && !path.contains('=') {
            found.push(at(
                source,
                start,
                "no glob import but `use super::*` in tests and a prelude's",
            ));
        }
    }
    found
}

fn ignored_test(source: &Source) -> Vec<Finding> {
    let starts = source.code.match_indices("#[ignore").map(|(byte, _)| byte);
    starts
        .map(|byte| at(source, byte, "no ignored test: nothing passes by being skipped"))
        .collect()
}

fn channel_without_capacity(source: &Source) -> Vec<Finding> {
    let types = ["UnboundedSender", "UnboundedReceiver", "UnboundedReceiverStream"];
    let calls = ["unbounded", "unbounded_channel"].iter().flat_map(|word| {
        source
            .words(word)
            .filter(|byte| source.code[byte + word.len()..].starts_with(['(', ':']))
    });
    let named = types.iter().flat_map(|word| source.words(word));
    calls
        .chain(named)
        .map(|byte| {
            let rule = "every channel has a capacity: say what happens when it is full";
            at(source, byte, rule)
        })
        .collect()
}

fn unwrap(source: &Source) -> Vec<Finding> {
    let calls = source.code.match_indices(".unwrap()").map(|(byte, _)| byte);
    calls
        .filter(|byte| !source.is_test(*byte))
        .map(|byte| {
            at(
                source,
                byte,
                "no `.unwrap()` outside tests: `expect` states the invariant",
            )
        })
        .collect()
}

fn placeholder(source: &Source) -> Vec<Finding> {
    let macros = ["todo", "unimplemented", "dbg"].iter().flat_map(|name| {
        source
            .words(name)
            .filter(|byte| source.code[byte + name.len()..].starts_with('!'))
    });
    let notes = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];
    let notes = notes.iter().flat_map(|word| words_in(&source.text, word));
    macros
        .chain(notes)
        .map(|byte| at(source, byte, "nothing unfinished is committed: do it, or open an issue"))
        .collect()
}

fn unsafe_code(source: &Source) -> Vec<Finding> {
    let found = source.words("unsafe");
    found
        .map(|byte| at(source, byte, "no unsafe code in this workspace"))
        .collect()
}

fn vague_name(source: &Source) -> Vec<Finding> {
    let vague = ["Manager", "Helper", "Helpers", "Util", "Utils", "Info", "Data"];
    let mut found = Vec::new();
    for keyword in ["struct", "enum", "trait", "type", "union"] {
        for start in source.words(keyword) {
            let rest = source.code[start + keyword.len()..].trim_start();
            let name: &str = rest
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap_or("");
            // What a body is made of is `Data` in the trait of the crate http-body.
            let is_a_foreign_word = keyword == "type" && name == "Data";
            if !is_a_foreign_word && vague.iter().any(|word| name.ends_with(word)) {
                let rule = format!("type `{name}`: say what it is; no Manager, Helper, Util, Info, Data");
                found.push(at(source, start, rule));
            }
        }
    }
    found
}

/// Only the console knows terminals; programs that are not shipped may print.
fn printing(source: &Source) -> Vec<Finding> {
    let prints = ["services/console/", "src/main.rs", "bridges/conformance/"];
    if prints.iter().any(|path| source.path.starts_with(path)) || source.path.contains("examples/") {
        return Vec::new();
    }
    let macros = ["println", "eprintln", "print", "eprint"];
    let found = macros.iter().flat_map(|name| {
        source
            .words(name)
            .filter(|byte| source.code[byte + name.len()..].starts_with('!') && !source.is_test(*byte))
    });
    found
        .map(|byte| {
            at(
                source,
                byte,
                "only the console and the suite print: a library returns or traces",
            )
        })
        .collect()
}

/// A library that may be exchanged is named where bytes are made, and nowhere else.
fn kept_library(source: &Source) -> Vec<Finding> {
    if ["bridges/src/codec.rs", "bridges/src/envelope/binary.rs"].contains(&source.path.as_str()) {
        return Vec::new();
    }
    let found = source
        .words("bincode")
        .filter(|byte| source.code[*byte..].starts_with("bincode::"));
    found
        .map(|byte| {
            at(
                source,
                byte,
                "bincode is named where envelopes and values become bytes, in roadshow-bridges",
            )
        })
        .collect()
}

/// The environment is read at the edge, and in tests.
fn environment(source: &Source) -> Vec<Finding> {
    let edges = ["services/src/config/", "services/console/", "bridges/conformance/"];
    if edges.iter().any(|path| source.path.starts_with(path)) {
        return Vec::new();
    }
    let reads = ["var", "var_os", "vars", "vars_os"]
        .iter()
        .flat_map(|name| source.words(name));
    reads
        .filter(|byte| source.code[..*byte].ends_with("env::") && !source.is_test(*byte))
        .map(|byte| {
            at(
                source,
                byte,
                "the environment is read by the configuration, the console and the suite only",
            )
        })
        .collect()
}

/// An exception to a lint says why.
fn silent_exception(source: &Source) -> Vec<Finding> {
    let attributes = ["#[allow(", "#![allow(", "#[expect(", "#![expect("];
    let found = attributes
        .iter()
        .flat_map(|attribute| source.code.match_indices(attribute));
    found
        .filter(|(byte, _)| {
            let inside = source.code[*byte..].split(']').next().unwrap_or("");
            words_in(inside, "reason").next().is_none()
        })
        .map(|(byte, _)| at(source, byte, "an exception to a lint says why: `reason = \"…\"`"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rule = fn(&Source) -> Vec<Finding>;

    /// Lines where `rule` finds something in a library file of this text.
    fn lines(rule: Rule, text: &str) -> Vec<usize> {
        let source = Source::new("bridges/src/x.rs", text);
        rule(&source).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn each_rule_fails_on_its_breach_and_passes_beside_it() {
        let note = concat!("// TO", "DO later");
        let table: &[(Rule, &str, &[usize])] = &[
            (module_doc, "//! A noun.\n", &[]),
            (module_doc, "#![forbid(x)]\n//! A noun.\n", &[]),
            (module_doc, "use a;\n//! late\n", &[1]),
            (glob_import, "use super::*;", &[1]),
            (glob_import, "use a::{b::*, c};", &[1]),
            (glob_import, "use roadshow::prelude::*;", &[]),
            (
                glob_import,
                "#[cfg(test)]\nmod tests {\n use super::*;\n use std::io::*;\n}",
                &[4],
            ),
            (ignored_test, "#[test]\n#[ignore = \"slow\"]\nfn a() {}", &[2]),
            (ignored_test, "// #[ignore]", &[]),
            (
                channel_without_capacity,
                "let (a, b) = mpsc::unbounded_channel();",
                &[1],
            ),
            (channel_without_capacity, "let x: Bound = Unbounded; // unbounded", &[]),
            (unwrap, "fn a() { b.unwrap() }", &[1]),
            (
                unwrap,
                "fn a() { b.unwrap_or(c) }\n#[test]\nfn t() { b.unwrap(); }",
                &[],
            ),
            (unwrap, "/// `x.unwrap()`\nfn a() {}", &[]),
            (placeholder, "fn a() { todo!() }", &[1]),
            (placeholder, "let todo = dbg;", &[]),
            (placeholder, note, &[1]),
            (unsafe_code, "unsafe { x() }", &[1]),
            (unsafe_code, "#![forbid(unsafe_code)]", &[]),
            (printing, "fn f() { println!(\"x\"); }", &[1]),
            (printing, "// println!()\n#[test]\nfn t() { println!(); }", &[]),
            (kept_library, "bincode::serde::encode(x)", &[1]),
            (kept_library, "let kind = \"bincode\"; // bincode::x", &[]),
            (environment, "let home = std::env::var(name);", &[1]),
            (
                environment,
                "#[test]\nfn t() { env::var(name); }\nlet var = env!(name);",
                &[],
            ),
            (silent_exception, "#[allow(dead_code)]\nfn f() {}", &[1]),
            (
                silent_exception,
                "#[expect(dead_code, reason = \"it will be\")]\nfn f() {}",
                &[],
            ),
            (
                vague_name,
                "pub struct LinkManager;\nenum Metadata {}\ntype HeaderData<T> = T;\ntype Data = Bytes;",
                &[1, 3],
            ),
        ];
        for (rule, text, expected) in table {
            assert_eq!(lines(*rule, text), *expected, "{text}");
        }
    }

    #[test]
    fn a_file_of_five_hundred_lines_passes_and_one_more_does_not() {
        assert!(lines(file_length, &"x\n".repeat(500)).is_empty());
        assert_eq!(lines(file_length, &"x\n".repeat(501)), [501]);
    }
}

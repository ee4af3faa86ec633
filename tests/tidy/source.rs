//! Rust source as the rules read it: the code without comments and string contents, and which lines are tests.
//!
//! A scanner of its own instead of a parser: the rules ask about words, braces and lines, and a parser would be one
//! more dependency that must understand every edition. It does not expand macros and does not resolve names.

use std::ops::Range;

use super::tree::{TextFile, files_ending};

/// A `.rs` file, read for the rules.
#[derive(Debug)]
pub(crate) struct Source {
    /// Path relative to the root, with slashes.
    pub(crate) path: String,
    /// The text as it is.
    pub(crate) text: String,
    /// The text with comments and the contents of literals blanked; same length, same lines.
    pub(crate) code: String,
    /// Byte ranges that are compiled for tests only; the whole file for tests, benches and examples.
    tests: Vec<Range<usize>>,
}

impl Source {
    /// Reads one file.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = blank(text);
        let tests = if is_test_path(path) {
            whole(text)
        } else {
            test_ranges(&code)
        };
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            tests,
        }
    }

    /// Every `.rs` file of the repository. A file behind `#[cfg(test)] mod name;` is a test as a whole.
    pub(crate) fn all() -> Vec<Self> {
        let mut sources: Vec<Self> = files_ending(".rs")
            .iter()
            .map(|TextFile { path, text }| Self::new(path, text))
            .collect();
        let roots: Vec<String> = sources.iter().flat_map(Self::test_modules).collect();
        for source in &mut sources {
            if roots.iter().any(|root| belongs_to(&source.path, root)) {
                source.tests = whole(&source.text);
            }
        }
        sources
    }

    /// True where the byte at `at` is compiled for tests only.
    pub(crate) fn is_test(&self, at: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&at))
    }

    /// The line of the byte at `at`, from 1.
    pub(crate) fn line_of(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }

    /// The text of a line, from 1, comments included.
    pub(crate) fn line(&self, number: usize) -> &str {
        self.text.lines().nth(number.saturating_sub(1)).unwrap_or("")
    }

    /// Where `word` stands alone in the code, not inside a longer identifier.
    pub(crate) fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        words_in(&self.code, word)
    }

    /// Where the functions begin that a test runner calls: the byte after `#[test]` or `#[tokio::test…]`.
    pub(crate) fn test_cases(&self) -> impl Iterator<Item = usize> + '_ {
        test_attributes(&self.code)
            .filter(|at| !self.code[*at..].starts_with("#[cfg"))
            .map(|at| self.code[at..].find(']').map_or(at, |end| at + end + 1))
    }

    /// Modules declared as `#[cfg(test)] mod name;`, as paths without `.rs`.
    fn test_modules(&self) -> Vec<String> {
        let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let stem = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        let is_root = ["lib", "main", "mod"]
            .iter()
            .any(|name| stem.ends_with(&format!("/{name}")));
        let base = if is_root { folder } else { stem };
        let declared = test_attributes(&self.code).filter_map(|at| {
            let rest = &self.code[at..];
            let module = rest.split_once(']')?.1.trim_start().strip_prefix("mod ")?;
            let end = module.find([';', '{'])?;
            module[end..]
                .starts_with(';')
                .then(|| format!("{base}/{}", module[..end].trim()))
        });
        declared.collect()
    }
}

/// Where `word` stands alone in `code`.
pub(crate) fn words_in<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    code.match_indices(word).filter_map(move |(at, _)| {
        let before = at.checked_sub(1).and_then(|before| code.as_bytes().get(before));
        let after = code.as_bytes().get(at + word.len());
        (!is_part(before) && !is_part(after)).then_some(at)
    })
}

/// The end (exclusive) of the block whose `{` is at `open`, or of the text where it never closes.
pub(crate) fn block_end(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return offset + 1;
        }
    }
    code.len()
}

/// The item that starts at `at`: up to its closing brace, or to its `;` where it has no block.
pub(crate) fn item_end(code: &str, at: usize) -> (Option<usize>, usize) {
    let mut depth = 0_i32;
    for (offset, byte) in code.bytes().enumerate().skip(at) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return (Some(offset), block_end(code, offset)),
            b';' if depth == 0 => return (None, offset + 1),
            _ => {}
        }
    }
    (None, code.len())
}

/// The range of all of `text`, as a list of one.
fn whole(text: &str) -> Vec<Range<usize>> {
    std::iter::once(0..text.len()).collect()
}

fn is_test_path(path: &str) -> bool {
    let mut folders = path.split('/').rev().skip(1);
    folders.any(|folder| matches!(folder, "tests" | "benches" | "examples")) || path.ends_with("/tests.rs")
}

fn belongs_to(path: &str, module: &str) -> bool {
    path.strip_prefix(module)
        .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// Where an attribute starts that keeps its item to tests: `#[test]`, `#[tokio::test…]`, `#[cfg(test)]`, `#[cfg(all(test, …))]`.
fn test_attributes(code: &str) -> impl Iterator<Item = usize> + '_ {
    code.match_indices("#[").filter_map(|(at, _)| {
        let attribute = code[at + 2..].split(']').next()?.trim();
        let name = attribute.split('(').next()?.trim();
        let is_test = match name {
            "test" | "tokio::test" => true,
            "cfg" => {
                words_in(attribute, "test").next().is_some()
                    && !attribute.replace(char::is_whitespace, "").contains("not(test")
            }
            _ => false,
        };
        is_test.then_some(at)
    })
}

fn test_ranges(code: &str) -> Vec<Range<usize>> {
    test_attributes(code)
        .map(|at| {
            let after = code[at..].find(']').map_or(code.len(), |end| at + end + 1);
            at..item_end(code, after).1
        })
        .collect()
}

/// Blanks comments and the contents of string and character literals, keeping length and line breaks.
pub(crate) fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match literal_at(bytes, at) {
            Some(end) => end,
            None => {
                at += 1;
                continue;
            }
        };
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    String::from_utf8(out).expect("blanking replaces whole literals by spaces")
}

/// The end of the comment or literal that starts at `at`, if one does.
fn literal_at(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    let follows_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    if rest.starts_with(b"//") {
        return Some(at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()));
    }
    if rest.starts_with(b"/*") {
        return Some(at + block_comment_length(rest));
    }
    if rest[0] == b'"' {
        return Some(at + quoted_length(rest));
    }
    if rest[0] == b'\'' {
        return char_length(rest).map(|length| at + length);
    }
    if !follows_word {
        return raw_length(rest).map(|length| at + length);
    }
    None
}

fn block_comment_length(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0_usize);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn quoted_length(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// A character literal's length; none for a lifetime.
fn char_length(rest: &[u8]) -> Option<usize> {
    if rest.get(1) == Some(&b'\\') {
        return rest.iter().skip(3).position(|byte| *byte == b'\'').map(|end| end + 4);
    }
    let text = std::str::from_utf8(&rest[1..rest.len().min(6)]).unwrap_or_else(|error| {
        std::str::from_utf8(&rest[1..1 + error.valid_up_to()]).expect("the valid part is valid")
    });
    let length = text.chars().next()?.len_utf8();
    (rest.get(1 + length) == Some(&b'\'')).then_some(length + 2)
}

/// The length of a raw string (`r"…"`, `br#"…"#`, `cr"…"`).
fn raw_length(rest: &[u8]) -> Option<usize> {
    let prefix = [&b"r"[..], b"br", b"cr"]
        .into_iter()
        .find(|prefix| rest.starts_with(prefix) && matches!(rest.get(prefix.len()), Some(b'"' | b'#')))?;
    let hashes = rest[prefix.len()..].iter().take_while(|byte| **byte == b'#').count();
    let open = prefix.len() + hashes;
    if rest.get(open) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(hashes + 1, b'#');
    let body = &rest[open + 1..];
    let end = body.windows(close.len()).position(|window| window == close);
    Some(end.map_or(rest.len(), |end| open + 1 + end + close.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_code_is_not() {
        let table = [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("x\"{")"#, "f(      )"),
            (r##"f(r#"}"{"#)"##, "f(        )"),
            (r#"f(b"{", br"{")"#, "f(b   ,      )"),
            ("f('{', '\\'', '\\u{7b}')", "f(   ,     ,         )"),
            ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
            ("'é' 'a: loop {}", "     'a: loop {}"),
            ("r#type \"{\"", "r#type    "),
        ];
        for (text, code) in table {
            assert_eq!(blank(text).trim_end(), code.trim_end(), "{text}");
            assert_eq!(blank(text).len(), text.len(), "{text}");
        }
    }

    #[test]
    fn code_behind_a_test_attribute_is_a_test_and_code_around_it_is_not() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() {} }\nfn c() {}\n#[tokio::test(start_paused = true)]\nasync fn d() {}\n#[cfg(not(test))]\nfn e() {}\n#[cfg(all(test, not(loom)))]\nfn f() {}";
        let source = Source::new("bridges/src/x.rs", text);
        let at = |name: &str| text.find(name).expect("the function is in the text");
        let is_test: Vec<bool> = ["fn a", "fn b", "fn c", "fn d", "fn e", "fn f"]
            .map(|name| source.is_test(at(name)))
            .to_vec();
        assert_eq!(is_test, [false, true, false, true, false, true]);
        assert!(Source::new("tests/call.rs", "fn a() {}").is_test(0));
        assert!(Source::new("benches/call.rs", "fn a() {}").is_test(0));
    }

    #[test]
    fn a_module_declared_for_tests_makes_its_files_tests() {
        let parent = Source::new("bridges/src/memory.rs", "#[cfg(test)]\nmod model;\nmod bus;");
        assert_eq!(parent.test_modules(), ["bridges/src/memory/model"]);
        let root = Source::new("bridges/src/lib.rs", "#[cfg(test)] mod fuzz;");
        assert_eq!(root.test_modules(), ["bridges/src/fuzz"]);
        assert!(belongs_to("bridges/src/fuzz/case.rs", "bridges/src/fuzz"));
        assert!(!belongs_to("bridges/src/fuzzy.rs", "bridges/src/fuzz"));
    }

    #[test]
    fn a_word_is_found_alone_only() {
        let at: Vec<usize> = words_in("unsafe unsafe_code _unsafe (unsafe)", "unsafe").collect();
        assert_eq!(at, [0, 28]);
    }
}

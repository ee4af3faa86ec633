//! The name of a project: of its package, of its crate and of its service at the same time.
//!
//! A service takes any token (`[A-Za-z][A-Za-z0-9_-]{0,63}`). A package is stricter: a crate with capitals or two dashes
//! in a row warns, and one that is a keyword or a dependency cannot be named in code. What is refused is never changed in
//! silence; the message brings a name that would do.

use std::str::FromStr;

/// The longest name. A line of the project that holds it still fits rustfmt's width.
const LEN_MAX: usize = 40;

/// Words that are no crate of their own: Rust's, its library's and cargo's folders.
const TAKEN: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "schemars",
    "self",
    "serde",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "tokio",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// A name that a package and a service can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProjectName(String);

impl ProjectName {
    /// The name of the package and of the service.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the crate in code.
    pub(crate) fn krate(&self) -> String {
        self.0.replace('-', "_")
    }
}

impl FromStr for ProjectName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match problem(text) {
            None => Ok(Self(text.to_owned())),
            Some(problem) => Err(format!(
                "{text:?} cannot name a project: {problem}; try --name {}",
                suggest(text)
            )),
        }
    }
}

/// Why a text is no name.
fn problem(text: &str) -> Option<&'static str> {
    let mut parts = text.split(['-', '_']);
    let is_plain = |part: &str| {
        let of_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        !part.is_empty() && part.bytes().all(of_part)
    };
    if !text.starts_with(|first: char| first.is_ascii_lowercase()) || !parts.all(is_plain) {
        return Some("expected a small letter, then small letters and digits with single - or _ between them");
    }
    if text.len() > LEN_MAX {
        return Some("it has more than 40 characters");
    }
    if text == "roadshow" || text.starts_with("roadshow-") {
        return Some("a package of Roadshow itself has it, or may have it one day");
    }
    TAKEN
        .contains(&text.replace('-', "_").as_str())
        .then_some("it means something else to Rust or to cargo")
}

/// A name that would do, as near as possible.
fn suggest(text: &str) -> String {
    let mut near = String::new();
    for character in text.chars().take(4 * LEN_MAX).flat_map(char::to_lowercase) {
        if character.is_ascii_lowercase() || character.is_ascii_digit() {
            near.push(character);
        } else if !near.is_empty() && !near.ends_with(['-', '_']) {
            near.push(if character == '_' { '_' } else { '-' });
        }
    }
    if near.starts_with(|first: char| first.is_ascii_digit()) {
        near.insert(0, 'n');
    }
    near.truncate(LEN_MAX);
    near.truncate(near.trim_end_matches(['-', '_']).len());
    match problem(&near) {
        None => near,
        Some(_) if near.is_empty() => "my-service".to_owned(),
        Some(_) => {
            let kept = near.get(..LEN_MAX - 3).unwrap_or(&near).trim_end_matches(['-', '_']);
            format!("my-{kept}")
        }
    }
}

#[cfg(test)]
mod tests {
    use roadshow_services::AddressBuf;

    use super::*;

    #[test]
    fn a_name_that_is_a_package_a_crate_and_a_service_is_taken() {
        for text in ["shop", "my-shop", "my_shop", "a", "shop2", "a-1", &"a".repeat(40)] {
            assert_eq!(text.parse::<ProjectName>().expect("a name").as_str(), text);
            assert!(
                format!("{text}.1.greet").parse::<AddressBuf>().is_ok(),
                "{text} is a service"
            );
        }
        assert_eq!("my-shop".parse::<ProjectName>().expect("a name").krate(), "my_shop");
    }

    #[test]
    fn anything_else_is_refused_with_a_name_that_would_do() {
        let table = [
            ("Shop", "shop"),
            ("my shop", "my-shop"),
            ("my.shop", "my-shop"),
            ("my--shop", "my-shop"),
            ("my_-shop", "my_shop"),
            ("shop-", "shop"),
            ("_shop", "shop"),
            ("2shop", "n2shop"),
            ("Größe", "gr-e"),
            ("店", "my-service"),
            ("", "my-service"),
            ("..", "my-service"),
            ("async", "my-async"),
            ("proc-macro", "my-proc-macro"),
            ("test", "my-test"),
            ("serde", "my-serde"),
            ("roadshow", "my-roadshow"),
            ("roadshow-demo", "my-roadshow-demo"),
        ];
        for (text, near) in table {
            let refused = text.parse::<ProjectName>().expect_err(text);
            assert!(refused.ends_with(&format!("; try --name {near}")), "{refused}");
        }
    }

    #[test]
    fn every_suggestion_is_taken() {
        let long = "Shop ".repeat(100);
        let reserved = format!("roadshow-{}", "x".repeat(60));
        let texts = [
            &long,
            &reserved,
            "É",
            "1",
            "-",
            "\u{1F3AA}x",
            "ß",
            "a\0b",
            "İ",
            "Build",
            "--name",
        ];
        for text in texts.iter().copied().chain(TAKEN.iter().copied()) {
            let near = suggest(text);
            assert!(near.parse::<ProjectName>().is_ok(), "{text:?} became {near:?}");
        }
    }
}

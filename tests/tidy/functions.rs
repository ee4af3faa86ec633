//! Where functions begin and end, and how long they are.
//!
//! A function is the keyword `fn` with a name and a block; a function type and a trait method without a body are
//! not. A nested function counts for itself and for the one around it.

use super::source::{Source, item_end};
use super::tree::Finding;

/// A function fits a screen.
const LINES_MAX: usize = 60;
/// A test may spell out its table.
const TEST_LINES_MAX: usize = 100;

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Byte of its `fn`.
    pub(crate) at: usize,
    /// Byte of the `{` of its body.
    pub(crate) body: usize,
    /// Byte after the closing brace.
    pub(crate) end: usize,
}

/// Every function of the source that has a body, in order.
pub(crate) fn functions(source: &Source) -> Vec<Function<'_>> {
    source
        .words("fn")
        .filter_map(|at| {
            let rest = &source.code[at + 2..];
            let name = rest.trim_start();
            let length = name.find(|c: char| !c.is_alphanumeric() && c != '_')?;
            let (body, end) = item_end(&source.code, at);
            (length > 0).then_some(())?;
            body.map(|body| Function {
                name: &name[..length],
                at,
                body,
                end,
            })
        })
        .collect()
}

/// Functions longer than a screen.
pub(crate) fn too_long(source: &Source) -> Vec<Finding> {
    functions(source)
        .iter()
        .filter_map(|function| {
            let lines = source.code[function.at..function.end].matches('\n').count() + 1;
            let limit = if source.is_test(function.at) {
                TEST_LINES_MAX
            } else {
                LINES_MAX
            };
            (lines > limit).then(|| {
                let rule = format!("function `{}` has {lines} lines; at most {limit}", function.name);
                Finding::new(&source.path, source.line_of(function.at), rule)
            })
        })
        .collect()
}

/// Tests named `test_…`: the name of a test is a sentence about what holds.
pub(crate) fn prefixed_tests(source: &Source) -> Vec<Finding> {
    let functions = functions(source);
    source
        .test_cases()
        .filter_map(|from| functions.iter().find(|function| function.at >= from))
        .filter(|function| function.name.starts_with("test_"))
        .map(|function| {
            let rule = format!(
                "test `{}`: name the sentence that holds, without `test_`",
                function.name
            );
            Finding::new(&source.path, source.line_of(function.at), rule)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source_of(body_lines: usize, attribute: &str) -> Source {
        let body = "    x();\n".repeat(body_lines);
        Source::new(
            "a/src/b.rs",
            &format!("{attribute}\nfn long<const N: usize>(a: [u8; 4])\n{{\n{body}}}\n"),
        )
    }

    #[test]
    fn functions_are_found_with_their_ends() {
        let text = "trait T { fn none(&self); fn some(&self) -> [u8; 2] { [0; 2] } }\nconst F: fn(u8) -> u8 = g;\nasync fn h() { let s = \"}\"; { } }";
        let source = Source::new("a/src/b.rs", text);
        let found: Vec<(&str, &str)> = functions(&source)
            .iter()
            .map(|function| (function.name, &text[function.body..function.end]))
            .collect();
        assert_eq!(found, [("some", "{ [0; 2] }"), ("h", "{ let s = \"}\"; { } }")]);
    }

    #[test]
    fn a_function_of_sixty_lines_passes_and_one_more_does_not() {
        assert!(too_long(&source_of(57, "")).is_empty());
        let found = too_long(&source_of(58, ""));
        assert_eq!(
            found,
            [Finding::new(
                "a/src/b.rs",
                2,
                "function `long` has 61 lines; at most 60"
            )]
        );
    }

    #[test]
    fn a_test_may_have_a_hundred_lines() {
        assert!(too_long(&source_of(97, "#[test]")).is_empty());
        assert_eq!(too_long(&source_of(98, "#[test]")).len(), 1);
    }

    #[test]
    fn only_tests_are_asked_for_their_names() {
        let source = Source::new(
            "a/src/b.rs",
            "fn test_pattern() {}\n#[test]\nfn test_it() {}\n#[test]\nfn it_holds() {}\nfn test_ranges() {}",
        );
        let lines: Vec<usize> = prefixed_tests(&source).iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [3]);
    }
}

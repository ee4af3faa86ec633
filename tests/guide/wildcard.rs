//! What a page shows, beside what was printed: the same lines in the same order, `…` standing for anything.

/// The first shown line that was not printed; printed lines that are not shown may stand between.
pub(crate) fn missing<'a>(shown: &'a str, printed: &str) -> Option<&'a str> {
    let mut printed = printed.lines();
    let mut shown = shown.lines().filter(|line| !line.trim().is_empty());
    shown.find(|wanted| !printed.any(|line| fits(wanted.trim(), line.trim())))
}

/// Whether a line is what a pattern says.
fn fits(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('…');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ellipsis_stands_for_anything_and_nothing_else_does() {
        let table = [
            ("a", "a", true),
            ("a", "ab", false),
            ("a…", "ab", true),
            ("…b", "ab", true),
            ("a…c", "abc", true),
            ("a…c", "ac", true),
            ("a…c", "acd", false),
            ("a…b…c", "a b x c", true),
            ("a…b…c", "a c", false),
            ("…", "", true),
            ("aba…ba", "aba", false),
        ];
        for (pattern, line, expected) in table {
            assert_eq!(fits(pattern, line), expected, "{pattern} and {line}");
        }
    }

    #[test]
    fn lines_are_found_in_their_order() {
        let printed = "one\n  two 2\nthree\n";
        assert_eq!(missing("one\n\ntwo …\n", printed), None);
        assert_eq!(missing("three\none\n", printed), Some("one"));
        assert_eq!(missing("one\none\n", printed), Some("one"));
        assert_eq!(missing("four", ""), Some("four"));
    }
}

//! Parts of pages that are written from the code, between `<!-- NAME: begin -->` and `<!-- NAME: end -->`.

use crate::{page, root};

/// Set, it lets a test write the part in place of comparing it.
const UPDATE: &str = "UPDATE_DOCS";

/// Compares the part `name` of a page with what it should be, or writes it.
pub(crate) fn expect(path: &str, name: &str, wanted: &str) {
    let text = page(path);
    let (before, present, after) = split(&text, name).unwrap_or_else(|| panic!("{path} has the marks of {name}"));
    let wanted = format!("\n{}\n", wanted.trim_end());
    if present == wanted {
        return;
    }
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(root().join(path), format!("{before}{wanted}{after}")).expect("the page can be written");
        return;
    }
    panic!(
        "the part {name} of {path} is not what the code says any more: {}\nwrite it anew with\n    \
         {UPDATE}=1 cargo nextest run -p roadshow --test docs",
        first_difference(present, &wanted)
    );
}

/// What stands before a part, in it, and behind it; the marks belong to the outer two.
fn split<'a>(text: &'a str, name: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let begin = format!("<!-- {name}: begin -->\n");
    let from = text.find(&begin)? + begin.len();
    let to = from + text[from..].find(&format!("<!-- {name}: end -->"))?;
    Some((&text[..from], &text[from..to], &text[to..]))
}

fn first_difference(present: &str, wanted: &str) -> String {
    let mut pairs = present.lines().zip(wanted.lines());
    match pairs.find(|(present, wanted)| present != wanted) {
        Some((present, wanted)) => format!("it has\n    {present}\nand should have\n    {wanted}"),
        None => format!(
            "it has {} lines and should have {}",
            present.lines().count(),
            wanted.lines().count()
        ),
    }
}

#[test]
fn a_part_is_what_stands_between_its_marks() {
    let text = "a\n<!-- x: begin -->\nb\n<!-- x: end -->\nc";
    assert_eq!(
        split(text, "x"),
        Some(("a\n<!-- x: begin -->\n", "b\n", "<!-- x: end -->\nc"))
    );
    assert_eq!(split(text, "y"), None);
}

//! Descriptions as people write them in comments: paragraphs, lists, code. The rest of CommonMark is shown as it was
//! written; links too, because the page leads nowhere else.

use crate::docs_page::html::Html;

/// Writes a text in paragraphs.
pub(crate) fn write(html: &mut Html, text: &str) {
    let mut blocks = Blocks::default();
    for line in text.lines() {
        blocks.line(html, line);
    }
    blocks.end(html);
}

/// Writes a text that is part of a line.
pub(crate) fn line(html: &mut Html, text: &str) {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('`') {
        let Some((code, after)) = after.split_once('`') else {
            break;
        };
        // A link in a comment of Rust.
        let before = if code_link(before, after) {
            &before[..before.len() - 1]
        } else {
            before
        };
        let after = if before.len() < rest.find('`').unwrap_or_default() {
            &after[1..]
        } else {
            after
        };
        html.text(before).tags("<code>").text(code).tags("</code>");
        rest = after;
    }
    html.text(rest);
}

fn code_link(before: &str, after: &str) -> bool {
    before.ends_with('[') && after.starts_with(']') && !after.starts_with("](")
}

/// What kind of lines the last ones were.
#[derive(Default)]
struct Blocks {
    paragraph: Vec<String>,
    items: Vec<String>,
    code: Option<Vec<String>>,
}

impl Blocks {
    fn line(&mut self, html: &mut Html, line: &str) {
        let trimmed = line.trim();
        if let Some(code) = &mut self.code {
            if trimmed.starts_with("```") {
                self.end(html);
            } else {
                code.push(line.to_owned());
            }
            return;
        }
        let item = trimmed.strip_prefix("- ").or_else(|| trimmed.strip_prefix("* "));
        match (trimmed, item) {
            (fence, _) if fence.starts_with("```") => {
                self.end(html);
                self.code = Some(Vec::new());
            }
            ("", _) => self.end(html),
            (_, Some(item)) => {
                self.end_paragraph(html);
                self.items.push(item.to_owned());
            }
            (words, None) => match self.items.last_mut() {
                Some(item) => item.extend([" ", words]),
                None => self.paragraph.push(words.to_owned()),
            },
        }
    }

    fn end(&mut self, html: &mut Html) {
        self.end_paragraph(html);
        if !self.items.is_empty() {
            html.tags("<ul>");
            for item in self.items.drain(..) {
                html.tags("<li>");
                line(html, &item);
                html.tags("</li>");
            }
            html.tags("</ul>\n");
        }
        if let Some(code) = self.code.take() {
            html.tags("<pre><code>").text(&code.join("\n")).tags("</code></pre>\n");
        }
    }

    fn end_paragraph(&mut self, html: &mut Html) {
        if !self.paragraph.is_empty() {
            html.tags("<p>");
            line(html, &self.paragraph.join(" "));
            html.tags("</p>\n");
            self.paragraph.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut html = Html::new();
        write(&mut html, text);
        html.page("").replace('\n', "")
    }

    #[test]
    fn paragraphs_lists_and_code_are_what_they_look_like() {
        let table = [
            ("one\ntwo\n\nthree", "<p>one two</p><p>three</p>"),
            ("- a\n  b\n- `c`\nd", "<ul><li>a b</li><li><code>c</code> d</li></ul>"),
            (
                "say `x < y` or [`Foo`] or `open",
                "<p>say <code>x &lt; y</code> or <code>Foo</code> or `open</p>",
            ),
            (
                "a\n```json\n{ \"x\": 1 }\n```\nb",
                "<p>a</p><pre><code>{ &quot;x&quot;: 1 }</code></pre><p>b</p>",
            ),
            (
                "<img src=x> [a](javascript:b)",
                "<p>&lt;img src=x&gt; [a](javascript:b)</p>",
            ),
            ("```\nnever closed", "<pre><code>never closed</code></pre>"),
            ("", ""),
        ];
        for (text, expected) in table {
            assert_eq!(written(text), expected, "{text:?}");
        }
    }
}

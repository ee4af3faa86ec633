//! A page being written. Tags are literals of ours; whatever comes from elsewhere is text, and text is escaped. The types
//! see to it: there is no other way in.

/// A page in pieces. Between two pieces stands the origin under which the reader reached the node.
#[derive(Debug)]
pub(crate) struct Html {
    pieces: Vec<String>,
}

impl Html {
    pub(crate) fn new() -> Self {
        Html {
            pieces: vec![String::new()],
        }
    }

    fn last(&mut self) -> &mut String {
        self.pieces.last_mut().expect("a page begins with a piece")
    }

    /// Writes tags.
    pub(crate) fn tags(&mut self, tags: &'static str) -> &mut Self {
        self.last().push_str(tags);
        self
    }

    /// Writes text, or the value of an attribute in quotes.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        let out = self.last();
        for c in text.chars() {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                '\'' => out.push_str("&#39;"),
                // No page holds other control characters.
                c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
                c => out.push(c),
            }
        }
        self
    }

    /// Leaves room for the origin.
    pub(crate) fn origin(&mut self) -> &mut Self {
        self.pieces.push(String::new());
        self
    }

    /// The page for a reader who reached the node under an origin.
    pub(crate) fn page(&self, origin: &str) -> String {
        let mut escaped = Html::new();
        escaped.text(origin);
        self.pieces.join(escaped.last())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_text_wherever_it_stands() {
        let mut html = Html::new();
        html.tags("<a title=\"").text("\"><script>'&\u{0}").tags("\">").origin();
        assert_eq!(
            html.page("http://<b>"),
            "<a title=\"&quot;&gt;&lt;script&gt;&#39;&amp;\u{fffd}\">http://&lt;b&gt;"
        );
    }
}

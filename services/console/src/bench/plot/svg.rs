//! A document of a few kinds of shapes. Whatever text comes, it stays text.

use std::fmt::{self, Display, Write};

/// A picture under construction.
#[derive(Debug, Default)]
pub(super) struct Svg(String);

/// Where a text is held.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    /// Begins a document of this size, with its name for those who cannot see it.
    pub(super) fn begin(width: f64, height: f64, style: &str, name: &str) -> Self {
        let mut svg = Svg::default();
        svg.put(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\">\n<title>{}</title>\n<style>{style}</style>\n",
            Text(name)
        ));
        svg
    }

    /// Begins a group of shapes that a viewer names when it is pointed at.
    pub(super) fn begin_group(&mut self, name: &str) {
        self.put(format_args!("<g>\n<title>{}</title>\n", Text(name)));
    }

    pub(super) fn end_group(&mut self) {
        self.put(format_args!("</g>\n"));
    }

    pub(super) fn rectangle(&mut self, class: &str, [x, y]: [f64; 2], [width, height]: [f64; 2]) {
        self.put(format_args!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>\n"
        ));
    }

    pub(super) fn line(&mut self, class: &str, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2]) {
        self.put(format_args!(
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>\n"
        ));
    }

    pub(super) fn circle(&mut self, class: &str, [x, y]: [f64; 2], radius: f64) {
        self.put(format_args!(
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\"/>\n"
        ));
    }

    pub(super) fn diamond(&mut self, class: &str, [x, y]: [f64; 2], radius: f64) {
        self.put(format_args!(
            "<path class=\"{class}\" d=\"M{:.1} {y:.1}L{x:.1} {:.1}L{:.1} {y:.1}L{x:.1} {:.1}Z\"/>\n",
            x - radius,
            y - radius,
            x + radius,
            y + radius
        ));
    }

    pub(super) fn text(&mut self, class: &str, [x, y]: [f64; 2], anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.put(format_args!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>\n",
            Text(text)
        ));
    }

    /// The whole document.
    pub(super) fn end(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }

    fn put(&mut self, shape: fmt::Arguments<'_>) {
        self.0.write_fmt(shape).expect("a string takes what is written");
    }
}

/// A text as XML holds it: without markup of its own and without what XML forbids.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for char in self.0.chars() {
            match char {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\u{fffe}' | '\u{ffff}' => f.write_char(char::REPLACEMENT_CHARACTER)?,
                char if char.is_control() => f.write_char(char::REPLACEMENT_CHARACTER)?,
                char => f.write_char(char)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let written = Text("<b> & \"c\"\u{1}\u{ffff}µ").to_string();
        assert_eq!(written, "&lt;b&gt; &amp; &quot;c&quot;\u{fffd}\u{fffd}µ");
    }
}

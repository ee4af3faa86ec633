//! Which characters of a text from outside may reach a terminal: none that moves its cursor or turns what follows around.

/// Whether a character may be shown as it is: no control character, no line or paragraph separator, and nothing that
/// changes the direction of what follows.
pub(crate) fn is_harmless(c: char) -> bool {
    let turns = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    !c.is_control() && !turns
}

/// The first bytes of everything beyond ASCII that is not harmless: of U+0080 to U+009F, of U+061C, of U+2000 onwards.
const LEADS: [u8; 3] = [0xc2, 0xd8, 0xe2];

/// Whether a text is harmless for sure: quick, and wrong only by calling a harmless one suspect.
pub(crate) fn is_plain(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte >= b' ' && byte != 0x7f && !LEADS.contains(&byte))
}

/// A text with a space for every character that is not harmless.
pub(crate) fn with_spaces(text: &str) -> String {
    text.chars().map(|c| if is_harmless(c) { c } else { ' ' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_that_does_harm_is_in_a_plain_text() {
        for c in ['\0'..='\u{d7ff}', '\u{e000}'..=char::MAX].into_iter().flatten() {
            assert!(is_harmless(c) || !is_plain(c.encode_utf8(&mut [0; 4])), "{c:?}");
        }
        assert!(is_plain("Zoë, Ωmega, 日本, 🎉"));
    }

    #[test]
    fn what_turns_text_around_or_ends_a_line_becomes_a_space() {
        assert_eq!(with_spaces("a\u{202e}b\u{2028}c\u{1b}d\u{85}e…"), "a b c d e…");
    }
}

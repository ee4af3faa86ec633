//! What passes for an e-mail address: words and dots, an at sign, a domain (RFC 5321, without its quotes).
//!
//! The full grammar allows comments and quotes that no mail provider takes. Whether mail arrives, only a mail can tell.

/// Longest whole address and longest part before the at sign, in bytes; a path of SMTP has no room for more.
const BYTES_MAX: usize = 254;
const LOCAL_BYTES_MAX: usize = 64;
const LABEL_BYTES_MAX: usize = 63;

/// The same form as a pattern, for schemas. The length of the whole is bounded beside it.
pub(crate) const EMAIL_PATTERN: &str = "^(?=[^@]{1,64}@)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\
     @[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$";

/// Says what is wrong with an address; it is not repeated.
pub(crate) fn email_problem(text: &str) -> Option<&'static str> {
    if text.len() > BYTES_MAX {
        return Some("is longer than 254 bytes");
    }
    let Some((local, domain)) = text.rsplit_once('@') else {
        return Some("is no e-mail address: it has no @");
    };
    if local.len() > LOCAL_BYTES_MAX || !local.split('.').all(is_word) {
        return Some("is no e-mail address: the part before the @ is not valid");
    }
    if !domain.split('.').all(is_label) {
        return Some("is no e-mail address: the part after the @ is no domain");
    }
    None
}

fn is_word(word: &str) -> bool {
    let of_word = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte);
    !word.is_empty() && word.bytes().all(of_word)
}

fn is_label(label: &str) -> bool {
    let of_label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=LABEL_BYTES_MAX).contains(&label.len())
        && label.bytes().all(of_label)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_people_pass_and_slips_do_not() {
        let good = [
            "ada@example.org",
            "a.b+c@x-y.example",
            "root@localhost",
            "O'Hara@example.org",
        ];
        for text in good {
            assert_eq!(email_problem(text), None, "{text}");
        }
        let long = format!("{}@example.org", "a".repeat(65));
        let wrong = [
            "",
            "ada",
            "@example.org",
            "ada@",
            "ada@@example.org",
            ".ada@example.org",
            "ada.@example.org",
            "a..b@example.org",
            "ada@example..org",
            "ada@-example.org",
            "ada@example.org.",
            "ada lovelace@example.org",
            "ada@exam ple.org",
            "ada@example.org\n",
            &long,
        ];
        for text in wrong {
            assert!(email_problem(text).is_some(), "{text}");
        }
    }
}

//! The URL of a bridge or a store.
//!
//! Only its scheme is understood here; the rest is for the connector that knows the scheme. What may be a password is
//! hidden whenever the URL is printed. Hiding is done on the text, without parsing it: a URL that is malformed, or
//! of a form that only its client library knows, must not show its password either, so rather too much is hidden.

use std::fmt;
use std::str::FromStr;

const URL_BYTES_MAX: usize = 4_096;

/// Parts of the names of query parameters whose value is hidden.
const SECRET_PARAMETERS: [&str; 7] = ["pass", "pwd", "secret", "token", "key", "cred", "sig"];

/// Says where a bridge or a store is: `memory:`, `nats://broker:4222`. `Display` and `Debug` hide user and password.
#[derive(Clone, Eq, PartialEq)]
pub struct BridgeUrl(Box<str>);

impl BridgeUrl {
    /// Returns the scheme, in front of the first colon.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }

    /// Returns the user that it names, if it names one.
    pub(crate) fn user(&self) -> Option<String> {
        let (_, rest) = self.0.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (user, _) = authority.rsplit_once('@')?;
        let user = user.split_once(':').map_or(user, |(user, _)| user);
        (!user.is_empty()).then(|| percent_decoded(user))
    }

    /// Returns the whole URL with its secrets, to be handed to the connector and to nobody else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for BridgeUrl {
    type Err = &'static str;

    /// Takes a text that begins with a scheme. The error does not repeat the text.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > URL_BYTES_MAX {
            return Err("a url has at most 4096 bytes");
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err("a url has no spaces and no control characters");
        }
        let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
        let of_a_scheme = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
        if !scheme.starts_with(|c: char| c.is_ascii_lowercase()) || !scheme.chars().all(of_a_scheme) {
            return Err("a url begins with a scheme in lower case, as in memory: or nats://127.0.0.1:4222");
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for BridgeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once(':').unwrap_or((&self.0, ""));
        let (slashes, rest) = rest.strip_prefix("//").map_or(("", rest), |rest| ("//", rest));
        write!(f, "{scheme}:{slashes}")?;
        // Up to the *last* at sign, because a password may hold one that nobody encoded.
        let rest = match rest.rsplit_once('@') {
            Some((_, after)) => {
                f.write_str("***@")?;
                after
            }
            None => rest,
        };
        let (place, query) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
        f.write_str(place)?;
        for parameter in query.split_inclusive(['&', ';']) {
            write_parameter(f, parameter)?;
        }
        Ok(())
    }
}

/// Undoes the percent encoding; what is none stays as it is.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).filter(|_| *first == b'%');
        let byte = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = if byte.is_some() { &after[2..] } else { after };
        bytes.push(byte.unwrap_or(*first));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn write_parameter(f: &mut fmt::Formatter<'_>, parameter: &str) -> fmt::Result {
    let Some((name, value)) = parameter.split_once('=') else {
        return f.write_str(parameter);
    };
    let lower = name.to_ascii_lowercase();
    if !SECRET_PARAMETERS.iter().any(|word| lower.contains(word)) {
        return f.write_str(parameter);
    }
    let end = value.chars().next_back().filter(|c| "&;".contains(*c));
    write!(f, "{name}=***{}", end.map_or(String::new(), String::from))
}

impl fmt::Debug for BridgeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BridgeUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_may_be_a_password_is_hidden() {
        let table = [
            ("memory:", "memory:"),
            ("nats://broker:4222", "nats://broker:4222"),
            ("nats://token@broker:4222", "nats://***@broker:4222"),
            ("amqp://user:p@ss/w@broker:5672/vhost", "amqp://***@broker:5672/vhost"),
            ("nats://a:b@one,nats://c:d@two", "nats://***@two"),
            ("redis:user:secret@host", "redis:***@host"),
            (
                "mqtt://b?password=hunter2&clean=true&TOKEN=x",
                "mqtt://b?password=***&clean=true&TOKEN=***",
            ),
            ("redis://b/0?heartbeat=10#x", "redis://b/0?heartbeat=10#x"),
        ];
        for (url, shown) in table {
            let url: BridgeUrl = url.parse().expect("a url");
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), format!("BridgeUrl({shown})"));
        }
    }

    #[test]
    fn the_user_of_a_url_is_read_without_the_password() {
        let table = [
            ("nats://ada:p@h", Some("ada")),
            ("nats://a%40b@h", Some("a@b")),
            ("nats://h", None),
            ("nats://:p@h", None),
            ("mqtt://h/x?a=b@c", None),
            ("memory:", None),
        ];
        for (url, user) in table {
            let url: BridgeUrl = url.parse().expect("a url");
            assert_eq!(url.user().as_deref(), user, "{url}");
        }
    }

    #[test]
    fn a_text_without_a_scheme_is_refused_and_not_repeated() {
        for text in [
            "",
            "broker:4222 ",
            "10.0.0.7:4222",
            "://x",
            "NATS://x",
            "nats//x",
            "nats://a\nb",
        ] {
            let error = text.parse::<BridgeUrl>().expect_err(text);
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
        assert!(format!("x:{}", "y".repeat(URL_BYTES_MAX)).parse::<BridgeUrl>().is_err());
        assert_eq!("nats://x".parse::<BridgeUrl>().expect("a url").scheme(), "nats");
    }

    proptest! {
        #[test]
        fn no_password_is_ever_shown(user in "[a-z:/?#&=@]{0,8}", password in "[a-z:/?#&=@]{0,8}", host in "[a-z]{1,8}") {
            let secret = "hunter2";
            let url: BridgeUrl = format!("nats://{user}:{password}{secret}@{host}").parse().expect("a url");
            prop_assert!(!url.to_string().contains(secret), "{}", url);
        }
    }
}

//! What a URL says: where the broker is, who we are, and the few numbers that may be chosen.

use std::fmt;

use roadshow_bridges::{Access, BrokerUrl, Error, Scheme};

/// The schemes of this adapter.
pub(crate) const SCHEMES: [Scheme; 2] = [
    Scheme {
        name: "amqp",
        tls: false,
        port: 5672,
    },
    Scheme {
        name: "amqps",
        tls: true,
        port: 5671,
    },
];

/// The parameter that names the largest payload.
const MESSAGE_SIZE: &str = "max_message_size";
/// The largest payload where the URL names none: the limit of the system, below what any broker has.
pub(crate) const MESSAGE_SIZE_DEFAULT: usize = 1024 * 1024;
/// The largest payload that RabbitMQ takes at all.
const MESSAGE_SIZE_MAX: usize = 512 * 1024 * 1024;
/// The user and password of a fresh RabbitMQ, which it takes from the same machine only.
const GUEST: &str = "guest";

/// How to reach a broker. `Debug` hides the password.
#[derive(Clone)]
pub(crate) struct Settings {
    /// Host, port and certificates.
    pub(crate) url: BrokerUrl,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) vhost: String,
    pub(crate) payload_bytes_max: usize,
}

impl Settings {
    /// Takes a URL apart.
    ///
    /// # Errors
    ///
    /// `Config` if the URL is wrong; the error shows no secret.
    pub(crate) fn parse(url: &str, access: &Access) -> Result<Self, Error> {
        let url = BrokerUrl::parse(url, &SCHEMES, access, &[MESSAGE_SIZE])?;
        let payload_bytes_max = match url.parameter(MESSAGE_SIZE) {
            None => MESSAGE_SIZE_DEFAULT,
            Some(text) => message_size(text)?,
        };
        let vhost = vhost(&url.path)?;
        let user = url.access.user.clone().unwrap_or_else(|| GUEST.to_owned());
        let password = match (&url.access.password, &url.access.user) {
            (Some(password), _) => password.clone(),
            (None, None) => GUEST.to_owned(),
            (None, Some(_)) => String::new(),
        };
        Ok(Self {
            url,
            user,
            password,
            vhost,
            payload_bytes_max,
        })
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("url", &self.url)
            .field("vhost", &self.vhost)
            .field("payload_bytes_max", &self.payload_bytes_max)
            .finish_non_exhaustive()
    }
}

fn message_size(text: &str) -> Result<usize, Error> {
    let size = text.parse().ok().filter(|size| (1..=MESSAGE_SIZE_MAX).contains(size));
    size.ok_or_else(|| {
        let why = "cannot read the broker's URL: max_message_size is a number of bytes";
        Error::config(why).with("limit", MESSAGE_SIZE_MAX)
    })
}

/// The virtual host of a path; no path, or a bare slash, is the default one.
fn vhost(path: &str) -> Result<String, Error> {
    let name = path.strip_prefix('/').unwrap_or(path);
    if name.is_empty() {
        return Ok("/".to_owned());
    }
    if name.contains('/') {
        return Err(Error::config(
            "cannot read the broker's URL: a slash in a virtual host is written as %2F",
        ));
    }
    let decoded = percent_decoded(name).filter(|name| name.len() <= 255);
    decoded.ok_or_else(|| Error::config("cannot read the broker's URL: its virtual host is not a name"))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Settings, Error> {
        Settings::parse(url, &Access::default())
    }

    #[test]
    fn the_path_is_the_virtual_host() {
        let table = [
            ("", "/"),
            ("/", "/"),
            ("/%2F", "/"),
            ("/%2f", "/"),
            ("/shop", "shop"),
            ("/a%20b", "a b"),
        ];
        for (path, vhost) in table {
            let settings = parse(&format!("amqp://broker{path}")).expect(path);
            assert_eq!(settings.vhost, vhost, "{path}");
        }
        assert!(parse("amqp://broker/a/b").is_err());
        assert!(parse("amqp://broker/%zz").is_err());
    }

    #[test]
    fn a_url_without_user_is_the_guest_of_a_fresh_broker() {
        let settings = parse("amqp://broker").expect("a url");
        assert_eq!((settings.user.as_str(), settings.password.as_str()), ("guest", "guest"));
        let settings = parse("amqps://ada:s3cret@broker").expect("a url");
        assert_eq!((settings.user.as_str(), settings.url.port), ("ada", 5671));
        assert!(!format!("{settings:?}").contains("s3cret"));
    }

    #[test]
    fn the_largest_payload_may_be_chosen() {
        assert_eq!(parse("amqp://broker").expect("a url").payload_bytes_max, 1_048_576);
        assert_eq!(
            parse("amqp://broker?max_message_size=10")
                .expect("a url")
                .payload_bytes_max,
            10
        );
        for wrong in ["0", "x", "-1", "999999999999"] {
            assert!(
                parse(&format!("amqp://broker?max_message_size={wrong}")).is_err(),
                "{wrong}"
            );
        }
    }
}

//! What a URL says about a NATS server: where it is, who we are, and the bounds of what it stores for us.

use std::time::Duration;

use roadshow_bridges::{Access, BrokerUrl, Error, Scheme};

/// The schemes of this adapter.
pub(crate) const SCHEMES: [Scheme; 3] = [scheme("nats", false), scheme("tls", true), scheme("nats+tls", true)];
/// The names of [`SCHEMES`].
pub(crate) const SCHEME_NAMES: [&str; 3] = [SCHEMES[0].name, SCHEMES[1].name, SCHEMES[2].name];
/// The parameters beside those of TLS.
const PARAMETERS: [&str; 2] = ["ack_wait", "max_bytes"];

/// The size of the stream of events where the URL names none: small enough for a small disk.
const MAX_BYTES: i64 = 256 * 1024 * 1024;
/// The smallest size of a stream that holds more than a few messages.
const MAX_BYTES_LEAST: i64 = 64 * 1024;
/// How long a server waits for an acknowledgement where the URL does not say.
const ACK_WAIT: Duration = Duration::from_secs(30);

const fn scheme(name: &'static str, tls: bool) -> Scheme {
    Scheme { name, tls, port: 4222 }
}

/// Everything that the adapter reads from its URL.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Where the server is and who we are.
    pub(crate) url: BrokerUrl,
    /// The bound of each stream that we create, in bytes.
    pub(crate) max_bytes: i64,
    /// After which silence the server brings a message again.
    pub(crate) ack_wait: Duration,
}

impl Settings {
    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// `Config` if it is no URL of this adapter or a parameter is out of its range.
    pub(crate) fn parse(url: &str, access: &Access) -> Result<Self, Error> {
        let url = BrokerUrl::parse(url, &SCHEMES, access, &PARAMETERS)?;
        if !matches!(url.path.as_str(), "" | "/") {
            return Err(Error::config("cannot use a NATS URL with a path: NATS has none").with("path", &url.path));
        }
        let max_bytes = url.parameter("max_bytes").map_or(Ok(MAX_BYTES), read_bytes)?;
        let ack_wait = url.parameter("ack_wait").map_or(Ok(ACK_WAIT), read_ack_wait)?;
        Ok(Self {
            url,
            max_bytes,
            ack_wait,
        })
    }
}

fn read_bytes(text: &str) -> Result<i64, Error> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: Option<i64> = match &text[digits.len()..] {
        "" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    let bytes = digits.parse::<i64>().ok().zip(unit);
    bytes
        .and_then(|(count, unit)| count.checked_mul(unit))
        .filter(|bytes| *bytes >= MAX_BYTES_LEAST)
        .ok_or_else(|| {
            wrong(
                "max_bytes",
                text,
                "a size of at least 64KiB, such as 268435456, 256MiB or 4GiB",
            )
        })
}

fn read_ack_wait(text: &str) -> Result<Duration, Error> {
    let read = |digits: &str, unit: u64| digits.parse::<u64>().ok()?.checked_mul(unit);
    let ms = match text.strip_suffix("ms") {
        Some(digits) => read(digits, 1),
        None => read(text.strip_suffix('s').unwrap_or(text), 1000),
    };
    ms.filter(|ms| (300..=3_600_000).contains(ms))
        .map(Duration::from_millis)
        .ok_or_else(|| wrong("ack_wait", text, "a time from 300ms to 3600s"))
}

fn wrong(name: &'static str, value: &str, must: &'static str) -> Error {
    Error::config("cannot use a parameter of the NATS URL: it is out of its range")
        .with("parameter", name)
        .with("value", value.chars().take(40).collect::<String>())
        .with("must be", must)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rest: &str) -> Result<Settings, Error> {
        Settings::parse(&format!("nats://u:hunter2@h{rest}"), &Access::default())
    }

    #[test]
    fn sizes_and_times_are_read_with_their_units() {
        let table = [
            ("", MAX_BYTES, 30_000),
            ("?max_bytes=65536", 65_536, 30_000),
            ("?max_bytes=2GiB&ack_wait=3s", 2 << 30, 3_000),
            ("?ack_wait=5", MAX_BYTES, 5_000),
            ("/?ack_wait=300ms", MAX_BYTES, 300),
        ];
        for (rest, bytes, ms) in table {
            let settings = parse(rest).expect(rest);
            assert_eq!(
                (settings.max_bytes, settings.ack_wait),
                (bytes, Duration::from_millis(ms))
            );
        }
    }

    #[test]
    fn what_is_out_of_range_is_refused_without_a_secret() {
        for rest in [
            "?max_bytes=1",
            "?max_bytes=-1",
            "?max_bytes=9999999999GiB",
            "?max_bytes=1TB",
            "?ack_wait=0",
            "?ack_wait=1h",
            "?ack_wait=99999999999999999999",
            "?x=1",
            "/vhost",
        ] {
            let error = parse(rest).expect_err(rest);
            assert_eq!(error.kind(), roadshow_bridges::ErrorKind::Config);
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }
}

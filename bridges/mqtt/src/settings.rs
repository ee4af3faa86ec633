//! The settings of a bridge, as its URL says them: bounds, and nothing else.

use std::time::Duration;

use roadshow_bridges::{Access, BrokerUrl, Error, Scheme};

/// The URL schemes of this adapter.
pub(crate) const SCHEMES: [Scheme; 2] = [
    Scheme {
        name: "mqtt",
        tls: false,
        port: 1883,
    },
    Scheme {
        name: "mqtts",
        tls: true,
        port: 8883,
    },
];

/// The parameters of the URL beside those of TLS.
const KNOWN: [&str; 6] = [
    "payload_bytes_max",
    "receive_maximum",
    "inbound_bytes_max",
    "outbox_messages_max",
    "outbox_bytes_max",
    "outbox_seconds_max",
];

/// The largest payload where the URL says nothing else, in bytes.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 1024 * 1024;

/// The bounds of a bridge.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Where the broker is and who we are to it.
    pub(crate) url: BrokerUrl,
    /// The largest payload, in bytes.
    pub(crate) payload_bytes_max: usize,
    /// How many unacknowledged messages the broker may send us.
    pub(crate) receive_maximum: u16,
    /// How many bytes of messages, headers included, wait for their subscribers; what comes beyond is dropped and counted.
    pub(crate) inbound_bytes_max: usize,
    /// How many messages the outbox keeps.
    pub(crate) outbox_messages_max: usize,
    /// How many bytes of messages the outbox keeps, headers included.
    pub(crate) outbox_bytes_max: usize,
    /// How long the outbox keeps a message.
    pub(crate) outbox_age_max: Duration,
}

impl Settings {
    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// `Config`: it is no URL of this adapter, or a parameter is out of its range.
    pub(crate) fn parse(url: &str, access: &Access) -> Result<Self, Error> {
        let url = BrokerUrl::parse(url, &SCHEMES, access, &KNOWN)?;
        if !matches!(url.path.as_str(), "" | "/") {
            return Err(Error::config("cannot read the broker's URL: MQTT has no path"));
        }
        let number = |name, default, most| number(&url, name, default, most);
        let payload_bytes_max = number("payload_bytes_max", PAYLOAD_BYTES_MAX, 128 * 1024 * 1024)?;
        let receive_maximum = number("receive_maximum", 65_535, 65_535)?;
        let inbound_bytes_max = number("inbound_bytes_max", 64 * 1024 * 1024, 1 << 34)?;
        let outbox_messages_max = number("outbox_messages_max", 32_768, 1 << 24)?;
        let outbox_bytes_max = number("outbox_bytes_max", 64 * 1024 * 1024, 1 << 34)?;
        let outbox_seconds_max = number("outbox_seconds_max", 600, 7 * 24 * 3600)?;
        Ok(Self {
            payload_bytes_max,
            receive_maximum: u16::try_from(receive_maximum).unwrap_or(u16::MAX),
            inbound_bytes_max,
            outbox_messages_max,
            outbox_bytes_max,
            outbox_age_max: Duration::from_secs(outbox_seconds_max as u64),
            url,
        })
    }
}

fn number(url: &BrokerUrl, name: &'static str, default: usize, most: usize) -> Result<usize, Error> {
    let Some(text) = url.parameter(name) else {
        return Ok(default);
    };
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| {
        Error::config("cannot read the broker's URL: a parameter is out of its range")
            .with("parameter", name)
            .with("most", most)
    })
}

#[cfg(test)]
mod tests {
    use roadshow_bridges::ErrorKind;

    use super::*;

    #[test]
    fn a_url_may_narrow_the_bounds_but_not_leave_them() {
        let read = |url: &str| Settings::parse(url, &Access::default());
        let settings = read("mqtt://host?receive_maximum=10&outbox_seconds_max=5").expect("a url");
        assert_eq!((settings.receive_maximum, settings.url.port), (10, 1883));
        assert_eq!(settings.outbox_age_max, Duration::from_secs(5));
        assert_eq!(read("mqtts://host").expect("a url").url.port, 8883);
        for url in [
            "mqtt://host?receive_maximum=0",
            "mqtt://host?receive_maximum=65536",
            "mqtt://host?receive_maximum=x",
            "mqtt://host/path",
            "mqtt://host?qos=2",
            "tcp://host",
        ] {
            assert_eq!(read(url).expect_err(url).kind(), ErrorKind::Config);
        }
    }
}

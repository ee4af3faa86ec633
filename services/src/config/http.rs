//! Where the gateway listens, if at all.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// An address to listen on, or `off`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum HttpListen {
    /// There is no gateway.
    Off,
    /// The gateway listens here; port 0 lets the system choose.
    At(SocketAddr),
}

impl HttpListen {
    /// Returns the address, if there is one.
    #[must_use]
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::At(address) => Some(address),
        }
    }
}

impl FromStr for HttpListen {
    type Err = String;

    /// Takes `off`, an address with a port, or `localhost` with a port. No name is looked up.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let at_localhost = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
        let at_localhost = at_localhost.map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        at_localhost
            .or_else(|| text.parse().ok())
            .map(Self::At)
            .ok_or_else(|| "expected an address with a port, as in 127.0.0.1:8080 or [::1]:8080, or off".to_owned())
    }
}

impl fmt::Display for HttpListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_localhost_and_off_are_understood() {
        let table = [
            ("off", "off"),
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("[::]:80", "[::]:80"),
            ("localhost:0", "127.0.0.1:0"),
        ];
        for (text, shown) in table {
            assert_eq!(text.parse::<HttpListen>().expect(text).to_string(), shown);
        }
        for text in [
            "",
            "8080",
            ":8080",
            "localhost",
            "localhost:70000",
            "example.org:80",
            "127.0.0.1",
            "Off",
        ] {
            assert!(text.parse::<HttpListen>().is_err(), "{text}");
        }
    }
}

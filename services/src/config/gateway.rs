//! How the gateway treats connections and callers, as settings.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the gateway is told, beside where it listens.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GatewaySettings {
    /// The file with the certificate chain, in PEM; with one the gateway speaks TLS.
    pub tls_cert: Option<PathBuf>,
    /// The file with the certificate's private key, in PEM.
    pub tls_key: Option<PathBuf>,
    /// Origins whose pages may call the declared routes.
    pub cors_origins: Vec<String>,
    /// Whether every answer is a log line.
    pub access_log: bool,
    /// Whether the documents of the interface are served.
    pub docs: bool,
    /// How many connections are served at the same time.
    pub connections: usize,
    /// How long a client may take to send a head, and rest between requests.
    pub header_timeout: Duration,
    /// How long a client may take to send a body.
    pub body_timeout: Duration,
    /// How long a client may read nothing of an answer.
    pub write_timeout: Duration,
    /// What all bodies at work may hold together, in bytes.
    pub bodies_limit: usize,
}

impl GatewaySettings {
    /// Settings in which nothing is set yet.
    pub(crate) fn unset() -> Self {
        GatewaySettings {
            tls_cert: None,
            tls_key: None,
            cors_origins: Vec::new(),
            access_log: false,
            docs: false,
            connections: 0,
            header_timeout: Duration::ZERO,
            body_timeout: Duration::ZERO,
            write_timeout: Duration::ZERO,
            bodies_limit: 0,
        }
    }

    /// Returns the files of certificate and key, if the gateway is to speak TLS.
    ///
    /// # Errors
    ///
    /// Fails when one is there without the other.
    pub fn tls(&self) -> Result<Option<(&Path, &Path)>, &'static str> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(cert), Some(key)) => Ok(Some((cert, key))),
            (None, None) => Ok(None),
            (Some(_), None) => Err("gateway.tls_cert is set and gateway.tls_key is not: TLS takes both"),
            (None, Some(_)) => Err("gateway.tls_key is set and gateway.tls_cert is not: TLS takes both"),
        }
    }
}

/// Reads an origin, or `*`. It sees only whether this can be one: `roadshow_gateway::Cors` knows the whole rule, and
/// names the entry that breaks it.
pub(super) fn origin(text: &str) -> Result<String, String> {
    let is_origin = text.split_once("://").is_some_and(|(scheme, host)| {
        let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        !scheme.is_empty() && scheme.bytes().all(is_scheme) && !host.is_empty()
    });
    if is_origin || text == "*" {
        return Ok(text.to_owned());
    }
    Err("expected origins, as in https://shop.example or http://localhost:3000, or *".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificate_and_key_come_together() {
        let mut settings = GatewaySettings::unset();
        assert_eq!(settings.tls(), Ok(None));
        settings.tls_cert = Some("cert.pem".into());
        assert!(settings.tls().is_err());
        settings.tls_key = Some("key.pem".into());
        assert_eq!(settings.tls(), Ok(Some((Path::new("cert.pem"), Path::new("key.pem")))));
        settings.tls_cert = None;
        assert!(settings.tls().is_err());
    }

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        let good = [
            "https://shop.example",
            "http://localhost:3000",
            "http://[::1]:80",
            "app://shop",
            "*",
            // The gateway refuses it, and says why.
            "https://Shop.example/",
        ];
        for good in good {
            assert_eq!(origin(good).as_deref(), Ok(good));
        }
        for bad in ["", "shop.example", "https://", "://a", "a b://c", "null"] {
            assert!(origin(bad).is_err(), "{bad:?}");
        }
    }
}

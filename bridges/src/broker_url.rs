//! The URL of a broker, taken apart once for every adapter: where it is, who we are, and which files TLS needs.
//!
//! `scheme://user:password@host:port/path?ca_file=…&cert_file=…&key_file=…`. User, password and files may come from the
//! settings instead ([`ConnectContext::access`](crate::ConnectContext)); what the URL says goes first. A parameter that
//! the adapter does not know is refused, not passed over.

use std::fmt;
use std::path::PathBuf;

use url::Url;

use crate::error::Error;

/// Who we are to a broker, and what we trust: what a URL leaves out. `Debug` hides the password, and a user
/// without one: it may be a token.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Access {
    /// The user.
    pub user: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// Certificates to trust in place of this machine's, in PEM.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate chain, in PEM, for mutual TLS.
    pub cert_file: Option<PathBuf>,
    /// The key of our certificate, in PEM.
    pub key_file: Option<PathBuf>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |secret: &Option<String>| secret.as_ref().map(|_| "***");
        let user = self.user.as_deref().filter(|_| self.password.is_some());
        f.debug_struct("Access")
            .field("user", &user.or_else(|| hidden(&self.user)))
            .field("password", &hidden(&self.password))
            .field("ca_file", &self.ca_file)
            .field("cert_file", &self.cert_file)
            .field("key_file", &self.key_file)
            .finish()
    }
}

/// One scheme of an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheme {
    /// The scheme itself, in lower case.
    pub name: &'static str,
    /// Whether it means TLS.
    pub tls: bool,
    /// The port where the URL names none.
    pub port: u16,
}

/// The URL of a broker. `Debug` hides what [`Access`] hides.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerUrl {
    /// The scheme that was found.
    pub scheme: Scheme,
    /// The host, without the brackets of an IPv6 address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path with its slash, or nothing, as it was written.
    pub path: String,
    /// Who we are, from the URL and the settings.
    pub access: Access,
    /// The remaining parameters, all of them known to the adapter.
    pub parameters: Vec<(String, String)>,
}

impl BrokerUrl {
    /// Takes a URL apart. `known` are the parameters of the adapter beside those of TLS.
    ///
    /// # Errors
    ///
    /// `Config` if it is no URL of one of the schemes, or has an unknown parameter, or half of a certificate. The error
    /// never shows user or password.
    pub fn parse(url: &str, schemes: &[Scheme], access: &Access, known: &[&str]) -> Result<Self, Error> {
        let parsed =
            Url::parse(url).map_err(|error| Error::config("cannot read the broker's URL").with("problem", error))?;
        let scheme = *schemes
            .iter()
            .find(|scheme| scheme.name == parsed.scheme())
            .ok_or_else(|| Error::config("cannot read the broker's URL: it has another scheme"))?;
        let host = parsed.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| Error::config("cannot read the broker's URL: it names no host"))?;
        let mut made = Self {
            scheme,
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: parsed.port().unwrap_or(scheme.port),
            path: parsed.path().to_owned(),
            access: access.clone(),
            parameters: Vec::new(),
        };
        if !parsed.username().is_empty() {
            made.access.user = Some(decoded(parsed.username())?);
        }
        if let Some(password) = parsed.password() {
            made.access.password = Some(decoded(password)?);
        }
        for (name, value) in parsed.query_pairs() {
            made.take_parameter(&name, &value, known)?;
        }
        made.check()
    }

    fn take_parameter(&mut self, name: &str, value: &str, known: &[&str]) -> Result<(), Error> {
        let file = Some(PathBuf::from(value));
        match name {
            "ca_file" => self.access.ca_file = file,
            "cert_file" => self.access.cert_file = file,
            "key_file" => self.access.key_file = file,
            _ if known.contains(&name) => self.parameters.push((name.to_owned(), value.to_owned())),
            _ => {
                let known = known.iter().chain(&["ca_file", "cert_file", "key_file"]).copied();
                return Err(
                    Error::config("cannot read the broker's URL: it has an unknown parameter")
                        .with("parameter", name.chars().take(64).collect::<String>())
                        .with("known", known.collect::<Vec<_>>().join(" ")),
                );
            }
        }
        Ok(())
    }

    fn check(self) -> Result<Self, Error> {
        let access = &self.access;
        if access.cert_file.is_some() != access.key_file.is_some() {
            let why = "cannot use TLS with half of a certificate: give both cert_file and key_file";
            return Err(Error::config(why));
        }
        if access.password.is_some() && access.user.is_none() {
            return Err(Error::config("cannot use a password without a user"));
        }
        if !self.scheme.tls && (access.ca_file.is_some() || access.cert_file.is_some()) {
            let why = "cannot use certificates on a connection without TLS: choose the scheme with TLS";
            return Err(Error::config(why).with("scheme", self.scheme.name));
        }
        Ok(self)
    }

    /// The value of a parameter of the adapter's own.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Host and port as people write them: for logs and errors.
    pub fn place(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// Undoes the percent encoding of a user or a password.
fn decoded(text: &str) -> Result<String, Error> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escape = (*first == b'%').then(|| after.get(..2)).flatten();
        let byte = escape
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = if byte.is_some() { &after[2..] } else { after };
        bytes.push(byte.unwrap_or(*first));
    }
    String::from_utf8(bytes).map_err(|_| Error::config("cannot read the broker's URL: user or password is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMES: [Scheme; 2] = [
        Scheme {
            name: "nats",
            tls: false,
            port: 4222,
        },
        Scheme {
            name: "tls",
            tls: true,
            port: 4222,
        },
    ];

    fn parse(url: &str) -> Result<BrokerUrl, Error> {
        let access = Access {
            user: Some("from-settings".to_owned()),
            ..Access::default()
        };
        BrokerUrl::parse(url, &SCHEMES, &access, &["vhost"])
    }

    #[test]
    fn a_url_goes_before_the_settings_and_its_escapes_are_undone() {
        let url = parse("nats://ada:p%40ss%2fw@broker/x?vhost=a").expect("a url");
        assert_eq!((url.place().as_str(), url.path.as_str()), ("broker:4222", "/x"));
        assert_eq!(url.access.user.as_deref(), Some("ada"));
        assert_eq!(url.access.password.as_deref(), Some("p@ss/w"));
        assert_eq!(url.parameter("vhost"), Some("a"));
        assert!(!format!("{url:?}").contains("p@ss"));
        let plain = parse("nats://[::1]:99").expect("a url");
        assert_eq!(plain.place(), "[::1]:99");
        assert_eq!(plain.access.user.as_deref(), Some("from-settings"));
    }

    #[test]
    fn a_token_in_the_place_of_the_user_is_not_shown() {
        let shown = |url| format!("{:?}", parse(url).expect("a url"));
        assert!(!shown("nats://s3cr3t@broker").contains("s3cr3t"));
        let user = shown("nats://ada:s3cr3t@broker");
        assert!(user.contains("ada") && !user.contains("s3cr3t"), "{user}");
    }

    #[test]
    fn what_is_wrong_is_refused_without_showing_a_secret() {
        for url in [
            "nats://u:hunter2@host?pass=hunter2",
            "http://u:hunter2@host",
            "nats://u:hunter2@",
            "nats:u:hunter2",
            "nats://u:hunter2@host?ca_file=x",
            "tls://u:hunter2@host?cert_file=x",
            "nats://u:hunter2@host:99999",
        ] {
            let error = parse(url).expect_err(url);
            assert_eq!(error.kind(), crate::ErrorKind::Config);
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        assert!(parse("tls://host?ca_file=a&cert_file=b&key_file=c").is_ok());
    }
}

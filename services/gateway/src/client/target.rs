//! Where a node is: the host and port of its URL.

use http::Uri;

use super::ClientError;

/// The host and port of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// As one connects to it: without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Whether it is reached over TLS.
    pub(crate) secure: bool,
    /// As the Host header and people name it.
    pub(crate) authority: String,
}

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Target, ClientError> {
        let wrong = |problem| ClientError::Url {
            url: url.to_owned(),
            problem,
        };
        const EXPECTED: &str = "expected http://host:port or https://host:port";
        let uri: Uri = url.parse().map_err(|_| wrong(EXPECTED))?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong(EXPECTED)),
        };
        let authority = uri.authority().ok_or_else(|| wrong("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("it has a user in it: give a token instead"));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(wrong("it has a path: the host and the port are enough"));
        }
        let host = authority.host();
        let port = match authority
            .as_str()
            .strip_prefix(host)
            .and_then(|rest| rest.strip_prefix(':'))
        {
            Some(port) => port.parse().map_err(|_| wrong("its port is no number up to 65535"))?,
            None if secure => 443,
            None => 80,
        };
        Ok(Target {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port,
            secure,
            authority: format!("{host}:{port}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_a_node_has_a_host_and_perhaps_a_port() {
        let table = [
            ("http://127.0.0.1:8080", Some(("127.0.0.1", 8080))),
            ("http://localhost:8080/", Some(("localhost", 8080))),
            ("http://[::1]:9", Some(("::1", 9))),
            ("http://shop.example", Some(("shop.example", 80))),
            ("https://shop.example", Some(("shop.example", 443))),
            ("https://127.0.0.1:8443", Some(("127.0.0.1", 8443))),
            ("shop.example:80", None),
            ("nats://shop.example", None),
            ("http://", None),
            ("http://u:p@shop.example", None),
            ("http://shop.example/api", None),
            ("http://shop.example?x", None),
            ("http://shop.example:99999", None),
            ("", None),
        ];
        for (url, expected) in table {
            let target = Target::parse(url).ok();
            let found = target.as_ref().map(|target| (target.host.as_str(), target.port));
            assert_eq!(found, expected, "{url:?}");
        }
    }
}

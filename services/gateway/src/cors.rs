//! Which web pages of other origins may read what the declared routes answer.
//!
//! Off unless configured: without these headers a browser lets no foreign page read anything. Origins are compared as they
//! are written, whole; there are no patterns, because a pattern that lets in one origin too many is not seen until it is
//! used. The admin routes are no part of it: no page has business there.

use std::fmt;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    ALLOW, HeaderMap, ORIGIN, VARY,
};
use http::uri::Uri;
use http::{HeaderValue, Method};

/// The headers that a page may send.
const TAKEN: HeaderValue = HeaderValue::from_static(
    "content-type, authorization, idempotency-key, x-timeout-ms, x-request-id, traceparent, tracestate",
);
/// The headers that a page may read.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "x-request-id, x-correlation-id, traceparent, retry-after, ratelimit, ratelimit-policy, location",
);

/// The origins whose pages may call the declared routes; see [`Gateway::cors`](crate::Gateway::cors).
///
/// ```
/// use roadshow_gateway::Cors;
///
/// assert!(Cors::origins(["https://shop.example", "http://localhost:3000"]).is_ok());
/// assert!(Cors::origins(["*"]).is_ok());
/// assert!(Cors::origins(["https://shop.example/"]).is_err());
/// assert!(Cors::origins(["*"]).and_then(Cors::credentials).is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Cors {
    origins: Origins,
    credentials: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Origins {
    Any,
    These(Box<[HeaderValue]>),
}

/// Why origins cannot be configured: correct the entry that is named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct CorsError {
    problem: String,
}

impl CorsError {
    fn new(problem: impl fmt::Display) -> Self {
        CorsError {
            problem: problem.to_string(),
        }
    }
}

impl Cors {
    /// Lets pages of these origins in, each written as a browser sends it: scheme, host, and the port where it is not the
    /// scheme's own. `*` alone lets everybody in.
    ///
    /// # Errors
    /// When there are none, or when one is no origin; it is named.
    pub fn origins(origins: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Cors, CorsError> {
        let origins: Vec<_> = origins.into_iter().collect();
        let texts: Vec<&str> = origins.iter().map(|origin| origin.as_ref().trim()).collect();
        let origins = match texts[..] {
            [] => return Err(CorsError::new("there is no origin: name one, or leave the setting out")),
            ["*"] => Origins::Any,
            _ => Origins::These(texts.into_iter().map(checked).collect::<Result<_, _>>()?),
        };
        Ok(Cors {
            origins,
            credentials: false,
        })
    }

    /// Lets these pages send what the browser keeps for this host: cookies and client certificates.
    ///
    /// # Errors
    /// When everybody is let in: any page could then act as whoever visits it.
    pub fn credentials(self) -> Result<Cors, CorsError> {
        match self.origins {
            Origins::Any => Err(CorsError::new("credentials are for named origins only, not for *")),
            Origins::These(_) => Ok(Cors {
                credentials: true,
                ..self
            }),
        }
    }
}

/// What answers tell a browser.
impl Cors {
    /// Adds what the page that asks may know and do: nothing, if its origin is not let in.
    pub(crate) fn tell(&self, method: &Method, asked: &HeaderMap, answer: &mut HeaderMap) {
        if matches!(self.origins, Origins::These(_)) {
            // Whoever keeps the answer must not hand it to another origin.
            answer.append(VARY, HeaderValue::from_static("origin"));
        }
        let Some(allowed) = self.allowed(asked) else { return };
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        if self.credentials {
            answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        if *method != Method::OPTIONS || !asked.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
            return;
        }
        if let Some(methods) = answer.get(ALLOW).cloned() {
            answer.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        }
        answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, TAKEN);
        answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }

    fn allowed(&self, asked: &HeaderMap) -> Option<HeaderValue> {
        let mut origins = asked.get_all(ORIGIN).iter();
        let (Some(origin), None) = (origins.next(), origins.next()) else {
            return None;
        };
        match &self.origins {
            Origins::Any => Some(HeaderValue::from_static("*")),
            Origins::These(known) => known.iter().find(|known| *known == origin).cloned(),
        }
    }
}

/// An origin as browsers write it (RFC 6454): lower case, no path, no port that goes without saying.
fn checked(text: &str) -> Result<HeaderValue, CorsError> {
    let wrong = |why: &str| CorsError::new(format_args!("{text:?} is no origin: {why}"));
    if text == "*" {
        return Err(wrong("* stands alone or not at all"));
    }
    let Some((scheme, authority)) = text.split_once("://") else {
        return Err(wrong("expected one such as https://shop.example"));
    };
    if authority.contains(['/', '?', '#', '@', '*']) {
        return Err(wrong("it is a scheme, a host and perhaps a port, and nothing else"));
    }
    let uri: Uri = text
        .parse()
        .map_err(|_| wrong("expected one such as https://shop.example"))?;
    let host = uri.host().unwrap_or_default();
    if host.is_empty() {
        return Err(wrong("it has no host"));
    }
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(wrong("browsers write it in lower case"));
    }
    let port = authority.strip_prefix(host).unwrap_or_default();
    if !port.is_empty() && port.strip_prefix(':').is_none_or(|port| port.parse::<u16>().is_err()) {
        return Err(wrong("its port is no number up to 65535"));
    }
    if matches!((scheme, port), ("http", ":80") | ("https", ":443")) {
        return Err(wrong("browsers leave out the scheme's own port"));
    }
    HeaderValue::from_str(text).map_err(|_| wrong("expected one such as https://shop.example"))
}

#[cfg(test)]
mod tests {
    use roadshow_services::config::Settings;

    use super::*;

    #[test]
    fn an_origin_is_written_as_a_browser_sends_it() {
        let good = [
            "https://shop.example",
            "http://localhost:3000",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
            "https://shop.example:8443",
            "app://shop",
        ];
        for origin in good {
            assert!(Cors::origins([origin]).is_ok(), "{origin:?}");
            let flag = ("gateway.cors_origins".to_owned(), origin.to_owned());
            let settings = Settings::resolve(None, std::iter::empty(), &[flag], None);
            assert!(settings.is_ok(), "settings take what is right: {settings:?}");
        }
        let bad = [
            "",
            "shop.example",
            "https://",
            "https://shop.example/",
            "https://shop.example/x",
            "https://shop.example?x",
            "https://u:p@shop.example",
            "https://Shop.example",
            "https://*.example",
            "https://shop.example:443",
            "http://shop.example:80",
            "https://shop.example:",
            "https://shop.example:99999",
            "https://shop example",
            "null",
        ];
        for origin in bad {
            let error = Cors::origins([origin]).expect_err(origin).to_string();
            assert!(error.contains(&format!("{origin:?}")), "{error}");
        }
    }

    #[test]
    fn everybody_stands_alone_and_brings_no_credentials() {
        assert!(Cors::origins(["*"]).is_ok());
        assert!(Cors::origins(["*", "https://shop.example"]).is_err());
        assert!(Cors::origins([""; 0]).is_err());
        assert!(Cors::origins(["*"]).and_then(Cors::credentials).is_err());
        assert!(
            Cors::origins(["https://a.example", "https://b.example"])
                .and_then(Cors::credentials)
                .is_ok()
        );
    }
}

//! Who may use the admin routes: whoever has the token, and without it only this very machine.
//!
//! A web page in a browser on this machine is not its user: it may neither reach the routes under a name of its own (the
//! Host must be loopback, which ends DNS rebinding), nor from an origin of its own, nor with a form (a POST must say that
//! it is JSON, which a page may only do after a preflight that nobody answers). Nor is a stranger for whom a proxy on this
//! machine speaks: what proxies add to a request gives it away.

use std::net::{IpAddr, SocketAddr};

use http::header::{AUTHORIZATION, FORWARDED, HOST, ORIGIN, VIA};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderName, Version};
use roadshow_services::Failure;
use roadshow_services::config::Secret;

use crate::refusal::Refusal;

/// What proxies add. One on this machine makes every stranger look like this machine, and many rewrite the Host.
const PROXIED: [HeaderName; 5] = [
    FORWARDED,
    VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-real-ip"),
];

/// Lets a request to an admin route pass.
pub(crate) fn check(peer: SocketAddr, parts: &Parts, token: Option<&Secret>) -> Result<(), Refusal> {
    let has_token = presents_token(parts, token)?;
    if !has_token {
        if !peer.ip().to_canonical().is_loopback() {
            return Err(match token {
                Some(_) => Refusal::unauthenticated("the admin routes ask for the node's token"),
                None => forbidden("the admin routes are for this machine only: give the node a token to open them"),
            });
        }
        if !host_is_loopback(parts) {
            return Err(forbidden(
                "the admin routes are reached as localhost, 127.0.0.1 or [::1] only",
            ));
        }
        if PROXIED.iter().any(|name| parts.headers.contains_key(name)) {
            return Err(forbidden(
                "the admin routes answer this machine, not whom a proxy on it speaks for: give the node a token",
            ));
        }
    }
    if origin_is_foreign(parts) {
        return Err(forbidden("the admin routes take no requests from other origins"));
    }
    Ok(())
}

fn forbidden(message: &'static str) -> Refusal {
    Refusal::before(Failure::forbidden(message))
}

/// Whether the token is presented. One that is wrong is refused, from this machine too.
fn presents_token(parts: &Parts, token: Option<&Secret>) -> Result<bool, Refusal> {
    let (Some(token), Some(value)) = (token, parts.headers.get(AUTHORIZATION)) else {
        return Ok(false);
    };
    let presented = value.to_str().ok().and_then(|text| {
        let (scheme, presented) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| presented.trim())
    });
    match presented {
        Some(presented) if token.is(presented) => Ok(true),
        _ => Err(Refusal::unauthenticated("this is not the node's token")),
    }
}

/// Whether the request names this machine: in its target, where that has a host, and in its Host header. HTTP/2 has the
/// host in the target (`:authority`) and may leave the header out.
pub(crate) fn host_is_loopback(parts: &Parts) -> bool {
    if parts.uri.authority().is_some_and(|authority| !is_loopback(authority)) {
        return false;
    }
    let mut hosts = parts.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => parts.version == Version::HTTP_2 && parts.uri.authority().is_some(),
        (Some(host), None) => Authority::try_from(host.as_bytes()).is_ok_and(|host| is_loopback(&host)),
        (Some(_), Some(_)) => false,
    }
}

fn is_loopback(authority: &Authority) -> bool {
    // A user part has no business here and could hide the host from a careless eye.
    if authority.as_str().contains('@') {
        return false;
    }
    let host = authority.host();
    let literal = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    match literal.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// Whether a page that was not served by this very host and port asks.
fn origin_is_foreign(parts: &Parts) -> bool {
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| parts.uri.authority().map(Authority::as_str));
    parts.headers.get_all(ORIGIN).iter().any(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        let own = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        !own.zip(host).is_some_and(|(own, host)| own.eq_ignore_ascii_case(host))
    })
}

#[cfg(test)]
mod tests {
    use http::{Request, StatusCode};

    use super::*;

    const TOKEN: &str = "correct-horse";

    fn checked(peer: &str, lines: &[(&str, &str)], token: bool) -> u16 {
        let mut request = Request::builder().uri("/_node/tree");
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        let peer = SocketAddr::new(peer.parse().expect("an address"), 40_000);
        let token = token.then(|| Secret::new(TOKEN));
        match check(peer, &parts, token.as_ref()) {
            Ok(()) => StatusCode::OK.as_u16(),
            Err(refusal) => refusal.into_answer().status().as_u16(),
        }
    }

    #[test]
    fn only_this_machine_enters_without_a_token() {
        let local = [("host", "localhost:8080")];
        let table = [
            ("127.0.0.1", 200),
            ("127.8.9.10", 200),
            ("::1", 200),
            ("::ffff:127.0.0.1", 200),
            ("10.0.0.7", 403),
            ("::ffff:10.0.0.7", 403),
            ("2001:db8::1", 403),
        ];
        for (peer, expected) in table {
            assert_eq!(checked(peer, &local, false), expected, "{peer}");
        }
        assert_eq!(checked("10.0.0.7", &local, true), 401);
    }

    #[test]
    fn the_host_must_be_loopback() {
        let table = [
            ("localhost", 200),
            ("LOCALHOST:1", 200),
            ("127.0.0.1:8080", 200),
            ("127.255.0.1", 200),
            ("[::1]:8080", 200),
            ("[::1]", 200),
            ("evil.example", 403),
            ("localhost.evil.example", 403),
            ("127.0.0.1.evil.example", 403),
            ("localhost@evil.example", 403),
            ("evil.example@localhost", 403),
            ("10.0.0.1", 403),
            ("", 403),
        ];
        for (host, expected) in table {
            assert_eq!(checked("127.0.0.1", &[("host", host)], false), expected, "{host:?}");
        }
        assert_eq!(checked("127.0.0.1", &[], false), 403);
        assert_eq!(
            checked("127.0.0.1", &[("host", "localhost"), ("host", "evil.example")], false),
            403
        );
    }

    #[test]
    fn http_2_names_its_host_in_the_target() {
        let table = [
            ("http://localhost:8080/_node/tree", None, 200),
            ("https://[::1]:8080/_node/tree", None, 200),
            ("http://localhost/_node/tree", Some("localhost"), 200),
            ("http://evil.example/_node/tree", None, 403),
            ("http://evil.example/_node/tree", Some("localhost"), 403),
            ("http://localhost/_node/tree", Some("evil.example"), 403),
            ("/_node/tree", None, 403),
        ];
        for (target, host, expected) in table {
            let mut request = Request::builder().version(Version::HTTP_2).uri(target);
            if let Some(host) = host {
                request = request.header("host", host);
            }
            let (parts, ()) = request.body(()).expect("a request").into_parts();
            let status = check(SocketAddr::from(([127, 0, 0, 1], 40_000)), &parts, None)
                .map_or_else(|refusal| refusal.into_answer().status().as_u16(), |()| 200);
            assert_eq!(status, expected, "{target} {host:?}");
        }
        let request = Request::builder()
            .version(Version::HTTP_2)
            .uri("http://localhost:8080/_node/tree");
        let request = request.header("origin", "http://localhost:3000");
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        assert!(check(SocketAddr::from(([127, 0, 0, 1], 40_000)), &parts, None).is_err());
    }

    #[test]
    fn whom_a_proxy_on_this_machine_speaks_for_is_a_stranger() {
        let lines = |name| {
            [
                ("host", "127.0.0.1:8080"),
                (name, "10.0.0.7"),
                ("authorization", "Bearer correct-horse"),
            ]
        };
        for name in ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"] {
            assert_eq!(checked("127.0.0.1", &lines(name)[..2], false), 403, "{name}");
            assert_eq!(checked("127.0.0.1", &lines(name), true), 200, "{name}");
        }
    }

    #[test]
    fn the_token_opens_from_anywhere_and_a_wrong_one_from_nowhere() {
        let bearer = |text| [("host", "shop.example"), ("authorization", text)];
        assert_eq!(checked("10.0.0.7", &bearer("Bearer correct-horse"), true), 200);
        assert_eq!(checked("10.0.0.7", &bearer("bearer correct-horse"), true), 200);
        for wrong in [
            "Bearer correct-hors",
            "Bearer",
            "Basic correct-horse",
            "correct-horse",
            "",
        ] {
            assert_eq!(checked("127.0.0.1", &bearer(wrong), true), 401, "{wrong:?}");
        }
        assert_eq!(checked("10.0.0.7", &bearer("Bearer correct-horse"), false), 403);
    }

    #[test]
    fn a_foreign_origin_is_refused_even_with_the_token() {
        let with = |origin| [("host", "localhost:8080"), ("origin", origin)];
        assert_eq!(checked("127.0.0.1", &with("http://localhost:8080"), false), 200);
        for origin in ["http://localhost:3000", "http://evil.example", "null", "", "file://"] {
            assert_eq!(checked("127.0.0.1", &with(origin), false), 403, "{origin:?}");
        }
        let lines = [
            ("host", "a.example"),
            ("origin", "http://b.example"),
            ("authorization", "Bearer correct-horse"),
        ];
        assert_eq!(checked("10.0.0.7", &lines, true), 403);
    }
}

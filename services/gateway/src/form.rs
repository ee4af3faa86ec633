//! The form of a request: what a reader of HTTP must check and hyper leaves to us.
//!
//! A request whose host, target or coding can be read in two ways means one thing to us and another to whoever stands
//! before us, so it is refused. And a request ends with its body: what nobody read of one must not keep the next request on
//! the same connection from its answer.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, EXPECT, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Version};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use roadshow_services::Failure;
use tokio::time::timeout;

use crate::answer::Answer;
use crate::api;
use crate::connection::HEADERS_MAX;
use crate::refusal::Refusal;

/// The methods that some path may take: the answer to who asks about the node as a whole.
const METHODS: HeaderValue = HeaderValue::from_static("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
/// How much of a body that nobody read is thrown away before the connection is given up, and for how long.
const LEFT_MAX: usize = 64 << 10;
const LEFT_TIME_MAX: Duration = Duration::from_millis(100);

/// Checks a request's head. Answers it where it asks about the node as a whole.
///
/// # Errors
/// What is wrong with its form.
pub(crate) fn check(parts: &Parts) -> Result<Option<Answer>, Refusal> {
    // hyper counts the headers of HTTP/1 itself.
    if parts.headers.len() > HEADERS_MAX {
        return Err(Refusal::too_many_headers(HEADERS_MAX));
    }
    check_host(parts)?;
    check_coding(&parts.headers)?;
    if parts.method == Method::CONNECT {
        return Err(Refusal::method_not_allowed(&METHODS));
    }
    match parts.uri.path() {
        "*" if parts.method == Method::OPTIONS => Ok(Some(api::methods(&METHODS))),
        path if path.starts_with('/') => Ok(None),
        _ => {
            let failure = Failure::invalid("the target of a request is a path, which begins with a slash");
            Err(Refusal::before(failure).closing())
        }
    }
}

/// A request names one host: HTTP/1.1 in one Host header, HTTP/2 in its target, with which a header must then agree. With
/// none, several, or one that is no host, it may mean different things to different readers.
fn check_host(parts: &Parts) -> Result<(), Refusal> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let target = parts.uri.authority();
    let clear = match (hosts.next(), hosts.next(), parts.version) {
        (_, Some(_), _) => false,
        (Some(host), None, version) => {
            let agrees = target.is_none_or(|target| target.as_str().as_bytes().eq_ignore_ascii_case(host.as_bytes()));
            is_host(host) && (version != Version::HTTP_2 || agrees)
        }
        (None, None, Version::HTTP_2) => target.is_some(),
        (None, None, Version::HTTP_11) => false,
        _ => true,
    };
    if clear && target.is_none_or(names_a_host) {
        return Ok(());
    }
    let failure = Failure::invalid("a request has one host header, which names a host and agrees with its target");
    Err(Refusal::before(failure).closing())
}

/// Whether a Host header is a host, with a port or without. An empty one stands for a target without a host.
fn is_host(value: &HeaderValue) -> bool {
    value.is_empty()
        || is_plain_host(value.as_bytes())
        || Authority::try_from(value.as_bytes()).is_ok_and(|authority| names_a_host(&authority))
}

/// Whether it is a name or an IPv4 address, with a port or without: what nearly everybody sends, told at a glance.
fn is_plain_host(host: &[u8]) -> bool {
    let name_end = host.iter().position(|byte| *byte == b':').unwrap_or(host.len());
    let (name, port) = host.split_at(name_end);
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let digits = port.get(1..).unwrap_or_default();
    let number = digits.iter().try_fold(0_u32, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
        Some(number * 10 + digit).filter(|number| *number <= u32::from(u16::MAX))
    });
    !name.is_empty() && name.iter().all(is_name) && number.is_some()
}

/// Whether there is no user before the host, and no port beyond those that are.
fn names_a_host(authority: &Authority) -> bool {
    let text = authority.as_str();
    let port = text.strip_prefix(authority.host()).unwrap_or(text);
    let has_port = port
        .strip_prefix(':')
        .is_some_and(|port| port.is_empty() || port.parse::<u16>().is_ok());
    !text.contains('@') && (port.is_empty() || has_port)
}

/// Bodies come whole or in chunks. hyper sees to it that chunks come last, and not that nothing comes before them.
fn check_coding(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(one), None) if one.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(Refusal::unknown_coding()),
    }
}

/// Leaves the connection ready for its next request: throws a little of a body away that nobody has read, and closes where
/// there is more or where it does not come. A client that has sent all of a small body has lost nothing.
pub(crate) async fn leave(parts: &Parts, body: &mut Incoming, answer: &mut Answer) {
    // HTTP/2 ends the stream, and nothing else.
    if body.is_end_stream() || parts.version == Version::HTTP_2 || answer.headers().contains_key(CONNECTION) {
        return;
    }
    // Reading would tell a client that asks first to go on and send.
    let read = !parts.headers.contains_key(EXPECT)
        && body.size_hint().lower() <= LEFT_MAX as u64
        && timeout(LEFT_TIME_MAX, throw_away(body)).await.unwrap_or(false);
    if !read {
        answer
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Reads a body to its end. False if it is too long, or broken.
async fn throw_away(body: &mut Incoming) -> bool {
    let mut seen = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        seen += frame.data_ref().map_or(0, Bytes::len);
        if seen > LEFT_MAX {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn status(method: &str, target: &str, headers: &[(&str, &str)]) -> u16 {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        match check(&parts) {
            Ok(None) => 200,
            Ok(Some(answer)) => answer.status().as_u16(),
            Err(refusal) => refusal.into_answer().status().as_u16(),
        }
    }

    #[test]
    fn a_host_is_a_host_and_nothing_more() {
        let table = [
            ("shop.example", 200),
            ("shop.example:8080", 200),
            ("shop.example:", 200),
            ("[::1]:8080", 200),
            ("", 200),
            ("shop.example:65536", 400),
            ("shop.example:x", 400),
            ("ada@shop.example", 400),
            ("shop.example/x", 400),
            ("shop example", 400),
            ("a, b", 400),
            ("[::1", 400),
        ];
        for (host, expected) in table {
            assert_eq!(status("GET", "/", &[("host", host)]), expected, "{host:?}");
        }
        assert_eq!(status("GET", "/", &[]), 400);
        assert_eq!(status("GET", "/", &[("host", "a"), ("host", "a")]), 400);
        assert_eq!(status("GET", "http://ada@b/", &[("host", "b")]), 400);
    }

    #[test]
    fn a_target_is_a_path_or_the_node_as_a_whole() {
        let host = [("host", "localhost")];
        let table = [
            ("GET", "/a", 200),
            ("GET", "http://shop.example/a", 200),
            ("GET", "http://shop.example", 200),
            ("OPTIONS", "*", 204),
            ("GET", "*", 400),
            ("GET", "shop.example", 400),
            ("CONNECT", "shop.example:443", 405),
        ];
        for (method, target, expected) in table {
            assert_eq!(status(method, target, &host), expected, "{method} {target}");
        }
    }

    #[test]
    fn chunks_are_the_only_coding() {
        let table: [(&[&str], u16); 5] = [
            (&["chunked"], 200),
            (&["Chunked"], 200),
            (&["gzip, chunked"], 501),
            (&["gzip", "chunked"], 501),
            (&["chunked", "chunked"], 501),
        ];
        for (codings, expected) in table {
            let codings = codings.iter().map(|coding| ("transfer-encoding", *coding));
            let headers: Vec<_> = std::iter::once(("host", "localhost")).chain(codings).collect();
            assert_eq!(status("POST", "/", &headers), expected, "{headers:?}");
        }
    }
}

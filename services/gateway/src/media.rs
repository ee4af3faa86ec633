//! Media types: whether a body is JSON by its own account, and whether a caller takes JSON.

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};

/// Whether the content type is JSON: `application/json` or `application/…+json`, in UTF-8 where it says a charset.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(one), None) = (types.next(), types.next()) else {
        return false;
    };
    let Ok(text) = one.to_str() else { return false };
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let json = essence == "application/json"
        || essence
            .strip_prefix("application/")
            .is_some_and(|subtype| subtype.ends_with("+json"));
    json && parts.all(charset_is_utf_8)
}

fn charset_is_utf_8(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else {
        return true;
    };
    !name.trim().eq_ignore_ascii_case("charset") || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
}

/// Whether the body is compressed, or otherwise not what it is.
pub(crate) fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Whether the caller takes JSON. Of the ranges that match, the most specific decides; without the header, everything
/// is taken; a header that cannot be read excludes nothing.
pub(crate) fn takes_json(headers: &HeaderMap) -> bool {
    let mut best: Option<(u8, bool)> = None;
    let mut ranges = 0;
    for value in headers.get_all(ACCEPT) {
        let Ok(text) = value.to_str() else { return true };
        for range in text.split(',').map(str::trim).filter(|range| !range.is_empty()) {
            ranges += 1;
            let Some((precision, wanted)) = matches_json(range) else {
                continue;
            };
            if best.is_none_or(|(known, _)| precision > known) {
                best = Some((precision, wanted));
            }
        }
    }
    best.map_or(ranges == 0, |(_, wanted)| wanted)
}

/// Whether the caller asks for server-sent events by name, as a browser's `EventSource` does.
pub(crate) fn wants_events(headers: &HeaderMap) -> bool {
    ranges(headers).any(|(name, refused)| name == "text/event-stream" && !refused)
}

/// Whether the caller takes server-sent events where there is nothing else.
pub(crate) fn takes_events(headers: &HeaderMap) -> bool {
    let mut named = None;
    let mut any = None;
    for (name, refused) in ranges(headers) {
        match name.as_str() {
            "text/event-stream" => named = Some(!refused),
            "text/*" | "*/*" => any = Some(any.unwrap_or_default() || !refused),
            _ => any = any.or(Some(false)),
        }
    }
    named.or(any).unwrap_or(true)
}

/// The ranges of the accept header, in lower case, and whether their weight refuses them.
fn ranges(headers: &HeaderMap) -> impl Iterator<Item = (String, bool)> {
    let texts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges = texts.flat_map(|text| text.split(',')).map(str::trim);
    ranges.filter(|range| !range.is_empty()).map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        (name, is_refused(parts))
    })
}

fn is_refused<'p>(mut parameters: impl Iterator<Item = &'p str>) -> bool {
    let weight = parameters.find_map(|parameter| parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")));
    weight.is_some_and(|weight| weight.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0))
}

/// How precisely a range matches JSON, and whether with a weight above zero.
fn matches_json(range: &str) -> Option<(u8, bool)> {
    let mut parts = range.split(';').map(str::trim);
    let precision = match parts.next()?.to_ascii_lowercase().as_str() {
        "*/*" => 0,
        "application/*" => 1,
        "application/json" | "application/problem+json" => 2,
        _ => return None,
    };
    Some((precision, !is_refused(parts)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: http::HeaderName, value: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(value) = value {
            headers.insert(name, value.parse().expect("a header value"));
        }
        headers
    }

    #[test]
    fn json_is_json_by_any_of_its_names() {
        let table = [
            (Some("application/json"), true),
            (Some("Application/JSON; charset=utf-8"), true),
            (Some("application/json;charset=\"UTF-8\""), true),
            (Some("application/merge-patch+json"), true),
            (Some("application/json; charset=latin1"), false),
            (Some("text/plain"), false),
            (Some("text/json"), false),
            (Some("application/x-www-form-urlencoded"), false),
            (Some(""), false),
            (None, false),
        ];
        for (value, expected) in table {
            assert_eq!(is_json(&headers(CONTENT_TYPE, value)), expected, "{value:?}");
        }
    }

    #[test]
    fn events_are_for_whoever_names_them() {
        let table = [
            (None, false, true),
            (Some("text/event-stream"), true, true),
            (Some("Text/Event-Stream; q=0.5, application/json"), true, true),
            (Some("text/event-stream;q=0"), false, false),
            (Some("text/event-stream;q=0, */*"), false, false),
            (Some("*/*"), false, true),
            (Some("text/*"), false, true),
            (Some("application/json"), false, false),
            (Some("*/*;q=0"), false, false),
        ];
        for (value, wanted, taken) in table {
            let headers = headers(ACCEPT, value);
            assert_eq!(
                (wants_events(&headers), takes_events(&headers)),
                (wanted, taken),
                "{value:?}"
            );
        }
    }

    #[test]
    fn the_most_specific_range_decides() {
        let table = [
            (None, true),
            (Some(""), true),
            (Some("*/*"), true),
            (Some("application/json"), true),
            (Some("text/html, application/*;q=0.1"), true),
            (Some("text/html"), false),
            (Some("application/json;q=0, */*"), false),
            (Some("*/*;q=0"), false),
            (Some("*/*;q=0, application/json"), true),
            (Some("application/problem+json"), true),
        ];
        for (value, expected) in table {
            assert_eq!(takes_json(&headers(ACCEPT, value)), expected, "{value:?}");
        }
    }
}

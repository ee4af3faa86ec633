//! The documents as pages of a node: rendered once when it starts, and told to be unchanged to whoever has them.

use std::fmt;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, HeaderMap, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use ring::digest::{SHA256, digest};

use crate::answer::{self, Answer, JSON};
use crate::docs_page::DocsPage;
use crate::openapi::OpenApi;

/// The media type of YAML (RFC 9512).
const YAML: HeaderValue = HeaderValue::from_static("application/yaml");
/// Kept, but asked for again every time: a node may come back with other commands.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// What `/openapi.json`, `/openapi.yaml` and `/docs` answer.
pub(crate) struct Documents {
    json: Document,
    yaml: Document,
    page: DocsPage,
}

impl fmt::Debug for Documents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Documents").finish_non_exhaustive()
    }
}

impl Documents {
    /// Renders all of them. `secure`: the node is reached over HTTPS.
    pub(crate) fn new(document: &OpenApi, secure: bool) -> Self {
        Documents {
            json: Document::new(document.to_json(), JSON),
            yaml: Document::new(document.to_yaml(), YAML),
            page: DocsPage::new(document, secure),
        }
    }

    pub(crate) fn json(&self, parts: &Parts) -> Answer {
        self.json.answer(&parts.headers)
    }

    pub(crate) fn yaml(&self, parts: &Parts) -> Answer {
        self.yaml.answer(&parts.headers)
    }

    pub(crate) fn page(&self, parts: &Parts) -> Answer {
        self.page.answer(parts)
    }
}

/// One text with its type and its tag.
struct Document {
    text: Bytes,
    content_type: HeaderValue,
    tag: HeaderValue,
}

impl Document {
    fn new(text: String, content_type: HeaderValue) -> Self {
        Document {
            tag: tag_of(text.as_bytes()),
            text: text.into(),
            content_type,
        }
    }

    fn answer(&self, headers: &HeaderMap) -> Answer {
        tagged(headers, &self.tag, || {
            answer::content(StatusCode::OK, self.content_type.clone(), self.text.clone())
        })
    }
}

/// A strong entity tag: the same bytes have the same one, on every node.
pub(crate) fn tag_of(bytes: &[u8]) -> HeaderValue {
    let hash = digest(&SHA256, bytes);
    let digits: String = hash.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::try_from(format!("\"{digits}\"")).expect("a tag is made of digits")
}

/// An answer with its tag; 304 for whoever has it already.
pub(crate) fn tagged(headers: &HeaderMap, tag: &HeaderValue, whole: impl FnOnce() -> Answer) -> Answer {
    let mut answer = if knows(headers, tag) {
        let mut unchanged = answer::empty(StatusCode::NOT_MODIFIED);
        // The page that is shown again keeps its own policy.
        unchanged.headers_mut().remove(CONTENT_SECURITY_POLICY);
        unchanged
    } else {
        whole()
    };
    let headers = answer.headers_mut();
    headers.insert(ETAG, tag.clone());
    headers.insert(CACHE_CONTROL, ASK_AGAIN);
    answer
}

/// Whether the caller has what the tag stands for. Weak tags compare like strong ones here (RFC 9110, section 13.1.2).
fn knows(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let known = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut tags = known.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known).as_bytes() == tag.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_names_the_tag_has_the_document() {
        let tag = tag_of(b"a document");
        let own = tag.to_str().expect("digits").to_owned();
        let table = [
            (None, false),
            (Some("*".to_owned()), true),
            (Some(own.clone()), true),
            (Some(format!("W/{own}")), true),
            (Some(format!("\"other\", {own}")), true),
            (Some("\"other\"".to_owned()), false),
            (Some(own.trim_matches('"').to_owned()), false),
        ];
        for (value, expected) in table {
            let mut headers = HeaderMap::new();
            if let Some(value) = &value {
                headers.insert(IF_NONE_MATCH, value.parse().expect("a header value"));
            }
            assert_eq!(knows(&headers, &tag), expected, "{value:?}");
        }
        assert_ne!(tag, tag_of(b"another"));
    }
}

//! `/docs`: the OpenAPI document as a page for people.
//!
//! It is written here, once, when the node starts. It loads nothing and runs nothing: no script, no address but the
//! node's own, and a style sheet whose hash stands in the page's own policy, so that nothing that slipped into a
//! description could do more than look odd. Only the origin in its examples is the reader's.

mod curl;
mod html;
mod operation;
mod prose;
mod sample;
mod types;

use std::fmt;

use http::header::{CONTENT_SECURITY_POLICY, HOST};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use ring::digest::{SHA256, digest};

use crate::answer::{self, Answer};
use crate::openapi::{OpenApi, Operation, Tag, tag_of, tagged};
use html::Html;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const STYLE: &str = include_str!("docs_page/style.css");
/// The longest host that is believed, in bytes.
const HOST_LEN_MAX: usize = 255;

/// The page, but for the origin.
pub(crate) struct DocsPage {
    html: Html,
    policy: HeaderValue,
    secure: bool,
}

impl fmt::Debug for DocsPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocsPage").finish_non_exhaustive()
    }
}

impl DocsPage {
    /// Writes the page of a document. `secure`: the node is reached over HTTPS.
    pub(crate) fn new(document: &OpenApi, secure: bool) -> Self {
        let mut html = Html::new();
        write(&mut html, document);
        let hash = base64(digest(&SHA256, STYLE.as_bytes()).as_ref());
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        DocsPage {
            html,
            policy: HeaderValue::try_from(policy).expect("a policy is made of visible characters"),
            secure,
        }
    }

    /// The page as the reader reached it.
    pub(crate) fn answer(&self, parts: &Parts) -> Answer {
        let scheme = if self.secure { "https" } else { "http" };
        let page = self.html.page(&format!("{scheme}://{}", host_of(parts)));
        let tag = tag_of(page.as_bytes());
        tagged(&parts.headers, &tag, || {
            let mut answer = answer::content(StatusCode::OK, HTML, page);
            answer
                .headers_mut()
                .insert(CONTENT_SECURITY_POLICY, self.policy.clone());
            answer
        })
    }
}

/// The host that the reader asked, if it can stand in a command line; else this machine.
fn host_of(parts: &Parts) -> &str {
    let named = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let asked = parts.uri.authority().map(http::uri::Authority::as_str).or(named);
    let is_plain = |host: &&str| {
        let chars = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte);
        (1..=HOST_LEN_MAX).contains(&host.len()) && host.bytes().all(chars)
    };
    asked.filter(is_plain).unwrap_or("localhost")
}

fn write(html: &mut Html, document: &OpenApi) {
    let info = &document.info;
    html.tags("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.tags("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    html.tags("<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
    html.text(&info.title).tags(" ").text(&info.version);
    html.tags("</title>\n<style>")
        .tags(STYLE)
        .tags("</style>\n</head>\n<body>\n");
    html.tags("<header class=\"top\">\n<h1>").text(&info.title);
    html.tags(" <span class=\"version\">")
        .text(&info.version)
        .tags("</span></h1>\n");
    html.tags("<p class=\"lead\">The commands that this Roadshow node answers over HTTP, under <code>")
        .origin();
    html.tags("</code>. ");
    prose::line(html, info.description);
    html.tags("</p>\n<nav class=\"links\"><a href=\"/openapi.json\">openapi.json</a> <a href=\"/openapi.yaml\">openapi.yaml</a> ");
    html.tags("<a href=\"/readyz\">readyz</a> <a href=\"/metrics\">metrics</a></nav>\n</header>\n");
    html.tags("<div class=\"page\">\n");
    contents(html, document);
    html.tags("<main>\n");
    for tag in shown(document) {
        html.tags("<section class=\"group\"><h2 id=\"tag-")
            .text(&tag.name.replace(char::is_whitespace, "-"))
            .tags("\">")
            .text(&tag.name)
            .tags("</h2>\n");
        if let Some(text) = &tag.description {
            html.tags("<p class=\"group-about\">");
            prose::line(html, text);
            html.tags("</p>\n");
        }
        for (method, path, operation) in operations(document, &tag.name) {
            operation::write(html, document, method, path, operation);
        }
        html.tags("</section>\n");
    }
    if document.paths.is_empty() {
        html.tags("<p class=\"empty\">No command of this node declares a route. <code>.http(Method::Get, &quot;/path&quot;)</code> ");
        html.tags("gives one a place here.</p>\n");
    } else {
        every_call(html, document);
    }
    html.tags("</main>\n</div>\n</body>\n</html>\n");
}

/// The headings under which something stands.
fn shown(document: &OpenApi) -> impl Iterator<Item = &Tag> {
    let tags = document.tags.iter();
    tags.filter(|tag| operations(document, &tag.name).next().is_some())
}

/// The operations under one heading, each only under its first.
fn operations<'a>(document: &'a OpenApi, tag: &str) -> impl Iterator<Item = (&'static str, &'a str, &'a Operation)> {
    let all = document.paths.iter().flat_map(|(path, item)| {
        let at_path = item.operations();
        at_path.map(move |(method, operation)| (method, path, operation))
    });
    all.filter(move |(_, _, operation)| operation.tags.first().is_some_and(|first| first == tag))
}

fn contents(html: &mut Html, document: &OpenApi) {
    html.tags("<nav class=\"contents\"><details open><summary>Contents</summary>\n");
    for tag in shown(document) {
        html.tags("<p><a href=\"#tag-")
            .text(&tag.name.replace(char::is_whitespace, "-"))
            .tags("\">")
            .text(&tag.name)
            .tags("</a></p>\n<ul>\n");
        for (method, path, operation) in operations(document, &tag.name) {
            html.tags(if operation.deprecated {
                "<li class=\"deprecated\"><a href=\"#"
            } else {
                "<li><a href=\"#"
            });
            html.text(&operation.operation_id).tags("\">");
            operation::badge(html, method);
            let place = path.split('/').skip(3).collect::<Vec<&str>>().join("/");
            html.tags("<span>/").text(&place).tags("</span></a></li>\n");
        }
        html.tags("</ul>\n");
    }
    if !document.paths.is_empty() {
        html.tags("<p><a href=\"#every-call\">Every call</a></p>\n");
    }
    html.tags("</details></nav>\n");
}

/// What holds for all operations: headers, authentication, problems.
fn every_call(html: &mut Html, document: &OpenApi) {
    let components = &document.components;
    html.tags("<section class=\"group\"><h2 id=\"every-call\">Every call</h2>\n<article class=\"operation\">\n");
    html.tags("<h4>Headers that a caller may send</h4>\n<div class=\"wide\"><table><tbody>\n");
    let types = types::Types::new(&components.schemas);
    for (_, parameter) in components.parameters.iter() {
        html.tags("<tr><td><code class=\"name\">")
            .text(&parameter.name)
            .tags("</code></td><td>");
        if let Some(schema) = parameter.value_schema() {
            html.tags("<span class=\"type\">")
                .text(&types.words(schema))
                .tags("</span>");
        }
        html.tags("</td><td>");
        prose::line(html, parameter.description.as_deref().unwrap_or_default());
        html.tags("</td></tr>\n");
    }
    html.tags("</tbody></table></div>\n");
    if !components.security_schemes.is_empty() {
        html.tags("<h4>Authentication</h4>\n<p>Operations that need it want the header <code>");
        html.text(&document.security.curl_header()).tags("</code>.</p>\n");
    }
    html.tags("<h4>Problems</h4>\n<div class=\"wide\"><table><tbody>\n");
    let mut shared: Vec<(String, &str)> = components
        .responses
        .iter()
        .map(|(_, response)| response)
        .filter_map(|response| {
            let (_, media) = response.content.iter().next()?;
            let (_, example) = media.examples.iter().next()?;
            Some((example.value.get("status")?.to_string(), response.description.as_str()))
        })
        .collect();
    shared.sort();
    let mut last = String::new();
    for (status, description) in shared {
        html.tags("<tr");
        if status != last {
            html.tags(" id=\"problem-").text(&status).tags("\"");
        }
        html.tags("><td><span class=\"status bad\">")
            .text(&status)
            .tags("</span></td><td>");
        prose::line(html, description);
        html.tags("</td></tr>\n");
        last = status;
    }
    html.tags("</tbody></table></div>\n<h4>A problem is</h4>\n<div class=\"listing\">");
    if let Some(schema) = components.schemas.get("Problem") {
        types::Types::new(&components.schemas).write(html, schema);
    }
    html.tags("</div>\n</article></section>\n");
}

/// Base 64 as content policies write hashes.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| (bits << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_written_as_policies_want_them() {
        for (bytes, expected) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(base64(bytes.as_bytes()), expected);
        }
    }

    #[test]
    fn only_a_host_that_is_one_is_repeated() {
        let table = [
            ("node.example:8080", "node.example:8080"),
            ("[::1]:8080", "[::1]:8080"),
            ("$(reboot)", "localhost"),
            ("a'b", "localhost"),
            ("<script>", "localhost"),
            ("", "localhost"),
        ];
        for (host, expected) in table {
            let request = http::Request::builder().header(HOST, host).body(()).expect("a request");
            assert_eq!(host_of(&request.into_parts().0), expected, "{host}");
        }
    }
}

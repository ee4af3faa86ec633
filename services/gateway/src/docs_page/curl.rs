//! A request as a command for a shell: what is pasted does what the page says and nothing else.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::docs_page::html::Html;
use crate::docs_page::sample;
use crate::openapi::{Components, Operation, Parameter, Place, RefOr, SecurityScheme};

/// What stays as it is in a part of an address.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Writes the command for one operation. The origin is the reader's.
pub(crate) fn write(
    html: &mut Html,
    method: &str,
    path: &str,
    operation: &Operation,
    components: &Components,
    security: &SecurityScheme,
) {
    html.tags("curl");
    if method != "GET" && !(method == "POST" && operation.request_body.is_some()) {
        html.tags(" -X ").text(method);
    }
    let parameters = || {
        operation
            .parameters
            .iter()
            .filter_map(|known| known.resolve(&components.parameters))
    };
    html.tags(" &#39;")
        .origin()
        .text(&path_of(path, parameters(), components));
    html.text(&query_of(parameters(), components)).tags("&#39;");
    if !operation.security.is_empty() {
        html.text(&format!(" \\\n  -H \"{}\"", in_double_quotes(&security.curl_header())));
    }
    let body = operation
        .request_body
        .as_ref()
        .and_then(|body| body.content.iter().next());
    if let Some((media_type, media)) = body {
        let example = media.examples.iter().next().map(|(_, example)| example.value.clone());
        let value = example.unwrap_or_else(|| sample::of(&media.schema, &components.schemas));
        html.text(&format!(
            " \\\n  -H {}",
            in_quotes(&format!("content-type: {media_type}"))
        ));
        html.text(&format!(" \\\n  -d {}", in_quotes(&value.to_string())));
    }
}

fn path_of<'a>(template: &str, parameters: impl Iterator<Item = &'a Parameter>, components: &Components) -> String {
    let mut path = template.to_owned();
    for parameter in parameters.filter(|parameter| parameter.is_path()) {
        let value = texts(&value_of(parameter, components)).concat();
        path = path.replace(&format!("{{{}}}", parameter.name), &encoded(&value));
    }
    path
}

/// What must be asked, and what an example asks.
fn query_of<'a>(parameters: impl Iterator<Item = &'a Parameter>, components: &Components) -> String {
    let mut query = String::new();
    let is_shown =
        |parameter: &&Parameter| parameter.place == Place::Query && (parameter.required || parameter.example.is_some());
    for parameter in parameters.filter(is_shown) {
        for text in texts(&value_of(parameter, components)) {
            query.push(if query.is_empty() { '?' } else { '&' });
            query.push_str(&format!("{}={}", encoded(&parameter.name), encoded(&text)));
        }
    }
    query
}

fn value_of(parameter: &Parameter, components: &Components) -> Value {
    let sampled = || {
        parameter
            .value_schema()
            .map(|schema| sample::of(schema, &components.schemas))
    };
    parameter.example.clone().or_else(sampled).unwrap_or(Value::Null)
}

/// A value as an address says it: one text for each item of a list.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::String(text) => vec![text.clone()],
        value => vec![value.to_string()],
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// A text for a POSIX shell that stands for nothing but itself.
fn in_quotes(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A text whose only variable is the secret's.
fn in_double_quotes(text: &str) -> String {
    let is_plain = |c: &char| (c.is_ascii_alphanumeric() || " :-_$".contains(*c)) && !c.is_control();
    text.chars().filter(is_plain).collect()
}

/// The parameters of an operation, wherever they stand.
pub(crate) fn parameters<'a>(
    operation: &'a Operation,
    components: &'a Components,
) -> impl Iterator<Item = &'a Parameter> {
    let known = operation.parameters.iter();
    known.filter_map(|parameter: &'a RefOr<Parameter>| parameter.resolve(&components.parameters))
}

//! One operation on the page: what it is, what it takes, what it answers, and how to try it.

use serde_json::Value;

use crate::docs_page::html::Html;
use crate::docs_page::types::Types;
use crate::docs_page::{curl, prose};
use crate::openapi::{MediaType, OpenApi, Operation, Ordered, Parameter, Place, RefOr, Response};

/// Writes one operation.
pub(crate) fn write(html: &mut Html, document: &OpenApi, method: &'static str, path: &str, operation: &Operation) {
    html.tags("<article id=\"").text(&operation.operation_id);
    html.tags(if operation.deprecated {
        "\" class=\"operation deprecated\">\n"
    } else {
        "\" class=\"operation\">\n"
    });
    head(html, method, path, operation);
    html.tags("<div class=\"sides\">\n<div class=\"side\">\n");
    if let Some(text) = &operation.description {
        html.tags("<div class=\"about\">");
        prose::write(html, text);
        html.tags("</div>\n");
    }
    parameters(html, document, operation);
    types(html, document, operation);
    problems(html, document, operation);
    html.tags("</div>\n<div class=\"side tries\">\n");
    request(html, document, method, path, operation);
    replies(html, operation);
    html.tags("</div>\n</div>\n</article>\n");
}

fn head(html: &mut Html, method: &'static str, path: &str, operation: &Operation) {
    html.tags("<header><h3><a class=\"anchor\" href=\"#")
        .text(&operation.operation_id)
        .tags("\">");
    html.text(operation.summary.as_deref().unwrap_or(&operation.operation_id))
        .tags("</a>");
    if operation.deprecated {
        html.tags(" <span class=\"flag old\">deprecated</span>");
    }
    if !operation.security.is_empty() {
        html.tags(" <span class=\"flag closed\">needs authentication</span>");
    }
    html.tags("</h3>\n<p class=\"place\">");
    badge(html, method);
    html.tags("<code class=\"path\">");
    template(html, path);
    html.tags("</code> <code class=\"command\">")
        .text(&operation.operation_id)
        .tags("</code></p></header>\n");
}

/// Writes a method in its colour.
pub(crate) fn badge(html: &mut Html, method: &'static str) {
    html.tags(match method {
        "GET" => "<span class=\"method get\">GET</span>",
        "POST" => "<span class=\"method post\">POST</span>",
        "PUT" => "<span class=\"method put\">PUT</span>",
        "PATCH" => "<span class=\"method patch\">PATCH</span>",
        _ => "<span class=\"method delete\">DELETE</span>",
    });
}

/// Writes a path whose fields stand out.
fn template(html: &mut Html, path: &str) {
    for segment in path.split('/').skip(1) {
        html.tags("/<wbr>");
        if segment.starts_with('{') {
            html.tags("<em>").text(segment).tags("</em>");
        } else {
            html.text(segment);
        }
    }
}

fn parameters(html: &mut Html, document: &OpenApi, operation: &Operation) {
    let own: Vec<&Parameter> = curl::parameters(operation, &document.components)
        .filter(|parameter| parameter.place != Place::Header)
        .collect();
    if own.is_empty() {
        return;
    }
    let types = Types::new(&document.components.schemas);
    html.tags("<h4>Parameters</h4>\n<div class=\"wide\"><table>\n");
    html.tags("<thead><tr><th>Name</th><th>In</th><th>Type</th><th>What it is</th></tr></thead>\n<tbody>\n");
    for parameter in own {
        html.tags("<tr><td><code class=\"name\">")
            .text(&parameter.name)
            .tags("</code>");
        if parameter.required {
            html.tags(" <span class=\"required\">required</span>");
        }
        html.tags(if parameter.is_path() {
            "</td><td>path</td><td>"
        } else {
            "</td><td>query</td><td>"
        });
        if let Some(schema) = parameter.value_schema() {
            types.kind(html, schema);
        }
        html.tags("</td><td>");
        prose::line(html, parameter.description.as_deref().unwrap_or_default());
        if parameter.explode == Some(true) {
            html.tags(" <span class=\"bound\">repeat the name for each item</span>");
        }
        html.tags("</td></tr>\n");
    }
    html.tags("</tbody></table></div>\n");
}

fn types(html: &mut Html, document: &OpenApi, operation: &Operation) {
    if let Some(body) = &operation.request_body {
        for (_, media) in body.content.iter() {
            html.tags(if body.required {
                "<h4>Body "
            } else {
                "<h4>Body, may be left out "
            });
            listing(html, document, &media.schema);
        }
    }
    for (status, response) in successes(operation) {
        html.tags("<h4>Reply <span class=\"status good\">")
            .text(status)
            .tags("</span> ");
        match response.content.iter().next() {
            Some((_, media)) => listing(html, document, &media.schema),
            None => {
                html.tags("<span class=\"type\">nothing</span></h4>\n");
            }
        }
    }
}

/// Ends a heading with the type's name, and lists the type.
fn listing(html: &mut Html, document: &OpenApi, schema: &Value) {
    let mut types = Types::new(&document.components.schemas);
    types.kind(html, schema);
    html.tags("</h4>\n<div class=\"listing\">");
    types.write(html, schema);
    html.tags("</div>\n");
}

fn successes(operation: &Operation) -> impl Iterator<Item = (&str, &Response)> {
    operation
        .responses
        .iter()
        .filter_map(|(status, response)| match response {
            RefOr::Here(response) if response.failure.is_none() => Some((status, response)),
            _ => None,
        })
}

/// What the command itself answers on purpose, then what any call may be answered.
fn problems(html: &mut Html, document: &OpenApi, operation: &Operation) {
    html.tags("<h4>Problems</h4>\n");
    let mut shared = Vec::new();
    let mut declared = Vec::new();
    for (status, response) in operation.responses.iter() {
        match response {
            RefOr::Here(response) => declared.extend(response.failure.as_ref().map(|failure| (status, failure))),
            RefOr::Ref { .. } => shared.extend(response.resolve(&document.components.responses).map(|_| status)),
        }
    }
    if !declared.is_empty() {
        html.tags("<ul class=\"problems\">\n");
        for (status, (code, when)) in declared {
            for when in when {
                html.tags("<li><span class=\"status bad\">")
                    .text(status)
                    .tags("</span> <code>");
                html.text(code.as_str()).tags("</code> ");
                prose::line(html, when);
                html.tags("</li>\n");
            }
        }
        html.tags("</ul>\n");
    }
    html.tags("<p class=\"shared\">As any call may be answered:");
    for status in shared {
        html.tags(" <a href=\"#problem-")
            .text(status)
            .tags("\">")
            .text(status)
            .tags("</a>");
    }
    html.tags("</p>\n");
}

fn request(html: &mut Html, document: &OpenApi, method: &'static str, path: &str, operation: &Operation) {
    html.tags("<figure><figcaption>Try it <span class=\"hint\">one click selects it</span></figcaption><pre class=\"curl\"><code>");
    curl::write(html, method, path, operation, &document.components, &document.security);
    html.tags("</code></pre></figure>\n");
}

fn replies(html: &mut Html, operation: &Operation) {
    let mut bodies: Vec<&Ordered<MediaType>> = Vec::new();
    bodies.extend(operation.request_body.as_ref().map(|body| &body.content));
    let more_inputs = bodies
        .iter()
        .flat_map(|content| content.iter())
        .flat_map(|(_, media)| media.examples.iter().skip(1));
    for (_, example) in more_inputs {
        let caption = |html: &mut Html| {
            html.tags("Another body");
        };
        figure(html, caption, &example.value);
    }
    for (status, response) in successes(operation) {
        for (_, media) in response.content.iter() {
            for (_, example) in media.examples.iter() {
                let caption = |html: &mut Html| {
                    html.tags("Reply <span class=\"status good\">")
                        .text(status)
                        .tags("</span>");
                };
                figure(html, caption, &example.value);
            }
        }
    }
}

fn figure(html: &mut Html, caption: impl FnOnce(&mut Html), value: &Value) {
    html.tags("<figure><figcaption>");
    caption(html);
    html.tags("</figcaption><pre><code>");
    html.text(&serde_json::to_string_pretty(value).unwrap_or_default());
    html.tags("</code></pre></figure>\n");
}

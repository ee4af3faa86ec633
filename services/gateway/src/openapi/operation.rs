//! One command or stream as an operation: what it is called, what it takes and everything that it may answer.

use std::collections::BTreeMap;

use http::StatusCode;
use roadshow_services::{Address, Code, CommandContract, CommandNotes, HttpRoute, StreamContract};
use serde_json::{Value, json};

use crate::kind::resolved;
use crate::openapi::document::{Components, Operation, Ordered, Parameter, RefOr, Response};
use crate::openapi::input::{Input, JSON, examples, media};
use crate::openapi::problems::{Trouble, refer};
use crate::openapi::{Preface, nulls, parameters};

const EVENT_STREAM: &str = "text/event-stream";
const STREAM: &str = "All items of the stream; with `accept: text/event-stream`, one after the other as they come.";
const EVENTS: &str = "Server-sent events: one for each item, with its place as `id` and its JSON as `data`. The last one is \
                      named `end`, or `failure` with the problem as `data`.";

/// What a command and a stream promise alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Promise<'a> {
    pub(crate) address: Address,
    pub(crate) notes: &'a CommandNotes,
    idempotent: bool,
    rate_limited: bool,
    streams: bool,
}

impl<'a> From<&'a CommandContract> for Promise<'a> {
    fn from(command: &'a CommandContract) -> Self {
        Promise {
            address: command.address,
            notes: &command.notes,
            idempotent: command.idempotent,
            rate_limited: command.rate_limited,
            streams: false,
        }
    }
}

impl<'a> From<&'a StreamContract> for Promise<'a> {
    fn from(stream: &'a StreamContract) -> Self {
        Promise {
            address: stream.address,
            notes: &stream.notes,
            idempotent: false,
            rate_limited: stream.rate_limited,
            streams: true,
        }
    }
}

/// A command or a stream with its route and its schemas, in the names of the document.
#[derive(Debug)]
pub(crate) struct Described<'a> {
    pub(crate) promise: Promise<'a>,
    pub(crate) route: &'a HttpRoute,
    pub(crate) input: Value,
    /// The reply of a command, one item of a stream.
    pub(crate) reply: Value,
}

impl Described<'_> {
    /// The operation; what it shares with others goes into `components`. `path` has the names that the template of the
    /// path gives to its fields.
    pub(crate) fn operation(
        &self,
        preface: &Preface,
        definitions: &Value,
        path: Vec<(String, &'static str)>,
        components: &mut Components,
    ) -> Operation {
        let notes = self.promise.notes;
        let input = Input::new(notes, &self.input, definitions, path);
        let (summary, description) = self.texts(definitions);
        let request_body = if self.route.method.has_body() {
            input.body()
        } else {
            None
        };
        let mut own = input.path_parameters();
        if !self.route.method.has_body() {
            own.extend(input.query_parameters());
        }
        let has_path = own.iter().any(Parameter::is_path);
        let mut parameters: Vec<RefOr<Parameter>> = own.into_iter().map(RefOr::Here).collect();
        parameters.extend(parameters::headers(preface, self.promise.idempotent, components));
        let tags = match notes.tags.as_slice() {
            [] => vec![self.promise.address.service().name().to_owned()],
            tags => tags.iter().map(|tag| (*tag).to_owned()).collect(),
        };
        let mut responses = self.successes(definitions);
        responses
            .0
            .extend(self.problems(preface, has_path, request_body.is_some(), components));
        let scheme = || Ordered::one(preface.security.name(), []);
        Operation {
            tags,
            summary,
            description,
            operation_id: self.promise.address.to_string(),
            parameters,
            request_body,
            responses,
            deprecated: notes.deprecated,
            security: if self.route.public { Vec::new() } else { vec![scheme()] },
        }
    }

    /// Summary and description: as declared, else what the input's type says of itself.
    fn texts(&self, definitions: &Value) -> (Option<String>, Option<String>) {
        let notes = self.promise.notes;
        let of_type = resolved(&self.input, definitions)
            .get("description")
            .and_then(Value::as_str);
        let (line, rest) = of_type.map_or((None, None), first_line);
        let summary = notes.summary.map(str::to_owned).or(line);
        let whole = || match notes.summary {
            None => rest,
            Some(_) => of_type.map(str::to_owned),
        };
        (summary, notes.description.map(str::to_owned).or_else(whole))
    }

    /// The good answers, by what the reply may be.
    fn successes(&self, definitions: &Value) -> Ordered<RefOr<Response>> {
        if self.promise.streams {
            return self.told();
        }
        let status = self.route.status;
        let (rest, takes_null) = nulls::split(&self.reply, definitions);
        let replies = self.promise.notes.examples.iter().map(|example| example.reply.clone());
        let content = |schema: Value| {
            let examples = examples(replies.filter(|reply| !reply.is_null()));
            Ordered::one(JSON, media(schema, examples))
        };
        let mut responses = Ordered::default();
        let mut add = |status: u16, content| {
            let response = Response {
                description: meaning(status).to_owned(),
                headers: refer(&["x-request-id", "x-correlation-id", "traceparent"]),
                content,
                failure: None,
            };
            responses.push(status.to_string(), RefOr::Here(response));
        };
        match (status, rest) {
            (204 | 205, _) => add(status, Ordered::default()),
            (200, None) => add(204, Ordered::default()),
            (_, None) => add(status, Ordered::default()),
            (status, Some(schema)) => {
                add(status, content(schema));
                if takes_null && status == 200 {
                    add(204, Ordered::default());
                }
            }
        }
        responses
    }

    /// What a stream says: all of it as a list, or item by item.
    fn told(&self) -> Ordered<RefOr<Response>> {
        let items = self.promise.notes.examples.iter().map(|example| example.reply.clone());
        let items: Vec<Value> = items.collect();
        let lists = (!items.is_empty()).then_some(Value::Array(items)).into_iter();
        let list = json!({ "type": "array", "items": self.reply });
        let mut content = Ordered::one(JSON, media(list, examples(lists)));
        let events = json!({ "type": "string", "description": EVENTS });
        content.push(EVENT_STREAM, media(events, Ordered::default()));
        let response = Response {
            description: STREAM.to_owned(),
            headers: refer(&["x-request-id", "x-correlation-id", "traceparent"]),
            content,
            failure: None,
        };
        Ordered::one("200", RefOr::Here(response))
    }

    /// The problems, by status: those that any such operation may answer, and those that the command declares.
    fn problems(
        &self,
        preface: &Preface,
        has_path: bool,
        has_body: bool,
        components: &mut Components,
    ) -> Vec<(String, RefOr<Response>)> {
        let mut troubles: BTreeMap<StatusCode, (Trouble, Vec<&str>)> = BTreeMap::new();
        for trouble in self.usual(has_path, has_body) {
            troubles.insert(trouble.status(), (trouble, Vec::new()));
        }
        for (code, when) in &self.promise.notes.failures {
            let trouble = Trouble::Of(*code);
            let known = troubles.entry(trouble.status()).or_insert((trouble, Vec::new()));
            known.1.push(when);
        }
        let mut answers = Vec::new();
        for (status, (trouble, declared)) in troubles {
            let answer = if declared.is_empty() {
                share(trouble, preface, components);
                RefOr::to("responses", trouble.name())
            } else {
                RefOr::Here(trouble.response(preface.body_max, &declared))
            };
            answers.push((status.as_str().to_owned(), answer));
        }
        answers
    }

    fn usual(&self, has_path: bool, has_body: bool) -> Vec<Trouble> {
        let mut usual = vec![Trouble::Of(Code::Invalid)];
        usual.push(match self.promise.streams {
            true => Trouble::NoStreamAcceptable,
            false => Trouble::NotAcceptable,
        });
        if !self.route.public {
            usual.extend([Trouble::Of(Code::Unauthenticated), Trouble::Of(Code::Forbidden)]);
        }
        if has_path {
            usual.push(Trouble::Of(Code::NotFound));
        }
        if has_body {
            usual.extend([Trouble::BodyTooSlow, Trouble::BodyTooLarge, Trouble::NotJson]);
        }
        // Of two with one status the later one stands, and this one tells of both.
        if self.promise.streams {
            usual.push(Trouble::StreamTooLong { has_body });
        }
        usual.push(match self.promise.rate_limited {
            true => Trouble::RateLimited,
            false => Trouble::Of(Code::Exhausted),
        });
        usual.extend([Code::Internal, Code::Unavailable, Code::Timeout].map(Trouble::Of));
        usual
    }
}

fn share(trouble: Trouble, preface: &Preface, components: &mut Components) {
    if components.responses.get(trouble.name()).is_none() {
        let response = trouble.response(preface.body_max, &[]);
        components.responses.push(trouble.name(), response);
    }
}

fn meaning(status: u16) -> &'static str {
    match status {
        200 => "The command's reply.",
        201 => "Created: the command's reply.",
        202 => "Accepted: the command's reply.",
        204 | 205 => "Done; there is nothing to tell.",
        _ => "Done: the command's reply.",
    }
}

/// The first line of a text, and what follows it.
fn first_line(text: &str) -> (Option<String>, Option<String>) {
    let text = text.trim();
    let (line, rest) = text.split_once("\n\n").unwrap_or((text, ""));
    let words = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let line: Vec<&str> = line.lines().map(str::trim).collect();
    (words(&line.join(" ")), words(rest.trim()))
}

//! A row of the table: one request, and what must come back.
//!
//! Some marks in a request are filled in when it is sent: `«ada»` is the id of a user who is there, `«new»` a word that no
//! other request has, and `«x*70000»` a text that is repeated.

use serde_json::Value;

use crate::http::wire::{Answer, Wire};
use std::time::Duration;

/// What the connection does after the answer.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Then {
    /// It serves the next request.
    Serves,
    /// It is closed, because nobody can tell where the next request would begin.
    Closes,
    /// Either is right.
    Whatever,
}

#[derive(Clone, Copy)]
struct Problem {
    code: &'static str,
    says: &'static str,
    executed: &'static str,
}

/// One request, and what must come back.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    start: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static [u8],
    raw: &'static [u8],
    status: u16,
    /// Another status that is as right, where both limits are passed at once.
    or: u16,
    problem: Option<Problem>,
    has: &'static [(&'static str, &'static str)],
    tells: &'static [(&'static str, &'static str)],
    then: Then,
}

/// A request with this method and target. A host and, with a body, a content type and a length are added.
pub(crate) const fn case(name: &'static str, start: &'static str) -> Case {
    Case {
        name,
        start,
        headers: &[],
        body: b"",
        raw: b"",
        status: 0,
        or: 0,
        problem: None,
        has: &[],
        tells: &[],
        then: Then::Serves,
    }
}

/// A request that is sent as it is written.
pub(crate) const fn raw(name: &'static str, raw: &'static str) -> Case {
    raw_bytes(name, raw.as_bytes())
}

/// A request that is sent as it is written, and is no text.
pub(crate) const fn raw_bytes(name: &'static str, raw: &'static [u8]) -> Case {
    Case { raw, ..case(name, "") }
}

impl Case {
    /// Headers beside those that are added, or in their place; the value `-` leaves one out.
    pub(crate) const fn with(mut self, headers: &'static [(&'static str, &'static str)]) -> Case {
        self.headers = headers;
        self
    }

    pub(crate) const fn body(mut self, body: &'static str) -> Case {
        self.body = body.as_bytes();
        self
    }

    pub(crate) const fn bytes(mut self, body: &'static [u8]) -> Case {
        self.body = body;
        self
    }

    /// It is answered with this status, and with nothing in it if that is an error.
    pub(crate) const fn gives(mut self, status: u16) -> Case {
        self.status = status;
        self
    }

    /// This status is as right: the request is beyond two limits at once.
    pub(crate) const fn or(mut self, status: u16) -> Case {
        self.or = status;
        self
    }

    /// It is refused with a problem document.
    pub(crate) const fn fails(mut self, status: u16, code: &'static str, says: &'static str) -> Case {
        self.status = status;
        self.problem = Some(Problem {
            code,
            says,
            executed: "no",
        });
        self
    }

    pub(crate) const fn executed(mut self, executed: &'static str) -> Case {
        if let Some(problem) = &mut self.problem {
            problem.executed = executed;
        }
        self
    }

    /// Headers of the answer: a part of the value; `*` for any, `-` for none, `!` before a part that is not there.
    pub(crate) const fn has(mut self, headers: &'static [(&'static str, &'static str)]) -> Case {
        self.has = headers;
        self
    }

    /// Values in the body of the answer: a JSON pointer and the JSON there; `*` for any.
    pub(crate) const fn tells(mut self, values: &'static [(&'static str, &'static str)]) -> Case {
        self.tells = values;
        self
    }

    pub(crate) const fn then(mut self, then: Then) -> Case {
        self.then = then;
        self
    }

    /// The bytes of the request.
    pub(crate) fn request(&self, ada: &str, new: &str) -> Vec<u8> {
        if !self.raw.is_empty() {
            return filled(self.raw, ada, new);
        }
        let body = filled(self.body, ada, new);
        let length = body.len().to_string();
        let mut added = vec![
            ("host", "localhost"),
            ("content-type", "application/json"),
            ("content-length", &*length),
        ];
        if body.is_empty() {
            added.truncate(1);
        }
        added.retain(|(name, _)| self.headers.iter().all(|(own, _)| own != name));
        let own = self.headers.iter().filter(|(_, value)| *value != "-");
        let mut text = format!("{} HTTP/1.1\r\n", self.start);
        for (name, value) in added.iter().chain(own) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        [filled(text.as_bytes(), ada, new), body].concat()
    }

    pub(crate) fn is_head(&self) -> bool {
        self.start.starts_with("HEAD ") || self.raw.starts_with(b"HEAD ")
    }

    /// Everything that is wrong with an answer.
    pub(crate) fn findings(&self, answer: &Answer) -> Vec<String> {
        let mut wrong = Vec::new();
        if answer.status != self.status && answer.status != self.or {
            wrong.push(format!("status {} in place of {}", answer.status, self.status));
            return wrong;
        }
        for (name, part) in self.has {
            let came = answer.header(name);
            let fits = match *part {
                "*" => came.is_some_and(|value| !value.is_empty()),
                "-" => came.is_none(),
                part if part.starts_with('!') => came.is_some_and(|value| !value.contains(&part[1..])),
                part => came.is_some_and(|value| value.contains(part)),
            };
            if !fits {
                wrong.push(format!("header {name}: {came:?} in place of {part:?}"));
            }
        }
        let json = answer.json().unwrap_or_default();
        for (pointer, expected) in self.tells {
            let came = json.pointer(pointer);
            let fits = *expected == "*" || serde_json::from_str::<Value>(expected).ok().as_ref() == came;
            if came.is_none() || !fits {
                wrong.push(format!("{pointer}: {came:?} in place of {expected}"));
            }
        }
        if answer.header("date").is_none() {
            wrong.push("no date".to_owned());
        }
        match self.problem {
            Some(problem) => wrong.extend(problem.findings(self.status, &json, answer, self.is_head())),
            None if self.status >= 400 && !answer.body.is_empty() => wrong.push("a body nobody asked for".to_owned()),
            None => {}
        }
        let is_bare = self.status >= 400 && self.problem.is_none();
        if !is_bare && answer.header("x-request-id").is_none_or(str::is_empty) {
            wrong.push("no x-request-id".to_owned());
        }
        for (name, value) in [("x-content-type-options", "nosniff"), ("cache-control", "no-store")] {
            if !is_bare && answer.header(name) != Some(value) {
                wrong.push(format!("{name}: {:?}", answer.header(name)));
            }
        }
        wrong
    }

    /// Whether the connection is left as it should be.
    pub(crate) async fn leaves(&self, wire: &mut Wire) -> Option<String> {
        match self.then {
            Then::Whatever => None,
            Then::Closes if wire.closes_within(Duration::from_secs(5)).await => {
                let more = String::from_utf8_lossy(&wire.read).into_owned();
                (!more.is_empty()).then(|| format!("answered once more: {more}"))
            }
            Then::Closes => Some("the connection is left open".to_owned()),
            Then::Serves => {
                wire.send(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
                match wire.answer(false).await {
                    Ok(Some(answer)) if answer.status == 200 && answer.body == b"ok\n" => None,
                    other => Some(format!("the connection does not serve the next request: {other:?}")),
                }
            }
        }
    }
}

impl Problem {
    fn findings(self, status: u16, json: &Value, answer: &Answer, is_head: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        if answer.header("content-type") != Some("application/problem+json") {
            wrong.push(format!("content-type: {:?}", answer.header("content-type")));
        }
        if is_head {
            return wrong;
        }
        let title = &*answer.reason;
        let expected = [
            ("type", Value::from("about:blank")),
            ("title", title.into()),
            ("status", status.into()),
            ("code", self.code.into()),
            ("executed", self.executed.into()),
        ];
        for (name, value) in expected {
            if json[name] != value {
                wrong.push(format!("{name}: {} in place of {value}", json[name]));
            }
        }
        let message = json["message"].as_str().unwrap_or_default();
        if message.is_empty() || message.ends_with('.') || !message.contains(self.says) {
            wrong.push(format!("message: {message:?}, which should say {:?}", self.says));
        }
        let members = ["type", "title", "status", "code", "message", "details", "executed"];
        let strange = json
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| !members.contains(&name.as_str()));
        wrong.extend(strange.map(|(name, _)| format!("the member {name}")));
        let wanted = match status {
            401 => "www-authenticate",
            405 => "allow",
            429 | 503 => "retry-after",
            _ => "content-type",
        };
        if answer.header(wanted).is_none() {
            wrong.push(format!("no {wanted}"));
        }
        wrong
    }
}

/// Fills the marks in.
fn filled(text: &[u8], ada: &str, new: &str) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(text) else {
        return text.to_vec();
    };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('«') {
        let (mark, after) = after.split_once('»').expect("a mark ends");
        out.push_str(before);
        match mark.rsplit_once('*') {
            Some((part, times)) => out.push_str(&part.repeat(times.parse().expect("a number"))),
            None if mark == "ada" => out.push_str(ada),
            None if mark == "new" => out.push_str(new),
            None => panic!("the mark {mark:?}"),
        }
        rest = after;
    }
    out.push_str(rest);
    out.into_bytes()
}

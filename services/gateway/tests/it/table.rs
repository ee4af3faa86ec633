//! Rows of a table test: one request, and what must come back.

use serde_json::Value;

use crate::stage::Staged;
use crate::wire::{Answer, ask};

pub(crate) const USERS: &str = "POST /api/v1/users";
pub(crate) const ADA: &str = r#"{"name":"Ada","email":"ada@example.org"}"#;

/// One request and what must come back.
pub(crate) struct Row {
    start: String,
    headers: Vec<(String, String)>,
    body: String,
    status: u16,
    code: Option<&'static str>,
    executed: &'static str,
    says: &'static str,
    has: Vec<(&'static str, &'static str)>,
    json: Option<Value>,
}

pub(crate) fn row(start: &str, status: u16) -> Row {
    Row {
        start: start.to_owned(),
        headers: vec![("host".to_owned(), "shop.example".to_owned())],
        body: String::new(),
        status,
        code: None,
        executed: "no",
        says: "",
        has: Vec::new(),
        json: None,
    }
}

impl Row {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Row {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn raw(mut self, body: &str) -> Row {
        self.body = body.to_owned();
        self.header("content-length", &body.len().to_string())
    }

    pub(crate) fn json(self, body: &str) -> Row {
        self.raw(body).header("content-type", "application/json")
    }

    pub(crate) fn fails(mut self, code: &'static str, says: &'static str) -> Row {
        (self.code, self.says) = (Some(code), says);
        self
    }

    pub(crate) fn executed(mut self, executed: &'static str) -> Row {
        self.executed = executed;
        self
    }

    pub(crate) fn has(mut self, name: &'static str, value: &'static str) -> Row {
        self.has.push((name, value));
        self
    }

    pub(crate) fn replies(mut self, json: Value) -> Row {
        self.json = Some(json);
        self
    }

    pub(crate) fn request(&self) -> String {
        let headers: String = self
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        format!("{} HTTP/1.1\r\n{headers}\r\n{}", self.start, self.body)
    }

    pub(crate) fn check(&self, answer: &Answer) {
        let context = format!("{} {:?}\nanswered {answer:?}\n{}", self.start, self.body, answer.text());
        assert_eq!(answer.status, self.status, "{context}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{context}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{context}");
        for (name, value) in &self.has {
            assert_eq!(answer.header(name), Some(*value), "{name}: {context}");
        }
        if let Some(json) = &self.json {
            assert_eq!(answer.header("content-type"), Some("application/json"), "{context}");
            assert_eq!(answer.json(), *json, "{context}");
        }
        assert_eq!(self.code.is_some(), answer.status >= 400, "{context}");
        let Some(code) = self.code else { return };
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json"),
            "{context}"
        );
        let problem = answer.json();
        assert_eq!(problem["type"], "about:blank", "{context}");
        assert_eq!(problem["status"], self.status, "{context}");
        assert!(
            problem["title"].as_str().is_some_and(|title| !title.is_empty()),
            "{context}"
        );
        assert_eq!(problem["code"], code, "{context}");
        // Whether a refusal by validation counts as executed is for the services to say.
        if !self.executed.is_empty() {
            assert_eq!(problem["executed"], self.executed, "{context}");
        }
        assert!(
            problem["message"]
                .as_str()
                .is_some_and(|message| message.contains(self.says)),
            "{context}"
        );
    }
}

pub(crate) async fn play(staged: Staged, rows: Vec<Row>) {
    play_on(&staged, rows).await;
    staged.end().await;
}

pub(crate) async fn play_on(staged: &Staged, rows: Vec<Row>) {
    for row in rows {
        row.check(&ask(staged.at, &row.request()).await);
    }
}

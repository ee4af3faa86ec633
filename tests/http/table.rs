//! The table of requests: every row is sent to one running program, each on a connection of its own.
//!
//! The rows say what the design (section 7) and RFC 9110, 9112 and 9457 ask for, not what the program happens to do.

mod admin;
mod framing;
mod json;
mod people;
mod targets;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::http::case::Case;
use crate::http::node::Node;
use crate::http::wire::{Wire, find};

const GROUPS: &[(&str, &[Case])] = &[
    ("people", people::PEOPLE),
    ("merged", people::MERGED),
    ("json", json::JSON),
    ("media", json::MEDIA),
    ("methods", targets::METHODS),
    ("targets", targets::TARGETS),
    ("pages", targets::PAGES),
    ("lengths", framing::LENGTHS),
    ("chunks", framing::CHUNKS),
    ("heads", framing::HEADS),
    ("steering", admin::STEERING),
    ("admin", admin::ADMIN),
];

/// The least number of rows: fewer, and somebody has cut the table.
const ROWS_MIN: usize = 200;

async fn play(node: &Node, case: &Case, ada: &str, new: &str) -> Vec<String> {
    let request = case.request(ada, new);
    let told = async {
        let mut wire = Wire::connect(node.at).await?;
        wire.send(&request).await;
        let answer = wire.answer(case.is_head()).await?.ok_or("closed without an answer")?;
        let mut wrong = case.findings(&answer);
        if wrong.is_empty() {
            wrong.extend(case.leaves(&mut wire).await);
        }
        wrong.push(format!(
            "answer: {} {:?}\n    {}",
            answer.status,
            answer.headers,
            answer.text()
        ));
        Ok::<_, String>(wrong)
    };
    let mut wrong = told.await.unwrap_or_else(|error| vec![error, String::new()]);
    let shown = wrong.pop();
    if !wrong.is_empty() {
        let request = String::from_utf8_lossy(&request).into_owned();
        wrong.push(format!("request: {:?}", request.chars().take(400).collect::<String>()));
        wrong.extend(shown);
    }
    wrong
}

async fn create_ada(node: &Node) -> String {
    let mut wire = Wire::connect(node.at).await.expect("connected");
    let body = r#"{"name":"Ada","email":"ada@example.org"}"#;
    let head = "POST /api/v1/users HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length:";
    wire.send(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes())
        .await;
    let answer = wire.answer(false).await.expect("an answer").expect("an answer");
    let json = answer.json().expect("JSON");
    json["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_the_table_is_answered_as_it_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = folder.path().join("ledger");
    let node = Node::start(&["--probe", ledger.to_str().expect("a path in UTF-8")]);
    let ada = create_ada(&node).await;
    let mut report = String::new();
    let (mut rows, mut wrong_rows) = (0, 0);
    let mut slowest = (Duration::ZERO, "");
    for (group, cases) in GROUPS {
        for case in *cases {
            rows += 1;
            let begun = Instant::now();
            let wrong = play(&node, case, &ada, &format!("new{rows}")).await;
            slowest = slowest.max((begun.elapsed(), case.name));
            if !wrong.is_empty() {
                wrong_rows += 1;
                report.push_str(&format!("\n{group}: {}\n    {}\n", case.name, wrong.join("\n    ")));
            }
        }
    }
    println!("{rows} requests, the slowest {slowest:?}");
    assert!(report.is_empty(), "{wrong_rows} of {rows} rows\n{report}");
    assert!(rows >= ROWS_MIN, "{rows} rows are left of the table");
    node.stop();
}

#[test]
fn every_row_of_the_table_has_a_name_of_its_own() {
    let mut names = HashSet::new();
    for (group, cases) in GROUPS {
        for case in *cases {
            assert!(names.insert((group, case.name)), "{group}: {}", case.name);
        }
    }
}

/// Each of these hides a request in what is no request; it must never be answered.
const SMUGGLED: &[(&str, &str)] = &[
    (
        "in a body that nobody reads",
        "POST /nothing HTTP/1.1\r\nhost: localhost\r\ncontent-length: 46\r\n\r\n\
         GET /_node/tree HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ),
    (
        "in a body of a GET",
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\ncontent-length: 46\r\n\r\n\
         GET /_node/tree HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ),
    (
        "in a body that is refused for its type",
        "POST /api/v1/users HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\ncontent-length: 46\r\n\r\n\
         GET /_node/tree HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ),
    (
        "behind chunks that a length would cut",
        "POST /healthz HTTP/1.1\r\nhost: localhost\r\ncontent-length: 50\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n\
         GET /_node/tree HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ),
    (
        "behind a length that chunks would pass over",
        "POST /healthz HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n\
         GET /_node/tree HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ),
    (
        "behind a coding with a strange blank",
        "POST /healthz HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: \x0bchunked\r\ncontent-length: 46\r\n\r\n\
         GET /_node/tree HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ),
    (
        "behind chunks that end in bare line feeds",
        "POST /healthz HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n0\n\n\
         GET /_node/tree HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_hidden_in_another_is_never_answered() {
    let node = Node::start(&[]);
    for (name, request) in SMUGGLED {
        let mut wire = Wire::connect(node.at).await.expect("connected");
        wire.send(request.as_bytes()).await;
        wire.finish_sending().await;
        assert!(
            wire.closes_within(crate::http::wire::PATIENCE).await,
            "{name}: left open"
        );
        let text = String::from_utf8_lossy(&wire.read);
        assert!(find(&wire.read, b"\"incarnation\"").is_none(), "{name}: {text}");
    }
    node.stop();
}

//! Who may enter by a closed route of an application: nobody without its hook, and with it whom the hook lets in.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::example;
use crate::program::Program;

/// How long a test waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The whole answer to a GET of a path, with header lines.
fn get(at: &str, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(at).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
    let head = format!("GET {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn said(args: &[&str]) -> String {
    let ended = Program::start(&example("locked"), args).end();
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
    ended.out
}

#[test]
fn who_has_the_key_enters_and_nobody_else() {
    let mut program = Program::start(&example("locked"), &["up", "--http", "127.0.0.1:0"]);
    let at = program.ready();
    for headers in ["", "x-api-key: open barley\r\n", "x-principal: partner\r\n"] {
        let refused = get(&at, "/api/v1/vault", headers);
        assert!(refused.starts_with("HTTP/1.1 401 "), "{headers}: {refused}");
        assert!(refused.contains("send your key as x-api-key"), "{headers}: {refused}");
    }
    let entered = get(&at, "/api/v1/vault", "x-api-key: open sesame\r\n");
    assert!(entered.starts_with("HTTP/1.1 200 "), "{entered}");
    assert!(entered.ends_with("\"gold, partner\""), "{entered}");

    let served = get(&at, "/openapi.json", "");
    let (_, served) = served.split_once("\r\n\r\n").expect("a body");
    assert_eq!(served.trim_end(), said(&["openapi"]));
    program.signal("TERM");
    assert_eq!(program.end().code, Some(0));
}

#[test]
fn the_documents_name_the_key_and_the_version_of_the_application() {
    let openapi: Value = serde_json::from_str(&said(&["openapi"])).expect("a document");
    let scheme = &openapi["components"]["securitySchemes"]["api_key"];
    assert_eq!(
        (&scheme["type"], &scheme["name"]),
        (&"apiKey".into(), &"x-api-key".into())
    );
    assert_eq!(openapi["info"]["version"], "4.5.6");
    let asyncapi: Value = serde_json::from_str(&said(&["asyncapi"])).expect("a document");
    assert_eq!(asyncapi["info"]["version"], "4.5.6");
    assert_eq!(said(&["--version"]), "locked 4.5.6");
}

#[test]
fn the_doctor_has_nothing_to_say_of_routes_that_a_hook_opens() {
    let report = said(&["doctor", "--offline"]);
    assert!(!report.contains("closed routes"), "{report}");
}

//! One HTTP request, written by hand: the tests see what a client sees, not what a library makes of it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .next()
    }
}

/// Opens a connection and sends a request.
pub(crate) fn send(at: &str, method: &str, path: &str, body: &str) -> TcpStream {
    let mut connection = TcpStream::connect(at).expect("connected");
    connection
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a deadline");
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).expect("sent");
    connection.write_all(body.as_bytes()).expect("sent");
    connection
}

/// Reads the answer to a request.
pub(crate) fn answer(mut connection: TcpStream) -> Answer {
    let mut text = String::new();
    connection.read_to_string(&mut text).expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Answer {
        status: status.expect("a status"),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

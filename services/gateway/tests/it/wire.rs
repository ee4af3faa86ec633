//! HTTP over a bare socket, so that tests may also say what no client would.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than anything here should take, also on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// An answer as it came.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self
            .headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let first = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "the header {name} came twice: {self:?}");
        first
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One connection.
pub(crate) struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Wire {
    pub(crate) async fn connect(at: SocketAddr) -> Wire {
        let stream = timeout(PATIENCE, TcpStream::connect(at))
            .await
            .expect("in time")
            .expect("it listens");
        Wire {
            stream,
            read: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        timeout(PATIENCE, self.stream.write_all(bytes.as_ref()))
            .await
            .expect("in time")
            .expect("it is open");
    }

    /// Sends what the other side may no longer want to read.
    pub(crate) async fn send_anyway(&mut self, bytes: impl AsRef<[u8]>) {
        let _closed = timeout(PATIENCE, self.stream.write_all(bytes.as_ref()))
            .await
            .expect("in time");
    }

    pub(crate) async fn finish_sending(&mut self) {
        let _closed = self.stream.shutdown().await;
    }

    /// Waits until something has come.
    pub(crate) async fn some(&mut self) {
        let filled = timeout(PATIENCE, self.fill()).await.expect("in time");
        assert!(filled, "closed before an answer");
    }

    /// Reads one answer to a request that was no HEAD.
    pub(crate) async fn answer(&mut self) -> Answer {
        self.answer_to(false).await
    }

    pub(crate) async fn answer_to(&mut self, head: bool) -> Answer {
        timeout(PATIENCE, self.read_answer(head))
            .await
            .expect("an answer comes in time")
    }

    async fn read_answer(&mut self, head: bool) -> Answer {
        let end = loop {
            if let Some(at) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(
                self.fill().await,
                "closed before an answer: {:?}",
                String::from_utf8_lossy(&self.read)
            );
        };
        let text = String::from_utf8(self.read.drain(..end).collect()).expect("heads are ASCII here");
        let mut lines = text.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .and_then(|status| status.parse().ok());
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        let mut answer = Answer {
            status: status.expect("a status line"),
            headers,
            body: Vec::new(),
        };
        if head || answer.status == 204 {
            return answer;
        }
        let length: usize = answer
            .header("content-length")
            .expect("a length")
            .parse()
            .expect("a number");
        while self.read.len() < length {
            assert!(self.fill().await, "closed within an answer");
        }
        answer.body = self.read.drain(..length).collect();
        answer
    }

    async fn fill(&mut self) -> bool {
        self.stream.read_buf(&mut self.read).await.is_ok_and(|bytes| bytes > 0)
    }

    /// Waits until the other side has closed the connection; what it sent meanwhile is thrown away.
    pub(crate) async fn closed(&mut self) {
        let closed = async {
            while self.fill().await {
                self.read.clear();
            }
        };
        timeout(PATIENCE, closed)
            .await
            .expect("the connection is closed in time");
    }
}

/// One request on a connection of its own.
pub(crate) async fn ask(at: SocketAddr, request: &str) -> Answer {
    let mut wire = Wire::connect(at).await;
    wire.send(request).await;
    wire.answer_to(request.starts_with("HEAD ")).await
}

pub(crate) async fn get(at: SocketAddr, path: &str) -> Answer {
    ask(at, &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")).await
}

/// The text of a POST with a JSON body.
pub(crate) fn post(path: &str, json: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{json}",
        json.len()
    )
}

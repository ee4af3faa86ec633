//! HTTP/1.1 over a bare socket: a library would set right what these tests send wrong.
//!
//! Answers are read strictly. An answer that a careful client could not read is a defect, so reading one fails with a
//! sentence about what is wrong with it.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

/// Longer than anything here should take, also on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// An answer as it came.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The value of a header that comes at most once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        let first = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "the header {name} came twice: {self:?}");
        first
    }

    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn closes(&self) -> bool {
        self.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// Takes the first answer off `bytes`; `None` while it is not whole. `bodiless` says that the request was a HEAD.
///
/// # Errors
/// What no careful client would accept.
pub(crate) fn take_answer(bytes: &mut Vec<u8>, bodiless: bool) -> Result<Option<Answer>, String> {
    let Some(end) = find(bytes, b"\r\n\r\n") else {
        let honest = b"HTTP/1."
            .iter()
            .zip(bytes.iter())
            .all(|(expected, came)| expected == came);
        return if honest {
            Ok(None)
        } else {
            Err("no status line".to_owned())
        };
    };
    let mut answer = head(&bytes[..end])?;
    let from = end + 4;
    let none = bodiless || answer.status < 200 || answer.status == 204 || answer.status == 304;
    let until = if none {
        from
    } else if answer.header("transfer-encoding").is_some() {
        return Err("an answer in chunks, where its length is known".to_owned());
    } else {
        let length = answer.header("content-length").ok_or("an answer without a length")?;
        from + length.parse::<usize>().map_err(|_| format!("the length {length:?}"))?
    };
    if bytes.len() < until {
        return Ok(None);
    }
    answer.body = bytes[from..until].to_vec();
    bytes.drain(..until);
    Ok(Some(answer))
}

fn head(bytes: &[u8]) -> Result<Answer, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "a head that is no text")?;
    let mut lines = text.split("\r\n");
    let start = lines.next().unwrap_or_default();
    let (status, reason) = start
        .strip_prefix("HTTP/1.1 ")
        .or_else(|| start.strip_prefix("HTTP/1.0 "))
        .and_then(|rest| rest.split_once(' '))
        .ok_or_else(|| format!("the status line {start:?}"))?;
    let status = status.parse().ok().filter(|status| (100..600).contains(status));
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| format!("the header {line:?}"))?;
        let is_token = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !is_token || value.chars().any(char::is_control) {
            return Err(format!("the header {line:?}"));
        }
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Ok(Answer {
        status: status.ok_or_else(|| format!("the status line {start:?}"))?,
        reason: reason.to_owned(),
        headers,
        body: Vec::new(),
    })
}

pub(crate) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// One connection.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    pub(crate) read: Vec<u8>,
}

impl Wire {
    pub(crate) async fn connect(at: SocketAddr) -> Result<Wire, String> {
        let connected = timeout(PATIENCE, TcpStream::connect(at)).await;
        let stream = connected
            .map_err(|_| "cannot connect in time".to_owned())?
            .map_err(|error| format!("cannot connect: {error}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(Wire {
            stream,
            read: Vec::new(),
        })
    }

    /// Sends what the other side may no longer want to read. Says whether it could be written.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        matches!(timeout(PATIENCE, self.stream.write_all(bytes)).await, Ok(Ok(())))
    }

    pub(crate) async fn finish_sending(&mut self) {
        // It may be closed already, which is as good.
        let _ = self.stream.shutdown().await;
    }

    /// Reads one answer that is no mere "go on"; `None` if the connection closed before it.
    pub(crate) async fn answer(&mut self, bodiless: bool) -> Result<Option<Answer>, String> {
        self.answer_until(bodiless, Instant::now() + PATIENCE).await
    }

    pub(crate) async fn answer_until(&mut self, bodiless: bool, until: Instant) -> Result<Option<Answer>, String> {
        loop {
            match take_answer(&mut self.read, bodiless)? {
                Some(answer) if answer.status >= 200 => return Ok(Some(answer)),
                Some(_) => continue,
                None => {}
            }
            let more = timeout_at(until, self.fill()).await;
            if !more.map_err(|_| "no answer in time".to_owned())? {
                return if self.read.is_empty() {
                    Ok(None)
                } else {
                    Err(format!(
                        "closed within an answer: {}",
                        String::from_utf8_lossy(&self.read)
                    ))
                };
            }
        }
    }

    /// Reads more; says whether there was more.
    pub(crate) async fn fill(&mut self) -> bool {
        self.stream.read_buf(&mut self.read).await.is_ok_and(|bytes| bytes > 0)
    }

    /// Whether the other side closes within this time; what it sends meanwhile is kept.
    pub(crate) async fn closes_within(&mut self, time: Duration) -> bool {
        let closed = async { while self.fill().await {} };
        timeout(time, closed).await.is_ok()
    }
}

/// One GET on a connection of its own.
pub(crate) async fn get(at: SocketAddr, path: &str) -> Result<Answer, String> {
    let mut wire = Wire::connect(at).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    wire.send(request.as_bytes()).await;
    wire.answer(false)
        .await?
        .ok_or_else(|| "closed without an answer".to_owned())
}

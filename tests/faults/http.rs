//! A connection to a node's gateway that is kept open, as a busy client has it. HTTP/1.1 with a length, and no more.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The largest body that is read.
const BODY_BYTES_MAX: usize = 64 << 20;

/// What the gateway said.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// The body as it came.
    pub(crate) body: Vec<u8>,
    /// Its header, names in lower case.
    pub(crate) headers: HashMap<String, String>,
}

impl Answer {
    /// Whether the gateway closes the connection now.
    pub(crate) fn closes(&self) -> bool {
        self.headers.get("connection").is_some_and(|value| value == "close")
    }

    /// The body as JSON; null where it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Connects.
    pub(crate) async fn open(at: SocketAddr) -> io::Result<Self> {
        let stream = timeout(Duration::from_secs(2), TcpStream::connect(at)).await??;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a request and reads its answer within `limit`.
    pub(crate) async fn ask(&mut self, head: &str, body: &[u8], limit: Duration) -> io::Result<Answer> {
        let length = body.len();
        let head = format!("{head}\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
        timeout(limit, async {
            let stream = self.0.get_mut();
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body).await?;
            self.read().await
        })
        .await?
    }

    /// GET of a path.
    pub(crate) async fn get(&mut self, path: &str, limit: Duration) -> io::Result<Answer> {
        self.ask(&format!("GET {path} HTTP/1.1"), b"", limit).await
    }

    /// POST of JSON with further header lines, each begun by a line break.
    pub(crate) async fn post(
        &mut self,
        path: &str,
        headers: &str,
        body: &Value,
        limit: Duration,
    ) -> io::Result<Answer> {
        let head = format!("POST {path} HTTP/1.1\r\ncontent-type: application/json{headers}");
        self.ask(&head, body.to_string().as_bytes(), limit).await
    }

    async fn read(&mut self) -> io::Result<Answer> {
        let status = self.line().await?;
        let status = status.split(' ').nth(1).and_then(|text| text.parse().ok());
        let status = status.ok_or(io::ErrorKind::InvalidData)?;
        let mut headers = HashMap::new();
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").map_or(Ok(0), |value| value.parse());
        let length: usize = length.map_err(|_| io::ErrorKind::InvalidData)?;
        if length > BODY_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        Ok(Answer { status, headers, body })
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

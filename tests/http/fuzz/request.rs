//! Requests that are right, with what they must be answered with, and the ways in which they can be made wrong.

use super::dice::Dice;

/// How a body is cut off from what follows.
#[derive(Clone, Copy, PartialEq)]
enum Framing {
    Nothing,
    Length,
    Chunks,
}

/// A request in parts.
pub(crate) struct Request {
    method: Vec<u8>,
    target: Vec<u8>,
    version: &'static str,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    body: Vec<u8>,
    framing: Framing,
    /// What a length or a size of chunks is wrong by.
    lie: i64,
}

/// A right request: its start line, its body and its statuses.
type Right = (&'static str, &'static str, &'static [u16]);

/// Few names, so that the memory of users does not fill: `§` becomes a small number.
const RIGHT: &[Right] = &[
    ("GET /healthz", "", &[200]),
    ("HEAD /healthz", "", &[200]),
    ("GET /readyz", "", &[200]),
    ("OPTIONS /api/v1/users", "", &[204]),
    ("OPTIONS *", "", &[204]),
    ("GET /openapi.json", "", &[200]),
    ("HEAD /docs", "", &[200]),
    ("GET /nothing/§", "", &[404]),
    ("DELETE /api/v1/users", "", &[405]),
    ("GET /api/v1/users/unknown-§", "", &[404]),
    ("GET /api/v1/users/%2e%2e%2f§", "", &[404]),
    ("GET /api/v1/users/x?colour=§", "", &[400]),
    (
        "POST /api/v1/users",
        r#"{"name":"Eve §","email":"eve§@example.org"}"#,
        &[201, 409],
    ),
    (
        "POST /api/v1/users?name=Eve",
        r#"{"email":"eve§@example.org"}"#,
        &[201, 409],
    ),
    ("POST /api/v1/users", r#"{"name":"Eve §","email":"eve§"}"#, &[400]),
    ("POST /api/v1/users", r#"{"name":"§"}"#, &[400]),
    ("POST /api/v1/users", r#"[[[[{"§", §]]]"#, &[400]),
    ("POST /api/v1/welcome-mails", r#"{"to":"eve§@example.org"}"#, &[401]),
    (
        "POST /_node/call/user/1/create_user",
        r#"{"name":"Eve","email":"eve§@example.org"}"#,
        &[200, 409],
    ),
    ("POST /_node/call/user/1/get_user", r#"{"id":"§"}"#, &[404]),
    ("POST /_node/call/user/1/fly", "{}", &[404]),
    ("POST /_node/call/nobody/1/do", "{}", &[503]),
    ("POST /_node/call/user/§x/get_user", "{}", &[400]),
    ("POST /_node/emit/no.such.event", r#"{"n":§}"#, &[202]),
    ("GET /_node/failures", "", &[200]),
    ("GET /_node/tree", "", &[200]),
];

const METHODS: &[&str] = &[
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PRI", "get", "", "A B",
];
const TARGETS: &[&str] = &[
    "*",
    "/",
    "",
    "//",
    "/..",
    "/%00",
    "/%",
    "/%zz",
    "/%ff%fe",
    "?",
    "/?",
    "/api/v1/users/",
    "/api/v1/users//",
    "/api/v65536/users",
    "/api/v1/users/%2f",
    "/api/v1/users?name",
    "/api/v1/users?=&==&",
    "/api/v1/users?name=%",
    "/_node/",
    "/_node/call",
    "/_node/emit/",
    "/_node/call/a/1/b/c",
    "/_node/call/user/99999999999999999999/x",
    "/_node/emit/....",
    "http://",
    "http://localhost",
    "http://[::1/",
    "https://a:b@c:99999/healthz",
    "localhost:80",
    "/healthz#x",
    "/healthz\\",
    "/api/v1/users/\u{e9}",
    "/metrics",
    "/openapi.json",
    "/openapi.yaml",
    "/docs",
    "/docs/../openapi.json",
];
const HEADERS: &[(&str, &str)] = &[
    ("host", ""),
    ("host", "evil.example"),
    ("host", "a, b"),
    ("host", "[::1"),
    ("host", "localhost:99999"),
    ("content-length", "0"),
    ("content-length", "5"),
    ("content-length", "-1"),
    ("content-length", "4294967296"),
    ("content-length", "18446744073709551616"),
    ("content-length", " 7"),
    ("content-length", "1,1"),
    ("transfer-encoding", "chunked"),
    ("transfer-encoding", "gzip, chunked"),
    ("transfer-encoding", "chunked, chunked"),
    ("transfer-encoding", "identity"),
    ("transfer-encoding", "\x0bchunked"),
    ("te", "trailers"),
    ("trailer", "content-length"),
    ("connection", "close"),
    ("connection", "keep-alive"),
    ("connection", "upgrade, http2-settings"),
    ("connection", "content-length"),
    ("upgrade", "h2c"),
    ("upgrade", "websocket"),
    ("http2-settings", "AAMAAABkAARAAAAAAAIAAAAA"),
    ("expect", "100-continue"),
    ("expect", "200-ok"),
    ("content-type", "application/json; charset=utf-16"),
    ("content-type", "application/json;;;="),
    ("content-type", ""),
    ("content-encoding", "gzip"),
    ("accept", "text/html"),
    ("accept", "*/*;q=NaN"),
    ("accept", ",,;q=,"),
    ("origin", "http://evil.example"),
    ("origin", "null"),
    ("authorization", "Bearer"),
    ("authorization", "Bearer a b c"),
    ("x-timeout-ms", "0"),
    ("x-timeout-ms", "1"),
    ("x-timeout-ms", "18446744073709551615"),
    ("x-timeout-ms", "1e3"),
    ("idempotency-key", ""),
    ("idempotency-key", "k"),
    ("traceparent", "00-0-0-0"),
    ("tracestate", "=,=,="),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("x-request-id", "forged\",\"level\":\"ERROR"),
    ("x-request-id", "\u{1b}[31mred"),
    ("x-correlation-id", "00"),
    ("x-principal", "\u{e9}"),
    ("x-tenant", ""),
    ("cookie", "a=b; a=b"),
    ("range", "bytes=0-1"),
    ("if-none-match", "*"),
    ("max-forwards", "0"),
    ("access-control-request-method", "POST"),
    ("forwarded", "for=_x"),
];
const BODIES: &[&str] = &[
    "",
    "null",
    "{",
    "}",
    "[]",
    "{}",
    "\"\\ud800\"",
    "NaN",
    "-",
    "1e999999",
    "{\"name\":",
    "\u{feff}{}",
    "{\"\":{\"\":{\"\":[]}}}",
    "{\"name\":\"a\",\"name\":\"b\"}",
    "{\"email\":\"\\u0000\"}",
    "[[[[[[[[[[[[[[[[",
    "tru",
    "0\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
];

/// A right request, what it may be answered with, and whether it is a HEAD.
pub(crate) fn right(dice: &mut Dice) -> (Request, &'static [u16], bool) {
    let (start, body, statuses) = dice.pick(RIGHT);
    let fill = |text: &str, number: usize| text.replace('§', &number.to_string()).into_bytes();
    let number = dice.below(64);
    let (method, target) = start.split_once(' ').expect("a method and a target");
    let mut headers = vec![(b"host".to_vec(), b"localhost".to_vec())];
    let framing = match body {
        "" => Framing::Nothing,
        _ if dice.percent(30) => Framing::Chunks,
        _ => Framing::Length,
    };
    if framing != Framing::Nothing {
        headers.push((b"content-type".to_vec(), b"application/json".to_vec()));
    }
    let harmless = [
        ("user-agent", "fuzz"),
        ("Accept", "*/*"),
        ("x-timeout-ms", "20000"),
        ("X-A", ""),
        ("idempotency-key", "one"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ];
    for (name, value) in harmless {
        if dice.percent(15) {
            headers.push((name.into(), value.into()));
        }
    }
    let request = Request {
        method: method.into(),
        target: fill(target, number),
        version: "HTTP/1.1",
        headers,
        body: fill(body, number),
        framing,
        lie: 0,
    };
    (request, statuses, method == "HEAD")
}

impl Request {
    /// Asks for the end of the connection.
    pub(crate) fn last(&mut self) {
        self.headers.push((b"connection".to_vec(), b"close".to_vec()));
    }

    /// Makes one part wrong, or another kind of right.
    pub(crate) fn mutate(&mut self, dice: &mut Dice) {
        match dice.below(12) {
            0 => self.method = dice.pick(METHODS).into(),
            1 => self.target = dice.pick(TARGETS).into(),
            2 => scramble(&mut self.target, dice),
            3..=5 => {
                let (name, value) = dice.pick(HEADERS);
                let at = dice.below(self.headers.len() + 1);
                self.headers.insert(at, (name.into(), value.into()));
            }
            6 => self.bend_header(dice),
            7 => self.body = dice.pick(BODIES).into(),
            8 => scramble(&mut self.body, dice),
            9 => self.lie = dice.pick(&[-3, -1, 1, 2, 100, 1 << 40, -(1 << 40)]),
            10 => self.version = dice.pick(&["HTTP/1.0", "HTTP/2.0", "HTTP/1.1 ", "", "http/1.1", "HTTP/9.9"]),
            _ => self.framing = dice.pick(&[Framing::Nothing, Framing::Length, Framing::Chunks]),
        }
    }

    fn bend_header(&mut self, dice: &mut Dice) {
        if self.headers.is_empty() {
            return;
        }
        let at = dice.below(self.headers.len());
        match dice.below(5) {
            0 => drop(self.headers.remove(at)),
            1 => self.headers.push(self.headers[at].clone()),
            2 => scramble(&mut self.headers[at].0, dice),
            3 => scramble(&mut self.headers[at].1, dice),
            _ => self.headers[at].1 = dice.pick(&["a", "é", " ", "9"]).repeat(dice.below(3000)).into_bytes(),
        }
    }

    /// The bytes of the request.
    pub(crate) fn bytes(&self, dice: &mut Dice) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        out.extend(
            [
                &*self.method,
                b" ",
                &*self.target,
                b" ",
                self.version.as_bytes(),
                b"\r\n",
            ]
            .concat(),
        );
        for (name, value) in &self.headers {
            out.extend([&**name, b": ", &**value, b"\r\n"].concat());
        }
        let length = i64::try_from(self.body.len())
            .expect("a small body")
            .wrapping_add(self.lie);
        match self.framing {
            Framing::Nothing => out.extend(b"\r\n"),
            Framing::Length => out.extend(format!("content-length: {length}\r\n\r\n").bytes()),
            Framing::Chunks => {
                out.extend(b"transfer-encoding: chunked\r\n\r\n");
                self.chunks(&mut out, dice);
                return out;
            }
        }
        out.extend(&self.body);
        out
    }

    fn chunks(&self, out: &mut Vec<u8>, dice: &mut Dice) {
        let mut rest = &*self.body;
        while !rest.is_empty() {
            let (chunk, more) = rest.split_at(1 + dice.below(rest.len()));
            let size = i64::try_from(chunk.len())
                .expect("a small chunk")
                .wrapping_add(self.lie);
            let extension = if dice.percent(10) { ";a=\"b\"" } else { "" };
            out.extend(format!("{size:x}{extension}\r\n").bytes());
            out.extend(chunk);
            out.extend(b"\r\n");
            rest = more;
        }
        let trailer = if dice.percent(10) { "x-trailer: t\r\n" } else { "" };
        out.extend(format!("0\r\n{trailer}\r\n").bytes());
    }
}

/// Makes some bytes wrong.
pub(crate) fn scramble(bytes: &mut Vec<u8>, dice: &mut Dice) {
    const SHARP: &[&[u8]] = &[
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b"\r\n\r\n",
        b" ",
        b":",
        b"%",
        b"\xff",
        b"\"",
        b"{",
        b"0\r\n\r\n",
        b"\t",
    ];
    for _ in 0..=dice.below(3) {
        let at = dice.below(bytes.len() + 1);
        match dice.below(5) {
            0 if at < bytes.len() => bytes[at] = dice.byte(),
            1 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            2 => {
                let until = at + dice.below(bytes.len() - at + 1);
                drop(bytes.drain(at..until.min(at + 20)));
            }
            3 => {
                let until = at + dice.below(bytes.len() - at + 1);
                let copy = bytes[at..until].to_vec();
                bytes.splice(at..at, copy);
            }
            _ => {
                let sharp = dice.pick(SHARP);
                bytes.splice(at..at, sharp.iter().copied());
            }
        }
    }
}

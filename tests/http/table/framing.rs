//! Where a request ends: whoever can make two readers disagree about that can smuggle a request past one of them.
//!
//! RFC 9112 says of most of these that the answer is 400 and the end of the connection. Such an answer has no body: it is
//! given before there is a request.

use crate::http::case::{Case, Then, case, raw};

const USERS: &str = "POST /api/v1/users";

/// Lengths and chunks.
pub(crate) const LENGTHS: &[Case] = &[
    raw(
        "two lengths that differ",
        "POST /api/v1/users HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{} ",
    )
    .gives(400)
    .then(Then::Closes),
    raw(
        "two lengths in one line that differ",
        "POST /api/v1/users HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2, 3\r\n\r\n{} ",
    )
    .gives(400)
    .then(Then::Closes),
    case("a negative length", USERS).with(&[("content-length", "-1")]).gives(400).then(Then::Closes),
    case("a length with a sign", USERS).with(&[("content-length", "+2")]).body("{}").gives(400).then(Then::Closes),
    case("a length that is no number", USERS).with(&[("content-length", "2x")]).body("{}").gives(400).then(Then::Closes),
    case("a length in hexadecimal", USERS).with(&[("content-length", "0x2")]).body("{}").gives(400).then(Then::Closes),
    case("an empty length", USERS).with(&[("content-length", "")]).body("{}").gives(400).then(Then::Closes),
    case("a length beyond all numbers", USERS)
        .with(&[("content-length", "99999999999999999999999999")])
        .gives(400)
        .then(Then::Closes),
    raw(
        "chunks and a length: the length first",
        "POST /api/v1/users HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 4\r\n\
         transfer-encoding: chunked\r\n\r\n2B\r\n{\"name\":\"Both\",\"email\":\"both1@example.org\"}\r\n0\r\n\r\n",
    )
    .gives(201)
    .then(Then::Closes),
    raw(
        "chunks and a length: the chunks first",
        "POST /api/v1/users HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n2B\r\n{\"name\":\"Both\",\"email\":\"both2@example.org\"}\r\n0\r\n\r\n",
    )
    .gives(201)
    .then(Then::Closes),
    raw(
        "chunks in HTTP/1.0",
        "POST /api/v1/users HTTP/1.0\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    )
    .gives(400)
    .then(Then::Closes),
    raw(
        "a coding that is not understood, last",
        "POST /api/v1/users HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked, gzip\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    )
    .gives(400)
    .then(Then::Closes),
    raw(
        "a coding that is not understood, first",
        "POST /api/v1/users HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         transfer-encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    )
    .fails(501, "invalid", "transfer-encoding")
    .then(Then::Closes),
    raw(
        "a coding that only looks like chunks",
        "POST /api/v1/users HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    )
    .gives(400)
    .then(Then::Closes),
];

/// The grammar of chunks.
pub(crate) const CHUNKS: &[Case] = &[
    raw(
        "chunks of any size make one body, and what trails them is passed over",
        "POST /api/v1/users HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n1\r\n{\r\n0F;a=b\r\n\"name\":\"Chunk\",\r\n1C\r\n\"email\":\"chunk@example.org\"}\r\n\
         0\r\nx-admin: true\r\n\r\n",
    )
    .gives(201)
    .has(&[("content-type", "application/json")])
    .tells(&[("/name", "\"Chunk\"")]),
    raw(
        "a size that is no number",
        "POST /api/v1/users HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    )
    .fails(400, "invalid", "body")
    .then(Then::Closes),
    raw(
        "a size beyond all numbers",
        "POST /api/v1/users HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n",
    )
    .fails(400, "invalid", "body")
    .then(Then::Closes),
    raw(
        "a size with a sign",
        "POST /api/v1/users HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
    )
    .fails(400, "invalid", "body")
    .then(Then::Closes),
    raw(
        "a chunk longer than its size",
        "POST /api/v1/users HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n2\r\n{}{}\r\n0\r\n\r\n",
    )
    .fails(400, "invalid", "body")
    .then(Then::Closes),
    raw(
        "an endless extension",
        "POST /api/v1/users HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n2;«a*40000»\r\n{}\r\n0\r\n\r\n",
    )
    .fails(400, "invalid", "body")
    .then(Then::Closes),
    raw(
        "a body in chunks that is too large",
        "POST /api/v1/users HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n110000\r\n«x*1114112»\r\n0\r\n\r\n",
    )
    .fails(413, "invalid", "1048576 bytes")
    .then(Then::Whatever),
];

/// The grammar of heads.
pub(crate) const HEADS: &[Case] = &[
    raw("no host", "GET /healthz HTTP/1.1\r\n\r\n")
        .fails(400, "invalid", "host")
        .then(Then::Closes),
    raw(
        "two hosts",
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n\r\n",
    )
    .fails(400, "invalid", "host")
    .then(Then::Closes),
    raw("a host that is none", "GET /healthz HTTP/1.1\r\nhost: a/b\r\n\r\n")
        .fails(400, "invalid", "host")
        .then(Then::Closes),
    raw(
        "a host with a user",
        "GET /healthz HTTP/1.1\r\nhost: ada@localhost\r\n\r\n",
    )
    .fails(400, "invalid", "host")
    .then(Then::Closes),
    raw(
        "a host with a space",
        "GET /healthz HTTP/1.1\r\nhost: local host\r\n\r\n",
    )
    .fails(400, "invalid", "host")
    .then(Then::Closes),
    raw("HTTP/1.0 needs no host", "GET /healthz HTTP/1.0\r\n\r\n")
        .gives(200)
        .then(Then::Closes),
    raw(
        "a space before the colon",
        "GET /healthz HTTP/1.1\r\nhost : localhost\r\n\r\n",
    )
    .gives(400)
    .then(Then::Closes),
    raw(
        "a header over two lines",
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-a: b\r\n c\r\n\r\n",
    )
    .gives(400)
    .then(Then::Closes),
    raw(
        "a space before the first header",
        "GET /healthz HTTP/1.1\r\n host: localhost\r\n\r\n",
    )
    .gives(400)
    .then(Then::Closes),
    raw(
        "a header without a name",
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\n: x\r\n\r\n",
    )
    .gives(400)
    .then(Then::Closes),
    raw(
        "a header without a colon",
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-a\r\n\r\n",
    )
    .gives(400)
    .then(Then::Closes),
    raw(
        "a name that is no token",
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx(a): b\r\n\r\n",
    )
    .gives(400)
    .then(Then::Closes),
    raw(
        "a null character in a value",
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-a: b\0c\r\n\r\n",
    )
    .gives(400)
    .then(Then::Closes),
    raw(
        "a bare carriage return in a value",
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-a: b\rx-b: c\r\n\r\n",
    )
    .gives(400)
    .then(Then::Closes),
    raw("a version of the past", "GET /healthz\r\n\r\n")
        .gives(400)
        .then(Then::Closes),
    raw(
        "a version in small letters",
        "GET /healthz http/1.1\r\nhost: localhost\r\n\r\n",
    )
    .gives(400)
    .then(Then::Closes),
    raw(
        "a version that nobody speaks",
        "GET /healthz HTTP/3.0\r\nhost: localhost\r\n\r\n",
    )
    .gives(400)
    .then(Then::Closes),
    raw(
        "words behind the version",
        "GET /healthz HTTP/1.1 now\r\nhost: localhost\r\n\r\n",
    )
    .gives(400)
    .then(Then::Closes),
    raw("another protocol", "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n")
        .gives(400)
        .then(Then::Closes),
    case("a header beyond all measure", "GET /healthz")
        .with(&[("x-long", "«a*140000»")])
        .gives(431)
        .then(Then::Closes),
    raw(
        "too many headers",
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\n«x-a: b\r\n*120»\r\n",
    )
    .gives(431)
    .then(Then::Closes),
    raw(
        "empty lines before a request are passed over",
        "\r\n\r\nGET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n",
    )
    .gives(200),
    case("who wants the end gets it", "GET /healthz")
        .with(&[("connection", "close")])
        .gives(200)
        .has(&[("connection", "close")])
        .then(Then::Closes),
    case("an upgrade that is not offered is passed over", "GET /healthz")
        .with(&[("connection", "upgrade"), ("upgrade", "websocket")])
        .gives(200)
        .has(&[("upgrade", "-")]),
];

//! What passes for JSON and what does not, and the types that say so.

use crate::http::case::{Case, Then, case};

const USERS: &str = "POST /api/v1/users";

/// Bodies that are odd.
pub(crate) const JSON: &[Case] = &[
    case("an empty body lacks its fields", USERS).fails(400, "invalid", "name"),
    case("an empty body by its own account lacks its fields", USERS)
        .with(&[("content-length", "0"), ("content-type", "application/json")])
        .fails(400, "invalid", "name"),
    case("null is no user", USERS).body("null").fails(400, "invalid", ""),
    case("a list is no object, not even of the right length", USERS)
        .body(r#"["Eve","eve@example.org"]"#)
        .fails(400, "invalid", "not a list"),
    case("a text is no object", USERS)
        .body(r#""Eve""#)
        .fails(400, "invalid", ""),
    case("a number is no object", USERS).body("7").fails(400, "invalid", ""),
    case("a cut body is no JSON", USERS)
        .body(r#"{"name":"Eve","em"#)
        .fails(400, "invalid", ""),
    case("bytes behind the value are refused", USERS)
        .body(r#"{"name":"Eve","email":"«new»@example.org"} x"#)
        .fails(400, "invalid", ""),
    case("a second value behind the first is refused", USERS)
        .body(r#"{"name":"Eve","email":"«new»@example.org"}{}"#)
        .fails(400, "invalid", ""),
    case("spaces around the value are none of its business", USERS)
        .body(" \r\n\t{\"name\":\"Eve\",\"email\":\"«new»@example.org\"}\n ")
        .gives(201),
    case("a byte order mark is no JSON", USERS)
        .body("\u{feff}{\"name\":\"Eve\",\"email\":\"«new»@example.org\"}")
        .fails(400, "invalid", ""),
    case("a trailing comma is no JSON", USERS)
        .body(r#"{"name":"Eve","email":"«new»@example.org",}"#)
        .fails(400, "invalid", ""),
    case("single quotes are no JSON", USERS)
        .body("{'name':'Eve'}")
        .fails(400, "invalid", ""),
    case("a comment is no JSON", USERS)
        .body("{/* name */}")
        .fails(400, "invalid", ""),
    case("NaN is no JSON", USERS)
        .body(r#"{"name":NaN,"email":"e"}"#)
        .fails(400, "invalid", ""),
    case("infinity is no JSON", USERS)
        .body(r#"{"name":-Infinity}"#)
        .fails(400, "invalid", ""),
    case("a key that comes twice is refused", USERS)
        .body(r#"{"name":"Eve","name":"Ada","email":"«new»@example.org"}"#)
        .fails(400, "invalid", "name"),
    case(
        "a key that comes twice is refused beside a query too",
        "POST /api/v1/users?email=«new»@example.org",
    )
    .body(r#"{"name":"Eve","name":"Ada"}"#)
    .fails(400, "invalid", "name"),
    case("a number beyond all measure is refused", USERS)
        .body(r#"{"name":1e999999999,"email":"e"}"#)
        .fails(400, "invalid", ""),
    case("half a surrogate pair is no text", USERS)
        .body(r#"{"name":"\ud800","email":"«new»@example.org"}"#)
        .fails(400, "invalid", ""),
    case("bytes that are no UTF-8 are no text", USERS)
        .bytes(b"{\"name\":\"\xff\xfe\",\"email\":\"utf@example.org\"}")
        .fails(400, "invalid", ""),
    case("an overlong encoding is no text", USERS)
        .bytes(b"{\"name\":\"\xc0\xaf\",\"email\":\"utf@example.org\"}")
        .fails(400, "invalid", ""),
    case("a line break within a text is no JSON", USERS)
        .body("{\"name\":\"E\nve\",\"email\":\"e\"}")
        .fails(400, "invalid", ""),
    case("a tower of lists is refused", USERS)
        .body("«[*200000»")
        .fails(400, "invalid", ""),
    case("a tower of objects is refused", USERS)
        .body(r#"«{"name":*100000»"#)
        .fails(400, "invalid", ""),
    case(
        "a tower in a field that nobody knows is passed over or refused, and harms nobody",
        "POST /api/v1/users?name=",
    )
    .body(r#"{"x":«[*100000»«]*100000»,"email":"«new»@example.org"}"#)
    .fails(400, "invalid", ""),
    case("a thousand unknown fields are passed over", USERS)
        .body(r#"{"name":"Eve","email":"«new»@example.org"«,"":0*1000»}"#)
        .gives(201),
];

/// Types of what is sent and of what is wanted back.
pub(crate) const MEDIA: &[Case] = &[
    case("a body without a type is refused", USERS)
        .with(&[("content-type", "-")])
        .body("{}")
        .fails(415, "invalid", "application/json"),
    case("plain text is refused", USERS)
        .with(&[("content-type", "text/plain")])
        .body("{}")
        .fails(415, "invalid", "application/json"),
    case("a form is refused", USERS)
        .with(&[("content-type", "application/x-www-form-urlencoded")])
        .body("name=Eve")
        .fails(415, "invalid", "application/json"),
    case("another charset is refused", USERS)
        .with(&[("content-type", "application/json; charset=iso-8859-1")])
        .body("{}")
        .fails(415, "invalid", ""),
    case("UTF-8 by name is taken", USERS)
        .with(&[("content-type", "application/JSON; Charset=\"UTF-8\"")])
        .body(r#"{"name":"Eve","email":"«new»@example.org"}"#)
        .gives(201),
    case("two types are refused", USERS)
        .with(&[("content-type", "application/json"), ("content-type", "text/plain")])
        .body("{}")
        .fails(415, "invalid", ""),
    case("two types in one line are refused", USERS)
        .with(&[("content-type", "application/json, text/plain")])
        .body("{}")
        .fails(415, "invalid", ""),
    case("a compressed body is refused, and what is taken is said", USERS)
        .with(&[("content-encoding", "gzip")])
        .body("{}")
        .fails(415, "invalid", "compressed")
        .has(&[("accept-encoding", "identity")]),
    case("a body that says it is not compressed is taken", USERS)
        .with(&[("content-encoding", "identity")])
        .body(r#"{"name":"Eve","email":"«new»@example.org"}"#)
        .gives(201),
    case("who takes no JSON is refused before anything runs", USERS)
        .with(&[("accept", "text/html")])
        .body(r#"{"name":"Eve","email":"«new»@example.org"}"#)
        .fails(406, "invalid", "application/json"),
    case("who takes anything but JSON is refused", "GET /api/v1/users/«ada»")
        .with(&[("accept", "*/*, application/json;q=0")])
        .fails(406, "invalid", ""),
    case("who takes anything is served", "GET /api/v1/users/«ada»")
        .with(&[("accept", "text/html, */*;q=0.1")])
        .gives(200),
    case(
        "who takes anything that is an application is served",
        "GET /api/v1/users/«ada»",
    )
    .with(&[("accept", "application/*")])
    .gives(200),
    case("accept in two lines is one list", "GET /api/v1/users/«ada»")
        .with(&[("accept", "text/html"), ("accept", "application/json")])
        .gives(200),
    case(
        "who takes nothing we have still reads why a path is wrong",
        "GET /nothing",
    )
    .with(&[("accept", "text/html")])
    .fails(404, "not_found", ""),
    case("a body beyond the limit is refused, and the limit is said", USERS)
        .body(r#"{"name":"«n*1100000»"}"#)
        .fails(413, "invalid", "1048576 bytes")
        .tells(&[("/details/limit_bytes", "1048576")])
        .then(Then::Whatever),
    case("a body that only says it is too large is refused at once", USERS)
        .with(&[("content-length", "99999999999"), ("content-type", "application/json")])
        .fails(413, "invalid", "")
        .then(Then::Closes),
    case("who asks before sending too much is told", USERS)
        .with(&[
            ("content-length", "2000000"),
            ("content-type", "application/json"),
            ("expect", "100-continue"),
        ])
        .fails(413, "invalid", "")
        .then(Then::Closes),
    case("who asks before sending may send", USERS)
        .with(&[("expect", "100-continue")])
        .body(r#"{"name":"Eve","email":"«new»@example.org"}"#)
        .gives(201),
];

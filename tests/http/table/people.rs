//! Users made and found: good requests, bad fields, and the input put together from path, query and body.

use crate::http::case::{Case, Then, case};

const FIELD: &str = "/details/fields/0/field";
const USERS: &str = "POST /api/v1/users";

/// Users made and found.
pub(crate) const PEOPLE: &[Case] = &[
    case("a user is created", USERS)
        .body(r#"{"name":"Grace","email":"«new»@example.org"}"#)
        .gives(201)
        .has(&[
            ("content-type", "application/json"),
            ("x-correlation-id", "*"),
            ("traceparent", "00-"),
        ])
        .tells(&[("/id", "*"), ("/name", r#""Grace""#)]),
    case("a user is found", "GET /api/v1/users/«ada»")
        .gives(200)
        .has(&[("content-type", "application/json"), ("x-correlation-id", "*")])
        .tells(&[("/name", r#""Ada""#), ("/email", r#""ada@example.org""#)]),
    case("an address that is taken is a conflict, whatever its capitals", USERS)
        .body(r#"{"name":"Eve","email":"ADA@Example.org"}"#)
        .fails(409, "conflict", "exists already")
        .executed("yes")
        .tells(&[(FIELD, r#""email""#)]),
    case(
        "an unknown id is not found",
        "GET /api/v1/users/00000000-0000-4000-8000-000000000000",
    )
    .fails(404, "not_found", "no user with this id")
    .executed("yes")
    .has(&[("x-correlation-id", "*")]),
    case("an address without an at sign names the field", USERS)
        .body(r#"{"name":"Eve","email":"eve"}"#)
        .fails(400, "invalid", "email ")
        .tells(&[(FIELD, r#""email""#), ("/details/fields/0/problem", "*")]),
    case("an address in two lines names the field", USERS)
        .body(r#"{"name":"Eve","email":"eve@example.org\r\nbcc: all@example.org"}"#)
        .fails(400, "invalid", "email ")
        .tells(&[(FIELD, r#""email""#)]),
    case("an address that is too long names the field", USERS)
        .body(r#"{"name":"Eve","email":"«e*300»@example.org"}"#)
        .fails(400, "invalid", "email ")
        .tells(&[(FIELD, r#""email""#)]),
    case("an empty name names the field", USERS)
        .body(r#"{"name":"","email":"«new»@example.org"}"#)
        .fails(400, "invalid", "name ")
        .tells(&[(FIELD, r#""name""#)]),
    case("a name of spaces names the field", USERS)
        .body(r#"{"name":"   ","email":"«new»@example.org"}"#)
        .fails(400, "invalid", "name ")
        .tells(&[(FIELD, r#""name""#)]),
    case("a name with a null character names the field", USERS)
        .body(r#"{"name":"E\u0000e","email":"«new»@example.org"}"#)
        .fails(400, "invalid", "name ")
        .tells(&[(FIELD, r#""name""#)]),
    case("a name of 201 characters is too long", USERS)
        .body(r#"{"name":"«n*201»","email":"«new»@example.org"}"#)
        .fails(400, "invalid", "200 characters")
        .tells(&[(FIELD, r#""name""#)]),
    case("a name is counted in characters, not in bytes", USERS)
        .body(r#"{"name":"«𝄞*200»","email":"«new»@example.org"}"#)
        .gives(201),
    case("every field that is wrong is named", USERS)
        .body(r#"{"name":"","email":"eve"}"#)
        .fails(400, "invalid", "name ")
        .tells(&[(FIELD, r#""name""#), ("/details/fields/1/field", r#""email""#)]),
    case("a field that is missing is named", USERS)
        .body(r#"{"name":"Eve"}"#)
        .fails(400, "invalid", "email")
        .tells(&[(FIELD, r#""email""#)]),
    case("a field of another type is named", USERS)
        .body(r#"{"name":7,"email":"«new»@example.org"}"#)
        .fails(400, "invalid", "name"),
    case("a null field is not a missing one, and is named", USERS)
        .body(r#"{"name":null,"email":"«new»@example.org"}"#)
        .fails(400, "invalid", "name"),
    case("a field that nobody knows is passed over, for older callees", USERS)
        .body(r#"{"name":"Eve","email":"«new»@example.org","admin":true}"#)
        .gives(201)
        .tells(&[("/name", r#""Eve""#)]),
];

/// Inputs put together from path, query and body.
pub(crate) const MERGED: &[Case] = &[
    case(
        "a field may stand in the query",
        "POST /api/v1/users?name=Eve+of%20Rome",
    )
    .body(r#"{"email":"«new»@example.org"}"#)
    .gives(201)
    .tells(&[("/name", r#""Eve of Rome""#)]),
    case(
        "all fields may stand in the query",
        "POST /api/v1/users?name=Eve&email=«new»@example.org",
    )
    .gives(201),
    case(
        "a field may stand in both places if they agree",
        "POST /api/v1/users?name=Eve",
    )
    .body(r#"{"name":"Eve","email":"«new»@example.org"}"#)
    .gives(201),
    case(
        "a field that differs between query and body is refused",
        "POST /api/v1/users?name=Eve",
    )
    .body(r#"{"name":"Ada","email":"«new»@example.org"}"#)
    .fails(400, "invalid", "name differs")
    .tells(&[(FIELD, r#""name""#)]),
    case(
        "an unknown name in the query is refused with the nearest",
        "POST /api/v1/users?nmae=Eve",
    )
    .body(r#"{"email":"«new»@example.org"}"#)
    .fails(400, "invalid", "is name meant")
    .tells(&[(FIELD, r#""nmae""#)]),
    case(
        "an unknown name far from all lists what there is",
        "GET /api/v1/users/«ada»?colour=red",
    )
    .fails(400, "invalid", "which has id")
    .tells(&[(FIELD, r#""colour""#)]),
    case(
        "a name that comes twice is refused",
        "POST /api/v1/users?name=Eve&name=Ada",
    )
    .body(r#"{"email":"«new»@example.org"}"#)
    .fails(400, "invalid", "name is given more than once")
    .tells(&[(FIELD, r#""name""#)]),
    case("the query may repeat the path", "GET /api/v1/users/«ada»?id=«ada»").gives(200),
    case(
        "the query may not contradict the path",
        "GET /api/v1/users/«ada»?id=eve",
    )
    .fails(400, "invalid", "id differs")
    .tells(&[(FIELD, r#""id""#)]),
    case("an empty query is none", "GET /api/v1/users/«ada»?").gives(200),
    case("ampersands alone are no fields", "GET /api/v1/users/«ada»?&&").gives(200),
    case("a GET takes no body", "GET /api/v1/users/«ada»")
        .body(r#"{"id":"eve"}"#)
        .fails(400, "invalid", "takes no body")
        .then(Then::Whatever),
    case("a query that is no UTF-8 is refused", "POST /api/v1/users?name=%FF%FE")
        .body(r#"{"email":"«new»@example.org"}"#)
        .fails(400, "invalid", "UTF-8"),
    case(
        "a null character in the query is text, and no name",
        "POST /api/v1/users?name=E%00e",
    )
    .body(r#"{"email":"«new»@example.org"}"#)
    .fails(400, "invalid", "name ")
    .tells(&[(FIELD, r#""name""#)]),
];

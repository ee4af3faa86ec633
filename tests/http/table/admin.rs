//! The headers by which callers steer a call, the admin routes, and routes that are closed.

use crate::http::case::{Case, Then, case};

const USERS: &str = "POST /api/v1/users";
const CREATE: &str = "POST /_node/call/user/1/create_user";
const RUN: &str = "POST /_node/call/probe/1/run";

/// Budgets, keys and traces.
pub(crate) const STEERING: &[Case] = &[
    case("a budget of nothing", USERS)
        .with(&[("x-timeout-ms", "0")])
        .body("{}")
        .fails(400, "invalid", "x-timeout-ms"),
    case("a negative budget", USERS)
        .with(&[("x-timeout-ms", "-5")])
        .body("{}")
        .fails(400, "invalid", "x-timeout-ms"),
    case("a budget with a point", USERS)
        .with(&[("x-timeout-ms", "1.5")])
        .body("{}")
        .fails(400, "invalid", "x-timeout-ms"),
    case("a budget with a unit", USERS)
        .with(&[("x-timeout-ms", "5s")])
        .body("{}")
        .fails(400, "invalid", "x-timeout-ms"),
    case("two budgets", USERS)
        .with(&[("x-timeout-ms", "5"), ("x-timeout-ms", "5")])
        .body("{}")
        .fails(400, "invalid", "x-timeout-ms"),
    case("a budget beyond the maximum is cut to it", "GET /api/v1/users/«ada»")
        .with(&[("x-timeout-ms", "99999999999")])
        .gives(200),
    case("a budget that runs out within the handler", RUN)
        .with(&[("x-timeout-ms", "40")])
        .body(r#"{"id":"«new»","sleep_ms":400}"#)
        .fails(504, "timeout", "")
        .executed("unknown"),
    case("an empty key", USERS)
        .with(&[("idempotency-key", "")])
        .body("{}")
        .fails(400, "invalid", "idempotency-key"),
    case("a key that is too long", USERS)
        .with(&[("idempotency-key", "«k*129»")])
        .body("{}")
        .fails(400, "invalid", "idempotency-key"),
    case("two keys", USERS)
        .with(&[("idempotency-key", "a"), ("idempotency-key", "b")])
        .body("{}")
        .fails(400, "invalid", "idempotency-key"),
    case("a key of the longest kind", USERS)
        .with(&[("idempotency-key", "«k*128»")])
        .body(r#"{"name":"Eve","email":"«new»@example.org"}"#)
        .gives(201),
    case("a trace goes on", "GET /api/v1/users/«ada»")
        .with(&[
            ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ("tracestate", "a=1"),
        ])
        .gives(200)
        .has(&[("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-")]),
    case("a broken trace is as good as none", "GET /api/v1/users/«ada»")
        .with(&[("traceparent", "00-zz-00f067aa0ba902b7-01")])
        .gives(200)
        .has(&[("traceparent", "00-")]),
    case("a request's name is told back", "GET /api/v1/users/«ada»")
        .with(&[("x-request-id", "order-7\"{}<>")])
        .gives(200)
        .has(&[("x-request-id", "order-7\"{}<>")]),
    case("a request's name is told back with a problem too", "GET /nothing")
        .with(&[("x-request-id", "order-7")])
        .fails(404, "not_found", "")
        .has(&[("x-request-id", "order-7")]),
    case("a request's name that is a sentence is replaced", "GET /healthz")
        .with(&[("x-request-id", "two words")])
        .gives(200)
        .has(&[("x-request-id", "!two")]),
    case("a request's name that is too long is replaced", "GET /healthz")
        .with(&[("x-request-id", "«rr*65»")])
        .gives(200)
        .has(&[("x-request-id", "!rr")]),
    case("nobody says who he is at a route for all", USERS)
        .with(&[("x-principal", "«p*5000»"), ("x-tenant", "acme")])
        .body(r#"{"name":"Eve","email":"«new»@example.org"}"#)
        .gives(201),
    case("a handler that panics is nobody's details", RUN)
        .body(r#"{"id":"«new»","fail":"internal"}"#)
        .fails(500, "internal", "")
        .executed("yes"),
    case("a full service says when to come again", RUN)
        .body(r#"{"id":"«new»","fail":"exhausted"}"#)
        .fails(429, "exhausted", "")
        .executed("yes")
        .has(&[("retry-after", "*")]),
    case("a service that is away says when to come again", RUN)
        .body(r#"{"id":"«new»","fail":"unavailable"}"#)
        .fails(503, "unavailable", "")
        .executed("yes")
        .has(&[("retry-after", "*")]),
    case("a handler that forbids", RUN)
        .body(r#"{"id":"«new»","fail":"forbidden"}"#)
        .fails(403, "forbidden", "")
        .executed("yes"),
    case("a handler that does not know the caller", RUN)
        .body(r#"{"id":"«new»","fail":"unauthenticated"}"#)
        .fails(401, "unauthenticated", "")
        .executed("yes")
        .has(&[("www-authenticate", "*")]),
];

/// Routes for whoever runs the node, and routes that are closed.
pub(crate) const ADMIN: &[Case] = &[
    case("a command is called", CREATE)
        .body(r#"{"name":"Eve","email":"«new»@example.org"}"#)
        .gives(200)
        .has(&[("content-type", "application/json"), ("x-correlation-id", "*")])
        .tells(&[("/id", "*")]),
    case("an event is emitted", "POST /_node/emit/user.created")
        .body(r#"{"id":"x","email":"x@example.org"}"#)
        .gives(202)
        .has(&[("content-length", "0"), ("x-correlation-id", "*")]),
    case("the tree is shown", "GET /_node/tree").gives(200).tells(&[
        ("/id", "*"),
        ("/kind", "*"),
        ("/state", "*"),
        ("/restarts", "*"),
        ("/incarnation", "*"),
        ("/uptime_ms", "*"),
        ("/children/0/id", "*"),
    ]),
    case("the failures are shown", "GET /_node/failures").gives(200),
    case("HEAD of the tree", "HEAD /_node/tree").gives(200),
    case("a page of another origin", CREATE)
        .with(&[("origin", "http://evil.example")])
        .body("{}")
        .fails(403, "forbidden", "origin"),
    case("a page without an origin to name", CREATE)
        .with(&[("origin", "null")])
        .body("{}")
        .fails(403, "forbidden", "origin"),
    case("a page of this host at another port", "GET /_node/tree")
        .with(&[("host", "localhost:8080"), ("origin", "http://localhost:3000")])
        .fails(403, "forbidden", "origin"),
    case("a page of this very host", "GET /_node/tree")
        .with(&[("host", "localhost:8080"), ("origin", "http://localhost:8080")])
        .gives(200),
    case("a name that was bent to this machine", "GET /_node/tree")
        .with(&[("host", "evil.example")])
        .fails(403, "forbidden", "localhost"),
    case("a name that begins like this machine's", "GET /_node/tree")
        .with(&[("host", "localhost.evil.example")])
        .fails(403, "forbidden", "localhost"),
    case("a foreign name in the target", "GET http://evil.example/_node/tree").fails(403, "forbidden", "localhost"),
    case("who may not enter does not learn what is there", "GET /_node/nothing")
        .with(&[("host", "evil.example")])
        .fails(403, "forbidden", "localhost"),
    case("a form of another page", CREATE)
        .with(&[("content-type", "text/plain")])
        .body("{}")
        .fails(415, "invalid", "application/json"),
    case("nothing without a type", CREATE).fails(415, "invalid", "application/json"),
    case("who takes no JSON", CREATE)
        .with(&[("accept", "text/html")])
        .body("{}")
        .fails(406, "invalid", ""),
    case("a service that nobody serves", "POST /_node/call/nobody/1/do")
        .body("{}")
        .fails(503, "unavailable", "nobody")
        .has(&[("retry-after", "*")]),
    case("a command that its service lacks", "POST /_node/call/user/1/fly")
        .body("{}")
        .fails(404, "not_found", ""),
    case(
        "a version that its service lacks",
        "POST /_node/call/user/2/create_user",
    )
    .body("{}")
    .fails(503, "unavailable", ""),
    case("a service that is no name", "POST /_node/call/1user/1/create_user")
        .body("{}")
        .fails(400, "invalid", ""),
    case("version nought", "POST /_node/call/user/0/create_user")
        .body("{}")
        .fails(400, "invalid", ""),
    case("version 65536", "POST /_node/call/user/65536/create_user")
        .body("{}")
        .fails(400, "invalid", ""),
    case(
        "a version with a nought before it",
        "POST /_node/call/user/01/create_user",
    )
    .body("{}")
    .fails(400, "invalid", ""),
    case("a version with a sign", "POST /_node/call/user/+1/create_user")
        .body("{}")
        .fails(400, "invalid", ""),
    case("a command with a dot", "POST /_node/call/user/1/create.user")
        .body("{}")
        .fails(400, "invalid", ""),
    case("an address that is too short", "POST /_node/call/user/1")
        .body("{}")
        .fails(404, "not_found", ""),
    case("an address that is too long", "POST /_node/call/user/1/create_user/x")
        .body("{}")
        .fails(404, "not_found", ""),
    case("an event that is no name", "POST /_node/emit/user..created")
        .body("{}")
        .fails(400, "invalid", ""),
    case("an event that is no JSON", "POST /_node/emit/user.created")
        .body("{")
        .fails(400, "invalid", ""),
    case("a command by GET", "GET /_node/call/user/1/create_user")
        .fails(405, "invalid", "")
        .has(&[("allow", "POST")]),
    case("a tree by POST", "POST /_node/tree")
        .body("{}")
        .fails(405, "invalid", "")
        .has(&[("allow", "GET")]),
    case("the admin routes have no front page", "GET /_node/").fails(404, "not_found", ""),
    case("the admin routes have no page of that name", "GET /_node").fails(404, "not_found", ""),
    case("a caller's name beyond all measure", CREATE)
        .with(&[("x-principal", "«p*129»")])
        .body("{}")
        .fails(400, "invalid", "x-principal"),
    case("a route that nobody is let through", "POST /api/v1/welcome-mails")
        .body(r#"{"to":"eve@example.org"}"#)
        .fails(401, "unauthenticated", "closed")
        .has(&[("www-authenticate", "*")])
        .then(Then::Whatever),
    case(
        "a closed route does not look at its caller's body",
        "POST /api/v1/welcome-mails",
    )
    .with(&[("x-principal", "root"), ("authorization", "Bearer x")])
    .body("{")
    .fails(401, "unauthenticated", "closed")
    .then(Then::Whatever),
];

//! Methods and targets: what is not there, what is there under another method, and spellings that try to be elsewhere.

use crate::http::case::{Case, Then, case, raw};

/// Methods.
pub(crate) const METHODS: &[Case] = &[
    case("a path takes only its methods", "DELETE /api/v1/users")
        .fails(405, "invalid", "OPTIONS, POST")
        .has(&[("allow", "OPTIONS, POST")]),
    case("a path with a name takes only its methods", "PUT /api/v1/users/«ada»")
        .body("{}")
        .fails(405, "invalid", "GET, HEAD, OPTIONS")
        .has(&[("allow", "GET, HEAD, OPTIONS")]),
    case("a method that nobody knows is not allowed either", "BREW /api/v1/users")
        .fails(405, "invalid", "POST")
        .has(&[("allow", "POST")]),
    case("methods have capitals", "post /api/v1/users")
        .body("{}")
        .fails(405, "invalid", "POST"),
    case("nothing is traced back", "TRACE /api/v1/users")
        .with(&[("authorization", "Bearer secret")])
        .fails(405, "invalid", "POST"),
    case("nothing is traced back at health pages", "TRACE /healthz").fails(405, "invalid", "GET"),
    raw(
        "nothing is tunnelled",
        "CONNECT example.org:443 HTTP/1.1\r\nhost: example.org:443\r\n\r\n",
    )
    .fails(405, "invalid", "")
    .has(&[("allow", "*")])
    .then(Then::Whatever),
    case("HEAD is a GET without its body", "HEAD /api/v1/users/«ada»")
        .gives(200)
        .has(&[("content-type", "application/json"), ("content-length", "*")]),
    case("HEAD of what is not there", "HEAD /api/v1/users/nobody").fails(404, "not_found", ""),
    case("HEAD of a path without GET", "HEAD /api/v1/users")
        .fails(405, "invalid", "")
        .has(&[("allow", "POST")]),
    case("OPTIONS tells the methods", "OPTIONS /api/v1/users")
        .gives(204)
        .has(&[
            ("allow", "OPTIONS, POST"),
            ("content-length", "-"),
            ("access-control-allow-origin", "-"),
        ]),
    case("OPTIONS of a path with a name", "OPTIONS /api/v1/users/x")
        .gives(204)
        .has(&[("allow", "GET, HEAD, OPTIONS")]),
    case("OPTIONS of what is not there", "OPTIONS /api/v1/nothing").fails(404, "not_found", ""),
    case("OPTIONS of the server as a whole", "OPTIONS *")
        .gives(204)
        .has(&[("allow", "*")]),
    case("a page of another origin is promised nothing", "OPTIONS /api/v1/users")
        .with(&[
            ("origin", "http://evil.example"),
            ("access-control-request-method", "POST"),
        ])
        .gives(204)
        .has(&[
            ("access-control-allow-origin", "-"),
            ("access-control-allow-methods", "-"),
        ]),
];

/// Targets.
pub(crate) const TARGETS: &[Case] = &[
    case("there is nothing", "GET /nothing").fails(404, "not_found", "nothing at this path"),
    case("another version is not there", "GET /api/v2/users/«ada»").fails(404, "not_found", "nothing at"),
    case("paths have small letters", "GET /API/V1/users/«ada»").fails(404, "not_found", "nothing at"),
    case("a slash at the end is another path", "GET /api/v1/users/").fails(404, "not_found", "nothing at"),
    case("two slashes are another path", "GET //api/v1/users/«ada»").fails(404, "not_found", "nothing at"),
    case("dots are names, not steps", "GET /api/v1/users/..")
        .fails(404, "not_found", "no user")
        .executed("yes"),
    case("dots lead nowhere else", "GET /api/v1/users/../../../healthz").fails(404, "not_found", "nothing at"),
    case("dots lead to no admin route", "GET /api/../_node/tree").fails(404, "not_found", "nothing at"),
    case("hidden dots are names", "GET /api/v1/users/%2e%2e")
        .fails(404, "not_found", "no user")
        .executed("yes"),
    case("a hidden slash stays in its segment", "GET /api/v1/users/a%2Fb%2f..")
        .fails(404, "not_found", "no user")
        .executed("yes"),
    case("a null character is text", "GET /api/v1/users/%00")
        .fails(404, "not_found", "no user")
        .executed("yes"),
    case("a line break is text", "GET /api/v1/users/a%0d%0ax-evil:%201")
        .fails(404, "not_found", "no user")
        .executed("yes")
        .has(&[("x-evil", "-")]),
    case("what is encoded twice is decoded once", "GET /api/v1/users/%2541da")
        .fails(404, "not_found", "no user")
        .executed("yes"),
    case("a path that is no UTF-8 is refused", "GET /api/v1/users/%FF").fails(400, "invalid", "UTF-8"),
    case("an overlong slash is refused", "GET /api/v1/users/%c0%af").fails(400, "invalid", "UTF-8"),
    case("an admin route has one spelling", "GET /%5fnode/tree").fails(404, "not_found", "nothing at"),
    case("a long id is only unknown", "GET /api/v1/users/«a*8000»")
        .fails(404, "not_found", "no user")
        .executed("yes"),
    case("a target beyond all measure is refused", "GET /«a*140000»")
        .gives(414)
        .or(431)
        .then(Then::Closes),
    case(
        "the whole address may stand in the target",
        "GET http://shop.example/healthz",
    )
    .gives(200),
    case(
        "the whole address in the target leads to commands",
        "GET http://shop.example/api/v1/users/«ada»",
    )
    .gives(200),
    raw(
        "a target without a slash is refused",
        "GET healthz HTTP/1.1\r\nhost: localhost\r\n\r\n",
    )
    .fails(400, "invalid", "slash")
    .then(Then::Closes),
    raw(
        "a target with a space is refused",
        "GET /a b HTTP/1.1\r\nhost: localhost\r\n\r\n",
    )
    .gives(400)
    .then(Then::Closes),
    case(
        "a name of another host behind two slashes is a path",
        "GET //evil.example/healthz",
    )
    .fails(404, "not_found", "nothing at"),
];

/// Pages that every node has.
pub(crate) const PAGES: &[Case] = &[
    case("the process lives", "GET /healthz")
        .gives(200)
        .has(&[("content-type", "text/plain; charset=utf-8")]),
    case("a query changes no page", "GET /healthz?probe=1").gives(200),
    case("a page has no body for HEAD", "HEAD /healthz")
        .gives(200)
        .has(&[("content-length", "3")]),
    case("a page takes no POST", "POST /healthz")
        .body("{}")
        .fails(405, "invalid", "GET, HEAD")
        .has(&[("allow", "GET, HEAD, OPTIONS")]),
    case("a page tells its methods", "OPTIONS /readyz")
        .gives(204)
        .has(&[("allow", "GET, HEAD, OPTIONS")]),
    case("a page has one spelling", "GET /healthz/").fails(404, "not_found", "nothing at"),
    case("the node is ready, part by part", "GET /readyz")
        .gives(200)
        .has(&[("content-type", "application/json")])
        .tells(&[("/ready", "true")]),
    case("what is counted", "GET /metrics")
        .gives(200)
        .has(&[("content-type", "text/plain; version=0.0.4")]),
    case("what is counted takes no DELETE", "DELETE /metrics").fails(405, "invalid", "GET"),
];

//! Pages of other origins: what they may ask and read, and that nobody may unless configured.

use roadshow_gateway::{Cors, Gateway};

use crate::stage::Staged;
use crate::wire::{Answer, ask};

const SHOP: &str = "https://shop.example";

fn for_the_shop(gateway: Gateway) -> Gateway {
    gateway.cors(Cors::origins([SHOP, "http://localhost:3000"]).expect("origins"))
}

async fn from(staged: &Staged, start: &str, origin: &str, more: &str) -> Answer {
    let request = format!("{start} HTTP/1.1\r\nhost: localhost\r\norigin: {origin}\r\n{more}\r\n");
    ask(staged.at, &request).await
}

fn speaks_to_pages(answer: &Answer) -> bool {
    answer
        .headers
        .iter()
        .any(|(name, _)| name.starts_with("access-control-"))
}

#[tokio::test]
async fn a_page_of_a_known_origin_may_read_answers_and_refusals() {
    let staged = Staged::with(for_the_shop).await;
    let table = [
        ("GET /api/v1/users/7", 200),
        ("GET /api/v1/users/101", 404),
        ("GET /api/v1/users/x", 400),
        ("GET /api/v1/me", 401),
        ("PATCH /api/v1/users/7", 405),
    ];
    for (start, status) in table {
        let answer = from(&staged, start, SHOP, "").await;
        assert_eq!(answer.status, status, "{start}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(SHOP), "{start}");
        assert_eq!(answer.header("vary"), Some("origin"), "{start}");
        assert_eq!(answer.header("access-control-allow-credentials"), None, "{start}");
        let exposed = answer.header("access-control-expose-headers").expect("some headers");
        for name in [
            "x-request-id",
            "x-correlation-id",
            "traceparent",
            "retry-after",
            "ratelimit",
            "location",
        ] {
            assert!(exposed.split(", ").any(|known| known == name), "{name} in {exposed}");
        }
    }
    staged.end().await;
}

#[tokio::test]
async fn who_asks_first_is_told_what_the_route_takes() {
    let staged = Staged::with(for_the_shop).await;
    let asks = "access-control-request-method: PUT\r\naccess-control-request-headers: content-type\r\n";
    let answer = from(&staged, "OPTIONS /api/v1/users/7", SHOP, asks).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), Some(SHOP));
    assert_eq!(
        answer.header("access-control-allow-methods"),
        Some("GET, HEAD, OPTIONS, PUT")
    );
    let taken = answer.header("access-control-allow-headers").expect("some headers");
    assert!(
        taken.contains("content-type") && taken.contains("idempotency-key"),
        "{taken}"
    );
    assert_eq!(answer.header("access-control-max-age"), Some("600"));
    assert_eq!(answer.header("vary"), Some("origin"));
    staged.end().await;
}

#[tokio::test]
async fn strangers_pages_and_admin_routes_get_nothing() {
    let staged = Staged::with(for_the_shop).await;
    let asks = "access-control-request-method: POST\r\n";
    let rows = [
        ("GET /api/v1/users/7", "https://evil.example", ""),
        ("GET /api/v1/users/7", "https://shop.example.evil.example", ""),
        ("GET /api/v1/users/7", "null", ""),
        ("OPTIONS /api/v1/users", "https://evil.example", asks),
        ("OPTIONS /api/v1/nothing", SHOP, asks),
        ("OPTIONS /_node/call/stage/1/touch", "http://localhost:3000", asks),
        ("GET /_node/tree", "http://localhost:3000", ""),
        ("GET /healthz", SHOP, ""),
        ("GET /metrics", SHOP, ""),
    ];
    for (start, origin, more) in rows {
        let answer = from(&staged, start, origin, more).await;
        assert!(!speaks_to_pages(&answer), "{start} {origin}: {answer:?}");
        // Whoever keeps the answer of a declared route must know that it differs by origin.
        let declared = start.contains("/users");
        assert_eq!(answer.header("vary"), declared.then_some("origin"), "{start}");
    }
    let twice = format!("origin: {SHOP}\r\n");
    assert!(!speaks_to_pages(
        &from(&staged, "GET /api/v1/users/7", SHOP, &twice).await
    ));
    staged.end().await;
}

#[tokio::test]
async fn without_a_setting_no_page_reads_anything() {
    let staged = Staged::start().await;
    let answer = from(&staged, "GET /api/v1/users/7", SHOP, "").await;
    assert!(
        !speaks_to_pages(&answer) && answer.header("vary").is_none(),
        "{answer:?}"
    );
    staged.end().await;

    let everybody = |gateway: Gateway| gateway.cors(Cors::origins(["*"]).expect("everybody"));
    let staged = Staged::with(everybody).await;
    let answer = from(&staged, "GET /api/v1/users/7", "https://anybody.example", "").await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(
        (answer.header("vary"), answer.header("access-control-allow-credentials")),
        (None, None)
    );
    staged.end().await;

    let known = |gateway: Gateway| gateway.cors(Cors::origins([SHOP]).and_then(Cors::credentials).expect("an origin"));
    let staged = Staged::with(known).await;
    let answer = from(&staged, "GET /api/v1/users/7", SHOP, "").await;
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    staged.end().await;
}

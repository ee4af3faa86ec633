//! Noise on the socket: whatever comes, the gateway answers or closes, and serves the next.
//!
//! `PROPTEST_CASES` sets how many cases are played; by default as many as take a second or two.

use std::sync::OnceLock;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use tokio::runtime::Runtime;

use crate::stage::Staged;
use crate::wire::{Wire, get};

/// A runtime and a node for all cases of this file.
fn house() -> &'static (Runtime, Staged) {
    static HOUSE: OnceLock<(Runtime, Staged)> = OnceLock::new();
    HOUSE.get_or_init(|| {
        let runtime = Runtime::new().expect("a runtime");
        let patient = Duration::from_secs(2);
        let staged = runtime.block_on(Staged::with(|gateway| {
            gateway.header_timeout(patient).body_timeout(patient)
        }));
        (runtime, staged)
    })
}

fn play(bytes: &[u8]) {
    let (runtime, staged) = house();
    runtime.block_on(async {
        let mut wire = Wire::connect(staged.at).await;
        wire.send_anyway(bytes).await;
        wire.finish_sending().await;
        wire.closed().await;
        assert_eq!(get(staged.at, "/healthz").await.status, 200);
    });
}

fn method() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(vec!["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE", "PRI"])
            .prop_map(str::to_owned),
        1 => "[A-Z!#a-z]{0,12}",
    ]
}

fn target() -> impl Strategy<Value = String> {
    prop_oneof![
        "/api/v1/(users|users/[0-9a-z%]{0,6}|search|fail|me|touch)(\\?[a-z%&=+0-9]{0,20})?",
        "/(_node/(tree|failures|call/[a-z./0-9]{0,20}|emit/[a-z.]{0,20})|healthz|readyz|metrics)",
        "(\\*|http://[a-z:@\\[\\]]{0,12}/|/[ -~]{0,30})",
    ]
}

fn header() -> impl Strategy<Value = String> {
    let names = [
        "host",
        "accept",
        "content-type",
        "content-length",
        "transfer-encoding",
        "expect",
        "connection",
        "origin",
        "authorization",
        "x-timeout-ms",
        "traceparent",
        "tracestate",
        "idempotency-key",
        "content-encoding",
        "upgrade",
    ];
    let value = prop_oneof![
        "[ -~]{0,20}",
        "[0-9]{1,22}",
        prop::sample::select(vec![
            "application/json",
            "chunked",
            "100-continue",
            "close",
            "localhost",
            "gzip",
            "*/*"
        ])
        .prop_map(str::to_owned),
    ];
    (prop::sample::select(names.to_vec()), value).prop_map(|(name, value)| format!("{name}: {value}\r\n"))
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..64),
        "(\\{[ -~]{0,40}\\}|\\[{0,2000}|[0-9a-f]{1,4}\r\n[ -~]{0,20}\r\n0\r\n\r\n)".prop_map(String::into_bytes),
    ]
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let version = prop::sample::select(vec!["HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/9", ""]);
    (method(), target(), version, vec(header(), 0..6), body()).prop_map(|(method, target, version, headers, body)| {
        let head = format!("{method} {target} {version}\r\n{}\r\n", headers.concat());
        [head.into_bytes(), body].concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_neither_stop_nor_stall_the_gateway(bytes in vec(any::<u8>(), 0..2048)) {
        play(&bytes);
    }

    #[test]
    fn odd_requests_neither_stop_nor_stall_the_gateway(requests in vec(request(), 1..4)) {
        play(&requests.concat());
    }
}

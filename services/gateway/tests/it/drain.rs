//! Draining: the port stays open, new calls are refused, running ones are answered.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::stage::Staged;
use crate::wire::{PATIENCE, Wire, get, post};

#[tokio::test]
async fn running_calls_finish_and_new_ones_are_refused_while_the_port_stays_open() {
    const CALLS: usize = 50;
    let staged = Staged::start().await;
    let (at, props) = (staged.at, staged.props);
    let mut resting = Wire::connect(at).await;
    resting.send("GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n").await;
    assert_eq!(resting.answer().await.status, 200);
    let mut running = Vec::new();
    for _ in 0..CALLS {
        let mut wire = Wire::connect(at).await;
        wire.send(post("/api/v1/wait", r#"{"then":"done"}"#)).await;
        running.push(wire);
    }
    props
        .until("all have started", |props| props.started.load(SeqCst) == CALLS)
        .await;
    assert_eq!(get(at, "/readyz").await.status, 200);

    let node = staged.node;
    let shutdown = tokio::spawn(async move { node.shutdown(Duration::from_secs(15)).await });
    let draining = async { while get(at, "/readyz").await.status != 503 {} };
    timeout(PATIENCE, draining).await.expect("it says that it drains");

    let readiness = get(at, "/readyz").await.json();
    assert_eq!(readiness["ready"], false);
    assert_eq!(readiness["parts"][0]["state"], "draining", "{readiness}");
    assert_eq!(get(at, "/healthz").await.status, 200);
    assert_eq!(get(at, "/_node/tree").await.status, 200);
    for path in ["/api/v1/wait", "/_node/call/stage/1/wait", "/_node/emit/stage.heard"] {
        let mut wire = Wire::connect(at).await;
        wire.send(post(path, "{}")).await;
        let refused = wire.answer().await;
        assert_eq!(refused.status, 503, "{path}: {}", refused.text());
        assert_eq!(refused.json()["code"], "unavailable");
        assert_eq!(refused.json()["executed"], "no");
        assert_eq!(refused.header("retry-after"), Some("1"));
        assert_eq!(refused.header("connection"), Some("close"));
        wire.closed().await;
    }
    assert_eq!(props.started.load(SeqCst), CALLS);

    props.release.add_permits(CALLS);
    for wire in &mut running {
        let answer = wire.answer().await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "\"done\""));
        assert_eq!(answer.header("connection"), Some("close"));
    }
    let drained = timeout(PATIENCE, shutdown)
        .await
        .expect("in time")
        .expect("it does not panic");
    assert!(drained.is_clean(), "{drained:?}");
    resting.closed().await;
    assert!(TcpStream::connect(at).await.is_err(), "the port is closed in the end");
}

#[tokio::test]
async fn half_a_request_does_not_hold_a_shutdown_up_for_long() {
    let staged = Staged::start().await;
    let mut wire = Wire::connect(staged.at).await;
    wire.send("GET /healthz HTTP/1.1\r\nho").await;
    assert_eq!(get(staged.at, "/healthz").await.status, 200);
    // Clean within less than the gateway would grant an answer that is on its way.
    let drained = staged.node.shutdown(Duration::from_secs(2)).await;
    assert!(drained.is_clean(), "{drained:?}");
    wire.closed().await;
}

#[tokio::test]
async fn an_answer_on_its_way_to_a_slow_reader_arrives_whole() {
    const BYTES: usize = 16 << 20;
    let staged = Staged::start().await;
    let mut wire = Wire::connect(staged.at).await;
    wire.send(format!("GET /api/v1/blob?bytes={BYTES} HTTP/1.1\r\nhost: h\r\n\r\n"))
        .await;
    wire.some().await;
    let shutdown = tokio::spawn(staged.node.shutdown(Duration::from_secs(10)));
    // The port closes before the connections do: the answer is still on its way by then.
    let closing = async { while TcpStream::connect(staged.at).await.is_ok() {} };
    timeout(PATIENCE, closing).await.expect("the port is closed");
    let answer = wire.answer().await;
    assert_eq!((answer.status, answer.body.len()), (200, BYTES + 2));
    let drained = timeout(PATIENCE, shutdown)
        .await
        .expect("in time")
        .expect("it does not panic");
    assert!(drained.is_clean(), "{drained:?}");
}

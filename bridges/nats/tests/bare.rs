//! The bare client does what it says: a ratio with it means something.

mod common;

use std::time::Duration;

use common::{context, jetstream, namespace, pause_until, url};
use roadshow_bridges::{BareAct, BareMessage, Connector};
use roadshow_nats::NatsConnector;

#[tokio::test]
async fn each_act_is_done_and_counted() {
    let ns = namespace();
    let client = NatsConnector
        .bare_client(&url(), &context(&ns, "n1"))
        .await
        .expect("a client");
    for (act, each) in [
        (BareAct::Request, 1),
        (BareAct::DurableEvent, 1),
        (BareAct::Event { subscribers: 4 }, 4),
    ] {
        let message = BareMessage {
            run: ns.to_string(),
            headers: vec![("rs-id".to_owned(), "1".to_owned())],
            payload: bytes::Bytes::from_static(b"{}"),
        };
        let run = client.prepare(act, message).await.expect("prepares");
        let all = async {
            for _ in 0..50 {
                run.once().await.expect("done");
            }
        };
        tokio::time::timeout(Duration::from_secs(20), all)
            .await
            .expect("in time");
        pause_until(async || run.received() == 50 * each).await;
    }
}

#[tokio::test]
async fn an_event_is_confirmed_by_the_stream_as_ours_is() {
    let ns = namespace();
    let client = NatsConnector
        .bare_client(&url(), &context(&ns, "n1"))
        .await
        .expect("a client");
    let message = BareMessage {
        run: ns.to_string(),
        headers: Vec::new(),
        payload: bytes::Bytes::from_static(b"{}"),
    };
    let act = BareAct::Event { subscribers: 1 };
    let run = client.prepare(act, message).await.expect("prepares");
    let stream = jetstream().await.get_stream("bare").await.expect("a stream");
    let before = stream.get_info().await.expect("its state").state.last_sequence;
    run.once().await.expect("done");
    let after = stream.get_info().await.expect("its state").state.last_sequence;
    assert!(after > before, "no stream was asked");
    pause_until(async || run.received() == 1).await;
}

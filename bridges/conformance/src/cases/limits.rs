//! What is too large, badly named or of another time.

use bytes::Bytes;
use roadshow_bridges::{
    Address, Envelope, ErrorKind, EventNameBuf, Kind, Namespace, ServiceId, Subject, Subscription, Token,
};

use crate::case::{Case, Need, case};
use crate::stage::{Stage, number, send, subscribe};
use crate::wait::{next, quiet, soon};

pub(super) const CASES: &[Case] = &[
    case!(
        "E09",
        a_payload_of_the_limit_passes_and_one_byte_more_is_refused_here,
        [Need::Fact("payload_bytes_max", |capability| capability
            .payload_bytes_max
            .is_some())],
        "given a payload of exactly the limit, then it arrives; of one byte more, then it is refused before it is sent, with \
         the limit in the error, and the connection stays up"
    ),
    case!(
        "E11",
        bytes_survive_or_are_refused,
        [],
        "given payloads that are empty, of one byte, not UTF-8, with NUL, CR and LF, and header values with blanks, per \
         cent signs and other scripts, then they arrive unaltered; a control character in a header is refused"
    ),
    case!(
        "E12",
        a_bad_name_is_refused_before_the_wire,
        [],
        "given names with a wildcard, separator, blank, control character or none at all, or too long, then each is \
         refused with the rule that it broke, as a name and as a group, and the connection stays up"
    ),
    case!(
        "E28",
        a_message_of_a_later_version_is_read_as_far_as_it_is_known,
        [],
        "given a message with headers of a later version and one that nobody knows, then it arrives and the unknown header \
         comes along"
    ),
];

async fn a_payload_of_the_limit_passes_and_one_byte_more_is_refused_here(stage: Stage) {
    let (sender, receiver) = (stage.bridge().await, stage.bridge().await);
    let limit = sender.capability().payload_bytes_max.expect("declared");
    let mut deliveries = subscribe(&*receiver, Subscription::new(stage.event("conf.large")).window(1)).await;
    let payload = Bytes::from(vec![b'7'; limit]);
    send(&*sender, stage.news("conf.large", payload.clone())).await;
    let delivery = next(&mut deliveries).await;
    assert!(
        delivery.envelope().payload.to_bytes().expect("bytes") == payload,
        "the payload was altered"
    );
    delivery.ack();
    let larger = stage.news("conf.large", vec![b'7'; limit + 1]);
    let error = soon("the refusal", sender.publish(larger))
        .await
        .expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error:?}");
    assert!(
        error.to_string().contains(&limit.to_string()),
        "the error does not name the limit: {error}"
    );
    assert!(sender.health().is_ready());
    stage.tell(&*sender, "conf.large", 1).await;
    let delivery = next(&mut deliveries).await;
    assert_eq!(number(delivery.envelope()), 1);
    delivery.ack();
}

async fn bytes_survive_or_are_refused(stage: Stage) {
    let (sender, receiver) = (stage.bridge().await, stage.bridge().await);
    let mut deliveries = subscribe(&*receiver, Subscription::new(stage.event("conf.bytes"))).await;
    let payloads: [&[u8]; 7] = [
        b"",
        b"\0",
        b"\xff\xfe\x80",
        b"a\0b",
        b"a\r\nPUB x 1\r\n\r\n",
        b"\n",
        b"{\"a\": 1}",
    ];
    for payload in payloads {
        send(&*sender, stage.news("conf.bytes", payload)).await;
        let delivery = next(&mut deliveries).await;
        assert_eq!(delivery.envelope().payload.to_bytes().expect("bytes"), payload);
        delivery.ack();
    }
    let long = "v".repeat(4096);
    let values = [
        "a",
        " inner  blanks ",
        "50%",
        "%00",
        "ü 漢 🜂",
        "a:b=c;d,\"e\"",
        &long,
        "0",
        "true",
    ];
    for value in values {
        let mut envelope = stage.news("conf.bytes", "1");
        assert!(envelope.headers.push("x-value", value), "{value:?}");
        send(&*sender, envelope).await;
        let delivery = next(&mut deliveries).await;
        assert_eq!(delivery.envelope().headers.get("x-value"), Some(value));
        delivery.ack();
    }
    let mut envelope = stage.news("conf.bytes", "1");
    for value in ["a\r\nb", "a\0b", "\x1b[2J"] {
        assert!(!envelope.headers.push("x-value", value), "{value:?}");
    }
}

async fn a_bad_name_is_refused_before_the_wire(stage: Stage) {
    let bridge = stage.bridge().await;
    let long = "n".repeat(256);
    for name in [
        "", "*", "a*", "a.b", ">", "#", "a#", "+", "a/b", "a b", "a\r\nb", "\n", "a\0", "$SYS", "%", &long, "ü",
    ] {
        let refused = name.parse::<Token>().expect_err(name);
        assert!(!refused.to_string().is_empty());
        assert!(name.parse::<Namespace>().is_err(), "{name:?}");
        assert!(
            format!("{name}.1.get").parse::<roadshow_bridges::AddressBuf>().is_err(),
            "{name:?}"
        );
        if name != "a.b" {
            assert!(name.parse::<EventNameBuf>().is_err(), "{name:?}");
        }
        let subscription = Subscription::new(stage.event("conf.name")).group(name);
        if name.len() == 256 || subscription.check().is_err() {
            let error = soon("the refusal", bridge.subscribe(subscription))
                .await
                .expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Config, "{name:?}: {error:?}");
        }
    }
    assert!(Subject::foreign("a b").is_err() && Subject::foreign("a\r\nb").is_err() && Subject::foreign("").is_err());
    assert!(bridge.health().is_ready());
    let mut deliveries = subscribe(&*bridge, Subscription::new(stage.event("conf.name"))).await;
    stage.tell(&*bridge, "conf.name", 1).await;
    next(&mut deliveries).await.ack();
    quiet(&mut deliveries).await;
}

async fn a_message_of_a_later_version_is_read_as_far_as_it_is_known(stage: Stage) {
    const BUY: Address = ServiceId::new("shop", 1).command("buy");
    let (sender, receiver) = (stage.bridge().await, stage.bridge().await);
    let mut deliveries = subscribe(
        &*receiver,
        Subscription::new(stage.command(BUY)).group("cmd=shop=1=buy"),
    )
    .await;
    let mut envelope: Envelope = stage.message(Kind::Command, stage.command(BUY), "1");
    assert!(envelope.headers.push("rs-v", "7") && envelope.headers.push("rs-later", "x"));
    send(&*sender, envelope).await;
    let delivery = next(&mut deliveries).await;
    assert_eq!(number(delivery.envelope()), 1);
    assert_eq!(delivery.envelope().headers.get("rs-later"), Some("x"));
    delivery.ack();
}

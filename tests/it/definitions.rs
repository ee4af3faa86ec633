//! What a definition asks for, and what is said where it cannot be had: before anything starts, or in readiness.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use roadshow::bridges::Capability;
use roadshow::prelude::*;
use roadshow::{ErrorKind, EventBridge, Executed, PartState, SubscriptionOptions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lab::{LAB, Lab, Ledger, Work, builder, eventually, lab, stop};
use super::lame_bridge::LameBridge;

const NOTED: ServiceId = ServiceId::new("notes", 1);

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Noted;

impl Event for Noted {
    const NAME: EventName = EventName::new("note.taken");
}

struct Notes;

impl EventHandler<Noted> for Notes {
    async fn receive(&self, _: &Noted, _: &Context) -> Outcome {
        Outcome::Ack
    }
}

fn notes(options: fn(SubscriptionOptions<Noted>) -> SubscriptionOptions<Noted>) -> Service<Notes> {
    Service::new(NOTED, || async { Ok::<_, Infallible>(Notes) }).subscribe::<Noted>(options)
}

#[tokio::test]
async fn everything_that_contradicts_itself_is_named_at_once() {
    let ledger = Arc::new(Ledger::default());
    let subscribing = notes(|s| s.durable("not a token").every_instance().concurrency(0));
    let start = builder()
        .service(lab(&ledger, |c| c.concurrency(0)))
        .service(subscribing)
        .start();
    let error = start.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Definition);
    let text = error.to_string();
    for part in [
        "command lab.1.work has a concurrency of 0",
        "the subscription of notes.1 to note.taken has a concurrency of 0",
        "is durable and for every instance",
        "has a durable name that is no token",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert_eq!(ledger.factories.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_the_bridge_lacks_is_refused_before_anything_subscribes() {
    type Lacks = fn(&mut Capability);
    let cases: [(Lacks, &str); 4] = [
        (|c| c.durable = false, "keeps no events for absent subscribers"),
        (|c| c.dead_letters = false, "keeps no dead letters"),
        (|c| c.redelivery = false, "asks for 5 attempts"),
        (|c| c.window_max = Some(100), "at most 100 deliveries"),
    ];
    for (lacks, part) in cases {
        let bridge = Arc::new(LameBridge {
            lacks,
            ..LameBridge::default()
        });
        let asked = Arc::clone(&bridge.asked);
        let start = builder().event_bridge(bridge).service(notes(|s| s.durable("diary")));
        let text = start.start().await.unwrap_err().to_string();
        assert!(text.contains(part), "{part} is not in {text}");
        assert_eq!(asked.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn who_asks_for_less_may_use_a_bridge_that_lacks_much() {
    let bridge = LameBridge {
        lacks: |c| {
            (c.durable, c.dead_letters, c.redelivery, c.window_max) = (false, false, false, Some(8));
        },
        ..LameBridge::default()
    };
    let modest = notes(|s| s.concurrency(8).retry(Retry::never()));
    let node = builder()
        .event_bridge(Arc::new(bridge))
        .service(modest)
        .start()
        .await
        .unwrap();
    stop(node).await;
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Elsewhere;

impl Command for Elsewhere {
    const ADDRESS: Address = ServiceId::new("moon", 2).command("land");
    type Reply = ();
}

#[tokio::test]
async fn readiness_names_a_declared_call_that_nobody_can_be_asked_for() {
    for strict in [true, false] {
        let ledger = Arc::new(Ledger::default());
        let calling = lab(&ledger, |c| c).calls::<Elsewhere>().calls::<Work>();
        let bridge = Arc::new(LameBridge::default());
        let node = builder()
            .event_bridge(Arc::clone(&bridge) as Arc<dyn EventBridge>)
            .strict_contracts(strict)
            .service(calling)
            .start()
            .await
            .unwrap();
        let part = |name: &str| node.readiness().parts.into_iter().find(|part| part.name == name);
        eventually("the lab is routed", || part("call lab.1.work").is_none()).await;
        // Somebody on the bridge may answer it.
        eventually("the node is ready", || node.readiness().ready).await;
        assert!(part("call moon.2.land").is_none());
        bridge.close().await.unwrap();
        eventually("the node is not ready", || !node.readiness().ready).await;
        let part = part("call moon.2.land");
        assert_eq!(part.is_some(), strict);
        if let Some(part) = part {
            assert_eq!(part.state, PartState::NotReady);
            let reason = part.reason.unwrap();
            assert!(
                reason.contains("lab.1") && reason.contains("the event bridge is not ready"),
                "{reason}"
            );
        }
        let _ = node.shutdown(Duration::from_secs(5)).await;
    }
}

/// A payload whose code panics where the text says so.
#[derive(Clone, Debug, JsonSchema)]
struct Brittle(String);

impl Serialize for Brittle {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(self.0 != "panic out", "a secret of the encoder");
        if self.0 == "fail out" {
            return Err(serde::ser::Error::custom("a secret of the encoder"));
        }
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Brittle {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        assert!(text != "panic in", "a secret of the decoder");
        Ok(Brittle(text))
    }
}

/// Asks for a reply with this text.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Ask {
    with: Brittle,
    reply: String,
}

impl Command for Ask {
    const ADDRESS: Address = LAB.command("ask");
    type Reply = Brittle;
}

impl CommandHandler<Ask> for Lab {
    async fn handle(&self, ask: Ask, _: &Context) -> Result<Brittle, Failure> {
        self.0.note(0, "asked");
        Ok(Brittle(ask.reply))
    }
}

#[tokio::test]
async fn panics_and_errors_of_payload_code_are_internal_and_keep_their_text_here() {
    let ledger = Arc::new(Ledger::default());
    let node = builder()
        .codec_always(true)
        .service(lab(&ledger, |c| c).command::<Ask>(|c| c))
        .start()
        .await
        .unwrap();
    let client = node.client();
    let ask = |with: &str, reply: &str| {
        client.call(Ask {
            with: Brittle(with.to_owned()),
            reply: reply.to_owned(),
        })
    };
    let cases = [
        ("panic out", "", Executed::No),
        ("fail out", "", Executed::No),
        ("panic in", "", Executed::No),
        ("", "panic out", Executed::Yes),
        ("", "fail out", Executed::Yes),
        ("", "panic in", Executed::Yes),
    ];
    for (with, reply, executed) in cases {
        let before = ledger.count("asked");
        let failure = ask(with, reply).await.unwrap_err();
        assert_eq!(
            (failure.code, failure.executed),
            (Code::Internal, executed),
            "{with}/{reply}"
        );
        assert_eq!(ledger.count("asked") - before, usize::from(executed == Executed::Yes));
        assert!(
            failure.details.is_none() && !failure.to_string().contains("secret"),
            "{failure}"
        );
    }
    ask("", "").await.unwrap();
    let restarts = super::lab::metric(&node, "roadshow_supervisor_restarts_total{");
    assert_eq!(restarts, 0.0);
    stop(node).await;
}

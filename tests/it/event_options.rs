//! What stands before the handler of an event, and what keeps events from going on for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use roadshow::prelude::*;
use roadshow::{Executed, MemoryBus};

use super::events::{NEWS, Options, Seen, Told, builder, reader, told};
use super::lab::{eventually, stop};

impl Validate for Told {
    fn validate(&self, violations: &mut Violations) {
        violations.check("id", self.id < 100, "must be below 100");
    }
}

#[tokio::test(start_paused = true)]
async fn rules_and_guards_stand_before_the_handler_of_an_event() {
    let (seen, bus) = (Arc::<Seen>::default(), MemoryBus::default());
    let asked = Arc::new(AtomicU32::new(0));
    let counts = Arc::clone(&asked);
    let guard = move |told: &Told, ctx: &Context| {
        counts.fetch_add(1, Ordering::SeqCst);
        match told.id {
            2 => Err(Failure::forbidden("not for you")),
            3 if ctx.attempt() == 1 => Err(Failure::unavailable("not yet")),
            _ => Ok(()),
        }
    };
    let options = |s: Options| s.durable("diary").validate().before(guard);
    let node = builder(&bus).service(reader(&seen, options)).start().await.unwrap();
    for id in [1, 2, 3, 500] {
        node.client().emit(told(id)).await.unwrap();
    }
    seen.ledger.wait_for("end", 2).await;
    eventually("two dead letters", || bus.dead_letters().len() == 2).await;
    let mut reasons: Vec<_> = bus.dead_letters().into_iter().map(|letter| letter.reason).collect();
    reasons.sort();
    assert!(reasons[0].contains("not for you"), "{reasons:?}");
    assert!(reasons[1].contains("id must be below 100"), "{reasons:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 4);
    assert_eq!(seen.ledger.count("start"), 2);
    stop(node).await;
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_hangs_is_dropped_when_its_options_say_and_tried_again() {
    let (seen, bus) = (Arc::<Seen>::default(), MemoryBus::default());
    let options = |s: Options| {
        s.durable("diary")
            .deadline(Duration::from_secs(1))
            .abandon_after(Duration::from_secs(1))
            .detached()
    };
    let node = builder(&bus).service(reader(&seen, options)).start().await.unwrap();
    let started = tokio::time::Instant::now();
    node.client().emit(Told { hang: true, ..told(1) }).await.unwrap();
    seen.ledger.wait_for("start", 2).await;
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    seen.ledger.wait_for("end", 1).await;
    stop(node).await;
}

/// Passes an event on for ever.
struct Echo;

impl EventHandler<Told> for Echo {
    async fn receive(&self, told: &Told, ctx: &Context) -> Outcome {
        match ctx.emit(told.clone()).await {
            Ok(()) => Outcome::Ack,
            Err(failure) => Outcome::dead_letter(format!("{}, executed {:?}", failure, failure.executed)),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_goes_round_in_circles_is_stopped() {
    let bus = MemoryBus::default();
    let echo = Service::new(NEWS, || async { Ok::<_, std::convert::Infallible>(Echo) });
    let service = echo.subscribe::<Told>(|s| s.durable("echo"));
    let node = builder(&bus).service(service).start().await.unwrap();
    node.client().emit(told(1)).await.unwrap();
    eventually("it is stopped", || !bus.dead_letters().is_empty()).await;
    let reason = &bus.dead_letters()[0].reason;
    assert!(reason.contains("32 hops") && reason.contains("executed No"), "{reason}");
    stop(node).await;
}

#[tokio::test]
async fn events_from_outside_are_refused_while_the_node_drains() {
    let (seen, bus) = (Arc::<Seen>::default(), MemoryBus::default());
    let node = builder(&bus).service(reader(&seen, |s| s)).start().await.unwrap();
    let client = node.client();
    stop(node).await;
    let name = Told::NAME.as_str().parse().unwrap();
    let json = client.emit_json(&name, "{}".into(), roadshow::CallOptions::default());
    for failure in [client.emit(told(1)).await.unwrap_err(), json.await.unwrap_err()] {
        assert_eq!((failure.code, failure.executed), (Code::Unavailable, Executed::No));
        assert!(failure.message.contains("shutting down"), "{failure}");
    }
}

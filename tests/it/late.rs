//! Two runs on one message, of which one is late.

use std::sync::Arc;
use std::time::Duration;

use roadshow::prelude::*;
use roadshow::{Clock, MemoryBus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lab::{Ledger, stop};

const QUICK: ServiceId = ServiceId::new("quick", 1);
const SLOW: ServiceId = ServiceId::new("slow", 1);

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Rang;

impl Event for Rang {
    const NAME: EventName = EventName::new("bell.rang");
}

/// Waits to be cancelled, or to be let go.
struct Listener(Arc<Ledger>);

impl EventHandler<Rang> for Listener {
    async fn receive(&self, _rang: &Rang, ctx: &Context) -> Outcome {
        self.0.note(0, "start");
        tokio::select! {
            () = ctx.cancelled() => self.0.note(0, "cancelled"),
            () = self.0.held() => self.0.note(0, "end"),
        }
        Outcome::Ack
    }
}

fn listener(id: ServiceId, ledger: &Arc<Ledger>, deadline: Duration) -> Service<Listener> {
    let ledger = Arc::clone(ledger);
    Service::new(id, move || {
        let ledger = Arc::clone(&ledger);
        async move { Ok::<_, std::convert::Infallible>(Listener(ledger)) }
    })
    .subscribe::<Rang>(|s| s.deadline(deadline))
}

#[tokio::test(start_paused = true)]
async fn one_subscription_that_is_late_does_not_cancel_another() {
    let (quick, slow) = (Arc::new(Ledger::default()), Arc::new(Ledger::default()));
    let node = Node::builder()
        .clock(Clock::tokio())
        .memory_bus(&MemoryBus::default())
        .service(listener(QUICK, &quick, Duration::from_secs(1)))
        .service(listener(SLOW, &slow, Duration::from_secs(600)))
        .start()
        .await
        .unwrap();
    node.client().emit(Rang).await.unwrap();
    quick.wait_for("cancelled", 1).await;
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!((slow.count("start"), slow.count("cancelled")), (1, 0));
    slow.release();
    slow.wait_for("end", 1).await;
    stop(node).await;
}

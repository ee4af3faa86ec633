//! Opening streams elsewhere in unusual places: off the runtime, and on a node that drains.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use roadshow::prelude::*;
use roadshow::{EventBridge, Executed, MemoryBus};
use serde::{Deserialize, Serialize};

use super::tape::{Play, tape, within};
use crate::lab::{Ledger, builder, eventually, stop};
use crate::lame_bridge::LameBridge;

#[test]
fn a_caller_off_the_runtime_opens_a_stream_although_the_broker_is_away() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (bus, ledger) = (MemoryBus::default(), Arc::new(Ledger::default()));
    let bridge = LameBridge::pushing(&bus);
    let away = Arc::clone(&bridge.away);
    let (reads, feeds) = runtime.block_on(async {
        let feeds = builder().memory_bus(&bus).service(tape(&ledger, |s| s));
        let reads = builder().event_bridge(Arc::new(bridge) as Arc<dyn EventBridge>);
        (reads.start().await.unwrap(), feeds.start().await.unwrap())
    });
    away.store(true, Ordering::SeqCst);
    let without_timers = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let opened = without_timers.block_on(reads.client().open(Play::default()));
    away.store(false, Ordering::SeqCst);
    assert!(opened.is_ok());
    drop(opened);
    runtime.block_on(async {
        stop(reads).await;
        stop(feeds).await;
    });
}

const LATE: ServiceId = ServiceId::new("late", 1);

/// Opens a stream once the ledger is released.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct OpenLate;

impl Command for OpenLate {
    const ADDRESS: Address = LATE.command("open_late");
    type Reply = ();
}

struct Late(Arc<Ledger>);

impl CommandHandler<OpenLate> for Late {
    async fn handle(&self, _: OpenLate, ctx: &Context) -> Result<(), Failure> {
        self.0.note(0, "late");
        self.0.held().await;
        let refused = ctx.open(Play::default()).await.map(drop).unwrap_err();
        assert_eq!((refused.code, refused.executed), (Code::Unavailable, Executed::No));
        Ok(())
    }
}

#[tokio::test]
async fn a_node_that_drains_opens_nothing_elsewhere() {
    let (bus, ledger) = (MemoryBus::default(), Arc::new(Ledger::default()));
    let feeds = builder().node_id("feeds").memory_bus(&bus);
    let feeds = feeds.service(tape(&ledger, |s| s)).start().await.unwrap();
    let state = Arc::clone(&ledger);
    let late = Service::new(LATE, move || {
        let late = Late(Arc::clone(&state));
        async move { Ok::<_, std::convert::Infallible>(late) }
    });
    let late = late.command::<OpenLate>(|c| c);
    let node = builder().memory_bus(&bus).service(late).start().await.unwrap();
    let client = node.client();
    let calling = tokio::spawn(async move { client.call(OpenLate).await });
    ledger.wait_for("late", 1).await;
    let view = node.view();
    let draining = tokio::spawn(node.shutdown(Duration::from_secs(10)));
    eventually("it drains", || !view.readiness().ready).await;
    ledger.release();
    within(calling).await.unwrap().unwrap();
    assert!(within(draining).await.unwrap().is_clean());
    assert_eq!(ledger.count("start"), 0, "nobody was asked");
    stop(feeds).await;
}

//! Two nodes, one that reads streams and one that feeds them.

use std::sync::Arc;

use roadshow::prelude::*;
use roadshow::{MemoryBus, NodeBuilder};

use super::tape::{Options, tape};
use crate::lab::{Ledger, builder, stop};

/// A consumer's window, and how far a handler elsewhere may be ahead of it.
pub(crate) const HELD_BACK_AT: usize = 64 + 4;

/// A node that reads and one that feeds.
pub(crate) struct Pair {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) reads: Node,
    pub(crate) feeds: Node,
}

impl Pair {
    /// Each is made of a builder that says where it is.
    pub(crate) async fn of(reads: NodeBuilder, feeds: NodeBuilder, options: impl FnOnce(Options) -> Options) -> Self {
        let ledger = Arc::new(Ledger::default());
        let feeds = feeds.node_id("feeds").service(tape(&ledger, options));
        let feeds = feeds.start().await.unwrap();
        let reads = reads.node_id("reads").start().await.unwrap();
        Self { ledger, reads, feeds }
    }

    /// On one bus in this process.
    pub(crate) async fn start(codec: bool) -> Self {
        Self::with(codec, |s| s).await
    }

    pub(crate) async fn with(codec: bool, options: impl FnOnce(Options) -> Options) -> Self {
        let bus = MemoryBus::default();
        let node = || builder().codec_always(codec).memory_bus(&bus);
        Self::of(node(), node(), options).await
    }

    pub(crate) async fn stop(self) {
        stop(self.reads).await;
        stop(self.feeds).await;
    }
}

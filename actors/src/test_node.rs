//! A node's core for unit tests: tokio's clock, the current runtime, and nothing connected.

use std::sync::Arc;

use roadshow_bridges::{IncarnationId, Namespace};

use crate::clock::Clock;
use crate::core::{NodeCore, NodeSpec};
use crate::ids::Ids;
use crate::metrics::{MetricsSettings, NodeMetrics};

pub(crate) fn test_node() -> Arc<NodeCore> {
    NodeCore::new(NodeSpec {
        clock: Clock::tokio(),
        ids: Ids::seeded(7),
        metrics: NodeMetrics::new(MetricsSettings::default()),
        runtime: tokio::runtime::Handle::current(),
        node_id: "test".parse().unwrap(),
        incarnation: IncarnationId::from_u64(1),
        namespace: Namespace::default(),
        codec_always: false,
        call_timeout: std::time::Duration::from_secs(30),
        reply_allow: Vec::new(),
    })
}

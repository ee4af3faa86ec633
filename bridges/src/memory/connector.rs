//! `memory:` as a URL.

use std::sync::Arc;

use futures_util::future::{BoxFuture, ready};

use super::bridge::MemoryEventBridge;
use super::bus::MemoryBus;
use super::settings::MemoryBridgeSettings;
use crate::connector::{ConnectContext, Connector};
use crate::error::Error;
use crate::event_bridge::EventBridge;

/// Makes memory bridges of the URL `memory:`, all on one bus: nodes that share the connector meet.
#[derive(Debug, Clone, Default)]
pub struct MemoryConnector {
    bus: MemoryBus,
}

impl MemoryConnector {
    /// Bridges on this bus.
    pub fn new(bus: MemoryBus) -> Self {
        Self { bus }
    }
}

impl Connector for MemoryConnector {
    fn schemes(&self) -> &[&'static str] {
        &["memory"]
    }

    fn event_bridge<'a>(
        &'a self,
        url: &'a str,
        _: &'a ConnectContext,
    ) -> BoxFuture<'a, Result<Arc<dyn EventBridge>, Error>> {
        let rest = url.split_once(':').map_or("", |(_, rest)| rest);
        let bridge = if matches!(rest, "" | "//") {
            let bridge = MemoryEventBridge::new(self.bus.clone(), MemoryBridgeSettings::default());
            Ok(Arc::new(bridge) as Arc<dyn EventBridge>)
        } else {
            Err(Error::config(
                "cannot connect the memory bridge: its URL is `memory:` and nothing more",
            ))
        };
        Box::pin(ready(bridge))
    }
}

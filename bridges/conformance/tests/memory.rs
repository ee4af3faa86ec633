//! The suite over the memory bridge, which is the reference for every other one.

use std::process::ExitCode;
use std::sync::Arc;

use roadshow_bridges::memory::{MemoryBridgeSettings, MemoryConnector};
use roadshow_bridges::{Capability, Connector, EventBridge, MemoryBus, MemoryEventBridge, Namespace};
use roadshow_conformance::{Adapter, Dead, Home};

#[derive(Debug, Default)]
struct Memory(MemoryBus);

impl Adapter for Memory {
    fn capability(&self) -> Capability {
        MemoryEventBridge::new(self.0.clone(), MemoryBridgeSettings::default()).capability()
    }

    fn connector(&self) -> Arc<dyn Connector> {
        Arc::new(MemoryConnector::new(self.0.clone()))
    }

    fn home(&self) -> Home {
        Home::Here("memory:")
    }

    fn dead_letters(&self, namespace: &Namespace) -> Option<Vec<Dead>> {
        let of_namespace = |subject: &str| {
            subject
                .strip_prefix(namespace.as_str())
                .is_some_and(|rest| rest.starts_with('.'))
        };
        let letters = self.0.dead_letters().into_iter();
        let found = letters
            .filter(|letter| of_namespace(letter.subject.as_str()))
            .map(|letter| Dead {
                id: letter.id,
                reason: letter.reason,
                payload: letter.payload,
            });
        Some(found.collect())
    }
}

fn main() -> ExitCode {
    roadshow_conformance::run(Memory::default())
}

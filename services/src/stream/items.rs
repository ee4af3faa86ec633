//! What a handler feeds: items one by one, each as soon as the consumer has room.

use std::fmt;

use bytes::Bytes;
use roadshow_actors::ItemSender;
use roadshow_bridges::{Address, Failure, codec};
use serde::Serialize;

use crate::dispatch::run_serde;

/// The handler's half of a stream.
///
/// It may be shared between tasks, but the stream ends with its handler: what is sent afterwards fails.
pub struct Items<T> {
    address: Address,
    outlet: Outlet<T>,
}

enum Outlet<T> {
    /// The consumer takes the very values.
    Typed(ItemSender<T>),
    /// The consumer is elsewhere, or knows the items by another type.
    Encoded(ItemSender<Bytes>),
}

impl<T> fmt::Debug for Items<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Items").field(&format_args!("{}", self.address)).finish()
    }
}

impl<T> Items<T> {
    pub(crate) fn typed(address: Address, sender: ItemSender<T>) -> Self {
        let outlet = Outlet::Typed(sender);
        Items { address, outlet }
    }

    pub(crate) fn encoded(address: Address, sender: ItemSender<Bytes>) -> Self {
        let outlet = Outlet::Encoded(sender);
        Items { address, outlet }
    }

    /// The same outlet once more, to look at its end.
    pub(crate) fn share(&self) -> Self {
        let outlet = match &self.outlet {
            Outlet::Typed(sender) => Outlet::Typed(sender.clone()),
            Outlet::Encoded(sender) => Outlet::Encoded(sender.clone()),
        };
        let address = self.address;
        Items { address, outlet }
    }

    /// Whether an item would reach nobody: the consumer has gone, the stream has ended, or the node drains.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match &self.outlet {
            Outlet::Typed(sender) => sender.is_closed(),
            Outlet::Encoded(sender) => sender.is_closed(),
        }
    }
}

impl<T: Serialize> Items<T> {
    /// Sends one item, as soon as the consumer has room for it.
    ///
    /// # Errors
    /// `unavailable` once the consumer has gone, the stream has ended, or the node drains; `internal` where the item cannot
    /// be written as JSON. Pass it on with `?`: nobody hears it who has gone.
    ///
    /// # Cancel safety
    /// Dropping the future before it resolves sends nothing, and drops the item.
    pub async fn send(&self, item: T) -> Result<(), Failure> {
        match &self.outlet {
            Outlet::Typed(sender) => sender.send(item).await,
            Outlet::Encoded(sender) => {
                let encoded = run_serde(|| codec::encode_json(&item), "encode an item", &self.address)?;
                sender.send(encoded).await
            }
        }
    }
}

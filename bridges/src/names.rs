//! Names: what services, commands, events, queues and nodes may be called, and the subjects made of them.
//!
//! A name ends up in a broker's subject, and a subject is code: a space, a dot or a wildcard in the wrong place makes a
//! message reach someone else. So every name is checked once, when it is declared, and is never mapped or escaped later.
//! Names of the program (`ServiceId`, `Address`, `EventName`, `QueueName`) are checked when their constant is compiled;
//! names that arrive at run time have an owned, parsed twin. The `*Key` types are what both lend for a lookup.
//!
//! Deliberately not here: wildcards, lossy conversion, and the separators of single brokers (an adapter maps dots).

mod address;
mod error;
mod event;
mod node;
mod queue;
mod service;
mod subject;
mod token;

pub use address::{Address, AddressBuf, AddressKey};
pub use error::{NameError, NameRule};
pub use event::{EventKey, EventName, EventNameBuf};
pub use node::{IncarnationId, NodeId};
pub use queue::QueueName;
pub use service::{ServiceId, ServiceKey};
pub use subject::{DEFAULT_NAMESPACE, InboxAddress, Namespace, Subject};
pub use token::Token;

/// Serialises a name as its text, and checks it again when it comes back.
macro_rules! serde_as_text {
    ($name:ty) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use serde_as_text;

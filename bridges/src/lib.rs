//! What crosses the wire in Roadshow: names, identities, envelopes and failures, and the contracts that a bridge keeps.
//!
//! A bridge moves envelopes between nodes and settles them; that is all. Request and reply, deadlines, retries, dead letters,
//! streams and tracing are written once, above, so this crate knows no actors, no HTTP and no broker's client library.

mod backoff;
mod bare;
mod broker_url;
mod capability;
pub mod codec;
mod connector;
mod deliveries;
mod delivery;
mod drop_reason;
mod envelope;
mod error;
mod event_bridge;
mod failure;
mod health;
mod identity;
pub mod memory;
mod names;
mod presence;
mod retry;
mod subscription;

pub use backoff::reconnect_delay;
pub use bare::{BareAct, BareClient, BareMessage, BareRun};
pub use broker_url::{Access, BrokerUrl, Scheme};
pub use capability::Capability;
pub use codec::DecodeError;
pub use connector::{ConnectContext, Connector, Connectors};
pub use deliveries::{Deliveries, DeliverySource};
pub use delivery::{Delivery, Parcel, Settlement, Settler};
pub use drop_reason::DropReason;
pub use envelope::{
    Arrival, BINARY_CONTENT_TYPE, ContentType, ENVELOPE_BYTES_MAX, Envelope, FOREIGN_BYTES_MAX, FOREIGN_COUNT_MAX,
    FORMAT_VERSION, ForeignHeaders, JSON_CONTENT_TYPE, Kind, Payload, Received, SharedValue,
    TRANSPORT_CORRELATION_LEN_MAX, UnknownKind, header,
};
pub use error::{Error, ErrorKind};
pub use event_bridge::{EventBridge, Published, TryPublish};
pub use failure::{Code, Executed, Failure, UnknownCode};
pub use health::Health;
pub use identity::{
    CorrelationId, HOPS_MAX, IdError, IdText, Identity, KEY_LEN_MAX, MessageId, PRINCIPAL_LEN_MAX, TENANT_LEN_MAX,
    TRACESTATE_LEN_MAX, TraceContext, TraceError, Who,
};
pub use memory::{DeadLetter, MemoryBus, MemoryEventBridge};
pub use names::{
    Address, AddressBuf, AddressKey, DEFAULT_NAMESPACE, EventKey, EventName, EventNameBuf, InboxAddress, IncarnationId,
    NameError, NameRule, Namespace, NodeId, QueueName, ServiceId, ServiceKey, Subject, Token,
};
pub use presence::Presence;
pub use retry::{Jitter, Retry};
pub use subscription::{DEFAULT_WINDOW, Overflow, Reach, Subscription};

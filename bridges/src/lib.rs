//! What crosses the wire in Roadshow: names, identities, envelopes and failures, and the contracts that a bridge keeps.
//!
//! A bridge moves envelopes between nodes and settles them; that is all. Request and reply, deadlines, retries, dead letters,
//! streams and tracing are written once, above, so this crate knows no actors, no HTTP and no broker's client library.

mod error;
mod failure;
mod identity;
mod names;

pub use error::{Error, ErrorKind};
pub use failure::{Code, Executed, Failure, UnknownCode};
pub use identity::{
    CorrelationId, HOPS_MAX, IdError, Identity, KEY_LEN_MAX, MessageId, PRINCIPAL_LEN_MAX, TENANT_LEN_MAX,
    TRACESTATE_LEN_MAX, TraceContext, TraceError, Who,
};
pub use names::{
    Address, AddressBuf, AddressKey, DEFAULT_NAMESPACE, EventKey, EventName, EventNameBuf, InboxAddress, IncarnationId,
    Namespace, NameError, NameRule, NodeId, QueueName, ServiceId, ServiceKey, Subject, Token,
};

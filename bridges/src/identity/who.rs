//! The fields of an identity that most messages do not have, kept together behind one shared pointer.

/// The longest principal that crosses the wire, in bytes.
pub const PRINCIPAL_LEN_MAX: usize = 256;
/// The longest tenant that crosses the wire, in bytes.
pub const TENANT_LEN_MAX: usize = 256;
/// The longest idempotency key that crosses the wire, in bytes.
pub const KEY_LEN_MAX: usize = 128;
/// The longest trace state that crosses the wire, in bytes.
pub const TRACESTATE_LEN_MAX: usize = 512;

/// Principal, tenant, idempotency key and trace state of a message.
///
/// A value beyond its limit stays inside the process and is left out of what is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Who {
    /// On whose behalf the message travels; at most [`PRINCIPAL_LEN_MAX`] bytes.
    pub principal: Option<Box<str>>,
    /// The tenant that the message belongs to; at most [`TENANT_LEN_MAX`] bytes.
    pub tenant: Option<Box<str>>,
    /// The idempotency key; at most [`KEY_LEN_MAX`] bytes.
    pub key: Option<Box<str>>,
    /// The vendor part of the trace context; at most [`TRACESTATE_LEN_MAX`] bytes.
    pub tracestate: Option<Box<str>>,
}

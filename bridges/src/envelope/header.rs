//! The names of the headers, as `docs/WIRE.md` lists them.
//!
//! CloudEvents attributes bear the prefix `ce-` here; an adapter whose binding writes them differently maps the prefix.

/// The kind of the message; its default is the kind that belongs to the subject.
pub const TYPE: &str = "rs-type";
/// The version of this set of headers; its default is 1.
pub const VERSION: &str = "rs-v";
/// The message id; an event has it in [`CE_ID`] instead.
pub const ID: &str = "rs-id";
/// The conversation; its default is the message id.
pub const CORRELATION: &str = "rs-correlation";
/// The message whose handler sent this one.
pub const CAUSATION: &str = "rs-causation";
/// Who sent it.
pub const FROM: &str = "rs-from";
/// The milliseconds left when it was sent.
pub const TIMEOUT_MS: &str = "rs-timeout-ms";
/// When it was sent, in milliseconds of Unix time.
pub const SENT: &str = "rs-sent";
/// Which start of the handler this is; its default is 1.
pub const ATTEMPT: &str = "rs-attempt";
/// How many hops it made; its default is 0.
pub const HOPS: &str = "rs-hops";
/// On whose behalf it travels.
pub const PRINCIPAL: &str = "rs-principal";
/// The tenant that it belongs to.
pub const TENANT: &str = "rs-tenant";
/// The idempotency key.
pub const KEY: &str = "rs-key";
/// The fingerprint of the payload's schema, 16 hexadecimal digits.
pub const SCHEMA: &str = "rs-schema";
/// The place of a frame, or the size of a credit; its default is 0.
pub const SEQUENCE: &str = "rs-seq";
/// How the payload is encoded; its default is JSON.
pub const CONTENT_TYPE: &str = "content-type";
/// The W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// The vendor part of the W3C trace context.
pub const TRACESTATE: &str = "tracestate";
/// The CloudEvents version, `1.0`.
pub const CE_SPECVERSION: &str = "ce-specversion";
/// The CloudEvents id: the message id.
pub const CE_ID: &str = "ce-id";
/// The CloudEvents source: `/` and who sent it.
pub const CE_SOURCE: &str = "ce-source";
/// The CloudEvents type: the event's name.
pub const CE_TYPE: &str = "ce-type";
/// The CloudEvents content type, which the NATS binding writes beside the transport's own.
pub const CE_DATACONTENTTYPE: &str = "ce-datacontenttype";

/// What every header of ours begins with.
pub const PREFIX: &str = "rs-";
/// What every CloudEvents attribute begins with here.
pub const CE_PREFIX: &str = "ce-";

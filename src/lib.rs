#![doc = include_str!("../README.md")]
//!
//! # In this crate
//!
//! Re-exports and nothing else: what a service author needs stands at the top, [`prelude`] holds what nearly every
//! file of services uses, and each module below is one of the crates that Roadshow is made of.

pub mod prelude;

pub use roadshow_bridges as bridges;
#[cfg(feature = "console")]
pub use roadshow_console as console;
#[cfg(feature = "demo")]
pub use roadshow_demo as demo;
#[cfg(feature = "gateway")]
pub use roadshow_gateway as gateway;
pub use roadshow_services as services;

#[cfg(feature = "console")]
pub use roadshow_console::{App, IntoServices, app};
#[cfg(feature = "gateway")]
pub use roadshow_gateway::{Authenticate, Caller, RequestHead};
pub use roadshow_services::{
    Address, AddressBuf, AnyService, Backoff, Budget, CallOptions, Client, Clock, Code, Command, CommandContract,
    CommandHandler, CommandOptions, Component, Connector, Connectors, Context, CorrelationId, Drained, Error,
    ErrorKind, Event, EventBridge, EventHandler, EventName, EventNameBuf, Executed, FactoryError, Failure,
    FailureRecord, Guard, Handle, HttpRoute, Identity, Limits, Measure, MemoryBus, MessageId, Method, MetricsRecorder,
    NameError, Node, NodeBuilder, NodeLimits, NodeState, NodeView, Outcome, Part, PartState, Phase, RateLimit,
    Readiness, Retry, RunningComponent, Service, ServiceId, Setup, SubscriptionContract, SubscriptionOptions,
    TraceContext, TreeNode, Validate, Violation, Violations, config, outcome_of, testing,
};

/// Compiles and runs the blocks of the guide's pages; the first page is followed by `tests/guide.rs`.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../docs/guide/testing.md")]
    mod testing {}
    #[doc = include_str!("../docs/guide/errors.md")]
    mod errors {}
    #[doc = include_str!("../docs/guide/http.md")]
    mod http {}
}

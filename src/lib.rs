#![doc = include_str!("../README.md")]
//!
//! # In this crate
//!
//! Re-exports, and [`app`], which knows every adapter whose feature is on: what a service author needs stands at the top,
//! [`prelude`] holds what nearly every file of services uses, and each module below is one of the crates that Roadshow is
//! made of.

pub mod prelude;

pub use roadshow_bridges as bridges;
#[cfg(feature = "console")]
pub use roadshow_console as console;
#[cfg(feature = "demo")]
pub use roadshow_demo as demo;
#[cfg(feature = "gateway")]
pub use roadshow_gateway as gateway;
pub use roadshow_services as services;

#[cfg(feature = "amqp")]
pub use roadshow_amqp::AmqpConnector;
#[cfg(feature = "console")]
pub use roadshow_console::{App, IntoServices};
#[cfg(feature = "gateway")]
pub use roadshow_gateway::{Authenticate, Caller, RequestHead};
#[cfg(feature = "mqtt")]
pub use roadshow_mqtt::MqttConnector;
#[cfg(feature = "nats")]
pub use roadshow_nats::NatsConnector;
pub use roadshow_services::{
    Address, AddressBuf, AnyService, Backoff, Budget, CallOptions, Client, Clock, Code, Command, CommandContract,
    CommandHandler, CommandOptions, Component, Connector, Connectors, Context, CorrelationId, Drained, EncodedReader,
    Error, ErrorKind, Event, EventBridge, EventHandler, EventName, EventNameBuf, Executed, FactoryError, Failure,
    FailureRecord, Guard, Handle, HttpRoute, Identity, Items, Limits, Measure, MemoryBus, MessageId, Method,
    MetricsRecorder, NameError, Node, NodeBuilder, NodeLimits, NodeState, NodeView, Outcome, Part, PartState, Phase,
    RateLimit, Readiness, Retry, RunningComponent, Service, ServiceId, Setup, Stream, StreamContract, StreamHandler,
    StreamOptions, StreamReader, SubscriptionContract, SubscriptionOptions, TraceContext, TreeNode, Validate,
    Violation, Violations, config, outcome_of, testing,
};

/// The application `name`, to be given its services. It knows the adapters whose features are on, so that a setting or a
/// flag (`--event-bridge nats://127.0.0.1:4222`) is all that a broker takes.
///
/// ```no_run
/// use std::convert::Infallible;
/// use std::process::ExitCode;
///
/// use roadshow::{Service, ServiceId};
///
/// # #[tokio::main]
/// # async fn main() -> ExitCode {
/// let shop = Service::new(ServiceId::new("shop", 1), || async { Ok::<_, Infallible>(()) });
/// roadshow::app("shop").service(shop).main().await
/// # }
/// ```
#[cfg(feature = "console")]
pub fn app(name: &'static str) -> App {
    let app = roadshow_console::app(name);
    #[cfg(feature = "nats")]
    let app = app.connector(NatsConnector);
    #[cfg(feature = "amqp")]
    let app = app.connector(AmqpConnector);
    #[cfg(feature = "mqtt")]
    let app = app.connector(MqttConnector);
    app
}

/// Compiles and runs the blocks of the guide's pages; the first page is followed by `tests/guide.rs`.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../docs/guide/testing.md")]
    mod testing {}
    #[doc = include_str!("../docs/guide/errors.md")]
    mod errors {}
    #[doc = include_str!("../docs/guide/http.md")]
    mod http {}
    #[doc = include_str!("../docs/guide/streams.md")]
    mod streams {}
}

//! What a service author sees: services, commands, events, the context of a call, and the node that runs them.
//!
//! ```
//! use roadshow_services::{Address, Command, CommandHandler, Context, Failure, Node, Service, ServiceId};
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! const GREETER: ServiceId = ServiceId::new("greeter", 1);
//!
//! #[derive(Serialize, Deserialize, JsonSchema)]
//! struct Greet {
//!     name: String,
//! }
//!
//! impl Command for Greet {
//!     const ADDRESS: Address = GREETER.command("greet");
//!     type Reply = String;
//! }
//!
//! struct Greeter;
//!
//! impl CommandHandler<Greet> for Greeter {
//!     async fn handle(&self, input: Greet, _ctx: &Context) -> Result<String, Failure> {
//!         Ok(format!("Hello, {}!", input.name))
//!     }
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let greeter = Service::new(GREETER, || async { Ok::<_, std::convert::Infallible>(Greeter) });
//! let node = Node::builder().service(greeter.command::<Greet>(|c| c)).start().await?;
//! assert_eq!(node.client().call(Greet { name: "Ada".to_owned() }).await?, "Hello, Ada!");
//! assert!(node.shutdown(std::time::Duration::from_secs(5)).await.is_clean());
//! # Ok(())
//! # }
//! ```
//!
//! Deliberately not here: HTTP (`roadshow-gateway`), the command line (`roadshow-console`), and any broker's client.

mod client;
mod command;
mod component;
pub mod config;
mod context;
mod contract;
mod dispatch;
mod error;
mod event;
mod guard;
mod http;
mod measure;
mod node;
mod outgoing;
mod rate;
mod service;
mod setup;
mod stream;
pub mod testing;
mod validate;

pub use client::{CallOptions, Client, Handle};
pub use command::{Command, CommandHandler};
pub use component::{Component, RunningComponent};
pub use context::Context;
pub use contract::{
    CommandContract, CommandExample, CommandNotes, EventContract, SchemaOf, ServiceContract, StreamContract,
    SubscriptionContract,
};
pub use error::{Error, ErrorKind};
pub use event::{Event, EventHandler, Outcome, outcome_of};
pub use guard::Guard;
pub use http::{HttpRoute, Method};
pub use measure::Measure;
pub use node::{
    Drained, FailureRecord, Node, NodeBuilder, NodeLimits, NodeView, Part, PartState, Readiness, time_for_work,
};
pub use outgoing::Outgoing;
pub use rate::{KEYS_MAX, RateLimit};
pub use service::{AnyService, CommandOptions, FactoryError, Service, StreamOptions, SubscriptionOptions};
pub use setup::Setup;
pub use stream::{EncodedReader, Items, Stream, StreamHandler, StreamReader};
pub use validate::{Validate, Violation, Violations};

pub use roadshow_actors::metrics::Recorder as MetricsRecorder;
pub use roadshow_actors::{Clock, Limits, Phase};
pub use roadshow_bridges::{
    Address, AddressBuf, Code, Connector, Connectors, CorrelationId, EventBridge, EventName, EventNameBuf, Executed,
    Failure, Identity, MemoryBus, MessageId, NameError, PRINCIPAL_LEN_MAX, Retry, ServiceId, TENANT_LEN_MAX,
    TraceContext,
};
pub use roadshow_supervision::{Backoff, Budget, NodeState, TreeNode};

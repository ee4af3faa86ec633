//! For tests of services: one handler without a node, a node on paused time, and a record of what was emitted.
//!
//! ```
//! use roadshow_services::testing::Solo;
//! # use roadshow_services::{Address, Command, CommandHandler, Context, Failure, ServiceId};
//! # const GREETER: ServiceId = ServiceId::new("greeter", 1);
//! # #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
//! # struct Greet { name: String }
//! # impl Command for Greet { const ADDRESS: Address = GREETER.command("greet"); type Reply = String; }
//! # struct Greeter;
//! # impl CommandHandler<Greet> for Greeter {
//! #     async fn handle(&self, input: Greet, _ctx: &Context) -> Result<String, Failure> { Ok(format!("Hello, {}!", input.name)) }
//! # }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let greeter = Solo::new(Greeter);
//! assert_eq!(greeter.call(Greet { name: "Ada".to_owned() }).await.unwrap(), "Hello, Ada!");
//! # }
//! ```

mod recorder;
mod solo;

pub use recorder::Recorder;
pub use solo::Solo;

use roadshow_actors::Clock;

use crate::node::{Node, NodeBuilder};

/// A builder for a node that takes its time from tokio, so that `start_paused` tests own it.
pub fn node() -> NodeBuilder {
    Node::builder().clock(Clock::tokio())
}

//! The HTTP door of a node: the routes that commands declare, health, metrics, and the admin routes; and the client that
//! opens it from the other side.
//!
//! ```
//! use std::net::SocketAddr;
//!
//! use roadshow_gateway::{Gateway, NodeClient};
//! use roadshow_services::Node;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let gateway = Gateway::new(SocketAddr::from(([127, 0, 0, 1], 0)));
//! let node = Node::builder().component(gateway).start().await?;
//! let location = node.view().location("gateway").ok_or("the gateway runs")?;
//!
//! let client = NodeClient::new(&format!("http://{location}"))?;
//! assert_eq!(client.ready().await?["ready"], true);
//! assert!(node.shutdown(std::time::Duration::from_secs(5)).await.is_clean());
//! # Ok(())
//! # }
//! ```
//!
//! Routes are known only when a node starts, so the gateway stands on hyper and matchit (the matcher of axum) and not on
//! a framework whose strength is routes and extractors that are known to the compiler.
//!
//! What one request may cost is bounded everywhere: connections, the size of a head and of a body, the bytes that all
//! bodies hold together, and the time for a head, a body, an authentication hook and a client that does not read.
//!
//! Deliberately not here: what a command does, how long it may take and how many run at once (`roadshow-services`), and
//! anything about a terminal (`roadshow-console`).

mod access;
mod access_log;
mod activity;
mod admin;
mod answer;
mod answer_body;
mod api;
mod asked;
mod authenticate;
mod body;
mod caller_headers;
mod client;
mod connection;
mod content;
mod cors;
mod docs_page;
mod door;
mod events;
mod form;
mod gateway;
mod half_open;
mod health;
mod input;
mod kind;
mod media;
mod meters;
mod openapi;
mod problem;
mod refusal;
mod routes;
mod running;
mod shape;
mod streams;
mod timed_stream;
mod tls;
mod visit;

pub use authenticate::{Authenticate, Caller, RequestHead};
pub use client::{ClientError, NodeClient, NodeStream};
pub use cors::{Cors, CorsError};
pub use gateway::Gateway;
pub use openapi::{OpenApi, Preface, SecurityScheme, openapi, yaml_of_json};
pub use problem::{Problem, status_of};
pub use tls::check_tls;

//! The command line of a Roadshow application: one [`App`] gives somebody's services every command there is.
//!
//! `up` runs a node; `call`, `emit` and `stream` talk to one over HTTP, or to a system over its event bridge; `tree` looks into one
//! node; `bench` measures this machine. What a command prints for programs goes to stdout as JSON, what it says to people
//! goes to stderr, and the exit code tells how it went.
//!
//! This is the only crate that knows terminals, signals and exit codes, and the only one that installs process-wide
//! things: the log subscriber and the panic hook, in `up` and nowhere else. Deliberately not here: HTTP, which is the
//! gateway's, its client included; and any broker's client library, which an application registers as a connector.

mod app;
mod asyncapi;
mod bench;
mod call;
mod command_line;
mod completions;
mod doctor;
mod emit;
mod end;
mod front;
mod harmless;
mod log;
mod new;
mod openapi;
mod output;
mod payload;
mod picture;
mod prepared;
mod reply;
mod screen;
mod service_flags;
mod signals;
mod stream;
mod style;
mod system;
mod target;
mod tree;
mod up;
mod watch;

pub use app::{App, app};
pub use service_flags::IntoServices;

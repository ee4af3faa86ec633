//! Supervision trees for Roadshow: pure restart plans carried out by [`ractor`] actors.
//!
//! A [`Supervisor`] owns children, each described by a [`ChildSpec`]. It starts them in order, watches them, restarts
//! them by the rules of OTP, and stops them in reverse order with a deadline for each. Whether a child is restarted,
//! with whom, and after how long is decided by [`plan`], a pure function; the actor only carries the decision out.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use ractor::{Actor, ActorProcessingErr, ActorRef};
//! use roadshow_supervision::{ChildSpec, NoObserver, Panicked, Supervisor, SupervisorSpec, Tree};
//!
//! struct Greeter;
//!
//! impl Actor for Greeter {
//!     type Msg = String;
//!     type State = ();
//!     type Arguments = ();
//!
//!     async fn pre_start(&self, _: ActorRef<String>, (): ()) -> Result<(), ActorProcessingErr> {
//!         Ok(())
//!     }
//!
//!     async fn handle(&self, _: ActorRef<String>, name: String, (): &mut ()) -> Result<(), ActorProcessingErr> {
//!         Err(Panicked(format!("cannot greet {name}")).into())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let greeter = ChildSpec::worker("greeter", |context| async move {
//!     Ok(context.spawn(Greeter, ()).await?.get_cell())
//! });
//! let tree = Tree::new();
//! let spec = SupervisorSpec::new("node");
//! let supervisor = Supervisor::spawn(spec, vec![greeter], None, tree.clone(), Arc::new(NoObserver)).await?;
//! assert_eq!(tree.snapshot().children[0].state.as_str(), "ready");
//!
//! let exit = supervisor.stop(Duration::from_secs(5)).await;
//! assert!(exit.is_normal());
//! # Ok(())
//! # }
//! ```
//!
//! What differs from OTP, and why:
//!
//! - A supervisor has two [`Budget`]s, one for handler panics and one for every other exit, because a panic in one call
//!   of thousands says less about a service than a factory that cannot reach its database.
//! - Restarts back off, with jitter, and a second limit counts failures in a row: a long delay would otherwise keep the
//!   window of the first limit from ever filling.
//! - Starts run in a task of their own with a deadline, so a start that hangs never keeps a supervisor from obeying.
//!
//! Deliberately not here: messages, routing, names and clusters. Nothing is global; everything hangs from the [`Tree`]
//! and the [`Observer`] that the caller passes in, and ractor's process-wide registry is not used.

#[cfg(panic = "abort")]
compile_error!(
    "supervision needs unwinding: a profile with panic = \"abort\" turns every crash into the end of the process"
);

mod budget;
mod child_spec;
mod event;
mod exit;
mod history;
mod path;
mod plan;
mod snapshot;
mod start;
mod stop;
mod supervisor;
mod supervisor_spec;
mod tree;

pub use budget::{Backoff, Budget, BudgetKind};
pub use child_spec::{ChildKind, ChildSpec, OnGiveUp, Restart, Shutdown, SpecError};
pub use event::{Event, EventKind, NoObserver, Observer};
pub use exit::{Exit, ExitKind, GaveUp, Panicked, PanickedExcused, Unrecoverable};
pub use history::History;
pub use path::TreePath;
pub use plan::{Action, GiveUpReason, Member, Plan, Policy, Presence, Row, Situation, plan};
pub use snapshot::{NodeState, TreeNode};
pub use start::{StartArgs, StartContext, StartError, StartFn, start_fn};
pub use stop::StopOutcome;
pub use supervisor::{ChildCounts, ChildError, ChildStatus, Instance, Supervisor, SupervisorRef};
pub use supervisor_spec::{AutoShutdown, GiveUp, InitialStart, Strategy, SupervisorSpec};
pub use tree::{Leaf, Tree};

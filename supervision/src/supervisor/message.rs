//! What a supervisor is asked, and what its own tasks tell it.

use std::sync::Arc;

use ractor::ActorCell;
use tokio::sync::oneshot;

use super::handle::{ChildCounts, ChildError, ChildStatus, Instance};
use crate::child_spec::ChildSpec;
use crate::start::{StartArgs, StartError};

pub(crate) type Reply<T> = oneshot::Sender<Result<T, ChildError>>;

pub(crate) enum Message {
    /// A start has ended.
    StartDone {
        key: u64,
        incarnation: u64,
        result: Result<ActorCell, StartError>,
    },
    /// The delay of one child is over.
    Retry {
        key: u64,
        incarnation: u64,
    },
    /// The children that a run had to stop have ended.
    RunStopped {
        run: u64,
    },
    /// The delay of a run is over.
    RunDue {
        run: u64,
    },
    /// A child that was to be terminated has ended.
    Terminated {
        key: u64,
        incarnation: u64,
    },
    /// A child could not be linked when it was ready; if its end has not been heard of by now, it never will be.
    Unlinked {
        key: u64,
        incarnation: u64,
    },
    /// A child has proved to be healthy.
    Healthy {
        child: Arc<str>,
        incarnation: u64,
    },
    StartChild {
        spec: Box<ChildSpec>,
        reply: Reply<Option<ActorCell>>,
    },
    StartInstance {
        args: Option<StartArgs>,
        reply: Reply<Instance>,
    },
    TerminateChild {
        id: Arc<str>,
        reply: Reply<()>,
    },
    RestartChild {
        id: Arc<str>,
        reply: Reply<Option<ActorCell>>,
    },
    DeleteChild {
        id: Arc<str>,
        reply: Reply<()>,
    },
    Count {
        reply: Reply<ChildCounts>,
    },
    Children {
        reply: Reply<Vec<ChildStatus>>,
    },
}

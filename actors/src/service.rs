//! A service as the runtime sees it: what outlives its incarnations, one incarnation, and the actor that stands for it.
//!
//! Commands do not pass through the actor's mailbox. The actor is what the supervisor watches: it ends when its
//! incarnation has crashed, and its successor publishes fresh state behind the same gate.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use roadshow_bridges::{Address, ServiceId};
use roadshow_supervision::{Panicked, PanickedExcused};
use tracing::{debug, warn};

use crate::core::NodeCore;
use crate::gate::Gate;

/// What all incarnations of one service share: callers reach it through their endpoints.
#[derive(Debug)]
pub struct ServiceCore {
    id: ServiceId,
    /// The id as log lines have it.
    text: Box<str>,
    node: Arc<NodeCore>,
    gate: Gate<Incarnation>,
    /// What it may call; `None` where contracts are not strict.
    may_call: Option<Vec<Address>>,
}

impl ServiceCore {
    /// A service that has not started yet: its gate is shut and calls wait. With `may_call` it may call nothing else.
    #[must_use]
    pub fn new(id: ServiceId, node: Arc<NodeCore>, may_call: Option<Vec<Address>>) -> Arc<Self> {
        Arc::new(ServiceCore {
            id,
            text: id.to_string().into(),
            node,
            gate: Gate::default(),
            may_call,
        })
    }

    /// Whether its contract lets it call `address`.
    #[must_use]
    pub fn may_call(&self, address: Address) -> bool {
        self.may_call
            .as_ref()
            .is_none_or(|addresses| addresses.contains(&address))
    }

    /// Name and version.
    #[must_use]
    pub fn id(&self) -> ServiceId {
        self.id
    }

    /// Name and version as log lines have them.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The node it belongs to.
    #[must_use]
    pub fn node(&self) -> &Arc<NodeCore> {
        &self.node
    }

    /// The gate before the service's state.
    #[must_use]
    pub fn gate(&self) -> &Gate<Incarnation> {
        &self.gate
    }

    /// A handler panicked on `incarnation`. The first panic shuts the gate and ends the actor, so that its supervisor
    /// starts a fresh incarnation; later ones change nothing. `counted` says whether the restart budget is used.
    pub(crate) fn crashed(&self, incarnation: &Arc<Incarnation>, message: &str, counted: bool) {
        if incarnation.crashed.swap(true, Ordering::AcqRel) {
            return;
        }
        self.gate.shut(incarnation);
        incarnation.tell(ServiceMessage::Crashed {
            message: message.to_owned(),
            counted,
        });
    }
}

/// One life of a service: the state that its factory made, until it crashes or is stopped.
// Aligned so that what every call reads does not share a cache line with the reference count that every call writes.
#[repr(align(128))]
pub struct Incarnation {
    number: u64,
    service: Arc<ServiceCore>,
    state: Box<dyn Any + Send + Sync>,
    /// The actor that stands for this life, and for no other.
    actor: OnceLock<ActorRef<ServiceMessage>>,
    crashed: AtomicBool,
    answered: AtomicBool,
}

impl Incarnation {
    /// The `number`th life of `service`, on `state`.
    #[must_use]
    pub fn new(number: u64, service: Arc<ServiceCore>, state: Box<dyn Any + Send + Sync>) -> Arc<Self> {
        Arc::new(Incarnation {
            number,
            service,
            state,
            actor: OnceLock::new(),
            crashed: AtomicBool::new(false),
            answered: AtomicBool::new(false),
        })
    }

    /// Counts from 1 over the restarts of the service.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &Arc<ServiceCore> {
        &self.service
    }

    /// The node.
    #[must_use]
    pub fn node(&self) -> &Arc<NodeCore> {
        &self.service.node
    }

    /// The state, if it is an `S`.
    #[must_use]
    pub fn state<S: 'static>(&self) -> Option<&S> {
        self.state.downcast_ref()
    }

    /// Tells the actor of this life. One that is ending needs no news.
    fn tell(&self, message: ServiceMessage) {
        let told = self.actor.get().map(|actor| actor.send_message(message));
        if !matches!(told, Some(Ok(()))) {
            debug!(service = %self.service.id, incarnation = self.number, "nobody stands for this incarnation any more");
        }
    }

    /// Notes that a handler answered; the first answer makes the incarnation healthy.
    pub(crate) fn note_answer(&self) {
        if !self.answered.load(Ordering::Relaxed) && !self.answered.swap(true, Ordering::AcqRel) {
            self.tell(ServiceMessage::Answered);
        }
    }
}

impl Drop for Incarnation {
    /// The last owner may be a caller whose handler has just ended: a panic of the author's `Drop` is not its business.
    fn drop(&mut self) {
        let state = std::mem::replace(&mut self.state, Box::new(()));
        if catch_unwind(AssertUnwindSafe(|| drop(state))).is_err() {
            warn!(service = %self.service.id, incarnation = self.number, "dropping a service's state panicked");
        }
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incarnation")
            .field("service", &self.service.id)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// What the actor of a service is told.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServiceMessage {
    /// A handler of this incarnation panicked.
    Crashed {
        /// What the panic said.
        message: String,
        /// Whether the restart counts against the budget for panics.
        counted: bool,
    },
    /// The first call of this incarnation was answered.
    Answered,
}

/// Called when an incarnation has proved itself.
pub type OnHealthy = Box<dyn Fn() + Send + Sync>;

/// What a service actor starts with.
pub struct ServiceArguments {
    /// The incarnation it stands for.
    pub incarnation: Arc<Incarnation>,
    /// Told once when the incarnation answered its first call.
    pub on_healthy: OnHealthy,
}

impl fmt::Debug for ServiceArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceArguments")
            .field("incarnation", &self.incarnation)
            .finish_non_exhaustive()
    }
}

/// The actor that stands for one incarnation of a service in the supervision tree.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServiceActor;

impl Actor for ServiceActor {
    type Msg = ServiceMessage;
    type State = ServiceArguments;
    type Arguments = ServiceArguments;

    /// Publishes the incarnation: from here on the gate is open.
    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        arguments: ServiceArguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let incarnation = &arguments.incarnation;
        if incarnation.actor.set(myself).is_err() {
            return Err("an incarnation has one actor".into());
        }
        incarnation.service().gate.open(Arc::clone(incarnation));
        Ok(arguments)
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: ServiceMessage,
        state: &mut ServiceArguments,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ServiceMessage::Crashed { message, counted: true } => Err(Box::new(Panicked(message))),
            ServiceMessage::Crashed {
                message,
                counted: false,
            } => Err(Box::new(PanickedExcused(message))),
            ServiceMessage::Answered => {
                (state.on_healthy)();
                Ok(())
            }
        }
    }

    /// A stopped service has no state to run on; whether calls wait or are refused is its supervisor's word.
    async fn post_stop(
        &self,
        _myself: ActorRef<Self::Msg>,
        state: &mut ServiceArguments,
    ) -> Result<(), ActorProcessingErr> {
        state.incarnation.service().gate.shut(&state.incarnation);
        Ok(())
    }
}

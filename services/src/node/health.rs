//! Whether a node serves: one line for each part.

use std::collections::BTreeMap;

use roadshow_actors::{ExchangeState, GateState, Phase, Route};
use roadshow_bridges::Health;
use serde::Serialize;

use super::{Inner, ServiceEntry};
use crate::service::{INTAKE_CHILD, STATE_CHILD, subscription_child_id};

/// How one part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PartState {
    /// It serves.
    Ready,
    /// It is starting, restarting or reconnecting.
    NotReady,
    /// It was given up on.
    Failed,
    /// The node is shutting down.
    Draining,
}

/// One part of a node.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Part {
    /// Its name: `node`, `event bridge`, `service user.1`, `call user.1.create_user`.
    pub name: String,
    /// How it is.
    pub state: PartState,
    /// Whether the node is ready without it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// What keeps it, where that is known, with the text of its last failure: for whoever runs the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same without the failure's text: for anybody.
    #[serde(skip)]
    state_alone: Option<String>,
}

impl Part {
    fn new(name: String, state: PartState, optional: bool, reason: Option<Reason>) -> Part {
        let state_alone = reason.as_ref().map(|reason| reason.state.clone());
        Part {
            name,
            state,
            optional,
            reason: reason.map(Reason::whole),
            state_alone,
        }
    }
}

/// What keeps a part: words of our own, and what its last failure said.
struct Reason {
    state: String,
    failure: Option<String>,
}

impl Reason {
    fn state(state: impl Into<String>) -> Reason {
        Reason {
            state: state.into(),
            failure: None,
        }
    }

    fn failure(state: impl Into<String>, failure: &impl ToString) -> Reason {
        Reason {
            state: state.into(),
            failure: Some(failure.to_string()),
        }
    }

    fn whole(self) -> String {
        match self.failure {
            Some(failure) => format!("{}: {failure}", self.state),
            None => self.state,
        }
    }
}

/// Whether a node serves, and what keeps it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Readiness {
    /// Whether callers should be sent here.
    pub ready: bool,
    /// Every part.
    pub parts: Vec<Part>,
}

impl Readiness {
    /// The same without the texts of failures, which may name machines, paths and people: what anybody may know.
    #[must_use]
    pub fn without_failures(mut self) -> Readiness {
        for part in &mut self.parts {
            part.reason.clone_from(&part.state_alone);
        }
        self
    }
}

impl ServiceEntry {
    /// Whether the node's start need not wait for it any longer.
    pub(super) fn is_settled(&self) -> bool {
        match self.state() {
            PartState::Ready => true,
            PartState::Failed => self.optional,
            _ => false,
        }
    }

    /// Ready means that there is state to run calls on, and that the bridge has confirmed every subscription.
    fn state(&self) -> PartState {
        match self.core.gate().state() {
            GateState::Open if self.unconfirmed().is_empty() => PartState::Ready,
            GateState::Open | GateState::Shut => PartState::NotReady,
            GateState::Failed => PartState::Failed,
            GateState::Stopped => PartState::Draining,
        }
    }

    /// The children that take nothing yet: subscriptions, and the intake of commands.
    fn unconfirmed(&self) -> Vec<String> {
        let waiting = self.subscribers.iter().filter(|subscriber| !subscriber.is_subscribed());
        let waiting = waiting.map(|subscriber| subscription_child_id(subscriber.core().name()));
        let intake = self.intake.as_ref().filter(|intake| !intake.is_subscribed());
        waiting.chain(intake.map(|_| INTAKE_CHILD.to_owned())).collect()
    }
}

impl Inner {
    pub(super) fn readiness(&self) -> Readiness {
        let bridge = self.bridge_part();
        let bridge_is_ready = bridge.state == PartState::Ready;
        let mut parts = vec![self.node_part(), bridge];
        parts.extend(self.services.iter().map(|service| self.service_part(service)));
        parts.extend(self.unanswered_calls(bridge_is_ready));
        let ready = parts
            .iter()
            .all(|part| part.state == PartState::Ready || (part.optional && part.state == PartState::Failed));
        Readiness { ready, parts }
    }

    fn node_part(&self) -> Part {
        let (state, reason) = match self.core.phase() {
            Phase::Starting => (PartState::NotReady, Some(Reason::state("starting"))),
            Phase::Running => (PartState::Ready, None),
            Phase::Draining | Phase::Stopped => (PartState::Draining, Some(Reason::state("shutting down"))),
        };
        Part::new("node".to_owned(), state, false, reason)
    }

    fn bridge_part(&self) -> Part {
        let (state, reason) = match self.core.event_bridge() {
            Err(failure) => (PartState::NotReady, Some(Reason::state(failure.message))),
            Ok(bridge) => match bridge.health() {
                Health::Ready => self.exchange_part(),
                Health::Reconnecting { reason } => {
                    (PartState::NotReady, Some(Reason::failure("reconnecting", &reason)))
                }
                Health::Failed { reason } => (PartState::NotReady, Some(Reason::failure("failed", &reason))),
                Health::Closed => (PartState::NotReady, Some(Reason::state("closed"))),
                health => (PartState::NotReady, Some(Reason::failure("not ready", &health))),
            },
        };
        Part::new("event bridge".to_owned(), state, false, reason)
    }

    /// Whether the node's start need not wait for the exchange any longer.
    pub(super) fn exchange_is_settled(&self) -> bool {
        self.core.exchange_state() != ExchangeState::Unsubscribed
    }

    /// A bridge that is connected and from which no answers come is not ready.
    fn exchange_part(&self) -> (PartState, Option<Reason>) {
        match self.core.exchange_state() {
            ExchangeState::Ready => (PartState::Ready, None),
            ExchangeState::Silent(silence) => {
                let text = format!("nothing has come back for {} s", silence.as_secs());
                (PartState::NotReady, Some(Reason::state(text)))
            }
            _ => (PartState::NotReady, Some(Reason::state("the inbox is not confirmed"))),
        }
    }

    fn service_part(&self, service: &ServiceEntry) -> Part {
        let id = service.core.id().to_string();
        let state = match service.state() {
            // It takes nothing any more because the node does not.
            PartState::NotReady if self.core.phase() >= Phase::Draining => PartState::Draining,
            state => state,
        };
        let reason = match state {
            PartState::NotReady | PartState::Failed => self.why_not(&id, service),
            _ => None,
        };
        Part::new(format!("service {id}"), state, service.optional, reason)
    }

    /// One part for each call that a service declares and nobody answers, where contracts are strict.
    fn unanswered_calls(&self, bridge_is_ready: bool) -> Vec<Part> {
        let routes = self.core.routes();
        let callers = self
            .services
            .iter()
            .filter(|service| service.state() != PartState::Failed);
        let mut parts = BTreeMap::new();
        for caller in callers {
            for address in &caller.calls {
                let why = match routes.resolve(address.key()) {
                    // Whoever serves it may come and go; a broker that is there is all that can be asked for.
                    Ok(Route::Remote(_)) if bridge_is_ready => continue,
                    Ok(Route::Remote(_)) => "nobody can be asked: the event bridge is not ready".into(),
                    Ok(Route::Local(_)) => continue,
                    Err(failure) => failure.message,
                };
                let reason = format!("{} declares that it calls it: {why}", caller.core.id());
                parts.entry(format!("call {address}")).or_insert(reason);
            }
        }
        let part = |(name, reason)| Part::new(name, PartState::NotReady, false, Some(Reason::state(reason)));
        parts.into_iter().map(part).collect()
    }

    /// What keeps a service: its last failure, where it is in its start, or a subscription without confirmation.
    fn why_not(&self, id: &str, service: &ServiceEntry) -> Option<Reason> {
        let tree = self.tree.snapshot();
        let node = tree.find(&format!("services/{id}"))?;
        let mut kept: Vec<_> = service
            .unconfirmed()
            .iter()
            .filter_map(|child| node.child(child))
            .collect();
        if service.core.gate().state() != GateState::Open {
            kept.insert(0, node.child(STATE_CHILD)?);
        }
        let first = kept.first()?;
        let state = format!("{} is {}", first.id, first.state);
        Some(match first.last_failure.as_ref().or(node.last_failure.as_ref()) {
            Some(failure) => Reason::failure(state, failure),
            None => Reason::state(state),
        })
    }
}

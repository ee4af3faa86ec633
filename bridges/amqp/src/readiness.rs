//! Readiness: what two connections and a blocked broker make of the health of one bridge.

use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard};

use roadshow_bridges::{Health, Presence};

/// One connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Side {
    /// Connected, and everything on it confirmed.
    Up,
    /// Not yet, or not any more.
    Down(Cow<'static, str>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    publishing: Side,
    consuming: Side,
    /// Why the broker takes no messages now.
    blocked: Option<String>,
}

/// The readiness of a bridge; the connections say how they are, and the presence hears it.
#[derive(Debug)]
pub(crate) struct Readiness {
    presence: Presence,
    state: Mutex<State>,
}

impl Readiness {
    /// Nothing is connected.
    pub(crate) fn new(presence: Presence) -> Self {
        let down = || Side::Down(Cow::Borrowed("connecting"));
        Self {
            presence,
            state: Mutex::new(State {
                publishing: down(),
                consuming: down(),
                blocked: None,
            }),
        }
    }

    /// The presence that hears of it.
    pub(crate) fn presence(&self) -> &Presence {
        &self.presence
    }

    /// Says how the publishing connection is. A new one is not blocked.
    pub(crate) fn publishing(&self, side: Side) {
        self.change(|state| {
            state.publishing = side;
            state.blocked = None;
        });
    }

    /// Says how the consuming connection is.
    pub(crate) fn consuming(&self, side: Side) {
        self.change(|state| state.consuming = side);
    }

    /// Says whether the broker takes messages.
    pub(crate) fn blocked(&self, reason: Option<String>) {
        self.change(|state| state.blocked = reason);
    }

    /// Why the broker takes no messages now, if it does not.
    pub(crate) fn why_blocked(&self) -> Option<String> {
        self.lock().blocked.clone()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let health = health(&state);
        // Under the lock, so that what is said last is what holds.
        self.presence.set(health);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn health(state: &State) -> Health {
    let reason = match (&state.publishing, &state.consuming, &state.blocked) {
        (_, Side::Down(reason), _) | (Side::Down(reason), Side::Up, _) => reason.clone(),
        (Side::Up, Side::Up, Some(why)) => Cow::Owned(format!("the broker blocks publishers: {why}")),
        (Side::Up, Side::Up, None) => return Health::Ready,
    };
    Health::Reconnecting { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_what_both_connections_and_the_broker_say() {
        let presence = Presence::new();
        let readiness = Readiness::new(presence.clone());
        readiness.publishing(Side::Up);
        assert!(!presence.health().is_ready());
        readiness.consuming(Side::Up);
        assert!(presence.health().is_ready());
        readiness.blocked(Some("low on disk".to_owned()));
        assert_eq!(
            presence.health().to_string(),
            "reconnecting: the broker blocks publishers: low on disk"
        );
        assert_eq!(readiness.why_blocked().as_deref(), Some("low on disk"));
        readiness.publishing(Side::Down(Cow::Borrowed("lost")));
        assert_eq!(presence.health().to_string(), "reconnecting: lost");
        readiness.publishing(Side::Up);
        assert!(presence.health().is_ready());
    }
}

//! The gate of a service: whether there is state to run a call on, and which.
//!
//! The gate outlives every incarnation of its service, because it belongs to the service's supervisor and callers hold
//! the endpoint behind it, never an actor. It is open while an incarnation is published. The first panic of an
//! incarnation shuts it; calls then wait in front of it until fresh state is published, and none is lost. A service that
//! was given up on or stopped has a gate that refuses.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::slot::{Peek, Slot};
use crate::sync::{AtomicU8, Mutex, Ordering, lock};

/// What stands behind a gate. A standard `Arc` under loom too: the counting is not what is modelled.
pub type Live<T> = std::sync::Arc<T>;

/// The state of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateState {
    /// Nothing is published yet, or a restart is under way: calls wait.
    Shut,
    /// An incarnation serves.
    Open,
    /// The supervisor gave up: calls are refused.
    Failed,
    /// The service was stopped: calls are refused.
    Stopped,
}

/// Why a call may not wait any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Refused {
    /// The supervisor gave up on the service.
    Failed = 1,
    /// The service was stopped.
    Stopped = 2,
}

/// The gate before one service's state.
#[derive(Debug)]
pub struct Gate<T> {
    live: Slot<T>,
    /// 0, or the reason for which everybody is refused.
    refused: AtomicU8,
    waiters: Mutex<Waiters>,
}

#[derive(Debug, Default)]
struct Waiters {
    next: u64,
    /// Bounded by the permits of the service's endpoints: whoever waits here holds one.
    wakers: Vec<(u64, Waker)>,
}

impl<T> Default for Gate<T> {
    fn default() -> Self {
        Gate {
            live: Slot::empty(),
            refused: AtomicU8::new(0),
            waiters: Mutex::new(Waiters::default()),
        }
    }
}

impl<T> Gate<T> {
    /// The published state, or `None` while the gate is shut.
    #[must_use]
    pub fn live(&self) -> Option<Live<T>> {
        self.live.load()
    }

    /// As [`Gate::live`], without counting a reference.
    pub(crate) fn peek(&self) -> Peek<T> {
        self.live.peek()
    }

    /// The state of the gate.
    #[must_use]
    pub fn state(&self) -> GateState {
        match self.refused() {
            Some(Refused::Failed) => GateState::Failed,
            Some(Refused::Stopped) => GateState::Stopped,
            None if self.live.load().is_some() => GateState::Open,
            None => GateState::Shut,
        }
    }

    /// Why everybody is refused, if everybody is.
    #[must_use]
    pub fn refused(&self) -> Option<Refused> {
        match self.refused.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Refused::Failed),
            _ => Some(Refused::Stopped),
        }
    }

    /// Publishes fresh state and lets everybody in who waited; tells whether it did. A gate that refuses stays as it is
    /// until it is readmitted: a start that was overtaken by a give-up changes nothing.
    pub fn open(&self, live: Live<T>) -> bool {
        {
            // What refuses and what opens take this lock, so the two words change as one.
            let _changing = lock(&self.waiters);
            if self.refused().is_some() {
                return false;
            }
            self.live.store(Some(live));
        }
        self.wake_all();
        true
    }

    /// Shuts the gate if `crashed` is what stands behind it; tells whether it was.
    pub fn shut(&self, crashed: &Live<T>) -> bool {
        self.live.take_if(crashed)
    }

    /// Shuts the gate whatever stands behind it; calls wait for the next state.
    pub fn shut_any(&self) {
        self.live.store(None);
    }

    /// Refuses every call from now on, waiting ones included. Of a failed service it stays known that it failed.
    pub fn refuse(&self, why: Refused) {
        {
            let _changing = lock(&self.waiters);
            if self.refused() != Some(Refused::Failed) {
                self.refused.store(why as u8, Ordering::Release);
            }
            self.live.store(None);
        }
        self.wake_all();
    }

    /// Takes a refusal back: calls wait for the state that is published next.
    pub fn readmit(&self) {
        let _changing = lock(&self.waiters);
        self.refused.store(0, Ordering::Release);
    }

    /// Waits for published state.
    ///
    /// # Cancel safety
    /// Dropping the future only stops the waiting.
    pub fn wait(&self) -> WaitOpen<'_, T> {
        WaitOpen {
            gate: self,
            ticket: None,
        }
    }

    /// Calls that wait in front of the gate.
    #[must_use]
    pub fn waiting(&self) -> usize {
        lock(&self.waiters).wakers.len()
    }

    fn wake_all(&self) {
        let woken = std::mem::take(&mut lock(&self.waiters).wakers);
        for (_, waker) in woken {
            waker.wake();
        }
    }

    fn answer(&self) -> Poll<Result<Live<T>, Refused>> {
        if let Some(live) = self.live.load() {
            return Poll::Ready(Ok(live));
        }
        self.refused().map_or(Poll::Pending, |why| Poll::Ready(Err(why)))
    }
}

/// Waits in front of a gate.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct WaitOpen<'a, T> {
    gate: &'a Gate<T>,
    ticket: Option<u64>,
}

impl<T> Future for WaitOpen<'_, T> {
    type Output = Result<Live<T>, Refused>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        {
            let mut waiters = lock(&self.gate.waiters);
            let ticket = *self.ticket.get_or_insert_with(|| {
                waiters.next += 1;
                waiters.next
            });
            match waiters.wakers.iter_mut().find(|(held, _)| *held == ticket) {
                Some((_, waker)) => waker.clone_from(cx.waker()),
                None => waiters.wakers.push((ticket, cx.waker().clone())),
            }
        }
        // Looked at after the waker is in place, so an opening in between is seen here or wakes us.
        self.gate.answer()
    }
}

impl<T> Drop for WaitOpen<'_, T> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            lock(&self.gate.waiters).wakers.retain(|(held, _)| *held != ticket);
        }
    }
}

#[cfg(all(test, not(roadshow_loom)))]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn whoever_waits_gets_the_state_that_is_published_next() {
        let gate = Gate::default();
        let mut waits = gate.wait();
        assert!((&mut waits).now_or_never().is_none());
        assert_eq!(gate.waiting(), 1);
        gate.open(Live::new(7));
        assert_eq!(*waits.now_or_never().unwrap().unwrap(), 7);
        assert_eq!(gate.waiting(), 0);
    }

    #[test]
    fn only_the_crashed_state_shuts_the_gate() {
        let gate = Gate::default();
        let (first, second) = (Live::new(1), Live::new(2));
        gate.open(Live::clone(&first));
        assert!(gate.shut(&first));
        assert!(!gate.shut(&first));
        gate.open(Live::clone(&second));
        assert!(!gate.shut(&first));
        assert_eq!(gate.state(), GateState::Open);
    }

    #[test]
    fn a_refusal_lasts_until_the_service_is_readmitted() {
        let gate = Gate::default();
        gate.refuse(Refused::Failed);
        gate.refuse(Refused::Stopped);
        assert_eq!(gate.state(), GateState::Failed);
        assert!(!gate.open(Live::new(1)));
        assert!(gate.live().is_none());
        gate.readmit();
        assert_eq!(gate.state(), GateState::Shut);
        assert!(gate.open(Live::new(2)));
    }

    #[test]
    fn a_failed_service_refuses_who_waits_and_who_comes() {
        let gate = Gate::<u8>::default();
        let mut waits = gate.wait();
        assert!((&mut waits).now_or_never().is_none());
        gate.refuse(Refused::Failed);
        assert_eq!(waits.now_or_never().unwrap().unwrap_err(), Refused::Failed);
        assert_eq!(gate.wait().now_or_never().unwrap().unwrap_err(), Refused::Failed);
    }
}

#[cfg(all(test, roadshow_loom))]
mod loom_tests {
    use super::*;
    use crate::sync::Arc;
    use loom::future::block_on;
    use loom::thread;

    #[test]
    fn loom_an_opening_wakes_whoever_waits() {
        loom::model(|| {
            let gate = Arc::new(Gate::default());
            let opener = {
                let gate = Arc::clone(&gate);
                thread::spawn(move || gate.open(Live::new(1)))
            };
            assert_eq!(*block_on(gate.wait()).unwrap(), 1);
            opener.join().unwrap();
        });
    }

    #[test]
    fn loom_whoever_opens_while_it_is_refused_lets_nobody_in() {
        loom::model(|| {
            let gate = Arc::new(Gate::default());
            let refuser = {
                let gate = Arc::clone(&gate);
                thread::spawn(move || gate.refuse(Refused::Failed))
            };
            gate.open(Live::new(1));
            refuser.join().unwrap();
            assert!(gate.live().is_none());
            assert_eq!(gate.state(), GateState::Failed);
        });
    }

    #[test]
    fn loom_two_crashes_shut_the_gate_once() {
        loom::model(|| {
            let gate = Arc::new(Gate::default());
            let state = Live::new(1);
            gate.open(Live::clone(&state));
            let other = {
                let (gate, state) = (Arc::clone(&gate), Live::clone(&state));
                thread::spawn(move || gate.shut(&state))
            };
            let here = gate.shut(&state);
            let there = other.join().unwrap();
            assert!(here != there);
            assert_eq!(gate.state(), GateState::Shut);
        });
    }
}

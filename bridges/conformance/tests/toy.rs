//! A toy adapter that passes the suite: the smallest honest bridge. `docs/ADDING_A_BRIDGE.md` walks through this file.
//!
//! Its broker is a list of seats in this process. It forgets what a handler gives up, keeps nothing for who is away and
//! tells nobody what nobody hears, and its capability says so.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::{BoxFuture, ready};
use roadshow_bridges::{
    Capability, ConnectContext, Connector, Deliveries, Delivery, DeliverySource, Envelope, Error, EventBridge, Health,
    Parcel, Published, Reach, Settlement, Settler, Subject, Subscription,
};
use roadshow_conformance::{Adapter, Home};
use tokio::sync::Notify;
use tokio::time::timeout;

/// The most messages that wait at a seat; further ones are lost, which is why `holds_backlog` is false.
const QUEUE_MAX: usize = 10_000;
/// How long closing waits for deliveries that are out.
const GRACE: Duration = Duration::from_secs(5);

/// The broker.
#[derive(Debug, Default)]
struct Broker {
    seats: Mutex<Vec<Arc<Seat>>>,
    turn: AtomicUsize,
}

/// One subscriber's place.
#[derive(Debug)]
struct Seat {
    subscription: Subscription,
    state: Mutex<State>,
    settled: Notify,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Arc<Envelope>>,
    /// Deliveries that are out and not settled.
    out: usize,
    waker: Option<Waker>,
    closed: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seat {
    fn hears(&self, subject: &Subject) -> bool {
        match self.subscription.reach {
            Reach::Children => subject.parent() == Some(self.subscription.subject.as_str()),
            _ => *subject == self.subscription.subject,
        }
    }

    /// Changes the state, then wakes the subscriber outside the lock: waking runs foreign code.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = lock(&self.state);
        change(&mut state);
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    fn put(&self, envelope: &Arc<Envelope>) {
        self.change(|state| {
            if state.queue.len() < QUEUE_MAX {
                state.queue.push_back(Arc::clone(envelope));
            }
        });
    }

    async fn drained(&self) {
        loop {
            let settled = self.settled.notified();
            if lock(&self.state).out == 0 {
                return;
            }
            settled.await;
        }
    }
}

impl Broker {
    /// Every seat without a group gets the message, and one of each group.
    fn publish(&self, envelope: &Arc<Envelope>) {
        let seats = lock(&self.seats);
        let hearing: Vec<_> = seats.iter().filter(|seat| seat.hears(&envelope.subject)).collect();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut groups: Vec<&str> = Vec::new();
        for seat in &hearing {
            let Some(group) = seat.subscription.group.as_deref() else {
                seat.put(envelope);
                continue;
            };
            if groups.contains(&group) {
                continue;
            }
            groups.push(group);
            let of_group = |other: &&&Arc<Seat>| other.subscription.group.as_deref() == Some(group);
            let members: Vec<_> = hearing.iter().filter(of_group).collect();
            members[turn % members.len()].put(envelope);
        }
    }

    fn leave(&self, seat: &Arc<Seat>) {
        lock(&self.seats).retain(|other| !Arc::ptr_eq(other, seat));
        seat.change(|state| state.closed = true);
    }
}

impl Settler for Seat {
    fn settle(&self, _: Parcel, _: Settlement<'_>) {
        // Nothing comes again here, so all that a settlement does is make room in the window.
        self.change(|state| state.out -= 1);
        self.settled.notify_waiters();
    }
}

/// The subscriber's side of a seat.
#[derive(Debug)]
struct Source {
    broker: Arc<Broker>,
    seat: Arc<Seat>,
}

impl Source {
    fn take(&mut self, waker: Option<&Waker>) -> Poll<Option<Delivery>> {
        let mut state = lock(&self.seat.state);
        if state.closed {
            return Poll::Ready(None);
        }
        let has_room = state.out < self.seat.subscription.window.get();
        let Some(envelope) = has_room.then(|| state.queue.pop_front()).flatten() else {
            state.waker = waker.cloned();
            return Poll::Pending;
        };
        state.out += 1;
        let settler = Arc::clone(&self.seat) as Arc<dyn Settler>;
        Poll::Ready(Some(Delivery::new(Parcel::new(envelope), settler)))
    }
}

impl DeliverySource for Source {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.take(Some(cx.waker()))
    }

    fn try_next(&mut self) -> Option<Delivery> {
        match self.take(None) {
            Poll::Ready(delivery) => delivery,
            Poll::Pending => None,
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.broker.leave(&self.seat);
    }
}

/// One node's connection.
#[derive(Debug)]
struct ToyBridge {
    broker: Arc<Broker>,
    own: Mutex<Vec<Arc<Seat>>>,
    closed: AtomicBool,
}

impl ToyBridge {
    fn join(&self, subscription: Subscription) -> Result<Deliveries, Error> {
        subscription.check()?;
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::closed("cannot subscribe: the bridge is closed"));
        }
        if subscription.durable || subscription.reach == Reach::Rest {
            return Err(Error::unsupported(
                "cannot subscribe: the toy keeps nothing and serves no rest",
            ));
        }
        let seat = Arc::new(Seat {
            subscription,
            state: Mutex::default(),
            settled: Notify::new(),
        });
        lock(&self.broker.seats).push(Arc::clone(&seat));
        let mut own = lock(&self.own);
        own.retain(|seat| !lock(&seat.state).closed);
        own.push(Arc::clone(&seat));
        let broker = Arc::clone(&self.broker);
        Ok(Deliveries::new(Source { broker, seat }))
    }
}

impl EventBridge for ToyBridge {
    fn capability(&self) -> Capability {
        let mut can = Capability::none("toy");
        can.confirm = true;
        can.ordered = true;
        can
    }

    fn publish(&self, envelope: Envelope) -> BoxFuture<'_, Result<Published, Error>> {
        if self.closed.load(Ordering::SeqCst) {
            return Box::pin(ready(Err(Error::closed("cannot publish: the bridge is closed"))));
        }
        self.broker.publish(&Arc::new(envelope));
        Box::pin(ready(Ok(Published::Accepted)))
    }

    fn subscribe(&self, subscription: Subscription) -> BoxFuture<'_, Result<Deliveries, Error>> {
        Box::pin(ready(self.join(subscription)))
    }

    fn health(&self) -> Health {
        if self.closed.load(Ordering::SeqCst) {
            Health::Closed
        } else {
            Health::Ready
        }
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            self.closed.store(true, Ordering::SeqCst);
            let own: Vec<_> = lock(&self.own).drain(..).collect();
            own.iter().for_each(|seat| self.broker.leave(seat));
            let drained = async {
                for seat in &own {
                    seat.drained().await;
                }
            };
            // What is still out then is lost to this broker, as it is when a handler gives it up.
            let _ = timeout(GRACE, drained).await;
            Ok(())
        })
    }
}

/// Connects bridges of the URL `toy:`.
#[derive(Debug, Default)]
struct ToyConnector(Arc<Broker>);

impl Connector for ToyConnector {
    fn schemes(&self) -> &[&'static str] {
        &["toy"]
    }

    fn event_bridge<'a>(
        &'a self,
        _: &'a str,
        _: &'a ConnectContext,
    ) -> BoxFuture<'a, Result<Arc<dyn EventBridge>, Error>> {
        let bridge = ToyBridge {
            broker: Arc::clone(&self.0),
            own: Mutex::default(),
            closed: AtomicBool::new(false),
        };
        Box::pin(ready(Ok(Arc::new(bridge) as Arc<dyn EventBridge>)))
    }
}

/// The adapter under test.
#[derive(Debug)]
struct Toy;

impl Adapter for Toy {
    fn capability(&self) -> Capability {
        let mut can = Capability::none("toy");
        can.confirm = true;
        can.ordered = true;
        can
    }

    fn connector(&self) -> Arc<dyn Connector> {
        Arc::new(ToyConnector::default())
    }

    fn home(&self) -> Home {
        Home::Here("toy:")
    }
}

fn main() -> ExitCode {
    roadshow_conformance::run(Toy)
}

//! The memory bus: the broker itself, shared by the bridges of one process.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::dead::{DeadLetter, DeadLetters};
use super::group::{Group, GroupDepth, GroupKey, GroupRules, Item, Room};
use super::lock;
use super::routes::{Registry, Routes};
use super::seat::Seat;
use super::settings::MemoryBusSettings;
use super::timer::Timer;
use crate::envelope::Envelope;
use crate::error::Error;
use crate::event_bridge::Published;
use crate::names::Subject;
use crate::subscription::{Reach, Subscription};

/// A handle to a memory bus. Cloning shares the bus; it ends with its last handle, bridge and subscription.
#[derive(Debug, Clone, Default)]
pub struct MemoryBus(pub(super) Arc<Bus>);

/// What a bus holds, and what it lost, so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MemoryStats {
    /// How many groups there are.
    pub groups: usize,
    /// How many messages could be taken now.
    pub ready: usize,
    /// How many messages wait for their delay to end.
    pub delayed: usize,
    /// How many messages were dropped to make room.
    pub dropped: u64,
    /// How many messages went with a group whose last subscriber left.
    pub lost: u64,
    /// How many dead letters are kept.
    pub dead: usize,
    /// How many dead letters made room for others.
    pub dead_dropped: u64,
}

impl MemoryBus {
    /// A bus with these bounds.
    pub fn new(settings: MemoryBusSettings) -> Self {
        Self(Arc::new(Bus::new(settings)))
    }

    /// The dead letters, oldest first.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.0.dead.all()
    }

    /// Throws the dead letters away and says how many there were.
    pub fn purge_dead_letters(&self) -> usize {
        self.0.dead.purge()
    }

    /// How many messages wait in each group, oldest group first.
    pub fn groups(&self) -> Vec<GroupDepth> {
        let groups = lock(&self.0.registry).groups();
        groups.iter().map(|group| group.depth()).collect()
    }

    /// What the bus holds, and what it lost, so far.
    pub fn stats(&self) -> MemoryStats {
        let (dead, dead_dropped) = self.0.dead.counts();
        let lost = self.0.lost.load(Ordering::Relaxed);
        // Both under one lock: a group that goes meanwhile is counted here or there, so what was dropped never falls.
        let (groups, dropped) = {
            let registry = lock(&self.0.registry);
            (registry.groups(), self.0.dropped.load(Ordering::Relaxed))
        };
        let mut stats = MemoryStats {
            dropped,
            lost,
            dead,
            dead_dropped,
            ..MemoryStats::default()
        };
        for depth in groups.iter().map(|group| group.depth()) {
            stats.groups += 1;
            stats.ready += depth.ready;
            stats.delayed += depth.delayed;
            stats.dropped += depth.dropped;
        }
        stats
    }

    /// Ends a group, durable or not, with what waits in it; its subscribers' deliveries end. `false` if there is none.
    pub fn forget(&self, subject: &Subject, group: &str) -> bool {
        let key = |reach| GroupKey {
            subject: subject.clone(),
            reach,
            name: Some(group.into()),
        };
        let mut registry = lock(&self.0.registry);
        let found = [Reach::Exact, Reach::Children, Reach::Rest]
            .into_iter()
            .find_map(|reach| registry.named(&key(reach)).cloned());
        let remains = found.and_then(|group| self.0.remove(&mut registry, &group, true));
        drop(registry);
        remains.is_some()
    }
}

/// What became of an offered message.
pub(super) enum Offer {
    Done(Published),
    /// This group has no room; nobody got the message.
    Full(Arc<Group>, Arc<Envelope>),
}

pub(super) struct Bus {
    pub(super) settings: MemoryBusSettings,
    pub(super) dead: DeadLetters,
    pub(super) timer: Arc<Timer>,
    routes: ArcSwap<Routes>,
    registry: Mutex<Registry>,
    /// What groups that are gone had dropped.
    dropped: AtomicU64,
    lost: AtomicU64,
}

impl Bus {
    fn new(settings: MemoryBusSettings) -> Self {
        let dead = DeadLetters::new(settings.dead_letters_max, settings.dead_letter_bytes_max);
        Self {
            settings,
            dead,
            timer: Arc::default(),
            routes: ArcSwap::default(),
            registry: Mutex::default(),
            dropped: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }
    }

    pub(super) fn count_lost(&self, count: usize) {
        self.lost.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Puts a message into every group that hears its subject, or into none.
    pub(super) fn offer(&self, envelope: Arc<Envelope>) -> Offer {
        let since = envelope.identity.budget.map(|_| Instant::now());
        let mut envelope = envelope;
        loop {
            let routes = self.routes.load();
            let attempt = match routes.find(&envelope.subject) {
                ([], []) if envelope.kind.needs_subscriber() => return Offer::Done(Published::Unroutable),
                ([], []) => return Offer::Done(Published::Accepted),
                ([group], []) | ([], [group]) => offer_one(group, envelope, since),
                (exact, children) => offer_all(exact, children, envelope, since),
            };
            match attempt {
                Ok(()) => return Offer::Done(Published::Accepted),
                Err((Some(full), envelope)) => return Offer::Full(full, envelope),
                // A group ended after the snapshot was read; it left the routes before, so the next one is newer.
                Err((None, again)) => envelope = again,
            }
        }
    }

    /// Joins or creates the group of a subscription.
    pub(super) fn join(self: &Arc<Self>, subscription: &Subscription) -> Result<Arc<Seat>, Error> {
        subscription.check()?;
        let refused = |error: Error| error.with("subject", &subscription.subject);
        let window = subscription.window.get();
        if window > self.settings.window_max {
            return Err(refused(
                Error::unsupported("cannot subscribe: the window is too large").with("window", window),
            ));
        }
        let rules = self.rules(subscription);
        let name = subscription.group.as_deref().map(Into::into);
        let key = GroupKey {
            subject: subscription.subject.clone(),
            reach: subscription.reach,
            name,
        };
        let mut registry = lock(&self.registry);
        let existing = key.name.is_some().then(|| registry.named(&key).cloned()).flatten();
        let group = match existing {
            Some(group) if group.rules != rules => {
                return Err(refused(Error::config(
                    "cannot subscribe: the group exists with other rules",
                )));
            }
            Some(group) => group,
            None if registry.count() >= self.settings.groups_max => {
                return Err(refused(Error::exhausted(
                    "cannot subscribe: the bus has no room for another group",
                )));
            }
            None => {
                let group = Arc::new(Group::new(registry.next_id(), key, rules));
                registry.add(&group);
                self.routes.store(registry.snapshot());
                group
            }
        };
        if !group.join(self.settings.members_max) {
            return Err(refused(Error::exhausted(
                "cannot subscribe: the group has no room for another subscriber",
            )));
        }
        let id = registry.next_id();
        drop(registry);
        self.timer.ensure_running();
        Ok(Arc::new(Seat::new(id, group, window, Arc::downgrade(self))))
    }

    fn rules(&self, subscription: &Subscription) -> GroupRules {
        let capacity = subscription
            .capacity
            .map_or(self.settings.queue_messages_max, std::num::NonZeroUsize::get);
        GroupRules {
            durable: subscription.durable,
            capacity: capacity.min(self.settings.queue_messages_max),
            bytes_max: self.settings.queue_bytes_max,
            overflow: subscription.overflow,
            starts_max: subscription
                .starts_max
                .map_or(self.settings.starts_max, std::num::NonZeroU32::get)
                .max(1),
        }
    }

    /// Lets every publisher that waits for room look again, because its bridge may be closed.
    pub(super) fn wake_publishers(&self) {
        for group in lock(&self.registry).groups() {
            group.room.notify_waiters();
        }
    }

    /// Leaves a group, once; the last subscriber of a group that is not durable ends it.
    pub(super) fn leave(&self, seat: &Seat) {
        if !seat.leave_once() {
            return;
        }
        let mut registry = lock(&self.registry);
        let is_last = seat.group.leave(seat.id) == 0 && !seat.group.rules.durable;
        let remains = is_last.then(|| self.remove(&mut registry, &seat.group, false));
        drop(registry);
        drop(remains);
    }

    /// Takes a group out of the routes, then ends it. Returns what waited in it: a payload's own `drop` is foreign code, so
    /// the caller drops it when it has released the registry. `None` if the group is gone already.
    fn remove(&self, registry: &mut Registry, group: &Arc<Group>, forced: bool) -> Option<Vec<Item>> {
        if !registry.remove(group) {
            return None;
        }
        self.routes.store(registry.snapshot());
        let mut remains = Vec::new();
        if let Some((ready, lost)) = group.close(forced) {
            self.count_lost(lost);
            remains = ready;
            remains.extend(self.timer.forget(group));
        }
        self.dropped
            .fetch_add(group.dropped.load(Ordering::Relaxed), Ordering::Relaxed);
        Some(remains)
    }
}

type Refused = (Option<Arc<Group>>, Arc<Envelope>);

fn offer_one(group: &Arc<Group>, envelope: Arc<Envelope>, since: Option<Instant>) -> Result<(), Refused> {
    let item = Item::new(envelope, 0, since);
    let mut state = group.state();
    match group.room_for(&state, &item) {
        Room::Free => {
            let after = group.insert(&mut state, item);
            drop(state);
            after.run();
            Ok(())
        }
        Room::Full => Err((Some(Arc::clone(group)), item.envelope)),
        Room::Closed => Err((None, item.envelope)),
    }
}

/// All or none: every group is locked, in the order of their ids, before the first one gets the message.
fn offer_all(
    exact: &[Arc<Group>],
    children: &[Arc<Group>],
    envelope: Arc<Envelope>,
    since: Option<Instant>,
) -> Result<(), Refused> {
    let mut groups: Vec<_> = exact.iter().chain(children).collect();
    groups.sort_unstable_by_key(|group| group.id);
    let mut places = Vec::with_capacity(groups.len());
    for group in groups {
        let state = group.state();
        let item = Item::new(Arc::clone(&envelope), 0, since);
        match group.room_for(&state, &item) {
            Room::Free => places.push((group, state, item)),
            Room::Full => return Err((Some(Arc::clone(group)), envelope)),
            Room::Closed => return Err((None, envelope)),
        }
    }
    // Collected first: nobody is woken and nothing is dropped while any of the locks is held.
    let mut afters = Vec::with_capacity(places.len());
    for (group, mut state, item) in places {
        afters.push(group.insert(&mut state, item));
    }
    for after in afters {
        after.run();
    }
    Ok(())
}

impl Default for Bus {
    fn default() -> Self {
        Self::new(MemoryBusSettings::default())
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.timer.stop();
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

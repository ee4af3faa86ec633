//! The deadline wheel: deadlines of the handlers that are still at work.
//!
//! A hashed timing wheel (Varghese and Lauck, "Hashed and hierarchical timing wheels", SOSP 1987, scheme 6): entering
//! and leaving cost O(1) under the lock of one shard. A call that is ready at its first poll never comes here, and the
//! wheel ticks only while something is in it, so an idle node sleeps. Deadlines are met within one tick (4 ms), which is
//! far below what a deadline over a network can mean.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_utils::CachePadded;
use tokio::sync::Notify;

use crate::clock::{Clock, Stamp};
use crate::metrics::ThreadSlot;
use crate::sync::lock_std;
use crate::watch::{Stage, Watch};

/// How far apart two ticks are.
pub const TICK: Duration = Duration::from_millis(4);
const SLOTS: u64 = 1024;
const SHARDS: usize = 8;

/// The place of one watch in the wheel; leaving is by [`Wheel::leave`].
#[derive(Debug)]
pub(crate) struct Place {
    shard: usize,
    slot: usize,
    index: usize,
    pub(crate) watch: Arc<Watch>,
}

#[derive(Debug)]
struct Entry {
    due: Stamp,
    watch: Arc<Watch>,
}

/// One shard: slots of entries. An entry's index never changes while it is in its slot, holes are reused.
#[derive(Debug, Default)]
struct Shard {
    slots: Vec<Slot>,
    len: usize,
}

#[derive(Debug, Default)]
struct Slot {
    entries: Vec<Option<Entry>>,
    holes: Vec<usize>,
}

/// The deadlines of one node.
#[derive(Debug)]
pub(crate) struct Wheel {
    shards: [CachePadded<Mutex<Shard>>; SHARDS],
    ticking: AtomicBool,
    /// The tick handled last. Set before the shards of a tick are looked at, so that whoever enters later knows.
    handled: AtomicU64,
    /// Set when the node ends every handler: who enters afterwards is told at once.
    ended: AtomicBool,
    wake: Notify,
}

impl Default for Wheel {
    fn default() -> Self {
        Wheel {
            shards: Default::default(),
            ticking: AtomicBool::new(false),
            handled: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            wake: Notify::new(),
        }
    }
}

fn tick_of(stamp: Stamp) -> u64 {
    stamp.as_nanos() / TICK.as_nanos() as u64
}

impl Wheel {
    /// Enters a handler that is due at `deadline` and is dropped at `abandon`.
    pub(crate) fn enter(&self, deadline: Stamp, abandon: Stamp) -> Place {
        let watch = Arc::new(Watch::new(abandon));
        let shard_index = ThreadSlot::current().index() % SHARDS;
        let (slot_index, index) = {
            let mut shard = lock_std(&self.shards[shard_index]);
            let slot = self.slot_of(deadline);
            let entry = Entry {
                due: deadline,
                watch: Arc::clone(&watch),
            };
            (slot, shard.put(slot, entry))
        };
        if self.ended.load(Ordering::SeqCst) {
            watch.advance(Stage::Stopped);
        }
        if !self.ticking.load(Ordering::SeqCst) && !self.ticking.swap(true, Ordering::SeqCst) {
            self.wake.notify_one();
        }
        Place {
            shard: shard_index,
            slot: slot_index,
            index,
            watch,
        }
    }

    /// The slot in which a due time is found in time: its own, or the next to be looked at if that has passed.
    fn slot_of(&self, due: Stamp) -> usize {
        (tick_of(due).max(self.handled.load(Ordering::SeqCst)) % SLOTS) as usize
    }

    /// Takes a finished handler out.
    pub(crate) fn leave(&self, place: &Place) {
        let mut shard = lock_std(&self.shards[place.shard]);
        if !shard.take(place.slot, place.index, &place.watch) {
            // Past its deadline the entry sits in the slot of its second due time.
            shard.take_by_search(place.watch.second(), &place.watch);
        }
    }

    /// Handlers in the wheel.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock_std(shard).len).sum()
    }

    /// Whether no handler is in the wheel.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells every handler in the wheel, and every one that enters later, to end now: their futures are dropped at their
    /// next wake-up.
    pub(crate) fn end_all(&self) {
        self.ended.store(true, Ordering::SeqCst);
        for shard in &self.shards {
            let watches = lock_std(shard).watches();
            watches.iter().for_each(|watch| watch.advance(Stage::Stopped));
        }
    }

    /// Moves everything due at `now` to its next stage.
    fn tick(&self, now: Stamp) {
        let to = tick_of(now);
        let from = self.handled.swap(to, Ordering::SeqCst).min(to);
        let steps = (to - from).min(SLOTS);
        for shard in &self.shards {
            let mut due = Vec::new();
            {
                let mut shard = lock_std(shard);
                if shard.len > 0 {
                    for step in 0..=steps {
                        self.collect_due(&mut shard, ((to - step) % SLOTS) as usize, now, &mut due);
                    }
                }
            }
            for (watch, stage) in due {
                watch.advance(stage);
            }
        }
    }

    /// Takes what is due out of one slot; what has a second due time is put back for that.
    fn collect_due(&self, shard: &mut Shard, slot: usize, now: Stamp, due: &mut Vec<(Arc<Watch>, Stage)>) {
        for watch in shard.take_due(slot, now) {
            if now >= watch.abandon() {
                due.push((watch, Stage::Abandoned));
                continue;
            }
            let second = self.slot_of(watch.abandon());
            watch.set_second(second);
            let entry = Entry {
                due: watch.abandon(),
                watch: Arc::clone(&watch),
            };
            shard.put(second, entry);
            due.push((watch, Stage::Late));
        }
    }

    fn rests(&self) -> bool {
        if !self.is_empty() {
            return false;
        }
        self.ticking.store(false, Ordering::SeqCst);
        if self.is_empty() {
            return true;
        }
        self.ticking.store(true, Ordering::SeqCst);
        false
    }

    /// Drives the wheel; runs until it is dropped. Its owner is the router actor.
    pub(crate) async fn run(&self, clock: &Clock) {
        loop {
            if self.rests() {
                self.wake.notified().await;
            }
            let mut beat = tokio::time::interval(TICK);
            beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            while !self.rests() {
                beat.tick().await;
                self.tick(clock.now());
            }
        }
    }
}

impl Shard {
    fn put(&mut self, slot: usize, entry: Entry) -> usize {
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS as usize, Slot::default);
        }
        self.len += 1;
        let slot = &mut self.slots[slot];
        if let Some(index) = slot.holes.pop() {
            slot.entries[index] = Some(entry);
            return index;
        }
        slot.entries.push(Some(entry));
        slot.entries.len() - 1
    }

    fn take(&mut self, slot: usize, index: usize, watch: &Arc<Watch>) -> bool {
        let Some(slot) = self.slots.get_mut(slot) else {
            return false;
        };
        let held = slot.entries.get(index).and_then(Option::as_ref);
        if !held.is_some_and(|entry| Arc::ptr_eq(&entry.watch, watch)) {
            return false;
        }
        slot.clear(index);
        self.len -= 1;
        true
    }

    fn take_by_search(&mut self, slot: usize, watch: &Arc<Watch>) {
        let Some(found) = self.slots.get(slot).and_then(|slot| {
            slot.entries
                .iter()
                .position(|entry| entry.as_ref().is_some_and(|entry| Arc::ptr_eq(&entry.watch, watch)))
        }) else {
            return;
        };
        self.take(slot, found, watch);
    }

    /// Takes everything out of a slot that is due at `now`.
    fn take_due(&mut self, slot: usize, now: Stamp) -> Vec<Arc<Watch>> {
        let slot = &mut self.slots[slot];
        let mut due = Vec::new();
        for index in 0..slot.entries.len() {
            if let Some(entry) = slot.entries[index].take_if(|entry| entry.due <= now) {
                slot.holes.push(index);
                due.push(entry.watch);
            }
        }
        self.len -= due.len();
        slot.shrink();
        due
    }

    fn watches(&self) -> Vec<Arc<Watch>> {
        let entries = self.slots.iter().flat_map(|slot| slot.entries.iter().flatten());
        entries.map(|entry| Arc::clone(&entry.watch)).collect()
    }
}

impl Slot {
    fn clear(&mut self, index: usize) {
        self.entries[index] = None;
        self.holes.push(index);
        self.shrink();
    }

    /// An empty slot that once was large gives its memory back.
    fn shrink(&mut self) {
        if self.holes.len() == self.entries.len() && self.entries.capacity() > 64 {
            *self = Slot::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Stamp {
        Stamp::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn a_handler_is_late_at_its_deadline_and_abandoned_later() {
        let wheel = Wheel::default();
        let place = wheel.enter(at(100), at(200));
        wheel.tick(at(96));
        assert_eq!(place.watch.stage(), Stage::InTime);
        wheel.tick(at(100));
        assert_eq!(place.watch.stage(), Stage::Late);
        assert_eq!(wheel.len(), 1);
        wheel.tick(at(204));
        assert_eq!(place.watch.stage(), Stage::Abandoned);
        assert!(wheel.is_empty());
    }

    #[test]
    fn deadlines_beyond_one_turn_wait_for_theirs() {
        let wheel = Wheel::default();
        let turn = u64::try_from(TICK.as_millis()).unwrap() * SLOTS;
        let place = wheel.enter(at(2 * turn + 8), at(9 * turn));
        for ms in (0..2 * turn + 4).step_by(4) {
            wheel.tick(at(ms));
        }
        assert_eq!(place.watch.stage(), Stage::InTime);
        wheel.tick(at(2 * turn + 8));
        assert_eq!(place.watch.stage(), Stage::Late);
    }

    #[test]
    fn a_pause_longer_than_a_turn_skips_nobody() {
        let wheel = Wheel::default();
        let places: Vec<_> = (0..5_000).map(|n| wheel.enter(at(n), at(n))).collect();
        wheel.tick(at(100_000));
        assert!(places.iter().all(|place| place.watch.stage() == Stage::Abandoned));
        assert!(wheel.is_empty());
    }

    #[test]
    fn whoever_leaves_is_gone_before_and_after_the_deadline() {
        let wheel = Wheel::default();
        let early = wheel.enter(at(100), at(200));
        let late = wheel.enter(at(100), at(200));
        wheel.leave(&early);
        assert_eq!(wheel.len(), 1);
        wheel.tick(at(120));
        assert_eq!((early.watch.stage(), late.watch.stage()), (Stage::InTime, Stage::Late));
        wheel.leave(&late);
        wheel.leave(&late);
        assert!(wheel.is_empty());
    }

    #[test]
    fn whoever_enters_past_its_deadline_is_told_at_the_next_tick() {
        let wheel = Wheel::default();
        wheel.tick(at(1_020));
        let place = wheel.enter(at(1_000), at(1_050));
        wheel.tick(at(1_024));
        assert_eq!(place.watch.stage(), Stage::Late);
        wheel.tick(at(1_052));
        assert_eq!(place.watch.stage(), Stage::Abandoned);
        assert!(wheel.is_empty());
    }

    #[test]
    fn both_due_times_may_fall_into_one_tick() {
        let wheel = Wheel::default();
        let place = wheel.enter(at(100), Stamp::from_nanos(102_500_000));
        wheel.tick(at(101));
        assert_eq!(place.watch.stage(), Stage::Late);
        wheel.tick(at(103));
        assert_eq!(place.watch.stage(), Stage::Abandoned);
    }

    #[test]
    fn once_all_are_ended_newcomers_are_too() {
        let wheel = Wheel::default();
        let before = wheel.enter(at(100), at(200));
        wheel.end_all();
        let after = wheel.enter(at(100), at(200));
        assert_eq!(
            (before.watch.stage(), after.watch.stage()),
            (Stage::Stopped, Stage::Stopped)
        );
    }

    #[test]
    fn holes_are_reused() {
        let wheel = Wheel::default();
        for _ in 0..10_000 {
            let place = wheel.enter(at(50), at(60));
            wheel.leave(&place);
        }
        let shard = lock_std(&wheel.shards[ThreadSlot::current().index() % SHARDS]);
        assert!(shard.slots.iter().all(|slot| slot.entries.len() <= 1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_wheel_sleeps_while_nothing_is_pending() {
        let wheel = Arc::new(Wheel::default());
        let clock = Clock::tokio();
        let driver = tokio::spawn({
            let (wheel, clock) = (Arc::clone(&wheel), clock.clone());
            async move { wheel.run(&clock).await }
        });
        let place = wheel.enter(
            clock.now() + Duration::from_millis(50),
            clock.now() + Duration::from_millis(70),
        );
        tokio::time::timeout(
            Duration::from_secs(1),
            std::future::poll_fn(|cx| {
                place.watch.register(cx.waker());
                if place.watch.stage() == Stage::Abandoned {
                    std::task::Poll::Ready(())
                } else {
                    std::task::Poll::Pending
                }
            }),
        )
        .await
        .unwrap();
        assert!(wheel.is_empty());
        driver.abort();
    }
}

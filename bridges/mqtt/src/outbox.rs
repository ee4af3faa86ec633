//! The outbox: what this node has published and a group has not settled yet. Pure: it is told what happens and when, and says
//! what to send.
//!
//! A message is kept once and waits for each group that is on record. A member that has it says so every second; when
//! nobody has said anything for [`PATIENCE`], whoever had it is gone, and it is sent again, same id, to that group alone. A
//! group of which nobody listens is asked with one message a second until a member is back; then everything follows at once.
//! Count, bytes, age and losses are bounded.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use roadshow_bridges::{Envelope, MessageId};
use tokio::time::Instant;

use crate::marks::{Mark, Verdict};

/// How long nothing may be heard of a message before it is sent again.
pub(crate) const PATIENCE: Duration = Duration::from_secs(4);
/// How long what is open waits after a new connection: marks that were on their way come first.
const SETTLING: Duration = Duration::from_millis(250);
/// How often a group that nobody listens to is asked.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How often a message may be lost with its member: a backstop against one that ends every process that takes it.
const LOSSES_MAX: u32 = 50;
/// The most actions of one step.
const ACTIONS_MAX: usize = 256;

/// One that a message waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The group, or anybody who took it.
    pub(crate) group: Option<Arc<str>>,
    /// The topic of this group alone.
    pub(crate) again: Arc<str>,
}

/// What to do.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// Send it again; say by [`Outbox::sent_again`] what became of it.
    Send {
        target: Target,
        envelope: Arc<Envelope>,
        /// How often handlers were started with it that gave it back.
        starts: u32,
        /// When the outbox gives it up.
        expires: Instant,
    },
    /// It is given up.
    Expire {
        target: Target,
        envelope: Arc<Envelope>,
        starts: u32,
        reason: &'static str,
    },
}

/// What became of a message that was sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// Somebody listens.
    Routed,
    /// Nobody listens.
    Unrouted,
    /// No answer.
    Unknown,
}

/// The outbox holds as much as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Somebody may have it.
    Waiting { due: Instant },
    /// Nobody of the group listens.
    Absent,
    /// It is being sent again.
    Sending,
}

#[derive(Debug)]
struct Pending {
    target: Target,
    step: Step,
    starts: u32,
    losses: u32,
}

#[derive(Debug)]
struct Entry {
    envelope: Arc<Envelope>,
    bytes: usize,
    expires: Instant,
    pending: Vec<Pending>,
}

/// What was published and is not settled.
#[derive(Debug)]
pub(crate) struct Outbox {
    messages_max: usize,
    bytes_max: usize,
    bytes: usize,
    next: u64,
    entries: BTreeMap<u64, Entry>,
    places: HashMap<MessageId, u64>,
    /// When a group that nobody listens to is asked next.
    ask: HashMap<Arc<str>, Instant>,
    /// Nothing is due before this time; found anew by each step, so that nothing else has to look at everything.
    soonest: Option<Instant>,
}

impl Outbox {
    pub(crate) fn new(messages_max: usize, bytes_max: usize) -> Self {
        Self {
            messages_max,
            bytes_max,
            bytes: 0,
            next: 0,
            entries: BTreeMap::new(),
            places: HashMap::new(),
            ask: HashMap::new(),
            soonest: None,
        }
    }

    fn sooner(&mut self, due: Instant) {
        self.soonest = Some(self.soonest.map_or(due, |soonest| soonest.min(due)));
    }

    /// How many messages are kept.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many messages somebody may still settle soon.
    pub(crate) fn open(&self) -> usize {
        let is_open = |entry: &&Entry| entry.pending.iter().any(|pending| pending.step != Step::Absent);
        self.entries.values().filter(is_open).count()
    }

    /// Keeps a message for those who have to settle it; one that is kept already waits for those that are new.
    pub(crate) fn keep(
        &mut self,
        envelope: Arc<Envelope>,
        bytes: usize,
        targets: Vec<Target>,
        now: Instant,
        age_max: Duration,
    ) -> Result<(), Full> {
        let id = envelope.identity.id;
        let step = Step::Waiting { due: now + PATIENCE };
        let pending = |target| Pending {
            target,
            step,
            starts: 0,
            losses: 0,
        };
        if let Some(entry) = self.places.get(&id).and_then(|place| self.entries.get_mut(place)) {
            for target in targets {
                if entry.pending.iter().all(|pending| pending.target != target) {
                    entry.pending.push(pending(target));
                }
            }
            self.sooner(now + PATIENCE);
            return Ok(());
        }
        let over = self.bytes.saturating_add(bytes) > self.bytes_max && !self.entries.is_empty();
        if self.entries.len() >= self.messages_max || over {
            return Err(Full);
        }
        let entry = Entry {
            envelope,
            bytes,
            expires: now + age_max,
            pending: targets.into_iter().map(pending).collect(),
        };
        self.places.insert(id, self.next);
        self.entries.insert(self.next, entry);
        self.next += 1;
        self.bytes += bytes;
        self.sooner(now + PATIENCE.min(age_max));
        Ok(())
    }

    /// Forgets a message.
    pub(crate) fn forget(&mut self, id: MessageId) {
        if let Some(entry) = self.places.remove(&id).and_then(|place| self.entries.remove(&place)) {
            self.bytes -= entry.bytes;
        }
        if self.entries.is_empty() {
            self.ask.clear();
            self.soonest = None;
        }
    }

    /// Hears that nobody at all listened when a message was published.
    pub(crate) fn unheard(&mut self, id: MessageId, now: Instant) {
        let Some(entry) = self.places.get(&id).and_then(|place| self.entries.get_mut(place)) else {
            return;
        };
        for pending in &mut entry.pending {
            pending.step = Step::Absent;
            let again = Arc::clone(&pending.target.again);
            self.ask.entry(again).or_insert(now + ASK_EVERY);
        }
        self.sooner(now + ASK_EVERY);
    }

    /// Hears what a member of a group says about a message.
    pub(crate) fn mark(&mut self, group: &str, mark: Mark, now: Instant) {
        let Some(entry) = self.places.get(&mark.id).and_then(|place| self.entries.get_mut(place)) else {
            return;
        };
        let meant = |target: &Target| target.group.as_deref().is_none_or(|name| name == group);
        for pending in entry.pending.iter_mut().filter(|pending| meant(&pending.target)) {
            match mark.verdict {
                Verdict::Done => {}
                Verdict::Waiting | Verdict::Handed => pending.step = Step::Waiting { due: now + PATIENCE },
                Verdict::GivenBack => {
                    pending.starts = pending.starts.saturating_add(mark.starts);
                    pending.losses = pending.losses.saturating_sub(1);
                    pending.step = Step::Waiting { due: now };
                }
            }
        }
        match mark.verdict {
            Verdict::Done => {
                entry.pending.retain(|pending| !meant(&pending.target));
                if entry.pending.is_empty() {
                    self.forget(mark.id);
                }
            }
            Verdict::Waiting | Verdict::Handed => self.sooner(now + PATIENCE),
            Verdict::GivenBack => self.sooner(now),
        }
    }

    /// Hears that a member of a group is there.
    pub(crate) fn joined(&mut self, again: &str, now: Instant) {
        // Every group of which nobody listens is asked, so nothing is looked for in vain.
        if self.ask.remove(again).is_none() {
            return;
        }
        self.sooner(now);
        let pending = self.entries.values_mut().flat_map(|entry| &mut entry.pending);
        for pending in pending.filter(|pending| pending.step == Step::Absent && &*pending.target.again == again) {
            pending.step = Step::Waiting { due: now };
        }
    }

    /// Hears that there is a new connection: what is open is sent again, once marks had their chance.
    pub(crate) fn connected(&mut self, now: Instant) {
        self.ask.clear();
        for pending in self.entries.values_mut().flat_map(|entry| &mut entry.pending) {
            pending.step = Step::Waiting { due: now + SETTLING };
        }
        self.soonest = self.find_soonest();
    }

    /// Hears that the broker was silent for so long that silence says nothing about anybody.
    pub(crate) fn postpone(&mut self, now: Instant, by: Duration) {
        for pending in self.entries.values_mut().flat_map(|entry| &mut entry.pending) {
            if let Step::Waiting { due } = &mut pending.step {
                *due = (*due).max(now + by);
            }
        }
        self.soonest = self.find_soonest();
    }

    /// Hears what became of a message that was sent again.
    pub(crate) fn sent_again(&mut self, id: MessageId, target: &Target, how: Again, now: Instant) {
        let Some(entry) = self.places.get(&id).and_then(|place| self.entries.get_mut(place)) else {
            return;
        };
        let sending = |pending: &&mut Pending| pending.target == *target && pending.step == Step::Sending;
        let Some(pending) = entry.pending.iter_mut().find(sending) else {
            return;
        };
        match how {
            Again::Routed => {
                pending.step = Step::Waiting { due: now + PATIENCE };
                self.joined(&target.again, now);
            }
            Again::Unrouted => {
                pending.step = Step::Absent;
                pending.losses = pending.losses.saturating_sub(1);
                self.ask.insert(Arc::clone(&target.again), now + ASK_EVERY);
            }
            Again::Unknown => pending.step = Step::Waiting { due: now + ASK_EVERY },
        }
        self.sooner(now + ASK_EVERY);
    }

    /// When there may be something to do; not before.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.soonest
    }

    fn find_soonest(&self) -> Option<Instant> {
        let entries = self.entries.values();
        let dues = entries.flat_map(|entry| {
            let pending = entry.pending.iter().filter_map(|pending| match pending.step {
                Step::Waiting { due } => Some(due),
                _ => None,
            });
            pending.chain([entry.expires])
        });
        dues.chain(self.ask.values().copied()).min()
    }

    /// What to do now, oldest first; call again while it says something.
    pub(crate) fn step(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut done = Vec::new();
        for entry in self.entries.values_mut() {
            if actions.len() >= ACTIONS_MAX {
                break;
            }
            entry.step(now, &mut self.ask, &mut actions);
            if entry.pending.is_empty() {
                done.push(entry.envelope.identity.id);
            }
        }
        done.into_iter().for_each(|id| self.forget(id));
        if actions.len() < ACTIONS_MAX {
            // Whoever is absent was asked just now: the rest waits for nothing any more.
            self.ask.retain(|_, due| *due > now);
        }
        self.soonest = self.find_soonest();
        actions
    }
}

impl Entry {
    fn step(&mut self, now: Instant, ask: &mut HashMap<Arc<str>, Instant>, actions: &mut Vec<Action>) {
        let (envelope, expires) = (&self.envelope, self.expires);
        self.pending.retain_mut(|pending| {
            let send = match pending.step {
                _ if expires <= now => false,
                Step::Waiting { due } if due <= now => true,
                Step::Absent => match ask.get_mut(&pending.target.again) {
                    Some(due) if *due <= now => {
                        *due = now + ASK_EVERY;
                        true
                    }
                    _ => return true,
                },
                Step::Waiting { .. } | Step::Sending => return true,
            };
            let target = pending.target.clone();
            let (envelope, starts) = (Arc::clone(envelope), pending.starts);
            if send && pending.losses < LOSSES_MAX {
                pending.losses += 1;
                pending.step = Step::Sending;
                actions.push(Action::Send {
                    target,
                    envelope,
                    starts,
                    expires,
                });
                return true;
            }
            let reason = if send {
                "it was lost with its consumer too often"
            } else {
                "nobody settled it in time"
            };
            actions.push(Action::Expire {
                target,
                envelope,
                starts,
                reason,
            });
            false
        });
    }
}

#[cfg(test)]
mod tests;

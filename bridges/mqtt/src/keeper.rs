//! The keeper: the one task that waits for the broker on behalf of those who must not wait.
//!
//! It sends the marks of settled messages, many at a time; sends again what the outbox says; gives back, dead-letters and
//! unsubscribes what groups hand over; and brings delayed messages back. Before it believes that a member is gone, it asks
//! the broker for a sign of life: a broker that is silent makes everybody look gone.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use roadshow_bridges::{Envelope, MessageId};
use tokio::time::{Instant, sleep_until};

use crate::acks;
use crate::alarm::Alarm;
use crate::dead::Letters;
use crate::group::{Group, Item};
use crate::lock;
use crate::marks::{self, GROUP, Mark, Verdict};
use crate::outbox::{Action, Again, PATIENCE, Target};
use crate::outlet::Job;
use crate::shared::{ANSWER, Shared};
use crate::wire::{Counters, Message, Wire};

mod work;

/// How long marks are collected before they are sent.
const COLLECT: Duration = Duration::from_millis(3);
/// How often the outboxes are told what is held here.
const MARK_EVERY: Duration = Duration::from_secs(1);
/// How often the records of our durable groups are refreshed.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(3600);
/// How often a sign of life is asked for, at most.
const FENCE_EVERY: Duration = Duration::from_millis(100);
/// A sign of life that takes longer says that nobody could be heard.
const SILENCE: Duration = Duration::from_secs(1);
/// How many things the keeper waits for at a time.
const WORK_MAX: usize = 128;

/// What has ended.
enum Done {
    /// A message was sent again.
    Again(MessageId, Target, Again),
    /// A sign of life came, or not, after this time.
    Fence(bool, Duration),
    /// A job ended, or has to be done again.
    Job(Option<Job>),
    /// A group has left; its subscribers may hold deliveries still.
    Left(Arc<Group>),
    /// A record was refreshed, or not.
    Announced,
    /// A dead letter was written: this one has to go, if any.
    Letter(Arc<str>, String),
}

/// The keeper's own state.
struct Keeper {
    shared: Arc<Shared>,
    work: FuturesUnordered<BoxFuture<'static, Done>>,
    letters: Letters,
    /// Groups that have left, for as long as an outbox waits for something of theirs.
    left: Vec<Weak<Group>>,
    marks_due: Option<Instant>,
    acks_due: Option<Instant>,
    held_due: Instant,
    announce_due: Instant,
    fence_due: Instant,
    fencing: bool,
    /// No job before this time: the last one could not be done.
    jobs_due: Instant,
}

/// Runs until it is dropped.
pub(crate) async fn run(shared: Arc<Shared>) {
    let _alarm = Alarm::new(&shared, "keeper");
    let now = Instant::now();
    let mut keeper = Keeper {
        work: FuturesUnordered::new(),
        letters: Letters::default(),
        left: Vec::new(),
        marks_due: None,
        acks_due: None,
        held_due: now + MARK_EVERY,
        announce_due: now + ANNOUNCE_EVERY,
        fence_due: now,
        fencing: false,
        jobs_due: now,
        shared: Arc::clone(&shared),
    };
    loop {
        let due = keeper.next_due();
        tokio::select! {
            Some(done) = keeper.work.next(), if !keeper.work.is_empty() => keeper.done(done),
            () = shared.outlet.wake.notified() => {}
            () = sleep_until(due) => {}
        }
        keeper.turn(Instant::now());
    }
}

impl Keeper {
    fn next_due(&self) -> Instant {
        let mut due = self.held_due.min(self.announce_due);
        let mut sooner = |other: Option<Instant>| due = other.map_or(due, |other| due.min(other));
        sooner(self.marks_due);
        sooner(self.acks_due);
        sooner(self.shared.outlet.next_due());
        if !self.fencing {
            let outbox = lock(&self.shared.outbox).next_due();
            sooner(outbox.map(|outbox| outbox.max(self.fence_due)));
        }
        if self.work.len() < WORK_MAX && !self.shared.outlet.has_no_job() {
            sooner(Some(self.jobs_due));
        }
        due
    }

    /// Does what is due. Never waits.
    fn turn(&mut self, now: Instant) {
        for (group, item) in self.shared.outlet.due(now) {
            group.return_item(item, false);
        }
        if now >= self.held_due {
            self.held_due = now + MARK_EVERY;
            self.mark_held(now);
            self.shared.forget_old_events(now);
        }
        let wire = self.shared.wire();
        self.send_marks(wire.as_ref(), now);
        self.send_acks(wire.as_ref(), now);
        self.do_jobs(wire.as_ref(), now);
        let Some(wire) = wire.filter(|_| self.shared.presence.health().is_ready()) else {
            // Nothing can be sent, and a new connection wakes the keeper.
            self.fence_due = now + FENCE_EVERY;
            return;
        };
        self.ask_for_life(&wire, now);
        if now >= self.announce_due {
            self.announce_due = now + ANNOUNCE_EVERY;
            self.announce(&wire);
        }
    }

    /// Tells the outboxes what is held here, after its group has left too: whoever works on it goes on.
    fn mark_held(&mut self, now: Instant) {
        for group in self.shared.routes.groups() {
            group.mark_held(now);
        }
        self.left
            .retain(|left| left.upgrade().is_some_and(|group| group.mark_held(now)));
    }

    fn send_marks(&mut self, wire: Option<&Arc<Wire>>, now: Instant) {
        if self.shared.outlet.marks.is_empty() {
            self.marks_due = None;
            return;
        }
        let due = *self.marks_due.get_or_insert(now + COLLECT);
        let Some(wire) = wire else {
            self.marks_due = Some(now + MARK_EVERY);
            return;
        };
        if now < due && !self.shared.is_closing() {
            return;
        }
        self.marks_due = None;
        self.shared.outlet.begin();
        for report in self.shared.outlet.marks.take() {
            let mut message = Message::plain(self.shared.topics.acks(report.outbox), Bytes::new());
            let group = (GROUP.to_owned(), report.group.to_string());
            message.properties.user_properties.push(group);
            for part in report.parts(wire.room_beside(&message)) {
                let mut message = message.clone();
                message.payload = marks::encode(part);
                if !wire.try_send(message) {
                    // The message comes again, is known here, and is told again.
                    tracing::debug!(marks = part.len(), "marks could not be sent");
                }
            }
        }
        self.shared.outlet.job_done();
    }

    fn send_acks(&mut self, wire: Option<&Arc<Wire>>, now: Instant) {
        let waits = &self.shared.outlet.acks_wait;
        if !waits.load(Ordering::SeqCst) {
            return;
        }
        if now < *self.acks_due.get_or_insert(now + acks::COLLECT) {
            return;
        }
        self.acks_due = None;
        // First said, then done: one that comes in between is taken, or says so itself.
        waits.store(false, Ordering::SeqCst);
        if let Some(wire) = wire {
            wire.send_acks();
        }
    }

    /// Steps the outbox, but only right after the broker has shown that it lives.
    fn ask_for_life(&mut self, wire: &Arc<Wire>, now: Instant) {
        let due = lock(&self.shared.outbox).next_due();
        if self.fencing || now < self.fence_due || due.is_none_or(|due| due > now) {
            return;
        }
        self.fencing = true;
        let (shared, wire) = (Arc::clone(&self.shared), Arc::clone(wire));
        self.work.push(Box::pin(async move {
            let lives = shared.fence(&wire, now + ANSWER).await;
            Done::Fence(lives, now.elapsed())
        }));
    }

    fn done(&mut self, done: Done) {
        let now = Instant::now();
        match done {
            Done::Again(id, target, how) => lock(&self.shared.outbox).sent_again(id, &target, how, now),
            Done::Fence(lives, took) => {
                self.fencing = false;
                self.fence_due = now + FENCE_EVERY;
                if lives && took < SILENCE {
                    self.step_outbox(now);
                } else {
                    lock(&self.shared.outbox).postpone(now, PATIENCE);
                }
            }
            Done::Job(None) => self.shared.outlet.job_done(),
            Done::Job(Some(job)) => self.do_later(job, now),
            Done::Left(group) => {
                self.left.push(Arc::downgrade(&group));
                self.shared.outlet.job_done();
            }
            Done::Announced => {}
            Done::Letter(group, topic) => {
                if let (Some(oldest), Some(wire)) = (self.letters.note(&group, topic), self.shared.wire()) {
                    let mut message = Message::plain(oldest, Bytes::new());
                    message.retain = true;
                    let _ = wire.try_send(message);
                }
                self.shared.outlet.job_done();
            }
        }
    }

    fn step_outbox(&mut self, now: Instant) {
        let Some(wire) = self.shared.wire() else { return };
        let actions = lock(&self.shared.outbox).step(now);
        self.shared.room.freed();
        for action in actions {
            match action {
                Action::Send {
                    target,
                    envelope,
                    starts,
                    expires,
                } => {
                    let work = work::send_again(
                        Arc::clone(&self.shared),
                        Arc::clone(&wire),
                        target,
                        envelope,
                        starts,
                        expires,
                    );
                    self.work.push(Box::pin(work));
                }
                Action::Expire {
                    target,
                    envelope,
                    starts,
                    reason,
                } => self.expire(target, envelope, starts, reason),
            }
        }
    }

    fn expire(&self, target: Target, envelope: Arc<Envelope>, starts: u32, reason: &str) {
        Counters::count(&self.shared.counters.expired);
        let Some(name) = target.group else {
            tracing::debug!(subject = %envelope.subject, "a command with a key was not settled by its deadline");
            return;
        };
        tracing::warn!(group = %name, id = %envelope.identity.id, reason, "the outbox gives a message up");
        self.shared.outlet.job(Job::Dead {
            name: Some(name),
            group: None,
            item: Item {
                envelope,
                starts,
                since: Instant::now(),
                outbox: None,
                receipt: None,
                load: None,
            },
            reason: reason.to_owned(),
        });
    }

    fn announce(&self, wire: &Arc<Wire>) {
        for group in self.shared.routes.groups() {
            let Some(record) = group.record.clone() else { continue };
            let (shared, wire) = (Arc::clone(&self.shared), Arc::clone(wire));
            self.work.push(Box::pin(async move {
                shared.announce(&wire, &record).await;
                Done::Announced
            }));
        }
    }

    fn do_later(&mut self, job: Job, now: Instant) {
        self.jobs_due = now + SILENCE;
        self.shared.outlet.job(job);
        self.shared.outlet.job_done();
    }

    fn do_jobs(&mut self, wire: Option<&Arc<Wire>>, now: Instant) {
        while now >= self.jobs_due && self.work.len() < WORK_MAX {
            let Some(job) = self.shared.outlet.next_job() else {
                return;
            };
            match (job, wire) {
                (Job::Leave(group, leaving), _) => {
                    let shared = Arc::clone(&self.shared);
                    self.work.push(Box::pin(work::leave(shared, group, leaving)));
                }
                (Job::GiveBack { group, item }, _) if item.outbox.is_some() => self.give_back(&group, &item),
                (Job::GiveBack { group, item }, Some(wire)) => {
                    let (shared, wire) = (Arc::clone(&self.shared), Arc::clone(wire));
                    self.work.push(Box::pin(work::pass_on(shared, wire, group, item)));
                }
                (
                    Job::Dead {
                        name,
                        group,
                        item,
                        reason,
                    },
                    Some(wire),
                ) => {
                    let (shared, wire) = (Arc::clone(&self.shared), Arc::clone(wire));
                    self.work
                        .push(Box::pin(work::bury(shared, wire, name, group, item, reason)));
                }
                (job, None) => self.do_later(job, now),
            }
        }
    }

    /// The sender has it still: it sends it to another member at once.
    fn give_back(&self, name: &Arc<str>, item: &Item) {
        let Some(outbox) = item.outbox else { return };
        let mark = Mark {
            id: item.envelope.identity.id,
            verdict: Verdict::GivenBack,
            starts: item.starts,
        };
        self.shared.outlet.mark(outbox, name, mark);
        self.shared.outlet.job_done();
    }
}

//! Jobs: the commands of one service that were taken from a bridge and are at work here.
//!
//! Whoever is ready at once never enters. Who has to be waited for is entered by message id, so that a cancel finds it
//! and a second copy of it is not started.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::stream::AbortHandle;
use roadshow_bridges::{Delivery, Envelope, MessageId};

use super::answering::{AGAIN_AFTER, Told};
use super::early_cancels::EarlyCancels;
use crate::clock::Stamp;
use crate::request::Start;
use crate::sync::lock_std;

/// How often a command is started whose answer does not arrive.
const STARTS_MAX: u32 = 5;

/// One command that was taken from a bridge.
pub(super) struct Job {
    /// `None` once it is settled.
    delivery: Mutex<Option<Delivery>>,
    pub(super) envelope: Arc<Envelope>,
    /// Whether it may be started again, so that its delivery is kept until its end.
    repeatable: bool,
    /// Whether its first delivery came from somebody who was lost and may have begun.
    may_have_begun: bool,
    abort: AbortHandle,
    entered: AtomicBool,
    /// Whether it was refused before it began, so that it never runs.
    refused: AtomicBool,
}

impl Job {
    pub(super) fn new(delivery: Delivery, repeatable: bool, abort: AbortHandle) -> Arc<Self> {
        Arc::new(Job {
            envelope: delivery.shared_envelope(),
            may_have_begun: delivery.may_have_begun(),
            delivery: Mutex::new(Some(delivery)),
            repeatable,
            abort,
            entered: AtomicBool::new(false),
            refused: AtomicBool::new(false),
        })
    }

    /// A stream, which settles its opening itself.
    pub(super) fn of_stream(envelope: Arc<Envelope>, abort: AbortHandle) -> Arc<Self> {
        Arc::new(Job {
            envelope,
            delivery: Mutex::default(),
            repeatable: false,
            may_have_begun: false,
            abort,
            entered: AtomicBool::new(false),
            refused: AtomicBool::new(false),
        })
    }

    pub(super) fn id(&self) -> MessageId {
        self.envelope.identity.id
    }

    pub(super) fn is_entered(&self) -> bool {
        self.entered.load(Ordering::Acquire)
    }

    /// Settles what has not begun, before its caller reads that it was not executed: no copy of it may run after that.
    pub(super) fn settle_refused(&self) {
        let refused = lock_std(&self.delivery).take_if(|delivery| !delivery.has_begun());
        if let Some(delivery) = refused {
            self.refused.store(true, Ordering::Release);
            delivery.ack();
        }
    }

    /// Settles what is left to settle, by what became of the answer, and says whether it was given up although its caller may
    /// not have that.
    pub(super) fn settle(&self, told: Told) -> bool {
        let Some(mut delivery) = lock_std(&self.delivery).take() else {
            return false;
        };
        let repeats = told == Told::Unsure && self.repeatable && delivery.has_begun();
        let gives_up = repeats && delivery.begin() >= STARTS_MAX;
        if repeats && !gives_up {
            delivery.nack(AGAIN_AFTER);
        } else {
            delivery.ack();
        }
        gives_up
    }

    /// Whether somebody else may have begun with it, so that nobody here can say that it was not executed.
    pub(super) fn may_have_begun(&self) -> bool {
        let held = lock_std(&self.delivery);
        self.may_have_begun || held.as_ref().is_some_and(Delivery::may_have_begun)
    }

    /// Somebody waits elsewhere for a message with its id: perhaps its own caller, who has read that it was refused.
    fn meets(&self, other: Delivery) -> Arrived {
        match self.refused.load(Ordering::Acquire) {
            true => Arrived::New(other),
            false => Arrived::Clash(other),
        }
    }

    /// Another copy of the message came: the first one is at work, and this one is settled with it.
    fn takes_over(&self, mut copy: Delivery) {
        let mut delivery = lock_std(&self.delivery);
        let settled = match &*delivery {
            Some(held) => {
                if held.has_begun() {
                    copy.begin();
                }
                delivery.replace(copy)
            }
            None => Some(copy),
        };
        drop(delivery);
        if let Some(settled) = settled {
            settled.ack();
        }
    }
}

impl Start for Job {
    /// Whoever may not be started twice is settled here, before its first poll: if this node dies, nobody else starts it.
    fn start(&self) -> u32 {
        let mut held = lock_std(&self.delivery);
        let attempt = held.as_mut().map_or(1, Delivery::begin);
        let settled = (!self.repeatable).then(|| held.take()).flatten();
        drop(held);
        if let Some(delivery) = settled {
            delivery.ack();
        }
        attempt
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// What becomes of a command that arrives.
#[derive(Debug)]
pub(super) enum Arrived {
    /// It is new.
    New(Delivery),
    /// It is here already, or was called off; its delivery is settled.
    Settled,
    /// Somebody else's message with its id is here.
    Clash(Delivery),
}

/// The commands of one service that are at work. Bounded by what its endpoints admit.
#[derive(Debug, Default)]
pub(super) struct Jobs(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    at_work: HashMap<MessageId, Arc<Job>>,
    early: EarlyCancels,
}

impl Jobs {
    /// Looks whether an arrived command is to be started.
    pub(super) fn arrive(&self, delivery: Delivery, now: Stamp) -> Arrived {
        let id = delivery.envelope().identity.id;
        let mut state = lock_std(&self.0);
        let at_work = state.at_work.get(&id).cloned();
        let called_off = at_work.is_none() && state.early.has(id, now);
        drop(state);
        match at_work {
            Some(job) if job.envelope.reply_to != delivery.envelope().reply_to => return job.meets(delivery),
            Some(job) => job.takes_over(delivery),
            None if called_off => delivery.ack(),
            None => return Arrived::New(delivery),
        }
        Arrived::Settled
    }

    /// Enters a command that has to be waited for. One that was called off meanwhile is ended at its next poll.
    pub(super) fn enter(&self, job: &Arc<Job>, now: Stamp) {
        let mut state = lock_std(&self.0);
        job.entered.store(true, Ordering::Release);
        if state.early.has(job.id(), now) {
            job.abort.abort();
        }
        state.at_work.insert(job.id(), Arc::clone(job));
    }

    /// Takes a command out that has ended. Another one may have its place already, if it was refused.
    pub(super) fn leave(&self, job: &Arc<Job>) {
        if !job.is_entered() {
            return;
        }
        let mut state = lock_std(&self.0);
        if state
            .at_work
            .get(&job.id())
            .is_some_and(|entered| Arc::ptr_eq(entered, job))
        {
            state.at_work.remove(&job.id());
        }
    }

    /// Nobody waits for a command any more: ends it, or remembers that it need not be started.
    pub(super) fn call_off(&self, id: MessageId, now: Stamp) {
        let mut state = lock_std(&self.0);
        match state.at_work.get(&id) {
            Some(job) => job.abort.abort(),
            None => state.early.note(id, now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roadshow_bridges::{Identity, Kind, Namespace, Parcel, Settlement, Settler};

    #[derive(Debug, Default)]
    struct Log(Mutex<Vec<String>>);

    impl Settler for Log {
        fn settle(&self, parcel: Parcel, settlement: Settlement<'_>) {
            lock_std(&self.0).push(format!("{} {settlement:?}", parcel.tag));
        }
    }

    fn delivery(log: &Arc<Log>, tag: u64) -> Delivery {
        let subject = Namespace::default().members_subject();
        let identity = Identity::root(MessageId::from_u128(7));
        let envelope = Envelope::new(Kind::Command, subject, identity, bytes::Bytes::new());
        let mut parcel = Parcel::new(Arc::new(envelope));
        parcel.tag = tag;
        Delivery::new(parcel, Arc::clone(log) as Arc<dyn Settler>)
    }

    fn job(delivery: Delivery, repeatable: bool) -> Arc<Job> {
        Job::new(delivery, repeatable, AbortHandle::new_pair().0)
    }

    fn lines(log: &Log) -> Vec<String> {
        std::mem::take(&mut lock_std(&log.0))
    }

    const NOW: Stamp = Stamp::from_nanos(0);

    #[test]
    fn what_may_not_run_twice_is_settled_before_it_starts_and_what_may_with_its_answer() {
        let log = Arc::new(Log::default());
        let once = job(delivery(&log, 1), false);
        assert_eq!((once.start(), lines(&log)), (1, vec!["1 Ack".to_owned()]));
        once.settle(Told::Unsure);
        assert!(lines(&log).is_empty());
        let again = job(delivery(&log, 2), true);
        assert_eq!((again.start(), lines(&log)), (1, Vec::new()));
        again.settle(Told::Done);
        assert_eq!(lines(&log), ["2 Ack"]);
        let unsure = job(delivery(&log, 3), true);
        unsure.start();
        unsure.settle(Told::Unsure);
        assert_eq!(lines(&log), ["3 Nack { after: 1s }"]);
    }

    #[test]
    fn what_was_refused_unstarted_never_comes_again_and_what_a_copy_took_over_does() {
        let (log, jobs) = (Arc::new(Log::default()), Jobs::default());
        for repeatable in [false, true] {
            let refused = job(delivery(&log, 1), repeatable);
            refused.settle_refused();
            assert_eq!(lines(&log), ["1 Ack"], "before it is answered");
            refused.settle(Told::Unsure);
            assert!(lines(&log).is_empty());
        }
        let first = job(delivery(&log, 2), true);
        first.start();
        jobs.enter(&first, NOW);
        assert!(matches!(jobs.arrive(delivery(&log, 3), NOW), Arrived::Settled));
        first.settle(Told::Unsure);
        assert_eq!(lines(&log), ["2 Ack", "3 Nack { after: 1s }"]);
    }

    #[test]
    fn what_nobody_can_be_answered_is_given_up_after_some_starts() {
        let log = Arc::new(Log::default());
        let table = [
            (0, false),
            (STARTS_MAX - 2, false),
            (STARTS_MAX - 1, true),
            (STARTS_MAX, true),
        ];
        for (starts, gives_up) in table {
            let mut parcel = Parcel::new(delivery(&log, 1).shared_envelope());
            lines(&log);
            parcel.starts = starts;
            let unsure = job(Delivery::new(parcel, Arc::clone(&log) as Arc<dyn Settler>), true);
            unsure.start();
            assert_eq!(unsure.settle(Told::Unsure), gives_up, "{starts}");
            let settled = if gives_up { "0 Ack" } else { "0 Nack { after: 1s }" };
            assert_eq!(lines(&log), [settled], "{starts}");
        }
    }

    #[test]
    fn what_has_begun_is_not_settled_as_refused() {
        let log = Arc::new(Log::default());
        let begun = job(delivery(&log, 1), true);
        begun.start();
        begun.settle_refused();
        assert!(lines(&log).is_empty());
        begun.settle(Told::Done);
        assert_eq!(lines(&log), ["1 Ack"]);
    }

    #[test]
    fn whoever_was_refused_may_ask_again_while_a_copy_of_the_first_is_still_not_started() {
        let (log, jobs) = (Arc::new(Log::default()), Jobs::default());
        let elsewhere = |tag| {
            let mut envelope = Envelope::clone(&delivery(&log, 0).shared_envelope());
            envelope.reply_to = Some(Namespace::default().members_subject());
            let mut parcel = Parcel::new(Arc::new(envelope));
            parcel.tag = tag;
            Delivery::new(parcel, Arc::clone(&log) as Arc<dyn Settler>)
        };
        let first = job(delivery(&log, 1), true);
        jobs.enter(&first, NOW);
        assert!(matches!(jobs.arrive(elsewhere(2), NOW), Arrived::Clash(_)));
        first.settle_refused();
        lines(&log);
        assert!(matches!(jobs.arrive(delivery(&log, 3), NOW), Arrived::Settled));
        assert_eq!(lines(&log), ["3 Ack"]);
        let Arrived::New(again) = jobs.arrive(elsewhere(4), NOW) else {
            panic!("expected another start")
        };
        let again = job(again, true);
        jobs.enter(&again, NOW);
        jobs.leave(&first);
        assert!(
            matches!(jobs.arrive(elsewhere(5), NOW), Arrived::Settled),
            "it is at work"
        );
        jobs.leave(&again);
        assert!(matches!(jobs.arrive(elsewhere(6), NOW), Arrived::New(_)));
    }

    #[test]
    fn what_a_lost_subscriber_may_have_begun_is_marked_by_its_first_delivery_and_by_a_copy() {
        let (log, jobs) = (Arc::new(Log::default()), Jobs::default());
        let marked = |tag| {
            let mut parcel = Parcel::new(delivery(&log, tag).shared_envelope());
            parcel.may_have_begun = true;
            Delivery::new(parcel, Arc::clone(&log) as Arc<dyn Settler>)
        };
        assert!(job(marked(1), true).may_have_begun());
        let first = job(delivery(&log, 2), true);
        assert!(!first.may_have_begun());
        jobs.enter(&first, NOW);
        assert!(matches!(jobs.arrive(marked(3), NOW), Arrived::Settled));
        assert!(first.may_have_begun());
    }

    #[test]
    fn a_second_copy_is_not_started_and_settled_with_the_first() {
        let (log, jobs) = (Arc::new(Log::default()), Jobs::default());
        let first = job(delivery(&log, 1), true);
        first.start();
        jobs.enter(&first, NOW);
        assert!(matches!(jobs.arrive(delivery(&log, 2), NOW), Arrived::Settled));
        assert_eq!(lines(&log), ["1 Ack"], "the copy of a former connection");
        first.settle(Told::Done);
        assert_eq!(lines(&log), ["2 Ack"]);
        assert!(matches!(jobs.arrive(delivery(&log, 3), NOW), Arrived::Settled));
        assert_eq!(lines(&log), ["3 Ack"]);
        jobs.leave(&first);
        assert!(matches!(jobs.arrive(delivery(&log, 4), NOW), Arrived::New(_)));
    }

    #[test]
    fn a_cancel_ends_what_is_at_work_and_keeps_what_has_not_come_from_starting() {
        let (log, jobs) = (Arc::new(Log::default()), Jobs::default());
        let id = MessageId::from_u128(7);
        let first = job(delivery(&log, 1), false);
        jobs.enter(&first, NOW);
        jobs.call_off(id, NOW);
        assert!(first.abort.is_aborted());
        jobs.leave(&first);
        assert!(
            matches!(jobs.arrive(delivery(&log, 2), NOW), Arrived::New(_)),
            "it was no early one"
        );
        jobs.call_off(id, NOW);
        assert!(matches!(jobs.arrive(delivery(&log, 3), NOW), Arrived::Settled));
        let late = job(delivery(&log, 4), false);
        jobs.enter(&late, NOW);
        assert!(late.abort.is_aborted(), "called off while it was started");
    }
}

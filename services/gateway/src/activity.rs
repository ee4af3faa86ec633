//! What a connection is doing, so that one that does nothing, or whose peer takes nothing, can be let go.
//!
//! It bounds the time for a head and the rest between two requests, with one timer for a connection's whole life. HTTP/1.1
//! needs no more: there is one answer at a time, which `timed_stream.rs` bounds. In HTTP/2 a peer may read from its socket
//! and still take nothing of an answer, because it grants no window.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::timed_stream::taking_max;

/// Why a connection is let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// It has rested for too long, or never said anything.
    Resting,
    /// Its peer does not take an answer.
    Stuck,
    /// It is asked to end once what is at hand is answered.
    Asked,
}

/// How long a connection may rest, and how long its peer may take nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) rest: Duration,
    pub(crate) write: Duration,
}

/// What one connection is doing.
#[derive(Debug)]
pub(crate) struct Activity {
    begun: Instant,
    patience: Patience,
    /// Whether the peer turned out to speak HTTP/2: then it is told before it is let go.
    polite: AtomicBool,
    answering: AtomicUsize,
    /// When it last had nothing to do, in nanoseconds since it began.
    rested_at: AtomicU64,
    sending: Mutex<Vec<(u64, Instant)>>,
    asked: Notify,
}

/// What is left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Look(Instant),
    Now(Overdue),
}

impl Activity {
    pub(crate) fn new(patience: Patience) -> Arc<Self> {
        Arc::new(Activity {
            begun: Instant::now(),
            patience,
            polite: AtomicBool::new(false),
            answering: AtomicUsize::new(0),
            rested_at: AtomicU64::new(0),
            sending: Mutex::new(Vec::new()),
            asked: Notify::new(),
        })
    }

    /// Says that the peer speaks HTTP/2.
    pub(crate) fn be_polite(&self) {
        self.polite.store(true, Ordering::Relaxed);
    }

    /// Whether the peer has begun to speak HTTP/2.
    pub(crate) fn is_polite(&self) -> bool {
        self.polite.load(Ordering::Relaxed)
    }

    /// Says that a request is being answered, until what is returned is dropped.
    pub(crate) fn answer(self: &Arc<Self>) -> Answering {
        self.answering.fetch_add(1, Ordering::Relaxed);
        Answering(Arc::clone(self))
    }

    /// Whether an answer is on its way.
    pub(crate) fn is_sending(&self) -> bool {
        !self.sending().is_empty()
    }

    /// Asks for the end of the connection once what is at hand is answered.
    pub(crate) fn ask_to_end(&self) {
        self.asked.notify_one();
    }

    /// Begins a new rest.
    pub(crate) fn rest_anew(&self) {
        let since = u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.rested_at.store(since, Ordering::Relaxed);
    }

    /// Waits until the connection is to be let go.
    ///
    /// # Cancel safety
    /// It may be dropped; asking again goes on where it was.
    pub(crate) async fn overdue(&self) -> Overdue {
        loop {
            let look = match self.judge(Instant::now()) {
                Verdict::Now(why) => return why,
                Verdict::Look(at) => at,
            };
            tokio::select! {
                () = sleep_until(look) => {}
                () = self.asked.notified() => return Overdue::Asked,
            }
        }
    }

    fn judge(&self, now: Instant) -> Verdict {
        let mut look = now + self.patience.write;
        {
            let sending = self.sending();
            match sending.iter().map(|(_, deadline)| *deadline).min() {
                Some(deadline) if deadline <= now => return Verdict::Now(Overdue::Stuck),
                Some(deadline) => look = look.min(deadline),
                None => {}
            }
            if !sending.is_empty() {
                return Verdict::Look(look);
            }
        }
        if self.answering.load(Ordering::Relaxed) > 0 {
            return Verdict::Look(look.min(now + self.patience.rest));
        }
        let rested_at = self.begun + Duration::from_nanos(self.rested_at.load(Ordering::Relaxed));
        let end = rested_at + self.patience.rest;
        if end <= now {
            return Verdict::Now(Overdue::Resting);
        }
        Verdict::Look(look.min(end))
    }

    fn sending(&self) -> MutexGuard<'_, Vec<(u64, Instant)>> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct Answering(Arc<Activity>);

impl Answering {
    /// Says that the answer is on its way, until what is returned is dropped. It may take as long as a slow peer may.
    pub(crate) fn send(self, bytes: usize) -> Sending {
        let deadline = Instant::now() + taking_max(self.0.patience.write, bytes);
        self.until(deadline)
    }

    /// Says that a stream is on its way, whose peer takes something at least every `every` and as long as it may take
    /// nothing. See [`Sending::renew`].
    pub(crate) fn stream(self, every: Duration) -> Sending {
        let deadline = Instant::now() + self.0.patience.write + every;
        self.until(deadline)
    }

    fn until(self, deadline: Instant) -> Sending {
        let mut sending = self.0.sending();
        let number = sending.iter().map(|(number, _)| number + 1).max().unwrap_or_default();
        sending.push((number, deadline));
        drop(sending);
        Sending {
            number,
            answering: self,
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.rest_anew();
        self.0.answering.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer that is on its way.
#[derive(Debug)]
pub(crate) struct Sending {
    number: u64,
    answering: Answering,
}

impl Sending {
    /// Says that the peer has room again for what comes next of a stream, which comes at least every `every`.
    pub(crate) fn renew(&self, every: Duration) {
        let activity = &self.answering.0;
        let deadline = Instant::now() + activity.patience.write + every;
        let mut sending = activity.sending();
        if let Some(own) = sending.iter_mut().find(|(number, _)| *number == self.number) {
            own.1 = deadline;
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let mut sending = self.answering.0.sending();
        sending.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        rest: Duration::from_secs(10),
        write: Duration::from_secs(30),
    };

    fn after(activity: &Activity, seconds: u64) -> Verdict {
        activity.judge(activity.begun + Duration::from_secs(seconds))
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_let_go() {
        let activity = Activity::new(PATIENCE);
        assert_eq!(
            after(&activity, 9),
            Verdict::Look(activity.begun + Duration::from_secs(10))
        );
        assert_eq!(after(&activity, 10), Verdict::Now(Overdue::Resting));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_being_answered_does_not_rest() {
        let activity = Activity::new(PATIENCE);
        let answering = activity.answer();
        assert!(matches!(after(&activity, 1_000), Verdict::Look(_)));
        tokio::time::advance(Duration::from_secs(1_000)).await;
        drop(answering);
        assert!(matches!(after(&activity, 1_009), Verdict::Look(_)));
        assert_eq!(after(&activity, 1_010), Verdict::Now(Overdue::Resting));
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_of_an_answer_is_stuck() {
        let activity = Activity::new(PATIENCE);
        let quick = activity.answer().send(1);
        let slow = activity.answer().send(1);
        assert!(activity.is_sending());
        drop(quick);
        assert!(matches!(after(&activity, 29), Verdict::Look(_)));
        assert_eq!(after(&activity, 31), Verdict::Now(Overdue::Stuck));
        drop(slow);
        assert!(!activity.is_sending());
        activity.ask_to_end();
        assert_eq!(activity.overdue().await, Overdue::Asked);
    }
}

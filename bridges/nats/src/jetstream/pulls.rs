//! The pulls of one durable group's member: how much was asked for and has not come yet.
//!
//! What is asked for is never more than the free permits, so a message that arrives is started at once and does not wait
//! here while the server's clock runs. Pure: time comes in, what to do goes out.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// How long the server keeps a pull that it has nothing for.
pub(crate) const EXPIRES: Duration = Duration::from_secs(5);
/// How often the server says that a quiet pull lives.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(1);
/// After which silence the group is looked for again: two heartbeats missed.
const SILENCE: Duration = Duration::from_millis(2500);

#[derive(Debug)]
struct Pull {
    number: u64,
    left: usize,
    until: Instant,
}

/// What was asked for and has not come yet.
#[derive(Debug)]
pub(crate) struct Pulls {
    open: VecDeque<Pull>,
    window: usize,
    next: u64,
    heard: Instant,
}

impl Pulls {
    pub(crate) fn new(window: usize, now: Instant) -> Self {
        Self {
            open: VecDeque::new(),
            window,
            next: 0,
            heard: now,
        }
    }

    fn left(&self) -> usize {
        self.open.iter().map(|pull| pull.left).sum()
    }

    /// How many messages may still come for what was asked: those that were asked for, and one word about each pull.
    pub(crate) fn on_the_way(&self) -> usize {
        self.left() + self.open.len()
    }

    /// How many free permits are worth a pull of their own while others are open.
    fn worth(&self) -> usize {
        (self.window / 4).max(1)
    }

    /// What to ask for now: the number of the pull and how many messages. `patient` puts a small one off.
    pub(crate) fn ask(&mut self, free: usize, patient: bool, now: Instant) -> Option<(u64, usize)> {
        self.open.retain(|pull| pull.left > 0 && pull.until > now);
        let batch = free.saturating_sub(self.left());
        let small = batch < self.worth();
        if batch == 0 || (small && (patient || !self.open.is_empty())) {
            return None;
        }
        if self.open.is_empty() {
            self.heard = now;
        }
        self.next += 1;
        self.open.push_back(Pull {
            number: self.next,
            left: batch,
            until: now + EXPIRES + HEARTBEAT,
        });
        Some((self.next, batch))
    }

    /// Whether free permits wait for a pull that was put off.
    pub(crate) fn puts_off(&self, free: usize) -> bool {
        self.open.is_empty() && free > 0
    }

    /// At how many free permits the next pull is worth it.
    pub(crate) fn wake_at(&self) -> usize {
        self.left() + if self.open.is_empty() { 1 } else { self.worth() }
    }

    /// One message came.
    pub(crate) fn arrived(&mut self, now: Instant) {
        self.heard = now;
        if let Some(first) = self.open.front_mut() {
            first.left = first.left.saturating_sub(1);
            if first.left == 0 {
                self.open.pop_front();
            }
        }
    }

    /// The server said that it lives.
    pub(crate) fn lives(&mut self, now: Instant) {
        self.heard = now;
    }

    /// The server ended a pull.
    pub(crate) fn ended(&mut self, number: u64, now: Instant) {
        self.heard = now;
        self.open.retain(|pull| pull.number != number);
    }

    /// Whether the server should have been heard.
    pub(crate) fn is_silent(&self, now: Instant) -> bool {
        !self.open.is_empty() && now.duration_since(self.heard) > SILENCE
    }

    /// Forgets every pull: the next ones go to another inbox.
    pub(crate) fn clear(&mut self, now: Instant) {
        self.open.clear();
        self.heard = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_more_is_asked_for_than_there_are_permits() {
        let now = Instant::now();
        let mut pulls = Pulls::new(8, now);
        assert_eq!(pulls.ask(8, true, now), Some((1, 8)));
        assert_eq!(pulls.ask(8, false, now), None);
        for _ in 0..8 {
            pulls.arrived(now);
        }
        assert_eq!(pulls.ask(0, false, now), None);
        assert_eq!((pulls.ask(1, true, now), pulls.puts_off(1)), (None, true));
        assert_eq!(pulls.ask(1, false, now), Some((2, 1)));
        assert_eq!((pulls.ask(2, false, now), pulls.wake_at()), (None, 3));
        assert_eq!(pulls.ask(3, false, now), Some((3, 2)));
    }

    #[test]
    fn a_pull_that_ended_or_expired_is_asked_again() {
        let now = Instant::now();
        let mut pulls = Pulls::new(1, now);
        assert_eq!(pulls.ask(1, true, now), Some((1, 1)));
        pulls.ended(1, now);
        assert_eq!(pulls.ask(1, true, now), Some((2, 1)));
        let later = now + Duration::from_secs(7);
        assert!(pulls.is_silent(later));
        assert_eq!(pulls.ask(1, true, later), Some((3, 1)));
        assert!(!pulls.is_silent(later));
    }
}

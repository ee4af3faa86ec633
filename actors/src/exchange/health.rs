//! Whether calls to other nodes can be answered: the inbox is confirmed, and what the node sends to itself comes back.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Stamp;

/// From what silence of its own echo on a node is not ready.
const SILENT_AFTER: Duration = Duration::from_secs(3);
/// From what silence on the bridge is asked for a new connection.
const RENEW_AFTER: Duration = Duration::from_secs(15);

/// Whether calls to other nodes can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExchangeState {
    /// The bridge has not confirmed the inbox.
    Unsubscribed,
    /// The node's own echo has not come back for this long.
    Silent(Duration),
    /// Replies arrive.
    Ready,
}

/// What the exchange knows of its inbox.
#[derive(Debug)]
pub(crate) struct ExchangeHealth {
    confirmed: watch::Sender<bool>,
    /// Whether echoes are sent on this bridge.
    echoes: AtomicBool,
    /// When the last echo came, or the inbox was confirmed.
    heard: AtomicU64,
    /// When a new connection was asked for.
    renewed: AtomicU64,
}

impl Default for ExchangeHealth {
    fn default() -> Self {
        ExchangeHealth {
            confirmed: watch::Sender::new(false),
            echoes: AtomicBool::new(false),
            heard: AtomicU64::new(0),
            renewed: AtomicU64::new(0),
        }
    }
}

impl ExchangeHealth {
    /// The bridge has confirmed the inbox.
    pub(super) fn confirm(&self, echoes: bool, now: Stamp) {
        self.echoes.store(echoes, Ordering::Release);
        self.hear(now);
        self.confirmed.send_replace(true);
    }

    /// The inbox is gone.
    pub(super) fn lose(&self) {
        self.confirmed.send_replace(false);
    }

    /// An echo came back.
    pub(super) fn hear(&self, now: Stamp) {
        self.heard.store(now.as_nanos(), Ordering::Release);
    }

    /// A new connection was asked for, and gets its time.
    pub(super) fn wait_anew(&self, now: Stamp) {
        self.renewed.store(now.as_nanos(), Ordering::Release);
    }

    /// Whether it is time to ask for a new connection.
    pub(super) fn is_lost(&self, now: Stamp) -> bool {
        let renewed = Stamp::from_nanos(self.renewed.load(Ordering::Acquire));
        self.silence(now).min(now.since(renewed)) >= RENEW_AFTER
    }

    pub(super) fn is_confirmed(&self) -> bool {
        *self.confirmed.borrow()
    }

    /// Waits until the inbox is confirmed.
    pub(crate) async fn confirmed(&self) {
        // The sender lives as long as this, so the wait ends only well.
        let _ = self.confirmed.subscribe().wait_for(|confirmed| *confirmed).await;
    }

    /// How long nothing has come back.
    fn silence(&self, now: Stamp) -> Duration {
        now.since(Stamp::from_nanos(self.heard.load(Ordering::Acquire)))
    }

    pub(crate) fn state(&self, now: Stamp) -> ExchangeState {
        let echoes = self.echoes.load(Ordering::Acquire);
        judge(self.is_confirmed(), echoes.then(|| self.silence(now)))
    }
}

/// What a confirmation and a silence mean; there is no silence where no echoes are sent.
fn judge(confirmed: bool, silence: Option<Duration>) -> ExchangeState {
    match silence {
        _ if !confirmed => ExchangeState::Unsubscribed,
        Some(silence) if silence > SILENT_AFTER => ExchangeState::Silent(silence),
        _ => ExchangeState::Ready,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_who_is_confirmed_and_hears_itself() {
        let seconds = |s| Some(Duration::from_secs(s));
        let table = [
            (false, None, ExchangeState::Unsubscribed),
            (false, seconds(0), ExchangeState::Unsubscribed),
            (true, None, ExchangeState::Ready),
            (true, seconds(3), ExchangeState::Ready),
            (true, seconds(4), ExchangeState::Silent(Duration::from_secs(4))),
        ];
        for (confirmed, silence, expected) in table {
            assert_eq!(judge(confirmed, silence), expected, "{confirmed} {silence:?}");
        }
    }
}

//! The rest of a subscription: until when it takes nothing, because a handler asked for a pause.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::sync::lock_std;

/// The longest pause; a longer one is cut to this.
pub(crate) const REST_MAX: Duration = Duration::from_secs(24 * 3600);

/// Until when a subscription rests. Of two pauses the later end holds.
#[derive(Debug, Default)]
pub(crate) struct Rest(Mutex<Option<Instant>>);

impl Rest {
    /// Rests for `rest` from now on, and not shorter than it was asked to before.
    pub(crate) fn ask(&self, rest: Duration) {
        let until = Instant::now() + rest.min(REST_MAX);
        let mut asked = lock_std(&self.0);
        *asked = (*asked).max(Some(until));
    }

    /// How much of the rest is left.
    pub(crate) fn left(&self) -> Option<Duration> {
        let until = (*lock_std(&self.0))?;
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Waits until the rest is over, however often it is prolonged meanwhile.
    ///
    /// # Cancel safety
    /// Dropping the future only stops the waiting.
    pub(crate) async fn over(&self) {
        loop {
            let Some(until) = *lock_std(&self.0) else { return };
            tokio::time::sleep_until(until).await;
            // A pause that was asked for meanwhile ends later and stays.
            lock_std(&self.0).take_if(|asked| *asked == until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn of_two_pauses_the_later_end_holds() {
        let (rest, started) = (Rest::default(), Instant::now());
        rest.ask(Duration::from_secs(60));
        rest.ask(Duration::from_secs(1));
        assert_eq!(rest.left(), Some(Duration::from_secs(60)));
        rest.over().await;
        assert!(started.elapsed() >= Duration::from_secs(60));
        assert_eq!(rest.left(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_is_asked_for_while_resting_is_kept_too() {
        let (rest, started) = (Rest::default(), Instant::now());
        rest.ask(Duration::from_secs(5));
        let longer = async {
            tokio::time::advance(Duration::from_secs(4)).await;
            rest.ask(Duration::from_secs(30));
        };
        tokio::join!(rest.over(), longer);
        assert!(started.elapsed() >= Duration::from_secs(34));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_without_end_is_cut() {
        let rest = Rest::default();
        rest.ask(Duration::MAX);
        assert_eq!(rest.left(), Some(REST_MAX));
    }
}

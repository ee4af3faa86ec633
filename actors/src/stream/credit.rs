//! Credit: up to which place a producer may send. Counted from the beginning of the stream, so that a credit that is lost,
//! late or comes twice does no harm: only the highest one counts.

/// How many frames a producer believes to be granted ahead, at most: whoever wants more says so again.
const AHEAD_MAX: u64 = 65_536;

/// What a consumer has granted, as the producer knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Credit {
    granted: u64,
    sent: u64,
}

impl Credit {
    /// Nothing is sent; the first `granted` frames may be.
    pub(crate) fn new(granted: u64) -> Self {
        let granted = granted.min(AHEAD_MAX);
        Credit { granted, sent: 0 }
    }

    /// Hears a credit.
    pub(crate) fn raise(&mut self, granted: u64) {
        let believed = granted.min(self.sent.saturating_add(AHEAD_MAX));
        self.granted = self.granted.max(believed);
    }

    /// Whether one more frame may be sent.
    pub(crate) fn allows(&self) -> bool {
        self.sent < self.granted
    }

    /// The place of the frame that is sent now, from 1.
    pub(crate) fn spend(&mut self) -> u64 {
        self.sent += 1;
        self.sent
    }

    /// How many frames were sent.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }
}

/// What a consumer grants: always a window beyond what it has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grants {
    window: u64,
    granted: u64,
}

impl Grants {
    /// Grants a first window; 0 counts as 1.
    pub(crate) fn new(window: u64) -> Self {
        let window = window.max(1);
        Grants {
            window,
            granted: window,
        }
    }

    /// The place up to which frames may be sent.
    pub(crate) fn granted(&self) -> u64 {
        self.granted
    }

    /// How many taken items are worth a message: half a window.
    pub(crate) fn step(&self) -> u64 {
        self.window.div_ceil(2)
    }

    /// Hears how many items have been taken, and answers what to grant, if it is worth a message.
    pub(crate) fn take(&mut self, taken: u64) -> Option<u64> {
        // In whole steps, however late it looks: the next word is due with the next step.
        let granted = (taken - taken % self.step()).saturating_add(self.window);
        if granted < self.granted.saturating_add(self.step()) {
            return None;
        }
        self.granted = granted;
        Some(granted)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn half_a_window_is_worth_a_message() {
        let table = [
            (
                64,
                &[(31, None), (32, Some(96)), (32, None), (63, None), (64, Some(128))][..],
            ),
            // A consumer that looks late grants as if it had looked in time.
            (
                64,
                &[(33, Some(96)), (64, Some(128)), (127, Some(160)), (128, Some(192))],
            ),
            (1, &[(1, Some(2)), (2, Some(3))]),
            (3, &[(1, None), (2, Some(5)), (3, None), (4, Some(7))]),
            (0, &[(1, Some(2))]),
        ];
        for (window, steps) in table {
            let mut grants = Grants::new(window);
            for (taken, expected) in steps {
                assert_eq!(grants.take(*taken), *expected, "window {window}, taken {taken}");
            }
        }
    }

    #[test]
    fn only_the_highest_credit_counts() {
        let mut credit = Credit::new(2);
        assert_eq!((credit.spend(), credit.spend(), credit.allows()), (1, 2, false));
        credit.raise(1);
        assert!(!credit.allows());
        credit.raise(3);
        credit.raise(3);
        assert_eq!((credit.allows(), credit.spend(), credit.allows()), (true, 3, false));
        assert_eq!(credit.sent(), 3);
    }

    #[test]
    fn a_credit_without_end_is_believed_for_a_while_only() {
        let mut credit = Credit::new(u64::MAX);
        let send_all = |credit: &mut Credit| {
            while credit.allows() {
                credit.spend();
            }
        };
        send_all(&mut credit);
        assert_eq!(credit.sent(), AHEAD_MAX);
        credit.raise(u64::MAX);
        send_all(&mut credit);
        assert_eq!(credit.sent(), 2 * AHEAD_MAX);
    }

    proptest! {
        /// Whichever credits are lost, late or doubled: never is more under way than a window, and a stream whose consumer
        /// says again what it grants comes to its end.
        #[test]
        fn a_consumer_never_holds_more_than_its_window(
            window in 1_u64..100,
            total in 1_u64..500,
            losses in prop::collection::vec(any::<bool>(), 500),
        ) {
            let (mut grants, mut credit) = (Grants::new(window), Credit::new(window));
            let (mut taken, mut losses) = (0, losses.into_iter());
            while taken < total {
                while credit.allows() && credit.sent() < total {
                    credit.spend();
                }
                prop_assert!(credit.sent() - taken <= window);
                if credit.sent() == taken {
                    // Everything that was granted is taken: the heartbeat says it again.
                    credit.raise(grants.granted());
                    prop_assert!(credit.allows());
                    continue;
                }
                taken += 1;
                if let Some(granted) = grants.take(taken) && !losses.next().unwrap_or_default() {
                    credit.raise(granted);
                    credit.raise(granted.saturating_sub(window));
                }
            }
        }
    }
}

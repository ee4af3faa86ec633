//! What passes between the wheel and a handler that was handed over: how late it is.

use std::task::Waker;

use crate::clock::Stamp;
#[cfg(not(roadshow_loom))]
use crate::sync::RegisterByRef;
use crate::sync::{AtomicU8, AtomicU64, AtomicWaker, Ordering};

/// What the wheel tells a handler that is still at work.
#[derive(Debug)]
pub(crate) struct Watch {
    stage: AtomicU8,
    waker: AtomicWaker,
    abandon: Stamp,
    /// The slot of the wheel in which it waits for its second due time.
    second: AtomicU64,
}

/// How late a handler is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Stage {
    /// Before its deadline.
    InTime = 0,
    /// Past its deadline: its caller has been answered.
    Late = 1,
    /// Past `abandon_after`: its future is dropped.
    Abandoned = 2,
    /// Its node stops: its future is dropped, however early it is.
    Stopped = 3,
}

impl Watch {
    pub(crate) fn new(abandon: Stamp) -> Self {
        Watch {
            stage: AtomicU8::new(Stage::InTime as u8),
            waker: AtomicWaker::new(),
            abandon,
            second: AtomicU64::new(0),
        }
    }

    /// The slot of its second due time. Written and read under the lock of its shard.
    pub(crate) fn second(&self) -> usize {
        self.second.load(Ordering::Relaxed) as usize
    }

    pub(crate) fn set_second(&self, slot: usize) {
        self.second.store(slot as u64, Ordering::Relaxed);
    }

    /// When the handler is dropped.
    pub(crate) fn abandon(&self) -> Stamp {
        self.abandon
    }

    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Acquire) {
            0 => Stage::InTime,
            1 => Stage::Late,
            2 => Stage::Abandoned,
            _ => Stage::Stopped,
        }
    }

    /// Keeps the waker of the task that owns the handler. Look at the stage after this, not before.
    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register_by_ref(waker);
    }

    /// Tells the handler that it is at `stage`; it never goes back.
    pub(crate) fn advance(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Ordering::AcqRel);
        self.waker.wake();
    }
}

#[cfg(all(test, roadshow_loom))]
mod loom_tests {
    use super::*;
    use crate::permits::Permits;
    use crate::sync::Arc;
    use loom::future::block_on;
    use loom::thread;
    use std::num::NonZeroU32;
    use std::task::Poll;

    /// The hand-over: a driver waits for its handler with a permit in hand, the wheel tells it to end, and somebody waits
    /// for the permit.
    #[test]
    fn loom_a_handler_that_is_told_to_end_hears_of_it_and_its_permit_moves_on() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let watch = Arc::new(Watch::new(Stamp::MAX));
            let permits = Arc::new(Permits::new(NonZeroU32::MIN, 1));
            assert!(permits.try_acquire());
            let driver = {
                let (watch, permits) = (Arc::clone(&watch), Arc::clone(&permits));
                thread::spawn(move || {
                    block_on(std::future::poll_fn(|cx| {
                        watch.register(cx.waker());
                        if watch.stage() == Stage::Abandoned {
                            Poll::Ready(())
                        } else {
                            Poll::Pending
                        }
                    }));
                    permits.release();
                })
            };
            let wheel = {
                let watch = Arc::clone(&watch);
                thread::spawn(move || {
                    watch.advance(Stage::Late);
                    watch.advance(Stage::Abandoned);
                })
            };
            if !permits.try_acquire() {
                block_on(permits.acquire().expect("one may wait"));
            }
            driver.join().unwrap();
            wheel.join().unwrap();
            permits.release();
            assert!(permits.is_idle());
        });
    }
}

//! Admission: how many calls of one endpoint may run, and how many may wait for their turn.
//!
//! One word holds both counts, so taking a free permit is one compare-exchange and giving it back one addition. Only
//! when somebody waits does a permit pass through the queue, in order of arrival: a newcomer never overtakes a waiter.
//! A full queue refuses at once. A tokio `Semaphore` would do the same with a lock on every release, which is what two
//! cores would then meet on (`docs/decisions/0001`).

use std::collections::VecDeque;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::task::{Context, Poll};

use crossbeam_utils::CachePadded;

#[cfg(not(roadshow_loom))]
use crate::sync::RegisterByRef;
use crate::sync::{Arc, AtomicBool, AtomicU64, AtomicWaker, Mutex, Ordering, lock};

const ONE_WAITING: u64 = 1 << 32;

/// The permits of one endpoint and the queue before them.
#[derive(Debug)]
pub(crate) struct Permits {
    /// Low half: free permits. High half: waiters in the queue. On a cache line of its own: every call writes it, and what
    /// lies beside it is read by every call.
    word: CachePadded<AtomicU64>,
    queue: Mutex<VecDeque<Arc<Waiter>>>,
    total: u32,
    waiting_max: u32,
}

#[derive(Debug)]
struct Waiter {
    granted: AtomicBool,
    waker: AtomicWaker,
}

/// The queue before an endpoint is full, or it was asked not to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

fn free(word: u64) -> u32 {
    (word & u64::from(u32::MAX)) as u32
}

fn waiting(word: u64) -> u32 {
    (word >> 32) as u32
}

impl Permits {
    /// `total` permits, and room for `waiting_max` waiters.
    #[must_use]
    pub(crate) fn new(total: NonZeroU32, waiting_max: u32) -> Self {
        Permits {
            word: CachePadded::new(AtomicU64::new(u64::from(total.get()))),
            queue: Mutex::new(VecDeque::new()),
            total: total.get(),
            waiting_max,
        }
    }

    /// Takes a permit if one is free and nobody waits for it. The caller owes one [`Permits::release`].
    pub(crate) fn try_acquire(&self) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while free(word) > 0 && waiting(word) == 0 {
            match self
                .word
                .compare_exchange_weak(word, word - 1, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(seen) => word = seen,
            }
        }
        false
    }

    /// Gives a permit back, to the longest waiter if there is one.
    pub(crate) fn release(&self) {
        let before = self.word.fetch_add(1, Ordering::AcqRel);
        if waiting(before) > 0 {
            self.grant();
        }
    }

    /// Joins the queue, or takes a permit that has become free meanwhile.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the queue; a permit that was already granted goes to the next waiter.
    ///
    /// # Errors
    /// [`Full`] at once when `waiting_max` callers wait already.
    pub(crate) fn acquire(&self) -> Result<Acquire<'_>, Full> {
        self.join(self.waiting_max)
    }

    /// As [`Permits::acquire`], however many wait: for intakes, whose waiters are bounded by what they take.
    pub(crate) async fn wait(&self) {
        if !self.try_acquire() {
            self.join(u32::MAX).expect("fewer wait than can be counted").await;
        }
    }

    /// Waits until a permit is free, and leaves it free.
    pub(crate) async fn until_free(&self) {
        while self.free() == 0 {
            self.wait().await;
            self.release();
        }
    }

    fn join(&self, waiting_max: u32) -> Result<Acquire<'_>, Full> {
        let mut queue = lock(&self.queue);
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let takes = free(word) > 0 && waiting(word) == 0;
            if !takes && waiting(word) >= waiting_max {
                return Err(Full);
            }
            let next = if takes { word - 1 } else { word + ONE_WAITING };
            match self
                .word
                .compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => {
                    let waiter = Arc::new(Waiter {
                        granted: AtomicBool::new(takes),
                        waker: AtomicWaker::new(),
                    });
                    if !takes {
                        queue.push_back(Arc::clone(&waiter));
                    }
                    return Ok(Acquire {
                        permits: self,
                        waiter: Some(waiter),
                    });
                }
                Err(seen) => word = seen,
            }
        }
    }

    /// Permits in use.
    #[must_use]
    pub(crate) fn in_use(&self) -> u32 {
        self.total - free(self.word.load(Ordering::Relaxed)).min(self.total)
    }

    /// Callers in the queue.
    #[must_use]
    pub(crate) fn waiting(&self) -> u32 {
        waiting(self.word.load(Ordering::Relaxed))
    }

    /// Free permits at this moment.
    #[must_use]
    pub(crate) fn free(&self) -> u32 {
        free(self.word.load(Ordering::Relaxed))
    }

    /// Whether nobody runs and nobody waits.
    #[must_use]
    pub(crate) fn is_idle(&self) -> bool {
        let word = self.word.load(Ordering::Acquire);
        free(word) == self.total && waiting(word) == 0
    }

    /// Passes free permits to the front of the queue until one of the two runs out.
    fn grant(&self) {
        loop {
            let granted = {
                let mut queue = lock(&self.queue);
                if free(self.word.load(Ordering::Acquire)) == 0 {
                    return;
                }
                let Some(waiter) = queue.pop_front() else { return };
                self.take_for_waiter();
                waiter.granted.store(true, Ordering::Release);
                waiter
            };
            granted.waker.wake();
        }
    }

    /// Moves one permit from free to granted. Only holders of the queue's lock lower `waiting`, and while somebody
    /// waits nobody else lowers `free`, so the subtraction cannot go below zero.
    fn take_for_waiter(&self) {
        self.word.fetch_sub(ONE_WAITING + 1, Ordering::AcqRel);
    }

    fn leave(&self, waiter: &Arc<Waiter>) {
        let mut queue = lock(&self.queue);
        if waiter.granted.load(Ordering::Acquire) {
            drop(queue);
            self.release();
            return;
        }
        // Whoever leaves has mostly waited longest, so it is found in front.
        if let Some(place) = queue.iter().position(|other| Arc::ptr_eq(other, waiter)) {
            queue.remove(place);
        }
        self.word.fetch_sub(ONE_WAITING, Ordering::AcqRel);
    }
}

/// Waits for a permit. The one who sees it ready owes one [`Permits::release`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub(crate) struct Acquire<'a> {
    permits: &'a Permits,
    waiter: Option<Arc<Waiter>>,
}

impl Future for Acquire<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let waiter = self.waiter.as_ref().expect("a granted permit is taken once");
        waiter.waker.register_by_ref(cx.waker());
        if !waiter.granted.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        self.waiter = None;
        Poll::Ready(())
    }
}

impl Drop for Acquire<'_> {
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            self.permits.leave(&waiter);
        }
    }
}

#[cfg(all(test, not(roadshow_loom)))]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    /// How often somebody was woken.
    #[derive(Default)]
    struct Wakes(AtomicU64);

    impl futures_util::task::ArcWake for Wakes {
        fn wake_by_ref(wakes: &Arc<Self>) {
            wakes.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn permits(total: u32, waiting_max: u32) -> Permits {
        Permits::new(NonZeroU32::new(total).expect("not zero"), waiting_max)
    }

    #[test]
    fn refuses_at_once_when_the_queue_is_full() {
        let permits = permits(1, 1);
        assert!(permits.try_acquire());
        let _waits = permits.acquire().unwrap();
        assert!(permits.acquire().is_err());
    }

    #[test]
    fn a_newcomer_does_not_overtake_a_waiter() {
        let permits = permits(1, 4);
        assert!(permits.try_acquire());
        let mut first = permits.acquire().unwrap();
        assert!((&mut first).now_or_never().is_none());
        permits.release();
        assert!(!permits.try_acquire());
        assert!(first.now_or_never().is_some());
        permits.release();
        assert!(permits.is_idle());
    }

    #[test]
    fn waiters_are_served_in_order_of_arrival() {
        let permits = permits(1, 4);
        assert!(permits.try_acquire());
        let mut first = permits.acquire().unwrap();
        let mut second = permits.acquire().unwrap();
        permits.release();
        assert!((&mut second).now_or_never().is_none());
        assert!((&mut first).now_or_never().is_some());
        permits.release();
        assert!((&mut second).now_or_never().is_some());
    }

    #[test]
    fn a_granted_but_abandoned_permit_goes_to_the_next() {
        let permits = permits(1, 4);
        assert!(permits.try_acquire());
        let first = permits.acquire().unwrap();
        let second = permits.acquire().unwrap();
        permits.release();
        drop(first);
        assert!(second.now_or_never().is_some());
        permits.release();
        assert!(permits.is_idle());
    }

    #[test]
    fn an_intake_waits_also_where_the_queue_is_full_and_is_woken_by_a_permit_only() {
        let wakes = Arc::new(Wakes::default());
        let waker = futures_util::task::waker(Arc::clone(&wakes));
        let mut cx = Context::from_waker(&waker);
        let permits = permits(1, 0);
        assert!(permits.try_acquire());
        let mut until_free = std::pin::pin!(permits.until_free());
        assert!(until_free.as_mut().poll(&mut cx).is_pending());
        assert_eq!(wakes.0.load(Ordering::SeqCst), 0);
        permits.release();
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        assert!(until_free.poll(&mut cx).is_ready());
        assert!(permits.is_idle());
    }

    #[test]
    fn a_waiter_that_leaves_frees_its_place() {
        let permits = permits(1, 1);
        assert!(permits.try_acquire());
        drop(permits.acquire().unwrap());
        assert_eq!(permits.waiting(), 0);
        assert!(permits.acquire().is_ok());
    }
}

#[cfg(all(test, roadshow_loom))]
mod loom_tests {
    use super::*;
    use loom::future::block_on;
    use loom::sync::atomic::AtomicUsize;
    use loom::thread;

    fn at_most_one_at_work(callers: usize) {
        let permits = Arc::new(Permits::new(NonZeroU32::new(1).unwrap(), 8));
        let at_work = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..callers)
            .map(|_| {
                let (permits, at_work) = (Arc::clone(&permits), Arc::clone(&at_work));
                thread::spawn(move || {
                    if !permits.try_acquire() {
                        block_on(permits.acquire().unwrap());
                    }
                    assert_eq!(at_work.fetch_add(1, Ordering::AcqRel), 0);
                    at_work.fetch_sub(1, Ordering::AcqRel);
                    permits.release();
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(permits.is_idle());
    }

    #[test]
    fn loom_no_waiter_is_forgotten_and_one_permit_is_one_permit() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| at_most_one_at_work(2));
    }

    #[test]
    fn loom_a_waiter_that_leaves_while_it_is_granted_loses_no_permit() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let permits = Arc::new(Permits::new(NonZeroU32::new(1).unwrap(), 8));
            assert!(permits.try_acquire());
            let leaver = {
                let permits = Arc::clone(&permits);
                thread::spawn(move || drop(permits.acquire().unwrap()))
            };
            permits.release();
            leaver.join().unwrap();
            assert!(permits.is_idle());
            assert!(permits.try_acquire());
        });
    }
}

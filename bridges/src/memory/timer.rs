//! The delays of a bus: one heap and one task, for every message that waits.
//!
//! The task lives in the runtime of whoever needed it first; if that runtime ends, the next one that needs it starts it
//! again. The bus aborts it when it is dropped. Only tokio's monotonic clock is read.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::group::{Group, Item};
use super::lock;

/// One message that waits; ordered by its time, then by when it came.
struct Entry {
    due: Instant,
    number: u64,
    group: Arc<Group>,
    item: Item,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.number) == (other.due, other.number)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

#[derive(Default)]
struct Heap {
    entries: BinaryHeap<Reverse<Entry>>,
    next: u64,
}

#[derive(Default)]
pub(super) struct Timer {
    heap: Mutex<Heap>,
    waiting: AtomicUsize,
    changed: Notify,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Timer {
    /// Brings an item back to its group when it is due. The group has counted it as delayed.
    pub(super) fn add(self: &Arc<Self>, due: Instant, group: Arc<Group>, item: Item) {
        let mut heap = lock(&self.heap);
        let number = heap.next;
        heap.next += 1;
        let earliest = heap.entries.peek().is_none_or(|Reverse(first)| due < first.due);
        heap.entries.push(Reverse(Entry {
            due,
            number,
            group,
            item,
        }));
        self.waiting.store(heap.entries.len(), Ordering::Release);
        drop(heap);
        self.ensure_running();
        if earliest {
            self.changed.notify_one();
        }
    }

    /// Starts the task if something waits, none runs and there is a runtime to run it in.
    pub(super) fn ensure_running(self: &Arc<Self>) {
        if self.waiting.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut task = lock(&self.task);
        if task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            *task = Some(runtime.spawn(Arc::clone(self).run()));
        }
    }

    /// Takes out what waits for a group that has ended.
    pub(super) fn forget(&self, group: &Group) -> Vec<Item> {
        let mut heap = lock(&self.heap);
        let entries = std::mem::take(&mut heap.entries).into_vec();
        let (gone, kept): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|Reverse(entry)| entry.group.id == group.id);
        heap.entries = kept.into();
        self.waiting.store(heap.entries.len(), Ordering::Release);
        drop(heap);
        gone.into_iter().map(|Reverse(entry)| entry.item).collect()
    }

    /// Ends the task.
    pub(super) fn stop(&self) {
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
    }

    async fn run(self: Arc<Self>) {
        loop {
            match self.release(Instant::now()) {
                None => self.changed.notified().await,
                Some(due) => tokio::select! {
                    () = self.changed.notified() => {}
                    () = sleep_until(due) => {}
                },
            }
        }
    }

    /// Brings back what is due, and says when the next one is.
    fn release(&self, now: Instant) -> Option<Instant> {
        loop {
            let mut heap = lock(&self.heap);
            let due = heap.entries.peek().map(|Reverse(first)| first.due)?;
            if due > now {
                return Some(due);
            }
            let Reverse(entry) = heap.entries.pop().expect("the heap has the entry that was just seen");
            self.waiting.store(heap.entries.len(), Ordering::Release);
            drop(heap);
            if !entry.group.delay_over(entry.item) {
                // The group counted its delayed messages as lost when it closed.
                tracing::debug!(group = entry.group.id, "a delayed message found its group gone");
            }
        }
    }
}

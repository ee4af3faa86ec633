//! A slot for one shared value: read without a lock, exchanged by its owner.

use std::sync::Arc;

/// A look at what a slot holds.
#[cfg(not(roadshow_loom))]
pub(crate) type Peek<T> = arc_swap::Guard<Option<Arc<T>>>;

/// A look at what a slot holds.
#[cfg(roadshow_loom)]
pub(crate) type Peek<T> = Box<Option<Arc<T>>>;

/// Holds an `Arc` or nothing.
#[cfg(not(roadshow_loom))]
#[derive(Debug)]
pub(crate) struct Slot<T>(arc_swap::ArcSwapOption<T>);

#[cfg(not(roadshow_loom))]
impl<T> Slot<T> {
    pub(crate) fn empty() -> Self {
        Slot(arc_swap::ArcSwapOption::empty())
    }

    pub(crate) fn load(&self) -> Option<Arc<T>> {
        self.0.load_full()
    }

    /// Looks at the value without counting a reference; meant to be held for the length of one poll.
    pub(crate) fn peek(&self) -> Peek<T> {
        self.0.load()
    }

    pub(crate) fn store(&self, value: Option<Arc<T>>) {
        self.0.store(value);
    }

    /// Empties the slot if it holds `expected`; tells whether it did.
    pub(crate) fn take_if(&self, expected: &Arc<T>) -> bool {
        let before = self.0.compare_and_swap(expected, None);
        before.as_ref().is_some_and(|before| Arc::ptr_eq(before, expected))
    }
}

/// The same over loom's mutex: arc-swap is not modelled, what is built on it is.
#[cfg(roadshow_loom)]
#[derive(Debug)]
pub(crate) struct Slot<T>(loom::sync::Mutex<Option<Arc<T>>>);

#[cfg(roadshow_loom)]
impl<T> Slot<T> {
    pub(crate) fn empty() -> Self {
        Slot(loom::sync::Mutex::new(None))
    }

    pub(crate) fn load(&self) -> Option<Arc<T>> {
        crate::sync::lock(&self.0).clone()
    }

    pub(crate) fn peek(&self) -> Peek<T> {
        Box::new(self.load())
    }

    pub(crate) fn store(&self, value: Option<Arc<T>>) {
        *crate::sync::lock(&self.0) = value;
    }

    pub(crate) fn take_if(&self, expected: &Arc<T>) -> bool {
        crate::sync::lock(&self.0)
            .take_if(|held| Arc::ptr_eq(held, expected))
            .is_some()
    }
}

//! The synchronisation primitives of the hot path, in one place so that loom can stand in for them.
//!
//! Under `--cfg roadshow_loom` the permit queue, the gate and the hand-over run on loom's types and their interleavings
//! are explored exhaustively; everywhere else these are the standard library's. The name is not plain `loom` because
//! that flag would also rebuild tokio on loom.

#[cfg(roadshow_loom)]
pub(crate) use loom::{
    future::AtomicWaker,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
};

#[cfg(not(roadshow_loom))]
pub(crate) use futures_util::task::AtomicWaker;
#[cfg(not(roadshow_loom))]
pub(crate) use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
};

/// Locks `mutex`. A panic of another holder is ignored: every critical section here leaves its value whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// As [`lock`], for what loom does not model.
pub(crate) fn lock_std<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// loom calls it `register_by_ref`, futures-util `register`.
#[cfg(not(roadshow_loom))]
pub(crate) trait RegisterByRef {
    fn register_by_ref(&self, waker: &std::task::Waker);
}

#[cfg(not(roadshow_loom))]
impl RegisterByRef for AtomicWaker {
    fn register_by_ref(&self, waker: &std::task::Waker) {
        self.register(waker);
    }
}

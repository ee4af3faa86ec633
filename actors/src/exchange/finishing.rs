//! What is at work although nothing more is taken where it came from: it goes on to its answer.

use std::sync::Mutex;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::serving::Serving;
use crate::sync::lock_std;

/// What the ended lanes of one intake had at work. It outlives the incarnations of the intake's actor: a failure is reported
/// at once, and cuts nobody off.
#[derive(Debug, Default)]
pub(super) struct Finishing(Mutex<JoinSet<()>>);

impl Finishing {
    /// Goes on with what a lane had at work.
    pub(super) fn take(&self, mut running: FuturesUnordered<Serving>, runtime: &Handle) {
        if running.is_empty() {
            return;
        }
        let mut finishing = lock_std(&self.0);
        while finishing.try_join_next().is_some() {}
        finishing.spawn_on(async move { while running.next().await.is_some() {} }, runtime);
    }

    /// Whether all of it has ended.
    pub(super) fn is_done(&self) -> bool {
        let mut finishing = lock_std(&self.0);
        while finishing.try_join_next().is_some() {}
        finishing.is_empty()
    }
}

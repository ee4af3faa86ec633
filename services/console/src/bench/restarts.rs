//! Our restarts: from asking for a crash to the first answer of the next incarnation.

use roadshow_services::{Client, Code};

use super::calls::answered;
use super::contender::Caller;
use super::error::Error;
use super::messages::{Ask, Crash};

/// Crashes a service, and calls it again.
#[derive(Clone, Debug)]
pub(super) struct Crasher(pub(super) Client);

impl Caller for Crasher {
    async fn call(&mut self) -> Result<(), Error> {
        match self.0.call(Crash).await {
            Err(failure) if failure.code == Code::Internal => {}
            Err(failure) => return Err(Error::new("crashing a service", failure)),
            Ok(()) => return Err(Error::new("crashing a service", "it did not")),
        }
        // Waits at the gate until the next incarnation is there.
        answered(self.0.call(Ask::default()).await)
    }
}

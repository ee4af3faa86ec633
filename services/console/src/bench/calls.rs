//! Our callers: by address, through a resolved handle, and to a handler that waits.

use roadshow_services::{Client, Failure, Handle};

use super::contender::Caller;
use super::error::Error;
use super::messages::{Ask, AskYielding, Reply};

/// Calls with the address resolved each time, as `client.call(…)` does.
#[derive(Clone, Debug)]
pub(super) struct ByAddress(pub(super) Client);

impl Caller for ByAddress {
    async fn call(&mut self) -> Result<(), Error> {
        answered(self.0.call(Ask::default()).await)
    }
}

/// Calls with the address resolved once.
#[derive(Clone, Debug)]
pub(super) struct ByHandle(pub(super) Handle<Ask>);

impl Caller for ByHandle {
    async fn call(&mut self) -> Result<(), Error> {
        answered(self.0.call(Ask::default()).await)
    }
}

/// Calls a handler that yields once.
#[derive(Clone, Debug)]
pub(super) struct Waiting(pub(super) Client);

impl Caller for Waiting {
    async fn call(&mut self) -> Result<(), Error> {
        answered(self.0.call(AskYielding::default()).await)
    }
}

/// Keeps the optimiser from leaving out the reply.
pub(super) fn answered(reply: Result<Reply, Failure>) -> Result<(), Error> {
    match reply {
        Ok(reply) => {
            std::hint::black_box(reply);
            Ok(())
        }
        Err(failure) => Err(Error::new("calling a service", failure)),
    }
}

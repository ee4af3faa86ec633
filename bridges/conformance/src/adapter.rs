//! What the suite must know of the adapter under test: all that an author gives.

use std::fmt;
use std::sync::Arc;

use futures_util::future::{BoxFuture, ready};
use roadshow_bridges::{Capability, Connector, MessageId, Namespace};

use crate::broker::BrokerKind;

/// Where the broker of an adapter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// In this process, behind this URL: there is no connection to lose.
    Here(&'static str),
    /// A server. Cases that do it no harm share one, the others start their own.
    Server(BrokerKind),
}

/// A dead letter as the suite sees it.
#[derive(Debug, Clone)]
pub struct Dead {
    /// The message's id.
    pub id: MessageId,
    /// Everything that is said about why, in one text.
    pub reason: String,
    /// What it says.
    pub payload: bytes::Bytes,
}

/// An adapter under test.
pub trait Adapter: fmt::Debug + Send + Sync + 'static {
    /// What the adapter declares. The first case compares it with what a connected bridge says of itself: the facts must be
    /// equal, limits may depend on the server.
    fn capability(&self) -> Capability;

    /// What makes its bridges. Asked once for each case.
    fn connector(&self) -> Arc<dyn Connector>;

    /// Where its broker is.
    fn home(&self) -> Home;

    /// The dead letters of a namespace, for a broker that does not publish them. By default the suite listens on the
    /// subject of the dead letters and takes what it hears there.
    fn dead_letters(&self, _namespace: &Namespace) -> Option<Vec<Dead>> {
        None
    }

    /// Removes what a case has left on a shared broker: durable queues, streams, retained messages of its namespace.
    fn clean<'a>(&'a self, _url: &'a str, _namespace: &'a Namespace) -> BoxFuture<'a, ()> {
        Box::pin(ready(()))
    }
}

//! What a service's factory may ask for.

use std::sync::Arc;

use roadshow_actors::NodeCore;
use roadshow_bridges::ServiceId;
use serde::de::DeserializeOwned;

use crate::client::Client;
use crate::config::{ConfigError, Resolved};
use crate::measure::Measure;

/// The surroundings of a service that is about to start.
#[derive(Clone, Debug)]
pub struct Setup {
    pub(crate) service: ServiceId,
    pub(crate) incarnation: u64,
    pub(crate) node: Arc<NodeCore>,
    pub(crate) settings: Arc<Resolved>,
}

impl Setup {
    /// The service.
    #[must_use]
    pub fn service(&self) -> ServiceId {
        self.service
    }

    /// Which life of the service this is, from 1.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// The node's id.
    #[must_use]
    pub fn node_id(&self) -> &str {
        self.node.node_id()
    }

    /// The service's own settings: the table `[service.<name>]`, empty where the file has none.
    ///
    /// # Errors
    /// Where a key is unknown or has the wrong type; the error names it.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        self.settings.section(self.service.name())
    }

    /// For making metrics of the service's own.
    #[must_use]
    pub fn measure(&self) -> Measure {
        Measure::new(self.node.metrics().clone())
    }

    /// For calls and events that no caller caused: each starts a conversation.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(Arc::clone(&self.node))
    }
}

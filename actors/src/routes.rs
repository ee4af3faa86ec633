//! The routing table: which address leads where. Senders read a snapshot of it without a lock.
//!
//! The table is a value. The router actor is its only writer: it changes a copy and publishes that.

use std::sync::Arc;

use hashbrown::HashTable;
use roadshow_bridges::{AddressKey, Failure, ServiceId};

use crate::endpoint::CommandEndpoint;
use crate::link::Link;
use crate::service::ServiceCore;

/// Where a call goes.
#[derive(Clone, Debug)]
pub enum Route {
    /// To an endpoint of this node.
    Local(Arc<dyn CommandEndpoint>),
    /// To another node.
    Remote(Arc<dyn Link>),
}

/// What a service of this node brings to the table.
#[derive(Clone, Debug)]
pub struct Served {
    /// The service.
    pub service: Arc<ServiceCore>,
    /// Its commands.
    pub commands: Vec<Arc<dyn CommandEndpoint>>,
}

/// A link and the services behind it.
#[derive(Clone, Debug)]
struct Reached {
    link: Arc<dyn Link>,
    services: Vec<ServiceId>,
}

/// All routes of a node at one moment.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    commands: HashTable<Entry>,
    served: Vec<Served>,
    links: Vec<Reached>,
    /// The link that leads to whoever listens, for what no other route is known for.
    fallback: Option<Arc<dyn Link>>,
}

/// One command, with its key beside it: finding it touches nothing else.
#[derive(Clone, Debug)]
struct Entry {
    key: AddressKey<'static>,
    endpoint: Arc<dyn CommandEndpoint>,
}

impl Routes {
    /// The local endpoint behind an address. One probe of the table, no allocation.
    #[must_use]
    pub fn local(&self, key: AddressKey<'_>) -> Option<&Arc<dyn CommandEndpoint>> {
        let found = self.commands.find(key.hash, |entry| entry.key == key);
        found.map(|entry| &entry.endpoint)
    }

    /// Where a call to `key` goes: to this node if it serves the address, over a link otherwise; where no node is known that
    /// serves it, to whoever listens on the bridge.
    ///
    /// # Errors
    /// `not_found` where the service is known but not the command, `unavailable` where no node is known that serves it and
    /// nobody can be asked; neither was executed.
    pub fn resolve(&self, key: AddressKey<'_>) -> Result<Route, Failure> {
        if let Some(endpoint) = self.local(key) {
            return Ok(Route::Local(Arc::clone(endpoint)));
        }
        if self.served.iter().any(|served| is_service(served.service.id(), key)) {
            let (service, version, command) = (key.service, key.version, key.command);
            let text = format!("service {service}.{version} has no command {command}");
            return Err(Failure::not_found(text).with_executed(roadshow_bridges::Executed::No));
        }
        let reached = self
            .links
            .iter()
            .find(|reached| reached.services.iter().any(|id| is_service(*id, key)));
        match reached.map(|reached| &reached.link).or(self.fallback.as_ref()) {
            Some(link) => Ok(Route::Remote(Arc::clone(link))),
            None => Err(Failure::unavailable(format!(
                "no instance of {}.{}",
                key.service, key.version
            ))),
        }
    }

    /// The services of this node, in the order in which they were added.
    pub fn served(&self) -> impl Iterator<Item = &Served> {
        self.served.iter()
    }

    /// The links of this node.
    pub fn links(&self) -> impl Iterator<Item = &Arc<dyn Link>> {
        self.links.iter().map(|reached| &reached.link)
    }

    /// Adds a service of this node, in place of an earlier one of the same name and version.
    pub fn serve(&mut self, served: Served) {
        self.withdraw(served.service.id());
        for endpoint in &served.commands {
            let key = endpoint.address().key();
            let endpoint = Arc::clone(endpoint);
            self.commands
                .insert_unique(key.hash, Entry { key, endpoint }, |entry| entry.key.hash);
        }
        self.served.push(served);
    }

    /// Takes a service of this node out.
    pub fn withdraw(&mut self, service: ServiceId) {
        self.served.retain(|served| served.service.id() != service);
        self.commands
            .retain(|entry| entry.endpoint.address().service() != service);
    }

    /// Adds a link and what is behind it, in place of an earlier one of the same name.
    pub fn add_link(&mut self, link: Arc<dyn Link>, services: Vec<ServiceId>) {
        self.remove_link(link.name());
        self.links.push(Reached { link, services });
    }

    /// Sets the link to whoever listens, or takes it out.
    pub fn set_fallback(&mut self, link: Option<Arc<dyn Link>>) {
        self.fallback = link;
    }

    /// Takes the link to whoever listens out, if it is this one.
    pub fn clear_fallback(&mut self, link: &Arc<dyn Link>) {
        if self.fallback.as_ref().is_some_and(|current| Arc::ptr_eq(current, link)) {
            self.fallback = None;
        }
    }

    /// Takes a link out.
    pub fn remove_link(&mut self, name: &str) {
        self.links.retain(|reached| reached.link.name() != name);
    }
}

fn is_service(id: ServiceId, key: AddressKey<'_>) -> bool {
    id.name() == key.service && id.version() == key.version
}

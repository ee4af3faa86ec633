//! Who hears what: groups come and go here, and the broker is asked for their filters or told that they end.

use std::sync::{Arc, PoisonError};

use futures_util::future::join_all;
use roadshow_bridges::{Error, Subscription};
use rumqttc::{QoS, SubscribeNotice, SubscribeProperties};
use tokio::time::{Instant, timeout_at};

use super::{ANSWER, Shared};
use crate::group::Group;
use crate::lock;
use crate::routes::Route;
use crate::source::Source;
use crate::topic::Filters;
use crate::wire::Wire;

/// The most groups of one bridge.
const GROUPS_MAX: usize = 2048;

/// A subscription that the broker has not confirmed yet.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) id: usize,
    pub(crate) text: String,
    pub(crate) notice: Option<SubscribeNotice>,
}

/// A member of a group.
#[derive(Debug)]
pub(crate) struct Joined {
    /// Dropping it takes back what was added.
    pub(crate) source: Source,
    pub(crate) group: Arc<Group>,
    /// What the broker has to confirm.
    pub(crate) open: Vec<Asked>,
}

impl Shared {
    /// Makes a connection the one of now and asks the broker for every filter.
    pub(crate) fn attach(&self, wire: &Arc<Wire>) -> Vec<Asked> {
        let _topology = lock(&self.topology);
        *self.wire.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(wire));
        let filters = self.routes.filters();
        filters.into_iter().map(|(id, text)| ask(wire, id, text)).collect()
    }

    /// There is no connection now.
    pub(crate) fn detach(&self) {
        let _topology = lock(&self.topology);
        *self.wire.write().unwrap_or_else(PoisonError::into_inner) = None;
        lock(&self.fences).clear();
    }

    /// Joins a group, which is made if it is not there; `None` while the one that was there is on its way out.
    ///
    /// # Errors
    ///
    /// `Closed` if the bridge is, `Exhausted` if it has too many groups.
    pub(crate) fn enter(&self, subscription: &Subscription, filters: &Filters) -> Result<Option<Joined>, Error> {
        let _topology = lock(&self.topology);
        if self.is_closing() {
            return Err(closed(subscription));
        }
        if filters.texts().any(|text| self.routes.is_ending(text)) {
            return Ok(None);
        }
        let window = subscription.window.get();
        let known = subscription
            .group
            .as_ref()
            .and_then(|_| self.routes.group(&filters.main));
        if let Some(group) = known {
            let Some(member) = group.join(window) else {
                return Ok(None);
            };
            let open = filters.texts().filter_map(|text| {
                let (id, text) = (self.routes.id(text)?, text.to_owned());
                Some(Asked { id, text, notice: None })
            });
            return Ok(Some(Joined {
                open: open.collect(),
                source: Source::new(Arc::clone(&group), member),
                group,
            }));
        }
        if self.routes.groups().len() >= GROUPS_MAX {
            return Err(Error::exhausted("cannot subscribe: the bridge has too many groups").with("groups", GROUPS_MAX));
        }
        let group = Group::new(subscription, filters.record.clone(), Arc::clone(&self.outlet));
        let member = group.join(window).expect("a new group is open");
        let open = filters.texts().map(|text| self.add_route(text, &group));
        Ok(Some(Joined {
            open: open.collect(),
            source: Source::new(Arc::clone(&group), member),
            group,
        }))
    }

    fn add_route(&self, text: &str, group: &Arc<Group>) -> Asked {
        let id = self.routes.add(text, Route::Group(Arc::clone(group)));
        let wire = self.wire().filter(|wire| !self.routes.is_confirmed(id, wire.epoch));
        match wire {
            Some(wire) => ask(&wire, id, text.to_owned()),
            None => Asked {
                id,
                text: text.to_owned(),
                notice: None,
            },
        }
    }

    /// Asks the broker again for a filter.
    pub(crate) fn ask_again(&self, id: usize, text: &str) -> Option<SubscribeNotice> {
        let _topology = lock(&self.topology);
        self.wire().and_then(|wire| ask(&wire, id, text.to_owned()).notice)
    }

    /// Takes a group out, once everything that the broker had for it has arrived or the broker does not answer.
    pub(crate) async fn take_out(&self, group: &Arc<Group>) {
        let (wire, ended) = {
            let _topology = lock(&self.topology);
            (self.wire(), self.routes.end(group))
        };
        if let Some(wire) = wire.filter(|_| !ended.is_empty()) {
            let until = Instant::now() + ANSWER;
            let told = ended.into_iter().map(|text| unsubscribe(&wire, text));
            if timeout_at(until, join_all(told)).await.is_ok() {
                self.fence(&wire, until).await;
            }
        }
        let _topology = lock(&self.topology);
        self.routes.remove(group);
    }

    /// Every group; from now on, if the bridge is being closed, there is no other.
    pub(crate) fn groups(&self) -> Vec<Arc<Group>> {
        let _topology = lock(&self.topology);
        self.routes.groups()
    }
}

pub(crate) fn closed(subscription: &Subscription) -> Error {
    Error::closed("cannot subscribe: the bridge is closed").with("subject", &subscription.subject)
}

fn ask(wire: &Wire, id: usize, text: String) -> Asked {
    let properties = SubscribeProperties {
        id: wire.identifies.then_some(id),
        user_properties: Vec::new(),
    };
    let client = wire.client();
    let notice = client.try_subscribe_with_properties_tracked(text.as_str(), QoS::AtLeastOnce, properties);
    Asked {
        id,
        text,
        notice: notice.ok(),
    }
}

/// Ends a subscription. A connection that is lost has none either.
async fn unsubscribe(wire: &Wire, text: String) {
    if let Ok(notice) = wire.client().unsubscribe_tracked(text).await {
        let _ = notice.wait_async().await;
    }
}

//! JetStream: the stream of events, durable groups, dead letters.

mod ack;
mod api;
mod dead;
mod durable;
mod group;
mod held;
mod inbox;
mod leaving;
mod publish;
mod pulls;
mod raw;
mod settle;
mod starts;
mod streams;
mod unreadable;

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use async_nats::message::OutboundMessage;
use async_nats::{Client, HeaderMap};
use roadshow_bridges::{Deliveries, Envelope, Error, Namespace, Overflow, Parcel, Published, Reach, Subscription};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::bridge::Shared;
use crate::link::Link;
use crate::live::{STARTS_MAX, pattern};
use crate::queue::{Queue, Rules, Source};
use crate::replies::Replies;
use crate::settings::Settings;
use crate::tasks::lock;
use crate::wire::{self, NATS_MESSAGE_ID};
use api::{Api, ApiError};
use durable::Durable;
use group::Group;
use held::Hand;
use inbox::Inbox;
use publish::{Answer, Publishes};
use pulls::Pulls;
use settle::DurableSettler;
use starts::Starts;
use streams::{Needed, Plan};
use unreadable::Extent;

/// How long a server that has JetStream may take to answer for the first time: after a start it reads its streams.
const FIRST_ANSWER: Duration = Duration::from_secs(5);

/// The durable side of one bridge. Cloning shares it.
#[derive(Debug, Clone)]
pub(crate) struct JetStream {
    api: Api,
    namespace: Namespace,
    events: Arc<Plan>,
    dead: Needed,
    starts: Starts,
    publishes: Arc<Publishes>,
    ack_wait: Duration,
    on_disk: bool,
}

impl JetStream {
    /// Finds the server's JetStream and the stream of events; `None` if the server has none.
    ///
    /// # Errors
    ///
    /// As [`Plan::ensure`].
    pub(crate) async fn open(
        client: &Client,
        replies: &Arc<Replies>,
        namespace: &Namespace,
        settings: &Settings,
    ) -> Result<Option<Self>, Error> {
        let api = Api::new(client.clone(), Arc::clone(replies));
        if !is_there(&api, client.server_info().jetstream).await? {
            return Ok(None);
        }
        let events = Plan::events(namespace, settings.max_bytes, client.max_payload());
        let found = events.ensure(&api).await?;
        Ok(Some(Self {
            api,
            namespace: namespace.clone(),
            events: Arc::new(events),
            dead: Needed::new(Plan::dead(namespace, settings.max_bytes)),
            starts: Starts::new(namespace, settings.max_bytes),
            publishes: Arc::new(Publishes::new()),
            ack_wait: settings.ack_wait,
            on_disk: found["storage"] == "file",
        }))
    }

    /// Whether events survive the server's process.
    pub(crate) fn is_on_disk(&self) -> bool {
        self.on_disk
    }

    /// Publishes an event and waits until it is stored.
    ///
    /// # Errors
    ///
    /// `Exhausted` (the stream is full, or too much waits), `Unavailable`, `Rejected`.
    pub(crate) async fn publish(
        &self,
        link: &Link,
        mut message: OutboundMessage,
        envelope: &Envelope,
    ) -> Result<Published, Error> {
        let headers = message.headers.get_or_insert_default();
        headers.insert(NATS_MESSAGE_ID, wire::message_id(envelope));
        let stream = &self.events.name;
        self.publishes.publish(&self.api, link, message, envelope, stream).await
    }

    /// Writes a dead letter and waits until it is stored.
    ///
    /// # Errors
    ///
    /// It is not stored, as far as we know.
    pub(crate) async fn bury(
        &self,
        shared: &Shared,
        parcel: &Parcel,
        headers: Option<HeaderMap>,
        group: Option<&str>,
        reason: &str,
        id: String,
    ) -> Result<(), Error> {
        let letter = dead::letter(&self.namespace, parcel, headers, group, reason, id)?;
        self.keep(shared, letter).await
    }

    /// Stores a dead letter.
    async fn keep(&self, shared: &Shared, letter: OutboundMessage) -> Result<(), Error> {
        const WHAT: &str = "cannot write a dead letter";
        let letter = dead::fitting(letter, shared.client.max_payload());
        self.dead.make(&self.api).await?;
        let answer = self
            .api
            .store(letter, FIRST_ANSWER)
            .await
            .map_err(|error| error.explain(WHAT))?;
        Answer::read(&answer.payload, self.dead.name()).stored(WHAT)
    }

    /// Makes every stream again that there was: a server that was started anew may have lost its store.
    pub(crate) async fn renew_streams(&self) -> Result<(), Error> {
        let events = self.events.ensure(&self.api).await.map(drop);
        let dead = self.dead.renew(&self.api).await;
        let starts = self.starts.stream.renew(&self.api).await;
        events.and(dead).and(starts)
    }

    /// Joins a durable group.
    ///
    /// # Errors
    ///
    /// `Unsupported` for what the stream does not hold; as [`Group::ensure`].
    pub(crate) async fn subscribe(
        &self,
        shared: &Arc<Shared>,
        subscription: &Subscription,
    ) -> Result<(Arc<Queue>, Deliveries, Durable), Error> {
        let filter = pattern(subscription);
        if !shared.wire.is_event(&filter) || subscription.group.is_none() || subscription.reach == Reach::Rest {
            let error = Error::unsupported("cannot subscribe durably: only groups of events are kept");
            return Err(error.with("subject", &subscription.subject));
        }
        let group = Arc::new(Group::new(
            self.events.name.clone(),
            subscription,
            filter,
            self.ack_wait,
        ));
        let ack_wait = group.ensure(&self.api).await?;
        // What ended the node before this one is with the server still.
        self.clear(shared, &group, Extent::Sent).await;
        let window = subscription.window.get();
        // Bounded by what is pulled, which is never more than the window.
        let queue = Arc::new(Queue::new(Rules {
            window: Some(window),
            capacity: usize::MAX,
            overflow: Overflow::Refuse,
        }));
        let (hand, bound) = (Arc::new(Hand::default()), Arc::new(Notify::new()));
        let settler = DurableSettler {
            client: shared.client.clone(),
            queue: Arc::clone(&queue),
            hand: Arc::clone(&hand),
        };
        let deliveries = Deliveries::new(Source::new(Arc::clone(&queue), Arc::new(settler)));
        let task = Durable {
            shared: Arc::clone(shared),
            jetstream: self.clone(),
            inbox: Inbox::open(self, &shared.link).await?,
            former: None,
            created: group.created(),
            group: Arc::clone(&group),
            queue: Arc::clone(&queue),
            hand,
            bound: Arc::clone(&bound),
            ack_wait,
            starts_max: subscription.starts_max.map_or(STARTS_MAX, std::num::NonZero::get),
            pulls: Pulls::new(window, Instant::now()),
        };
        shared.durables.add(Member {
            queue: Arc::downgrade(&queue),
            group,
            bound,
        });
        Ok((queue, deliveries, task))
    }
}

/// Whether the server answers questions to JetStream. One that says it has JetStream is given time.
async fn is_there(api: &Api, announced: bool) -> Result<bool, Error> {
    const WHAT: &str = "cannot ask the NATS server for JetStream";
    let deadline = Instant::now() + FIRST_ANSWER;
    loop {
        match api.call("INFO", &Value::Null).await {
            Ok(_) => return Ok(true),
            // Not enabled, or not for this account.
            Err(ApiError::Refused(refusal)) if matches!(refusal.err_code, 10_039 | 10_076) => return Ok(false),
            Err(ApiError::Nobody) if !announced => return Ok(false),
            Err(ApiError::Nobody) if Instant::now() >= deadline => return Ok(false),
            Err(ApiError::Nobody) => tokio::time::sleep(Duration::from_millis(100)).await,
            Err(error) => return Err(error.explain(WHAT)),
        }
    }
}

/// How long ago the server stored a message, if the clocks agree well enough.
fn age(stored_ns: u64) -> Option<Duration> {
    Duration::from_millis(wire::now_ms()).checked_sub(Duration::from_nanos(stored_ns))
}

/// A durable group that this bridge is a member of.
#[derive(Debug)]
struct Member {
    queue: Weak<Queue>,
    group: Arc<Group>,
    bound: Arc<Notify>,
}

/// The durable groups that this bridge is a member of.
#[derive(Debug, Default)]
pub(crate) struct Durables(Mutex<Vec<Member>>);

impl Durables {
    fn add(&self, member: Member) {
        let mut members = lock(&self.0);
        members.retain(|member| member.queue.strong_count() > 0);
        members.push(member);
    }

    /// Confirms every group on a new connection; `false` if one is not there yet.
    pub(crate) async fn rebind(&self, shared: &Shared) -> bool {
        let Some(jetstream) = &shared.jetstream else {
            return true;
        };
        let members: Vec<_> = lock(&self.0)
            .iter()
            .filter(|member| member.queue.upgrade().is_some_and(|queue| !queue.has_ended()))
            .map(|member| (Arc::clone(&member.group), Arc::clone(&member.bound)))
            .collect();
        // Commands need no stream: where nothing is durable, they do not wait for it.
        if !members.is_empty()
            && let Err(error) = jetstream.events.ensure(&jetstream.api).await
        {
            tracing::warn!(%error, "the stream of the events is not confirmed on the new connection");
            return false;
        }
        for (group, bound) in members {
            match group.ensure(&jetstream.api).await {
                Ok(_) => {
                    // Before it is pulled again: what ended the connection would end this one too.
                    jetstream.clear(shared, &group, Extent::Next).await;
                    bound.notify_one();
                }
                Err(error) => {
                    tracing::warn!(%error, "a durable group is not confirmed on the new connection");
                    return false;
                }
            }
        }
        true
    }
}

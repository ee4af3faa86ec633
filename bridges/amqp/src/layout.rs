//! What is declared: the exchanges of a namespace, and a queue with its binding for each subscription. Pure data.
//!
//! - Every message of ours goes through the topic exchange of the namespace. What it has no queue for goes on to its
//!   alternate, where subscriptions of the rest are bound.
//! - A group has one queue with its name. A durable one is a quorum queue that refuses when it is full. Another one is a
//!   classic queue that lives for a minute without a consumer: what a lost node had not finished is done by the next one.
//! - A subscriber without group has a queue of its own, which ends with its connection.
//! - What has to wait does so in queues that the namespace shares, one for each tier of delay, and goes straight back to the
//!   queue of its group. Each quorum queue costs the broker three file handles, so there are no more of them than needed.
//! - A node's inbox outlives its connection by a minute: replies are there when it is back.

use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use roadshow_bridges::{ConnectContext, Error, Kind, Overflow, Reach, Subject, Subscription};

use crate::text::{SHORT_LEN_MAX, fixed, long, short, table};

/// How long a queue that is not durable lives without a consumer.
const EXPIRES: Duration = Duration::from_secs(60);
/// How much longer than its messages the queue of a tier lives, where it does not last.
const TIER_EXPIRES: Duration = Duration::from_secs(600);
/// The most waiting messages of a durable group that asks for no other bound.
const DURABLE_LENGTH_MAX: i64 = 1_000_000;
/// The most waiting messages of any other queue that asks for no other bound.
const LENGTH_MAX: i64 = 100_000;
/// The most dead letters of a group; the oldest makes room.
const DEAD_LENGTH_MAX: i64 = 100_000;
/// The broker dead-letters what it delivered so often. It counts deliveries, also those that nobody began, so it is only a
/// last resort against a message that kills every consumer.
const DELIVERY_LIMIT: i64 = 1_000;

/// The names that every node of a namespace shares.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    namespace: String,
    inbox: Subject,
    /// The topic exchange.
    pub(crate) exchange: ShortString,
    /// Where the exchange sends what it has no queue for.
    pub(crate) rest: ShortString,
}

/// A queue to declare.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    pub(crate) name: ShortString,
    pub(crate) options: QueueDeclareOptions,
    pub(crate) arguments: FieldTable,
    /// Whether it is a quorum queue, which stays until somebody removes it.
    pub(crate) lasts: bool,
    /// What it is bound to.
    pub(crate) bound: Bound,
}

/// What a queue is bound to.
#[derive(Debug, Clone)]
pub(crate) enum Bound {
    /// A routing key of an exchange that exists.
    Key(ShortString, ShortString),
    /// A fanout exchange of its own, which bears its name: a message in it keeps its routing key.
    Everything,
}

/// What kind of queue a subscription has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// It stays and collects, also when nobody subscribes.
    Durable,
    /// Its group shares it.
    Group,
    /// It is a node's inbox.
    Inbox,
    /// It belongs to one subscriber on one connection.
    Alone,
}

/// Everything that one subscription declares.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) keeping: Keeping,
    pub(crate) queue: Queue,
    /// The queue of its dead letters; a subscriber without group has none.
    pub(crate) dead: Option<Queue>,
}

impl Layout {
    /// The names of a namespace.
    ///
    /// # Errors
    ///
    /// `Config` if RabbitMQ keeps the namespace's name for itself.
    pub(crate) fn new(context: &ConnectContext) -> Result<Self, Error> {
        let namespace = context.namespace.as_str();
        if namespace.eq_ignore_ascii_case("amq") {
            return Err(Error::config(
                "cannot use the namespace `amq`: RabbitMQ keeps these names for itself",
            ));
        }
        Ok(Self {
            namespace: namespace.to_owned(),
            inbox: context.namespace.inbox_root(&context.node, context.incarnation),
            exchange: short("an exchange", namespace)?,
            rest: short("an exchange", &format!("{namespace}.rest"))?,
        })
    }

    /// Where a message goes: through the exchange of the namespace, or, as an answer to a stranger, straight to the queue
    /// that its reply address names.
    pub(crate) fn exchange_of(&self, kind: Kind, subject: &str) -> ShortString {
        let rest = subject.strip_prefix(&self.namespace);
        let ours = rest.is_some_and(|rest| rest.starts_with('.'));
        let asks = matches!(
            kind,
            Kind::Command | Kind::Event | Kind::Open | Kind::Cancel | Kind::Link
        );
        if ours || asks {
            self.exchange.clone()
        } else {
            ShortString::default()
        }
    }

    /// What a subscription declares. `own` makes the name of a queue that nobody else has.
    ///
    /// # Errors
    ///
    /// `Config` if a name is too long or a subject holds a wildcard.
    pub(crate) fn plan(&self, subscription: &Subscription, own: &str) -> Result<Plan, Error> {
        subscription.check()?;
        let keeping = self.keeping(subscription);
        // Namespaces that meet on one connection do not share a group.
        let subject = subscription.subject.as_str();
        let namespace = subject.split('.').next().unwrap_or(&self.namespace);
        let name = match (&subscription.group, keeping) {
            (Some(group), _) => format!("{namespace}.{group}"),
            (None, Keeping::Inbox) => self.inbox.as_str().to_owned(),
            (None, _) => format!("{}.own.{own}", self.namespace),
        };
        check_name(&name)?;
        let dead = subscription
            .group
            .as_deref()
            .map(|group| self.dead(namespace, group))
            .transpose()?;
        let arguments = queue_arguments(subscription, keeping, &self.exchange, dead.as_ref());
        let exchange = match subscription.reach {
            Reach::Rest => &self.rest,
            _ => &self.exchange,
        };
        Ok(Plan {
            keeping,
            queue: Queue {
                name: short("a queue", &name)?,
                options: options(keeping),
                arguments,
                lasts: keeping == Keeping::Durable,
                bound: Bound::Key(exchange.clone(), routing_key(subscription)?),
            },
            dead,
        })
    }

    /// Whether a subscription is the inbox of this node.
    pub(crate) fn is_inbox(&self, subscription: &Subscription) -> bool {
        self.keeping(subscription) == Keeping::Inbox
    }

    fn keeping(&self, subscription: &Subscription) -> Keeping {
        match (&subscription.group, subscription.durable) {
            (Some(_), true) => Keeping::Durable,
            (Some(_), false) => Keeping::Group,
            (None, _) if subscription.reach == Reach::Children && subscription.subject == self.inbox => Keeping::Inbox,
            (None, _) => Keeping::Alone,
        }
    }

    /// The queue in which messages wait that long. Those of groups that last have one of their own, which loses nothing: it
    /// would keep a message for ever whose group is gone, as plain groups and single subscribers are some day.
    ///
    /// # Errors
    ///
    /// The name is too long.
    pub(crate) fn tier(&self, tier: Duration, lasts: bool) -> Result<Queue, Error> {
        let mut arguments = table([
            ("x-message-ttl", AMQPValue::LongLongInt(millis(tier))),
            ("x-dead-letter-exchange", long("")),
        ]);
        if lasts {
            arguments.insert(fixed("x-queue-type"), long("quorum"));
            arguments.insert(fixed("x-max-length"), AMQPValue::LongLongInt(DURABLE_LENGTH_MAX));
            arguments.insert(fixed("x-overflow"), long("reject-publish"));
            arguments.insert(fixed("x-dead-letter-strategy"), long("at-least-once"));
        } else {
            let expires = AMQPValue::LongLongInt(millis(tier + TIER_EXPIRES));
            arguments.insert(fixed("x-expires"), expires);
        }
        let which = if lasts { "" } else { ".passing" };
        let name = format!("{}.retry.{}{which}", self.namespace, tier.as_millis());
        Ok(Queue {
            name: short("a queue", &name)?,
            options: options(Keeping::Durable),
            arguments,
            lasts,
            bound: Bound::Everything,
        })
    }

    /// The queue of a group's dead letters; its name is the subject that they are published on.
    fn dead(&self, namespace: &str, group: &str) -> Result<Queue, Error> {
        let name = format!("{namespace}.dead.{}", group.replace('=', "."));
        check_name(&name)?;
        let arguments = table([("x-max-length", AMQPValue::LongLongInt(DEAD_LENGTH_MAX))]);
        let name = short("a queue", &name)?;
        Ok(Queue {
            options: options(Keeping::Durable),
            arguments,
            lasts: false,
            bound: Bound::Key(self.exchange.clone(), name.clone()),
            name,
        })
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn check_name(name: &str) -> Result<(), Error> {
    if name.len() <= SHORT_LEN_MAX {
        return Ok(());
    }
    let why = "cannot subscribe: the name of the queue is too long for RabbitMQ";
    Err(Error::config(why)
        .with("bytes", name.len())
        .with("limit", SHORT_LEN_MAX))
}

fn options(keeping: Keeping) -> QueueDeclareOptions {
    let alone = keeping == Keeping::Alone;
    QueueDeclareOptions {
        durable: !alone,
        exclusive: alone,
        auto_delete: alone,
        ..QueueDeclareOptions::default()
    }
}

fn routing_key(subscription: &Subscription) -> Result<ShortString, Error> {
    let subject = subscription.subject.as_str();
    if subject.split('.').any(|token| matches!(token, "*" | "#")) {
        return Err(Error::config("cannot subscribe: the subject holds a wildcard").with("subject", subject));
    }
    match subscription.reach {
        Reach::Exact => short("a subject", subject),
        _ => short("a subject", &format!("{subject}.*")),
    }
}

fn queue_arguments(
    subscription: &Subscription,
    keeping: Keeping,
    exchange: &ShortString,
    dead: Option<&Queue>,
) -> FieldTable {
    let default = if keeping == Keeping::Durable {
        DURABLE_LENGTH_MAX
    } else {
        LENGTH_MAX
    };
    let length = subscription
        .capacity
        .map_or(default, |capacity| i64::try_from(capacity.get()).unwrap_or(default));
    let refuse = subscription.overflow == Overflow::Refuse;
    let mut arguments = table([
        ("x-max-length", AMQPValue::LongLongInt(length)),
        ("x-overflow", long(if refuse { "reject-publish" } else { "drop-head" })),
    ]);
    match (keeping, dead) {
        (Keeping::Durable, Some(dead)) => {
            arguments.insert(fixed("x-queue-type"), long("quorum"));
            arguments.insert(fixed("x-delivery-limit"), AMQPValue::LongLongInt(DELIVERY_LIMIT));
            arguments.insert(fixed("x-dead-letter-exchange"), long(exchange.as_str()));
            arguments.insert(fixed("x-dead-letter-routing-key"), long(dead.name.as_str()));
            if refuse {
                arguments.insert(fixed("x-dead-letter-strategy"), long("at-least-once"));
            }
        }
        (Keeping::Group | Keeping::Inbox, _) => {
            arguments.insert(fixed("x-expires"), AMQPValue::LongLongInt(millis(EXPIRES)));
        }
        _ => {}
    }
    arguments
}

#[cfg(test)]
mod tests {
    use roadshow_bridges::{EventName, IncarnationId, Namespace, ServiceId};

    use super::*;

    fn layout() -> Layout {
        let node = "n1".parse().expect("a node");
        let context = ConnectContext::new(Namespace::default(), node, IncarnationId::from_u64(1));
        Layout::new(&context).expect("a layout")
    }

    fn event() -> Subject {
        Namespace::default().event_subject(EventName::new("order.paid"))
    }

    fn argument(plan: &Plan, name: &str) -> Option<String> {
        let value = plan.queue.arguments.inner().get(name)?;
        Some(match value {
            AMQPValue::LongString(text) => text.to_string(),
            AMQPValue::LongLongInt(number) => number.to_string(),
            other => format!("{other:?}"),
        })
    }

    fn bound(plan: &Plan) -> (String, String) {
        let Bound::Key(exchange, key) = plan.queue.bound.clone() else {
            panic!("it is bound to a key")
        };
        (exchange.into(), key.into())
    }

    #[test]
    fn a_durable_group_is_a_quorum_queue_with_dead_letters() {
        let plan = layout()
            .plan(&Subscription::new(event()).durable("shop=1=loyalty"), "x")
            .expect("a plan");
        assert_eq!(plan.queue.name.as_str(), "roadshow.shop=1=loyalty");
        assert_eq!(
            bound(&plan),
            ("roadshow".to_owned(), "roadshow.evt.order.paid".to_owned())
        );
        assert_eq!(argument(&plan, "x-queue-type").as_deref(), Some("quorum"));
        assert_eq!(argument(&plan, "x-overflow").as_deref(), Some("reject-publish"));
        assert_eq!(
            plan.dead.expect("dead letters").name.as_str(),
            "roadshow.dead.shop.1.loyalty"
        );
    }

    #[test]
    fn a_plain_group_expires_and_one_alone_ends_with_its_connection() {
        let layout = layout();
        let group = layout
            .plan(&Subscription::new(event()).group("g"), "x")
            .expect("a plan");
        assert_eq!(
            (group.keeping, argument(&group, "x-expires").as_deref()),
            (Keeping::Group, Some("60000"))
        );
        let alone = layout.plan(&Subscription::new(event()), "n1-7").expect("a plan");
        assert_eq!(
            (alone.keeping, alone.queue.name.as_str()),
            (Keeping::Alone, "roadshow.own.n1-7")
        );
        assert!(alone.queue.options.exclusive && alone.dead.is_none());
        assert_eq!(argument(&alone, "x-overflow").as_deref(), Some("drop-head"));
    }

    #[test]
    fn children_and_the_rest_are_bound_one_token_below() {
        let layout = layout();
        let root = Namespace::default().command_root(ServiceId::new("user", 1));
        let rest = layout
            .plan(&Subscription::rest(root).group("rest=user=1"), "x")
            .expect("a plan");
        assert_eq!(
            bound(&rest),
            ("roadshow.rest".to_owned(), "roadshow.cmd.user.1.*".to_owned())
        );
        let node = "n1".parse().expect("a node");
        let inbox = Namespace::default().inbox_root(&node, IncarnationId::from_u64(1));
        let inbox = layout.plan(&Subscription::children(inbox), "x").expect("a plan");
        assert_eq!(
            (inbox.keeping, inbox.queue.name.as_str()),
            (Keeping::Inbox, "roadshow.inbox.n1.i1")
        );
    }

    #[test]
    fn what_rabbitmq_cannot_name_is_refused_with_the_limit() {
        let layout = layout();
        let long = layout
            .plan(&Subscription::new(event()).group("g".repeat(255)), "x")
            .expect_err("too long");
        assert!(long.to_string().contains("limit: 255"), "{long}");
        let wildcard = Subject::foreign("roadshow.evt.*").expect("visible");
        assert!(layout.plan(&Subscription::new(wildcard), "x").is_err());
    }

    #[test]
    fn only_answers_to_strangers_go_straight_to_a_queue() {
        let layout = layout();
        assert_eq!(
            layout.exchange_of(Kind::Reply, "roadshow.inbox.n.i1.c0").as_str(),
            "roadshow"
        );
        assert_eq!(
            layout.exchange_of(Kind::Command, "other.cmd.user.1.create").as_str(),
            "roadshow"
        );
        for subject in ["roadshow2.inbox.a", "amq.gen-abc", "roadshow"] {
            assert_eq!(layout.exchange_of(Kind::Failure, subject).as_str(), "", "{subject}");
        }
    }

    #[test]
    fn namespaces_on_one_connection_share_no_group() {
        let other = Subject::foreign("roadshowx.cmd.shop.1").expect("visible");
        let plan = layout()
            .plan(&Subscription::children(other).group("cmd=shop=1"), "x")
            .expect("a plan");
        assert_eq!(plan.queue.name.as_str(), "roadshowx.cmd=shop=1");
    }

    #[test]
    fn a_tier_sends_back_by_the_routing_key_of_the_message() {
        let tier = layout().tier(Duration::from_secs(5), true).expect("a tier");
        assert_eq!(tier.name.as_str(), "roadshow.retry.5000");
        assert_eq!(tier.arguments.inner().get("x-dead-letter-exchange"), Some(&long("")));
        assert!(!tier.arguments.contains_key("x-dead-letter-routing-key"));
        let passing = layout().tier(Duration::from_secs(5), false).expect("a tier");
        assert_eq!(passing.name.as_str(), "roadshow.retry.5000.passing");
        assert!(!passing.lasts);
    }
}

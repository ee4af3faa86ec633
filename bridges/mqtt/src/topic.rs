//! Topics: how our subjects are spelled on MQTT, and back. Pure functions.
//!
//! The dots of our own subjects are slashes here; a foreign topic (the response topic of a client that knows nothing of
//! us) keeps its text. Whatever is published is checked first: a wildcard in a topic makes the broker drop the whole
//! connection, so one caller could cut off every service of the node.

use roadshow_bridges::{Error, Namespace, Reach, Subject, Subscription};

/// The longest topic that MQTT allows, in bytes.
pub(crate) const TOPIC_LEN_MAX: usize = 65_535;

/// What the second token of every subject of ours is.
const CLASSES: [&str; 8] = ["cmd", "evt", "inbox", "cancel", "node", "job", "members", "dead"];

/// The names of a namespace on MQTT.
#[derive(Debug, Clone)]
pub(crate) struct Topics {
    namespace: String,
}

/// What a subscription asks the broker for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filters {
    /// The filter of what is published.
    pub(crate) main: String,
    /// The filter of what is sent again to the group alone, if it has a name.
    pub(crate) again: Option<String>,
    /// The topic below which the group's retained record stands, if it is durable.
    pub(crate) record: Option<String>,
}

impl Filters {
    /// What the broker is asked for.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        [Some(&*self.main), self.again.as_deref()].into_iter().flatten()
    }
}

impl Topics {
    pub(crate) fn new(namespace: &Namespace) -> Self {
        Self {
            namespace: namespace.as_str().to_owned(),
        }
    }

    /// The topic of a subject: ours (of any namespace) with slashes, a foreign one as it is.
    ///
    /// # Errors
    ///
    /// `Rejected` if MQTT cannot have such a topic.
    pub(crate) fn of(&self, subject: &Subject) -> Result<String, Error> {
        let text = subject.as_str();
        let topic = if class(text, '.').is_some() && !text.contains('/') {
            text.replace('.', "/")
        } else {
            text.to_owned()
        };
        check(&topic)?;
        Ok(topic)
    }

    /// The subject that a message was published to, or nothing if no subject can be spelled like its topic.
    pub(crate) fn subject(&self, topic: &str) -> Option<Subject> {
        let kind = class(topic, '/').filter(|_| !topic.contains('.'));
        let topic = match kind {
            Some("dead") => topic.rsplit_once('/').map_or(topic, |(parent, _)| parent),
            _ => topic,
        };
        match kind {
            Some(_) => Subject::foreign(&topic.replace('/', ".")).ok(),
            None => Subject::foreign(topic).ok(),
        }
    }

    /// The subject of a response topic: ours if it is an inbox of this namespace, else the text as it is, so that the policy
    /// for reply addresses sees what the client wrote.
    pub(crate) fn reply(&self, topic: &str) -> Option<Subject> {
        let inbox = topic
            .strip_prefix(self.namespace.as_str())
            .is_some_and(|rest| rest.starts_with("/inbox/"));
        if inbox {
            self.subject(topic)
        } else {
            Subject::foreign(topic).ok()
        }
    }

    /// What a subscription asks the broker for.
    ///
    /// # Errors
    ///
    /// `Unsupported` for what MQTT cannot hear, `Rejected` for what cannot be a topic.
    pub(crate) fn filters(&self, subscription: &Subscription) -> Result<Filters, Error> {
        let topic = self.of(&subscription.subject)?;
        let plain = match subscription.reach {
            // Each dead letter is kept under its id, below the subject.
            Reach::Exact if class(&topic, '/') == Some("dead") => format!("{topic}/+"),
            Reach::Exact => topic.clone(),
            Reach::Children => format!("{topic}/+"),
            _ => {
                let why = "cannot subscribe over MQTT: the broker cannot tell what nobody else hears";
                return Err(Error::unsupported(why).with("subject", &subscription.subject));
            }
        };
        let Some(group) = &subscription.group else {
            return Ok(Filters {
                main: plain,
                again: None,
                record: None,
            });
        };
        if subscription.durable && subscription.reach != Reach::Exact {
            let why = "cannot subscribe over MQTT: a durable group hears one subject, not its children";
            return Err(Error::unsupported(why).with("subject", &subscription.subject));
        }
        let again = self.again(group, &plain);
        Ok(Filters {
            main: format!("$share/{group}/{plain}"),
            again: Some(format!("$share/{group}/{again}")),
            record: subscription.durable.then(|| self.record(group, &topic)),
        })
    }

    /// Where a message is sent again to one group alone.
    pub(crate) fn again(&self, group: &str, topic: &str) -> String {
        format!("{}/again/{group}/{topic}", self.namespace)
    }

    /// The group and the topic of a message that was sent again, or `None` for one that was not.
    pub(crate) fn parse_again<'a>(&self, topic: &'a str) -> Option<(&'a str, &'a str)> {
        let rest = topic.strip_prefix(self.namespace.as_str())?.strip_prefix("/again/")?;
        rest.split_once('/')
    }

    /// Where a durable group's record stands.
    pub(crate) fn record(&self, group: &str, topic: &str) -> String {
        format!("{}/groups/{topic}/{group}", self.namespace)
    }

    /// The filter of every record.
    pub(crate) fn records(&self) -> String {
        format!("{}/groups/#", self.namespace)
    }

    /// The topic and the group of a record.
    pub(crate) fn parse_record<'a>(&self, topic: &'a str) -> Option<(&'a str, &'a str)> {
        let rest = topic.strip_prefix(self.namespace.as_str())?.strip_prefix("/groups/")?;
        rest.rsplit_once('/')
    }

    /// Where an outbox hears what became of its messages.
    pub(crate) fn acks(&self, outbox: u128) -> String {
        format!("{}/acks/{outbox:032x}", self.namespace)
    }

    /// Whether a topic is one of a dead letter.
    pub(crate) fn is_dead(&self, topic: &str) -> bool {
        class(topic, '/') == Some("dead")
    }

    /// Where the dead letters of a group are.
    pub(crate) fn dead(&self, group: Option<&str>) -> String {
        let group = group.unwrap_or("none");
        let mut parts = group.split('=');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(service), Some(version), Some(name), None) if ![service, version, name].contains(&"") => {
                format!("{}/dead/{service}/{version}/{name}", self.namespace)
            }
            _ => format!("{}/dead/group/{group}", self.namespace),
        }
    }
}

/// The second token, if a text begins like a subject of ours.
fn class(text: &str, separator: char) -> Option<&str> {
    let second = text.split(separator).nth(1)?;
    CLASSES.into_iter().find(|class| *class == second)
}

/// Whether a message may be published to this topic.
fn check(topic: &str) -> Result<(), Error> {
    let bad = |c: char| matches!(c, '+' | '#') || c.is_control();
    let why = if topic.is_empty() {
        "it is empty"
    } else if topic.len() > TOPIC_LEN_MAX {
        "it is longer than 65535 bytes"
    } else if topic.starts_with('$') {
        "topics that begin with '$' belong to the broker"
    } else if topic.contains(bad) {
        "it holds '+', '#' or a control character"
    } else {
        return Ok(());
    };
    let shown: String = topic.chars().take(80).collect();
    Err(Error::rejected("cannot use an MQTT topic")
        .with("topic", format_args!("{shown:?}"))
        .with("because", why))
}

#[cfg(test)]
mod tests {
    use roadshow_bridges::{EventName, ServiceId};

    use super::*;

    fn topics() -> (Namespace, Topics) {
        let namespace: Namespace = "shop".parse().expect("a namespace");
        let topics = Topics::new(&namespace);
        (namespace, topics)
    }

    fn subject(text: &str) -> Subject {
        Subject::foreign(text).expect("a subject")
    }

    #[test]
    fn our_subjects_have_slashes_and_foreign_ones_keep_their_text() {
        let (_, topics) = topics();
        let table = [
            ("shop.cmd.user.1.create_user", "shop/cmd/user/1/create_user"),
            ("shop/reply/a.b", "shop/reply/a.b"),
            ("shop/reply/x/y", "shop/reply/x/y"),
            ("other.a/b", "other.a/b"),
            ("other.evt.a", "other/evt/a"),
            ("shopping/a", "shopping/a"),
            ("shop.members", "shop/members"),
        ];
        for (text, topic) in table {
            assert_eq!(topics.of(&subject(text)).expect(text), topic);
            assert_eq!(topics.subject(topic), Some(subject(text)), "{topic}");
        }
        assert_eq!(
            topics.subject("shop/cmd/user/1/a.b"),
            Some(subject("shop/cmd/user/1/a.b"))
        );
        assert_eq!(topics.subject("shop/with space"), None);
        assert_eq!(topics.subject("shop/dead/a/1/s/0f"), Some(subject("shop.dead.a.1.s")));
        let replies = [
            ("shop/inbox/n/i/c", "shop.inbox.n.i.c"),
            ("shop/reply/a", "shop/reply/a"),
            ("shop/cmd/user/1/x", "shop/cmd/user/1/x"),
            ("other/inbox/n/i/c", "other/inbox/n/i/c"),
        ];
        for (topic, text) in replies {
            assert_eq!(topics.reply(topic), Some(subject(text)), "{topic}");
        }
    }

    #[test]
    fn what_would_cost_the_connection_is_refused() {
        let (_, topics) = topics();
        for text in ["a/+", "#", "a/#/b", "$SYS/x", "$share/g/t"] {
            assert!(topics.of(&subject(text)).is_err(), "{text}");
        }
        assert!(check("").is_err() && check("a\0b").is_err() && check("a\nb").is_err());
        assert!(check(&"a".repeat(TOPIC_LEN_MAX + 1)).is_err());
    }

    #[test]
    fn each_group_has_a_share_and_a_second_chance_of_its_own() {
        let (namespace, topics) = topics();
        let paid = namespace.event_subject(EventName::new("order.paid"));
        let filters = topics
            .filters(&Subscription::new(paid.clone()).durable("a=1=x"))
            .expect("filters");
        assert_eq!(filters.main, "$share/a=1=x/shop/evt/order/paid");
        assert_eq!(
            filters.again.as_deref(),
            Some("$share/a=1=x/shop/again/a=1=x/shop/evt/order/paid")
        );
        let record = filters.record.expect("durable");
        assert_eq!(record, "shop/groups/shop/evt/order/paid/a=1=x");
        assert_eq!(topics.parse_record(&record), Some(("shop/evt/order/paid", "a=1=x")));
        let again = topics.again("a=1=x", "shop/evt/order/paid");
        assert_eq!(topics.parse_again(&again), Some(("a=1=x", "shop/evt/order/paid")));
        assert_eq!(topics.parse_again("shop/evt/order/paid"), None);
        let plain = topics.filters(&Subscription::new(paid.clone())).expect("filters");
        assert_eq!((plain.main.as_str(), plain.again), ("shop/evt/order/paid", None));
        let dead = topics.filters(&Subscription::new(subject("shop.dead.a.1.s")));
        assert_eq!(dead.expect("filters").main, "shop/dead/a/1/s/+");
        let root = namespace.command_root(ServiceId::new("user", 1));
        let children = topics.filters(&Subscription::children(root.clone())).expect("filters");
        assert_eq!(children.main, "shop/cmd/user/1/+");
        assert!(topics.filters(&Subscription::rest(root)).is_err());
        let mut both = Subscription::children(paid);
        both = both.durable("g");
        assert!(topics.filters(&both).is_err());
    }

    #[test]
    fn dead_letters_stand_below_the_subscription() {
        let (_, topics) = topics();
        assert_eq!(topics.dead(Some("user=1=mail")), "shop/dead/user/1/mail");
        for (group, topic) in [
            (Some("g"), "shop/dead/group/g"),
            (Some("cmd=user=1=x"), "shop/dead/group/cmd=user=1=x"),
            (Some("=1="), "shop/dead/group/=1="),
            (None, "shop/dead/group/none"),
        ] {
            assert_eq!(topics.dead(group), topic);
        }
    }
}

//! Subjects: where a message is published, and the namespace that makes them.
//!
//! The table of subjects is section "Subjects" of `docs/WIRE.md`. Every part of a subject is a checked name, so two different
//! names never make the same subject, and none holds a wildcard. A subject from outside (a reply address of a foreign
//! client) is only bounded and free of control characters here; whether to send there is decided by the exchange.

use std::borrow::Borrow;
use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::sync::Arc;

use super::address::AddressKey;
use super::error::{Flaw, NameError, NameRule};
use super::event::EventKey;
use super::node::{IncarnationId, NodeId};
use super::queue::QueueName;
use super::serde_as_text;
use super::service::ServiceKey;
use super::token::{Token, check_whole, suggest_token};
use crate::envelope::Kind;

/// The namespace of a system that names none.
pub const DEFAULT_NAMESPACE: &str = "roadshow";

/// The longest subject, in bytes; the longest of ours is shorter than this.
const SUBJECT_LEN_MAX: usize = 640;
/// What most subjects of ours fit into, in bytes.
const SUBJECT_LEN_USUAL: usize = 128;

/// Where a message is published: tokens joined by dots. Cloning shares the text.
#[derive(Clone, Eq, PartialEq, Hash, Ord, PartialOrd)]
pub struct Subject(Arc<str>);

impl Subject {
    /// Takes over an address that a foreign client named, for example where it wants its reply.
    ///
    /// The text is bounded and visible ASCII, nothing more: ask the exchange's policy before publishing there.
    ///
    /// # Errors
    ///
    /// The text is empty, longer than 640 bytes, or holds a space, a control character or a non-ASCII one.
    pub fn foreign(text: &str) -> Result<Self, NameError> {
        let flaw = |at| {
            NameError::new(
                "a subject",
                text,
                Flaw {
                    rule: NameRule::Subject,
                    at,
                },
            )
        };
        if text.is_empty() {
            return Err(flaw(0));
        }
        // Looked for by bytes, which is quick; told by characters.
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let at = text.chars().position(|character| !character.is_ascii_graphic());
            return Err(flaw(at.unwrap_or_default()));
        }
        if text.len() > SUBJECT_LEN_MAX {
            return Err(flaw(SUBJECT_LEN_MAX));
        }
        Ok(Self(text.into()))
    }

    /// Stands for a reply address that cannot be read: no policy admits it, so the command that bore it is refused instead of
    /// being taken for one that asks for no answer.
    pub fn unreadable() -> Self {
        Self::foreign("*").expect("a star is visible ASCII")
    }

    /// The subject's text, with dots.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The subject without its last token, or `None` if it has one token only.
    pub fn parent(&self) -> Option<&str> {
        self.0.rsplit_once('.').map(|(parent, _)| parent)
    }
}

impl Borrow<str> for Subject {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Subject {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for Subject {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::foreign(text)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({self})")
    }
}

serde_as_text!(Subject);

/// The first token of every subject: systems with different namespaces share a broker without meeting.
///
/// ```
/// use roadshow_bridges::{Address, EventName, Namespace, ServiceId};
///
/// const CREATE: Address = ServiceId::new("user", 1).command("create_user");
/// let shop: Namespace = "shop".parse()?;
/// assert_eq!(shop.command_subject(CREATE).as_str(), "shop.cmd.user.1.create_user");
/// assert_eq!(shop.event_subject(EventName::new("user.created")).as_str(), "shop.evt.user.created");
/// # Ok::<_, roadshow_bridges::NameError>(())
/// ```
#[derive(Clone, Eq, PartialEq, Hash, Ord, PartialOrd)]
pub struct Namespace(Arc<str>);

/// The parts of a subject in a node's inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InboxAddress {
    /// The node that waits for the message.
    pub node: NodeId,
    /// The life of the node that waits for it.
    pub incarnation: IncarnationId,
    /// The call or stream that the message belongs to.
    pub call: u128,
}

impl Namespace {
    /// The namespace's text, a token.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn subject(&self, rest: fmt::Arguments<'_>) -> Subject {
        // Made for every call: with room from the start, the text is written without growing.
        let mut text = String::with_capacity(SUBJECT_LEN_USUAL);
        write!(text, "{}.{rest}", self.0).expect("a string takes every write");
        Subject(text.into())
    }

    /// Where a command is sent: one of its instances gets it.
    pub fn command_subject<'a>(&self, address: impl Into<AddressKey<'a>>) -> Subject {
        self.subject(format_args!("cmd.{}", address.into()))
    }

    /// The parent of the subjects of every command of a service.
    pub fn command_root<'a>(&self, service: impl Into<ServiceKey<'a>>) -> Subject {
        self.subject(format_args!("cmd.{}", service.into()))
    }

    /// The kind that a subject implies, for messages without `rs-type`. What is none of ours counts as a reply: a foreign
    /// reply address is the only subject that we did not make ourselves.
    pub fn usual_kind(&self, subject: &str) -> Kind {
        let rest = subject
            .strip_prefix(self.as_str())
            .and_then(|rest| rest.strip_prefix('.'));
        match rest.map(|rest| rest.split_once('.').map_or(rest, |(class, _)| class)) {
            Some("cmd" | "job") => Kind::Command,
            Some("evt" | "dead" | "members") => Kind::Event,
            Some("cancel") => Kind::Cancel,
            Some("node") => Kind::Link,
            _ => Kind::Reply,
        }
    }

    /// Where an event is published: every subscription gets it.
    pub fn event_subject<'a>(&self, event: impl Into<EventKey<'a>>) -> Subject {
        self.subject(format_args!("evt.{}", event.into().as_str()))
    }

    /// Where one call's replies, frames and credits go.
    pub fn inbox_subject(&self, node: &NodeId, incarnation: IncarnationId, call: u128) -> Subject {
        let call = crate::identity::hex128(call);
        self.subject(format_args!("inbox.{node}.{incarnation}.c{call}"))
    }

    /// The parent of every inbox subject of one life of a node: what the node subscribes to, with its children.
    pub fn inbox_root(&self, node: &NodeId, incarnation: IncarnationId) -> Subject {
        self.subject(format_args!("inbox.{node}.{incarnation}"))
    }

    /// Reads a subject that [`Namespace::inbox_subject`] of this namespace made; anything else is `None`.
    pub fn parse_inbox(&self, subject: &Subject) -> Option<InboxAddress> {
        let (node, incarnation, call) = self.inbox_parts(subject)?;
        Some(InboxAddress {
            node: node.parse().ok()?,
            incarnation,
            call,
        })
    }

    /// Whether [`Namespace::parse_inbox`] reads the subject. It is asked for every command and keeps nothing.
    pub fn is_inbox(&self, subject: &Subject) -> bool {
        let parts = self.inbox_parts(subject);
        parts.is_some_and(|(node, ..)| check_whole(node).is_ok())
    }

    fn inbox_parts<'a>(&self, subject: &'a Subject) -> Option<(&'a str, IncarnationId, u128)> {
        let rest = subject.as_str().strip_prefix(self.as_str())?.strip_prefix(".inbox.")?;
        let mut parts = rest.splitn(3, '.');
        let node = parts.next()?;
        let incarnation = parts.next()?.parse().ok()?;
        let call = crate::identity::parse_hex128(parts.next()?.strip_prefix('c')?)?;
        Some((node, incarnation, call))
    }

    /// Where a service hears that callers gave up.
    pub fn cancel_subject<'a>(&self, service: impl Into<ServiceKey<'a>>) -> Subject {
        self.subject(format_args!("cancel.{}", service.into()))
    }

    /// Where one life of a node is reached directly, for links.
    pub fn node_subject(&self, node: &NodeId, incarnation: IncarnationId) -> Subject {
        self.subject(format_args!("node.{node}.{incarnation}"))
    }

    /// Where a queue's jobs go.
    pub fn job_subject(&self, queue: QueueName) -> Subject {
        self.subject(format_args!("job.{queue}"))
    }

    /// Where nodes announce themselves.
    pub fn members_subject(&self) -> Subject {
        self.subject(format_args!("members"))
    }

    /// Where a subscription's undeliverable messages are kept.
    pub fn dead_subject<'a>(&self, service: impl Into<ServiceKey<'a>>, subscription: &Token) -> Subject {
        self.subject(format_args!("dead.{}.{subscription}", service.into()))
    }

    /// Where a queue's undeliverable jobs are kept.
    pub fn dead_job_subject(&self, queue: QueueName) -> Subject {
        self.subject(format_args!("dead.job.{queue}"))
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self(DEFAULT_NAMESPACE.into())
    }
}

impl FromStr for Namespace {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match check_whole(text) {
            Ok(()) => Ok(Self(text.into())),
            Err(flaw) => Err(NameError::new("a namespace", text, flaw).suggest(suggest_token(text))),
        }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Namespace({self})")
    }
}

serde_as_text!(Namespace);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Address, EventName, ServiceId};

    const USER: ServiceId = ServiceId::new("user", 1);
    const CREATE: Address = USER.command("create_user");

    #[test]
    fn subjects_read_as_the_wire_page_says() {
        let ns = Namespace::default();
        let (node, inc) = ("n1".parse().expect("a node"), IncarnationId::from_u64(36));
        let loyalty: Token = "loyalty".parse().expect("a token");
        let table = [
            (ns.command_subject(CREATE), "roadshow.cmd.user.1.create_user"),
            (
                ns.event_subject(EventName::new("user.created")),
                "roadshow.evt.user.created",
            ),
            (
                ns.inbox_subject(&node, inc, 255),
                "roadshow.inbox.n1.i10.c000000000000000000000000000000ff",
            ),
            (ns.inbox_root(&node, inc), "roadshow.inbox.n1.i10"),
            (ns.cancel_subject(USER), "roadshow.cancel.user.1"),
            (ns.node_subject(&node, inc), "roadshow.node.n1.i10"),
            (ns.job_subject(QueueName::new("invoices")), "roadshow.job.invoices"),
            (ns.members_subject(), "roadshow.members"),
            (ns.dead_subject(USER, &loyalty), "roadshow.dead.user.1.loyalty"),
            (
                ns.dead_job_subject(QueueName::new("invoices")),
                "roadshow.dead.job.invoices",
            ),
        ];
        for (subject, text) in table {
            assert_eq!(subject.as_str(), text);
        }
    }

    #[test]
    fn an_inbox_subject_is_read_back_and_a_strangers_is_not() {
        let ns = Namespace::default();
        let (node, inc) = ("n1".parse::<NodeId>().expect("a node"), IncarnationId::from_u64(7));
        let subject = ns.inbox_subject(&node, inc, u128::MAX);
        let read = ns.parse_inbox(&subject).expect("our own inbox");
        assert!(ns.is_inbox(&subject));
        assert_eq!(
            read,
            InboxAddress {
                node,
                incarnation: inc,
                call: u128::MAX
            }
        );
        assert_eq!(subject.parent(), Some("roadshow.inbox.n1.i7"));
        for text in [
            "_INBOX.a.b",
            "roadshow.inbox.n1.i7",
            "roadshow.inbox.n1.i7.c0",
            "roadshow2.inbox.n1.i7.c0",
            "$JS.API",
            "roadshow.inbox.1n.i7.c00000000000000000000000000000009",
            "roadshow.inbox..i7.c00000000000000000000000000000009",
        ] {
            let subject = Subject::foreign(text).expect("visible");
            assert_eq!(
                (ns.parse_inbox(&subject), ns.is_inbox(&subject)),
                (None, false),
                "{text}"
            );
        }
    }

    #[test]
    fn a_foreign_subject_is_visible_and_bounded() {
        for text in ["", "a b", "a\n", "ä", "a\0", &"x".repeat(641)] {
            assert!(Subject::foreign(text).is_err(), "{text:?}");
        }
        assert!(Subject::foreign("amq.rabbitmq.reply-to.g1h2AA5+/==.x").is_ok());
    }
}

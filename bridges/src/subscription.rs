//! The subscription: what a subscriber asks a bridge for.

use std::num::{NonZeroU32, NonZeroUsize};

use crate::error::Error;
use crate::names::Subject;

/// The window of a subscription that names none, in messages.
pub const DEFAULT_WINDOW: NonZeroUsize = NonZeroUsize::new(256).expect("256 is not zero");
/// The longest name of a group, in bytes.
const GROUP_LEN_MAX: usize = 255;

/// Which subjects a subscription hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reach {
    /// The subject itself.
    Exact,
    /// Every subject that has exactly one token more, for example all inboxes below a node's root.
    Children,
    /// As `Children`, but only what no subscription of [`Reach::Exact`] hears: for answering what nobody serves.
    Rest,
}

/// What happens to a message when a subscription's queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Overflow {
    /// The publisher is refused (or waits, as the bridge is set), and nobody gets the message.
    Refuse,
    /// The oldest waiting message makes room and is counted as dropped.
    DropOldest,
}

/// What a subscriber asks a bridge for.
///
/// ```
/// use roadshow_bridges::{EventName, Namespace, Subscription};
///
/// let subject = Namespace::default().event_subject(EventName::new("order.paid"));
/// let subscription = Subscription::new(subject).durable("shop=1=loyalty").window(64);
/// assert_eq!(subscription.group.as_deref(), Some("shop=1=loyalty"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct Subscription {
    /// What to hear, together with `reach`.
    pub subject: Subject,
    /// Whether the subject itself or what is one token below it.
    pub reach: Reach,
    /// Subscribers of one group share the messages: each goes to one of them. `None`: this subscriber gets every message.
    /// A name is 1 to 255 ASCII letters, digits, `-`, `_` and `=`.
    pub group: Option<String>,
    /// Whether the group stays, and collects, while it has no subscriber.
    pub durable: bool,
    /// The most unsettled deliveries that this subscriber holds: its free permits. The broker keeps the rest.
    pub window: NonZeroUsize,
    /// The most waiting messages of the group, if the bridge keeps them; `None` is the bridge's default.
    pub capacity: Option<NonZeroUsize>,
    /// What happens when the queue is full.
    pub overflow: Overflow,
    /// A backstop: after that many starts the bridge dead-letters by itself; `None` is the bridge's default. The
    /// runtime's own count of attempts is meant to be reached long before.
    pub starts_max: Option<NonZeroU32>,
}

impl Subscription {
    /// Every message of a subject, for this subscriber alone; the oldest is dropped when it does not keep up.
    pub fn new(subject: Subject) -> Self {
        Self {
            subject,
            reach: Reach::Exact,
            group: None,
            durable: false,
            window: DEFAULT_WINDOW,
            capacity: None,
            overflow: Overflow::DropOldest,
            starts_max: None,
        }
    }

    /// Every message one token below a subject, for this subscriber alone.
    pub fn children(root: Subject) -> Self {
        Self {
            reach: Reach::Children,
            ..Self::new(root)
        }
    }

    /// What is published one token below a subject and has no subscription of its own.
    pub fn rest(root: Subject) -> Self {
        Self {
            reach: Reach::Rest,
            ..Self::new(root)
        }
    }

    /// Shares the messages with the other subscribers of this group; a full queue refuses.
    pub fn group(mut self, name: impl Into<String>) -> Self {
        self.group = Some(name.into());
        self.overflow = Overflow::Refuse;
        self
    }

    /// As [`Subscription::group`], and the group stays and collects while it has no subscriber.
    pub fn durable(self, name: impl Into<String>) -> Self {
        Self {
            durable: true,
            ..self.group(name)
        }
    }

    /// Sets the most unsettled deliveries; 0 counts as 1.
    pub fn window(mut self, window: usize) -> Self {
        self.window = NonZeroUsize::new(window).unwrap_or(NonZeroUsize::MIN);
        self
    }

    /// Sets the most waiting messages; 0 counts as 1.
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = Some(NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN));
        self
    }

    /// Sets what happens when the queue is full.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Sets the backstop; 0 counts as 1.
    pub fn starts_max(mut self, starts: u32) -> Self {
        self.starts_max = Some(NonZeroU32::new(starts).unwrap_or(NonZeroU32::MIN));
        self
    }

    /// Checks what every bridge demands of a subscription.
    ///
    /// # Errors
    ///
    /// `Config` if the group's name breaks its rule.
    pub fn check(&self) -> Result<(), Error> {
        let Some(name) = &self.group else { return Ok(()) };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=');
        if (1..=GROUP_LEN_MAX).contains(&name.len()) && name.bytes().all(plain) {
            return Ok(());
        }
        let shown: String = name.chars().take(80).collect();
        let why = "cannot subscribe: a group's name is 1 to 255 letters, digits, '-', '_' and '='";
        Err(Error::config(why).with("group", format_args!("{shown:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, Namespace};

    #[test]
    fn a_group_is_named_without_the_characters_of_any_broker() {
        let named = |name: &str| {
            Subscription::new(Namespace::default().members_subject())
                .group(name)
                .check()
        };
        for name in ["g", "shop=1=loyalty", &"g".repeat(255)] {
            assert!(named(name).is_ok(), "{name}");
        }
        for name in ["", "a b", "a.b", "a*", "a>", "ü", "a\0", &"g".repeat(256)] {
            assert_eq!(named(name).expect_err(name).kind(), ErrorKind::Config);
        }
    }
}

//! Where a reply may go: a reply address is text from outside, and publishing to it is publishing where a stranger says.
//!
//! Admitted are the inboxes of our own nodes, what the bridge says that reply addresses of its clients begin with, and
//! what the settings allow. Nothing else is, and nothing that a broker could read as a pattern.

use roadshow_bridges::{Namespace, Subject};

/// The policy of one node on one bridge.
#[derive(Debug)]
pub(super) struct ReplyPolicy {
    namespace: Namespace,
    prefixes: Vec<String>,
    allowed: Vec<String>,
}

impl ReplyPolicy {
    pub(super) fn new(namespace: Namespace, prefixes: Vec<String>, allowed: Vec<String>) -> Self {
        ReplyPolicy {
            namespace,
            prefixes,
            allowed,
        }
    }

    /// Whether a reply may be published to `subject`.
    pub(super) fn admits(&self, subject: &Subject) -> bool {
        let text = subject.as_str();
        // Byte by byte, without decoding characters: it is asked for every command.
        if text.bytes().any(|byte| matches!(byte, b'*' | b'>' | b'#' | b' ')) {
            return false;
        }
        let of_the_bridge = |prefix: &String| {
            let rest = text.strip_prefix(prefix.as_str());
            // A plus is a pattern only where topics have slashes; the names that RabbitMQ makes may hold one.
            rest.is_some_and(|rest| !rest.is_empty() && (!prefix.contains('/') || !rest.contains('+')))
        };
        if self.prefixes.iter().any(of_the_bridge) {
            return true;
        }
        if text.bytes().any(|byte| byte == b'+') {
            return false;
        }
        self.namespace.is_inbox(subject) || self.allowed.iter().any(|allowed| is_allowed(allowed, text))
    }
}

/// Whether an entry of the settings allows `text`: the same text, or what is below an entry that ends in `.>` or `/#`.
fn is_allowed(entry: &str, text: &str) -> bool {
    let root = entry.strip_suffix('>').or_else(|| entry.strip_suffix('#'));
    match root.filter(|root| root.ends_with(['.', '/'])) {
        Some(root) => text.strip_prefix(root).is_some_and(|rest| !rest.is_empty()),
        None => entry == text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(prefixes: &[&str]) -> ReplyPolicy {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let allowed = ["ops.answers", "desk.>", "desk/replies/#", "half>"];
        ReplyPolicy::new(Namespace::default(), texts(prefixes), texts(&allowed))
    }

    fn table(prefixes: &[&str], rows: &[(&str, bool)]) {
        let policy = policy(prefixes);
        for (text, admitted) in rows {
            let subject = Subject::foreign(text).unwrap();
            assert_eq!(policy.admits(&subject), *admitted, "{prefixes:?} {text}");
        }
    }

    #[test]
    fn only_inboxes_and_what_is_allowed_are_answered() {
        let inbox = format!("roadshow.inbox.n1.i7.c{:032x}", 9);
        table(
            &[],
            &[
                (&inbox, true),
                ("ops.answers", true),
                ("desk.one.two", true),
                ("desk/replies/7", true),
                ("desk.", false),
                ("desk", false),
                ("half", false),
                ("half>", false),
                ("ops.answers.more", false),
                ("ops.*", false),
                ("desk.>", false),
                ("desk.+", false),
                ("roadshow.inbox.n1.i7", false),
                ("roadshow.cmd.user.1.create_user", false),
                ("roadshow.evt.user.created", false),
                ("other.inbox.n1.i7.c00000000000000000000000000000009", false),
                ("$JS.API.STREAM.DELETE.S", false),
                ("_INBOX.abc", false),
            ],
        );
    }

    #[test]
    fn each_bridge_adds_what_its_clients_reply_addresses_begin_with() {
        table(
            &["_INBOX."],
            &[
                ("_INBOX.a.b", true),
                ("_INBOX.", false),
                ("_INBOX.>", false),
                ("_INBOX.*.a", false),
            ],
        );
        table(
            &["amq.rabbitmq.reply-to.", "amq.gen-"],
            &[
                ("amq.rabbitmq.reply-to.g1h2AA5+/==.x", true),
                ("amq.gen-JzTY20BRgKO-HjmUJj0wLg", true),
                ("amq.gen-#", false),
                ("amq.topic", false),
            ],
        );
        table(
            &["roadshow/reply/"],
            &[
                ("roadshow/reply/c1", true),
                ("roadshow/reply/+", false),
                ("roadshow/reply/#", false),
                ("roadshow/cmd/user/1/x", false),
            ],
        );
    }
}

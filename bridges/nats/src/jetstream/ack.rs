//! The reply address of a message from JetStream: which message it is, and where it is acknowledged.

/// What a reply address of JetStream says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AckAddress {
    /// How often the server has delivered the message in this group, this time included.
    pub(crate) delivered: u64,
    /// The message's place in the stream.
    pub(crate) sequence: u64,
    /// When the server stored it, in nanoseconds of Unix time.
    pub(crate) stored_ns: u64,
}

/// Reads `$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.<consumer sequence>.<time>.<pending>`, or the longer form of
/// newer servers with domain and account in front of the stream.
pub(crate) fn read(reply: &str) -> Option<AckAddress> {
    let tokens: Vec<&str> = reply.strip_prefix("$JS.ACK.")?.splitn(11, '.').collect();
    let rest = match tokens.len() {
        7 => &tokens[2..],
        9.. => &tokens[4..],
        _ => return None,
    };
    Some(AckAddress {
        delivered: rest[0].parse().ok()?,
        sequence: rest[1].parse().ok()?,
        stored_ns: rest[3].parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_nothing_else() {
        let address = Some(AckAddress {
            delivered: 2,
            sequence: 30,
            stored_ns: 1_795,
        });
        assert_eq!(read("$JS.ACK.ns_evt.g=1.2.30.4.1795.0"), address);
        assert_eq!(read("$JS.ACK._.hash.ns_evt.g=1.2.30.4.1795.0"), address);
        assert_eq!(read("$JS.ACK.hub.hash.ns_evt.g=1.2.30.4.1795.0.token.more"), address);
        for text in [
            "",
            "$JS.ACK.",
            "$JS.ACK.a.b.c.d.e.f.g",
            "_INBOX.x",
            "$JS.ACK.s.c.1.2.3.4.5.6",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}

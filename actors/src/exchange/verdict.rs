//! Verdicts of the calling side: what a publish, or a message that came back, means to the caller.
//!
//! `executed` is where a mistake would do harm: it says no only where no copy of the command can have been started.

use bytes::Bytes;
use roadshow_bridges::{AddressKey, Code, Envelope, Error, ErrorKind, Executed, Failure, Kind, Published};

/// What came of sending a command.
#[derive(Debug, PartialEq)]
pub(super) enum Attempt {
    /// This is the caller's.
    Ended(Result<Bytes, Failure>),
    /// An instance refused it unstarted: another one may take it.
    Refused(Failure),
}

/// What a publish says about the command.
pub(super) fn judge_sent(published: Result<Published, Error>, address: AddressKey<'_>) -> Result<(), Failure> {
    match published {
        // Without a confirmation it may have arrived, and then it is answered.
        Ok(Published::Accepted | Published::Indeterminate) => Ok(()),
        Ok(Published::Unroutable) => Err(no_instance(address)),
        Err(error) => Err(not_sent(error)),
    }
}

/// The failure of what could not be sent. Sizes are its sender's own business, so they are told.
#[must_use]
pub fn not_sent(error: Error) -> Failure {
    let size = |wanted| {
        let found = error.context().iter().find(|(name, _)| *name == wanted);
        found.and_then(|(_, value)| value.parse::<u64>().ok())
    };
    let (bytes, limit) = (size("bytes"), size("limit"));
    if let (ErrorKind::Rejected, Some(bytes), Some(limit)) = (error.kind(), bytes, limit) {
        let text = format!("the payload is too large for the event bridge: {bytes} bytes, at most {limit}");
        let failure = Failure::invalid(text).with_executed(Executed::No);
        return failure.with_details(serde_json::json!({ "bytes": bytes, "limit": limit }));
    }
    Failure::from(error).with_executed(Executed::No)
}

/// What a message that came back means to the caller of a command that was sent `sent` times; `None` if it has to wait on.
pub(super) fn weigh(envelope: &Envelope, returned: bool, address: AddressKey<'_>, sent: u32) -> Option<Attempt> {
    let again = sent > 1;
    match envelope.kind {
        // A copy that nobody took says nothing about those before it.
        _ if returned => (!again).then(|| Attempt::Ended(Err(no_instance(address)))),
        Kind::Reply => Some(Attempt::Ended(
            envelope.payload.to_bytes().map_err(|_error| unreadable()),
        )),
        Kind::Failure => judge_failure(read_failure(envelope), again),
        // It is at work.
        _ => None,
    }
}

fn judge_failure(failure: Failure, again: bool) -> Option<Attempt> {
    let elsewhere = matches!(failure.code, Code::Exhausted | Code::Unavailable);
    match failure.executed {
        Executed::No if elsewhere && again => None,
        Executed::No if elsewhere => Some(Attempt::Refused(failure)),
        Executed::No if again => Some(Attempt::Ended(Err(failure.with_executed(Executed::Unknown)))),
        _ => Some(Attempt::Ended(Err(failure))),
    }
}

/// The failure that an envelope carries.
pub(super) fn read_failure(envelope: &Envelope) -> Failure {
    let bytes = envelope.payload.to_bytes().unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_else(|_error| unreadable())
}

pub(super) fn unreadable() -> Failure {
    Failure::internal("the answer cannot be read").with_executed(Executed::Unknown)
}

pub(super) fn no_instance(address: AddressKey<'_>) -> Failure {
    Failure::unavailable(format!("no instance of {}.{}", address.service, address.version))
}

pub(super) fn no_answer() -> Failure {
    Failure::timeout("no answer within the time budget").with_executed(Executed::Unknown)
}

pub(super) fn node_stopped() -> Failure {
    Failure::unavailable("this node stopped before an answer came").with_executed(Executed::Unknown)
}

pub(super) fn unsubscribed() -> Failure {
    Failure::unavailable("the event bridge has not confirmed this node's inbox")
}

#[cfg(test)]
mod tests {
    use super::*;
    use roadshow_bridges::{Address, Identity, MessageId, Namespace, ServiceId};

    const ADDRESS: Address = ServiceId::new("user", 1).command("create_user");

    fn envelope(kind: Kind, body: &str) -> Envelope {
        let identity = Identity::root(MessageId::from_u128(1));
        let subject = Namespace::default().members_subject();
        Envelope::new(kind, subject, identity, Bytes::from(body.to_owned()))
    }

    fn failed(failure: &Failure) -> Envelope {
        envelope(Kind::Failure, &serde_json::to_string(failure).unwrap())
    }

    #[test]
    fn what_was_sent_once_is_judged_by_what_comes_back() {
        let ended = |failure: &Failure| Some(Attempt::Ended(Err(failure.clone())));
        let (full, conflict) = (Failure::exhausted("full"), Failure::conflict("taken"));
        let lost = Failure::unavailable("lost").with_executed(Executed::Unknown);
        let invalid = Failure::invalid("no name").with_executed(Executed::No);
        let table = [
            (envelope(Kind::Reply, "7"), false, Some(Attempt::Ended(Ok("7".into())))),
            (envelope(Kind::Failure, ""), true, ended(&no_instance(ADDRESS.key()))),
            (envelope(Kind::Failure, "what"), false, ended(&unreadable())),
            (envelope(Kind::Accept, ""), false, None),
            (envelope(Kind::Heartbeat, ""), false, None),
            (failed(&full), false, Some(Attempt::Refused(full.clone()))),
            (failed(&conflict), false, ended(&conflict)),
            (failed(&lost), false, ended(&lost)),
            (failed(&invalid), false, ended(&invalid)),
        ];
        for (envelope, returned, expected) in table {
            assert_eq!(weigh(&envelope, returned, ADDRESS.key(), 1), expected, "{envelope:?}");
        }
    }

    #[test]
    fn of_what_was_sent_again_nobody_says_that_it_did_not_run() {
        let invalid = Failure::invalid("no name").with_executed(Executed::No);
        let unknown = invalid.clone().with_executed(Executed::Unknown);
        let table = [
            (envelope(Kind::Failure, ""), true, None),
            (failed(&Failure::exhausted("full")), false, None),
            (failed(&Failure::unavailable("draining")), false, None),
            (failed(&invalid), false, Some(Attempt::Ended(Err(unknown)))),
            (envelope(Kind::Reply, "7"), false, Some(Attempt::Ended(Ok("7".into())))),
        ];
        for (envelope, returned, expected) in table {
            assert_eq!(weigh(&envelope, returned, ADDRESS.key(), 2), expected, "{envelope:?}");
        }
    }

    #[test]
    fn what_could_not_be_sent_was_not_executed_and_a_size_is_told() {
        let large = Error::rejected("too large").with("bytes", 200).with("limit", 160);
        let large = not_sent(large);
        assert_eq!((large.code, large.executed), (Code::Invalid, Executed::No));
        assert_eq!(
            *large.details.unwrap(),
            serde_json::json!({ "bytes": 200, "limit": 160 })
        );
        for (error, code) in [
            (Error::unavailable("away"), Code::Unavailable),
            (Error::exhausted("full").with("limit", 7), Code::Exhausted),
            (Error::rejected("not allowed at secret.place"), Code::Invalid),
        ] {
            let failure = not_sent(error);
            assert_eq!((failure.code, failure.executed), (code, Executed::No));
            assert!(failure.details.is_none() && !failure.message.contains("secret"));
        }
    }
}

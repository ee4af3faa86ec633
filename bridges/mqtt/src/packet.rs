//! Between an envelope and the properties of a PUBLISH packet.
//!
//! Response topic, correlation data and content type have properties of their own; every other header is a user property.
//! Events follow the MQTT 5 binding of CloudEvents: their attributes bear no prefix. No message expiry is set, because
//! the deadline is in the envelope, and no payload format: bytes stay bytes.

use bytes::Bytes;
use roadshow_bridges::{Arrival, Envelope, Error, Kind, MessageId, Namespace, Received, Subject, header};
use rumqttc::PublishProperties;

use crate::topic::Topics;

/// The user property that says which outbox waits for the acknowledgement: 32 hexadecimal digits.
pub(crate) const OUTBOX: &str = "rs-outbox";
/// The longest correlation data that MQTT carries.
const CORRELATION_LEN_MAX: usize = 65_535;
/// The attributes of CloudEvents that we know, without prefix.
const ATTRIBUTES: [(&str, &str); 5] = [
    ("specversion", header::CE_SPECVERSION),
    ("id", header::CE_ID),
    ("source", header::CE_SOURCE),
    ("type", header::CE_TYPE),
    ("datacontenttype", header::CE_DATACONTENTTYPE),
];

/// What arrived.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// The envelope and what could not be read of it.
    pub(crate) received: Received,
    /// The outbox that waits for its acknowledgement.
    pub(crate) outbox: Option<u128>,
}

/// The properties that carry an envelope.
///
/// # Errors
///
/// `Rejected` if the reply address cannot be a topic or the correlation is longer than MQTT carries.
pub(crate) fn write(
    namespace: &Namespace,
    topics: &Topics,
    envelope: &Envelope,
    outbox: Option<u128>,
) -> Result<PublishProperties, Error> {
    let mut properties = PublishProperties {
        correlation_data: envelope.transport_correlation.clone(),
        response_topic: envelope.reply_to.as_ref().map(|to| topics.of(to)).transpose()?,
        ..PublishProperties::default()
    };
    let correlation_len = properties.correlation_data.as_ref().map_or(0, Bytes::len);
    if correlation_len > CORRELATION_LEN_MAX {
        return Err(
            Error::rejected("cannot publish over MQTT: the transport's correlation is too long")
                .with("bytes", correlation_len)
                .with("limit", CORRELATION_LEN_MAX),
        );
    }
    let is_event = envelope.kind == Kind::Event;
    let usual = namespace.usual_kind(envelope.subject.as_str());
    for (name, value) in envelope.to_headers(usual) {
        if name == header::CONTENT_TYPE {
            properties.content_type = Some(value);
            continue;
        }
        let name = if is_event {
            name.strip_prefix(header::CE_PREFIX).unwrap_or(name)
        } else {
            name
        };
        properties.user_properties.push((name.to_owned(), value));
    }
    for (name, value) in envelope.headers.iter() {
        let taken = is_event && attribute(name).is_some();
        if !taken && !name.eq_ignore_ascii_case(OUTBOX) {
            properties.user_properties.push((name.to_owned(), value.to_owned()));
        }
    }
    if let Some(outbox) = outbox {
        properties
            .user_properties
            .push((OUTBOX.to_owned(), format!("{outbox:032x}")));
    }
    Ok(properties)
}

/// Reads what arrived. Anybody may publish, so nothing here fails.
pub(crate) fn read(
    namespace: &Namespace,
    topics: &Topics,
    subject: Subject,
    payload: Bytes,
    properties: Option<PublishProperties>,
    fresh_id: MessageId,
) -> Incoming {
    let properties = properties.unwrap_or_default();
    let usual = namespace.usual_kind(subject.as_str());
    let mut arrival = Arrival::new(subject, usual, fresh_id, payload);
    arrival.transport_correlation = properties.correlation_data;
    let response_topic = properties.response_topic.as_deref().filter(|topic| !topic.is_empty());
    let readable = response_topic.and_then(|topic| topics.reply(topic));
    let bad_reply = u32::from(response_topic.is_some() && readable.is_none());
    arrival.reply_to = response_topic.map(|_| readable.unwrap_or_else(Subject::unreadable));
    let users = &properties.user_properties;
    let is_cloud_event = usual == Kind::Event && users.iter().any(|(name, _)| name.eq_ignore_ascii_case("specversion"));
    let content_type = properties.content_type.as_deref();
    let headers = users.iter().filter(|(name, _)| !name.eq_ignore_ascii_case(OUTBOX));
    let headers = headers.map(|(name, value)| {
        let attribute = if is_cloud_event { attribute(name) } else { None };
        (attribute.unwrap_or(name.as_str()), value.as_str())
    });
    let content_type = content_type.map(|value| (header::CONTENT_TYPE, value));
    let mut received = Envelope::from_headers(arrival, content_type.into_iter().chain(headers));
    received.dropped = received.dropped.saturating_add(bad_reply);
    let outbox = users.iter().find(|(name, _)| name.eq_ignore_ascii_case(OUTBOX));
    Incoming {
        received,
        outbox: outbox.and_then(|(_, value)| parse_outbox(value)),
    }
}

fn attribute(name: &str) -> Option<&'static str> {
    let found = ATTRIBUTES.iter().find(|(bare, _)| bare.eq_ignore_ascii_case(name));
    found.map(|(_, prefixed)| *prefixed)
}

/// Only digits, because a topic is made of it.
fn parse_outbox(text: &str) -> Option<u128> {
    let plain = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if plain {
        u128::from_str_radix(text, 16).ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use roadshow_bridges::{ContentType, EventName, Identity, ServiceId};

    use super::*;

    fn names() -> (Namespace, Topics) {
        let namespace: Namespace = "shop".parse().expect("a namespace");
        let topics = Topics::new(&namespace);
        (namespace, topics)
    }

    fn there_and_back(envelope: &Envelope, outbox: Option<u128>) -> (PublishProperties, Incoming) {
        let (namespace, topics) = names();
        let properties = write(&namespace, &topics, envelope, outbox).expect("properties");
        let subject = topics
            .subject(&topics.of(&envelope.subject).expect("a topic"))
            .expect("a subject");
        let payload = envelope.payload.to_bytes().expect("bytes");
        let fresh = MessageId::from_u128(99);
        let incoming = read(&namespace, &topics, subject, payload, Some(properties.clone()), fresh);
        (properties, incoming)
    }

    #[test]
    fn a_command_survives_with_its_reply_address_and_correlation() {
        let (namespace, _) = names();
        let subject = namespace.command_subject(ServiceId::new("user", 1).command("create_user"));
        let identity = Identity::root(MessageId::from_u128(7))
            .with_key("k")
            .with_budget(Duration::from_secs(3));
        let mut sent = Envelope::new(Kind::Command, subject, identity, Bytes::from_static(b"{}"));
        sent.reply_to = Some(Subject::foreign("shop.inbox.n1.i1.c0").expect("a subject"));
        sent.transport_correlation = Some(Bytes::from_static(b"\0\xff"));
        assert!(sent.headers.push("x-a", "1"));
        let (properties, incoming) = there_and_back(&sent, Some(5));
        assert_eq!(properties.response_topic.as_deref(), Some("shop/inbox/n1/i1/c0"));
        assert_eq!(properties.message_expiry_interval, None);
        let got = incoming.received.envelope;
        assert_eq!((incoming.outbox, incoming.received.dropped), (Some(5), 0));
        assert_eq!((&got.identity, &got.subject), (&sent.identity, &sent.subject));
        assert_eq!(
            (&got.reply_to, &got.transport_correlation),
            (&sent.reply_to, &sent.transport_correlation)
        );
        assert_eq!((got.headers.get("x-a"), got.headers.get(OUTBOX)), (Some("1"), None));
    }

    #[test]
    fn an_event_is_a_cloud_event_without_prefixes() {
        let (namespace, _) = names();
        let name = EventName::new("user.created");
        let identity = Identity::root(MessageId::from_u128(8));
        let mut sent = Envelope::event(
            namespace.event_subject(name),
            name.into(),
            identity,
            Bytes::from_static(b"{}"),
        );
        sent.from = Some("user.1".into());
        assert!(sent.headers.push("id", "forged"));
        let (properties, incoming) = there_and_back(&sent, None);
        let value = |name: &str| {
            let found = properties.user_properties.iter().filter(|(known, _)| known == name);
            found.map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        assert_eq!(value("specversion"), ["1.0"]);
        assert_eq!(value("type"), ["user.created"]);
        assert_eq!(value("source"), ["/user.1"]);
        assert_eq!(value("id"), [sent.identity.id.to_string()]);
        assert_eq!(properties.content_type.as_deref(), Some("application/json"));
        let got = incoming.received.envelope;
        assert_eq!((got.identity.id, got.kind), (sent.identity.id, Kind::Event));
        assert_eq!((got.from, got.event), (sent.from, sent.event));
    }

    #[test]
    fn what_a_stranger_writes_harms_nothing() {
        let (namespace, topics) = names();
        let properties = PublishProperties {
            response_topic: Some("a b".to_owned()),
            correlation_data: Some(Bytes::from(vec![0; 600])),
            content_type: Some("\u{7}".to_owned()),
            user_properties: vec![
                (OUTBOX.to_owned(), "../../x".to_owned()),
                ("rs-type".to_owned(), "teapot".to_owned()),
                ("id".to_owned(), "no cloud event".to_owned()),
            ],
            ..PublishProperties::default()
        };
        let subject = topics.subject("shop/evt/a").expect("a subject");
        let fresh = MessageId::from_u128(1);
        let incoming = read(&namespace, &topics, subject, Bytes::new(), Some(properties), fresh);
        assert_eq!((incoming.outbox, incoming.received.dropped), (None, 4));
        let envelope = incoming.received.envelope;
        assert_eq!(
            (envelope.identity.id, envelope.content_type),
            (fresh, ContentType::Json)
        );
        assert_eq!(
            (envelope.reply_to, envelope.headers.get("id")),
            (Some(Subject::unreadable()), Some("no cloud event"))
        );
    }
}

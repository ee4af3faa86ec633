//! Dead letters: what could not be done, kept with the reason in a stream of its own.

use async_nats::HeaderMap;
use async_nats::message::OutboundMessage;
use bytes::Bytes;
use roadshow_bridges::{Envelope, Error, Namespace, Parcel, header};

use super::raw::Stored;
use crate::wire::{self, NATS_MESSAGE_ID};

/// Why the message was given up.
const REASON: &str = "rs-dead-reason";
/// The group that gave it up.
const GROUP: &str = "rs-dead-group";
/// Where it was published.
const SUBJECT: &str = "rs-dead-subject";
/// The header block of a message whose headers cannot be read, in base64.
const HEADERS: &str = "rs-dead-headers";
/// How much of such a header block is kept, in characters of base64; a multiple of four, so that what is kept can be read.
const HEADERS_CHARS_MAX: usize = 16 * 1024;
/// The longest reason that is kept, in bytes: a message of ours leaves room for it.
const REASON_BYTES_MAX: usize = 1024;
/// The largest header block that a stream of the server takes.
const HEAD_BYTES_MAX: usize = u16::MAX as usize;

/// Where the dead letters of a group go: `ns.dead.<service>.<version>.<subscription>` for a group of that name.
pub(crate) fn subject(ns: &Namespace, group: Option<&str>) -> String {
    let group = group.unwrap_or("none");
    let parts: Vec<&str> = group.split('=').collect();
    match parts[..] {
        [service, version, name] if version.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{ns}.dead.{service}.{version}.{name}")
        }
        _ => format!("{ns}.dead.other.{group}"),
    }
}

/// A letter to the dead: the message as it came, and why. `headers` are those that it came with, where they are at hand.
pub(crate) fn letter(
    ns: &Namespace,
    parcel: &Parcel,
    headers: Option<HeaderMap>,
    group: Option<&str>,
    reason: &str,
    id: String,
) -> Result<OutboundMessage, Error> {
    let envelope = &parcel.envelope;
    let mut headers = headers.map_or_else(|| written(ns, envelope), |headers| without_servers(&headers));
    headers.insert(REASON, plain(reason));
    headers.insert(GROUP, group.unwrap_or("none"));
    headers.insert(SUBJECT, envelope.subject.as_str());
    let attempts = envelope
        .identity
        .attempt
        .saturating_sub(1)
        .saturating_add(parcel.starts);
    headers.insert(header::ATTEMPT, attempts.max(1).to_string());
    headers.insert(NATS_MESSAGE_ID, id);
    Ok(OutboundMessage {
        subject: subject(ns, group).into(),
        reply: None,
        payload: envelope.payload.to_bytes()?,
        headers: Some(headers),
    })
}

/// A letter for a message that the client library cannot read: its payload, and its headers as the server shows them.
pub(crate) fn raw(
    ns: &Namespace,
    stored: &Stored,
    payload: Bytes,
    group: &str,
    reason: &str,
    id: String,
) -> OutboundMessage {
    let mut headers = HeaderMap::new();
    headers.insert(REASON, plain(reason));
    headers.insert(GROUP, group);
    headers.insert(SUBJECT, plain(&stored.subject));
    // Base64 is ASCII: every place is one between two characters.
    let kept = stored.hdrs.len().min(HEADERS_CHARS_MAX);
    headers.insert(HEADERS, stored.hdrs.get(..kept).unwrap_or_default());
    headers.insert(NATS_MESSAGE_ID, id);
    OutboundMessage {
        subject: subject(ns, Some(group)).into(),
        reply: None,
        payload,
        headers: Some(headers),
    }
}

/// The letter no larger than the server takes: it must be kept, else what it is about can never end. What strangers wrote in
/// headers goes first, then all headers but the letter's own, then the end of the payload.
pub(crate) fn fitting(mut letter: OutboundMessage, bytes_max: usize) -> OutboundMessage {
    let head = |letter: &OutboundMessage| wire::size(letter) - letter.payload.len();
    if wire::size(&letter) <= bytes_max && head(&letter) <= HEAD_BYTES_MAX {
        return letter;
    }
    keep_headers(&mut letter, is_named);
    if head(&letter) > HEAD_BYTES_MAX.min(bytes_max / 2) {
        keep_headers(&mut letter, is_of_letters);
    }
    let excess = wire::size(&letter).saturating_sub(bytes_max);
    if excess > 0 {
        tracing::warn!(subject = %letter.subject, excess, "the end of a dead letter is cut off");
        letter.payload.truncate(letter.payload.len().saturating_sub(excess));
    }
    letter
}

fn keep_headers(letter: &mut OutboundMessage, keep: fn(&str) -> bool) {
    letter.headers = letter.headers.take().map(|headers| copy(&headers, keep));
}

/// Whether it is a header of the wire and no stranger's.
fn is_named(name: &str) -> bool {
    let ours = name.starts_with(header::PREFIX) || name.starts_with(header::CE_PREFIX);
    ours || name == NATS_MESSAGE_ID || name == header::CONTENT_TYPE
}

/// Whether it is a header that every letter gets here, with a bound.
fn is_of_letters(name: &str) -> bool {
    [REASON, GROUP, SUBJECT, HEADERS, header::ATTEMPT, NATS_MESSAGE_ID].contains(&name)
}

fn written(ns: &Namespace, envelope: &Envelope) -> HeaderMap {
    wire::headers(envelope.to_headers(ns.usual_kind(envelope.subject.as_str())), envelope)
}

fn without_servers(headers: &HeaderMap) -> HeaderMap {
    copy(headers, |name| !wire::is_servers(name) && name != HEADERS)
}

fn copy(headers: &HeaderMap, keep: impl Fn(&str) -> bool) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for (name, values) in headers.iter().filter(|(name, _)| keep(AsRef::<str>::as_ref(*name))) {
        for value in values {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

/// A text as a header can hold it.
fn plain(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    let end = text.floor_char_boundary(REASON_BYTES_MAX);
    text[..end].chars().map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use roadshow_bridges::{Identity, Kind, MessageId};
    use std::sync::Arc;

    fn event(ns: &Namespace, payload: Bytes) -> Envelope {
        let identity = Identity::root(MessageId::from_u128(1));
        Envelope::new(Kind::Event, ns.members_subject(), identity, payload)
    }

    fn about(event: Envelope, headers: Option<HeaderMap>, reason: &str) -> OutboundMessage {
        let parcel = Parcel::new(Arc::new(event));
        letter(
            &Namespace::default(),
            &parcel,
            headers,
            Some("g"),
            reason,
            "id".to_owned(),
        )
        .expect("a letter")
    }

    #[test]
    fn a_letter_goes_to_its_subscription() {
        let ns = Namespace::default();
        let table = [
            (Some("shop=1=loyalty"), "roadshow.dead.shop.1.loyalty"),
            (Some("cmd=user=1"), "roadshow.dead.other.cmd=user=1"),
            (Some("g"), "roadshow.dead.other.g"),
            (None, "roadshow.dead.other.none"),
        ];
        for (group, text) in table {
            assert_eq!(subject(&ns, group), text);
        }
    }

    #[test]
    fn a_letter_keeps_what_came_and_says_why() {
        let ns = Namespace::default();
        let mut parcel = Parcel::new(Arc::new(event(&ns, Bytes::from_static(b"\xff"))));
        parcel.starts = 3;
        let mut came = HeaderMap::new();
        came.insert("x-own", "1");
        came.insert("Nats-Msg-Id", "theirs");
        let letter =
            letter(&ns, &parcel, Some(came), Some("g"), "line 1\r\nline 2", "id".to_owned()).expect("a letter");
        let slim = fitting(letter.clone(), wire::size(&letter) - 1);
        let headers = slim.headers.expect("headers");
        let get = |headers: &HeaderMap, name: &str| headers.get(name).map(ToString::to_string);
        assert_eq!(get(&headers, REASON).as_deref(), Some("line 1  line 2"));
        assert_eq!(get(&headers, "Nats-Msg-Id").as_deref(), Some("id"));
        assert_eq!(
            (get(&headers, "rs-attempt").as_deref(), get(&headers, "x-own")),
            (Some("3"), None)
        );
        assert_eq!(get(&letter.headers.expect("headers"), "x-own").as_deref(), Some("1"));
        assert_eq!(letter.payload, &b"\xff"[..]);
    }

    #[test]
    fn the_longest_reason_costs_a_message_of_ours_none_of_its_payload() {
        const MAX: usize = 1024 * 1024;
        let ns = Namespace::default();
        let mut event = event(&ns, Bytes::from(vec![b'x'; wire::payload_bytes_max(MAX)]));
        for at in 0..40 {
            event.headers.push(&format!("x-own-{at}"), &"v".repeat(60));
        }
        let letter = about(event, None, &"\u{1f980}".repeat(4096));
        assert!(wire::size(&letter) > MAX);
        let fits = fitting(letter, MAX);
        assert_eq!(fits.payload.len(), wire::payload_bytes_max(MAX));
        assert!(wire::size(&fits) <= MAX);
    }

    #[test]
    fn headers_of_a_stranger_with_names_of_ours_do_not_keep_a_letter_from_fitting() {
        let mut came = HeaderMap::new();
        for name in ["ce-x", "rs-x", HEADERS] {
            came.insert(name, "v".repeat(35_000));
        }
        let event = event(&Namespace::default(), Bytes::from_static(b"payload"));
        let letter = about(event, Some(came), "why");
        for bytes_max in [30_000, 1024 * 1024] {
            let fits = fitting(letter.clone(), bytes_max);
            assert!(wire::size(&fits) <= 30_000);
            assert_eq!(fits.payload, &b"payload"[..]);
            let headers = fits.headers.expect("headers");
            assert!(headers.get(REASON).is_some() && headers.get("ce-x").is_none());
        }
    }

    #[test]
    fn a_letter_about_what_cannot_be_read_fits() {
        let stored = Stored {
            subject: "ns.evt.a".to_owned(),
            seq: 1,
            hdrs: "Zm9v".repeat(HEADERS_CHARS_MAX),
            data: String::new(),
            time: String::new(),
        };
        let payload = Bytes::from(vec![b'x'; 30_000]);
        let letter = raw(&Namespace::default(), &stored, payload, "g", "why", "id".to_owned());
        let whole = wire::size(&letter);
        assert_eq!(fitting(letter.clone(), whole).payload.len(), 30_000);
        let cut = fitting(letter, 32_000);
        assert!(wire::size(&cut) == 32_000 && cut.payload.len() > 10_000);
        let kept = cut.headers.and_then(|headers| headers.get(HEADERS).cloned());
        assert_eq!(kept.map(|kept| kept.as_str().len()), Some(HEADERS_CHARS_MAX));
    }
}

//! Anybody may publish on a broker: no bytes and no text from outside make a parser panic or allocate without bound.
//!
//! `PROPTEST_CASES` sets how many cases each test runs; for a million of them use `cargo test --release`, because nextest
//! ends a test after two minutes.

use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use roadshow_bridges::{
    Address, AddressBuf, AddressKey, Arrival, ContentType, ENVELOPE_BYTES_MAX, Envelope, EventNameBuf, Failure,
    Identity, IncarnationId, Kind, MessageId, Namespace, NodeId, ServiceId, Subject, Token, TraceContext, codec,
    header,
};

const USER: ServiceId = ServiceId::new("user", 1);
const CREATE: Address = USER.command("create_user");
const OURS: [&str; 23] = [
    header::TYPE,
    header::VERSION,
    header::ID,
    header::CORRELATION,
    header::CAUSATION,
    header::FROM,
    header::TIMEOUT_MS,
    header::SENT,
    header::ATTEMPT,
    header::HOPS,
    header::PRINCIPAL,
    header::TENANT,
    header::KEY,
    header::SCHEMA,
    header::SEQUENCE,
    header::CONTENT_TYPE,
    header::TRACEPARENT,
    header::TRACESTATE,
    header::CE_SPECVERSION,
    header::CE_ID,
    header::CE_SOURCE,
    header::CE_TYPE,
    header::CE_DATACONTENTTYPE,
];

fn cases(usual: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(usual);
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn arrival() -> Arrival {
    let subject = Namespace::default().command_subject(CREATE);
    Arrival::new(subject, Kind::Command, MessageId::from_u128(1), Bytes::new())
}

fn sample() -> Envelope {
    let identity = Identity::root(MessageId::from_u128(1))
        .with_principal("ada")
        .with_key("k")
        .with_budget(Duration::from_secs(1));
    let subject = Namespace::default().command_subject(CREATE);
    let mut envelope = Envelope::new(
        Kind::Command,
        subject,
        identity,
        Bytes::from_static(b"{\"name\":\"ada\"}"),
    );
    envelope.reply_to = Some(Subject::foreign("_INBOX.x").expect("visible"));
    envelope.transport_correlation = Some(Bytes::from_static(&[0, 255]));
    envelope.headers.push("x-a", "1");
    envelope
}

/// A text of the characters that names are made of and broken by.
fn texts() -> impl Strategy<Value = String> {
    vec(prop::sample::select(b"aZ09_-.i*>#+/$ \r\0\xc3%:".to_vec()), 0..80)
        .prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn hex_and_dashes() -> impl Strategy<Value = String> {
    let character = prop::sample::select("0123456789abcdef-".chars().collect::<Vec<_>>());
    vec(character, 0..60).prop_map(|characters| characters.into_iter().collect())
}

proptest! {
    #![proptest_config(cases(100_000))]

    #[test]
    fn random_bytes_are_no_envelope_and_no_panic(bytes in vec(any::<u8>(), 0..64)) {
        let _ = Envelope::decode_binary(&bytes);
        let with_head = [b"RS\x01\x00", &bytes[..]].concat();
        let _ = Envelope::decode_binary(&with_head);
        let _ = codec::decode_binary::<(String, Vec<u64>, Option<u128>)>(&bytes);
        let _ = codec::decode_json::<Failure>(&bytes);
    }

    #[test]
    fn a_damaged_envelope_is_refused_or_read_but_never_panics(at in 0_usize..400, byte: u8, cut in 0_usize..400) {
        let mut bytes = sample().encode_binary().expect("encodes");
        let len = bytes.len();
        prop_assert!(Envelope::decode_binary(&bytes[..cut % len]).is_err());
        bytes[at % len] = byte;
        // A damaged length may make the cut one whole again: then it is read.
        let _ = Envelope::decode_binary(&bytes[..cut % len]);
        let _ = Envelope::decode_binary(&bytes);
    }

    #[test]
    fn random_texts_are_checked_names_or_refused(text in texts()) {
        if let Ok(address) = text.parse::<AddressBuf>() {
            prop_assert_eq!(address.to_string(), text.clone());
        }
        if let Ok(event) = text.parse::<EventNameBuf>() {
            prop_assert_eq!(event.as_str(), &text);
        }
        if let Ok(incarnation) = text.parse::<IncarnationId>() {
            prop_assert_eq!(incarnation.to_string(), text.clone());
        }
        if let Err(error) = text.parse::<NodeId>() && let Some(near) = error.suggestion() {
            prop_assert!(near.parse::<NodeId>().is_ok());
        }
        let _ = (text.parse::<TraceContext>(), text.parse::<Namespace>(), ContentType::parse(&text));
        if let Ok(subject) = Subject::foreign(&text) {
            let _ = Namespace::default().parse_inbox(&subject);
        }
    }

    #[test]
    fn random_trace_parents_never_panic(text in hex_and_dashes(), flip in 0_usize..55, with: char) {
        let _ = text.parse::<TraceContext>();
        let mut damaged: Vec<char> = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".chars().collect();
        damaged[flip] = with;
        let _ = damaged.into_iter().collect::<String>().parse::<TraceContext>();
    }

    #[test]
    fn random_headers_are_read_or_counted(name in 0_usize..24, value in texts(), second in 0_usize..24, number: i64) {
        let number = number.to_string();
        let name_of = |at: usize| OURS.get(at).copied().unwrap_or("x-foreign");
        let headers = [(name_of(name), value.as_str()), (name_of(second), number.as_str())];
        let received = Envelope::from_headers(arrival(), headers);
        prop_assert!(received.dropped <= 2);
        prop_assert!(received.envelope.identity.attempt >= 1);
        // What was accepted can be sent on.
        for (_, text) in received.envelope.to_headers(Kind::Command) {
            prop_assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{text:?}");
        }
    }
}

fn names() -> impl Strategy<Value = String> {
    "[A-Za-z][A-Za-z0-9_-]{0,3}"
}

proptest! {
    #![proptest_config(cases(10_000))]

    #[test]
    fn distinct_names_never_share_a_subject(
        one in (names(), 1_u16..30, names()), two in (names(), 1_u16..30, names()), events in (vec(names(), 1..4), vec(names(), 1..4)),
    ) {
        let ns = Namespace::default();
        let key = |parts: &(String, u16, String)| AddressKey::new(&parts.0, parts.1, &parts.2).expect("names").to_buf();
        let commands = (key(&one), key(&two));
        prop_assert_eq!(ns.command_subject(&commands.0) == ns.command_subject(&commands.1), one == two);
        let event = |tokens: &Vec<String>| tokens.join(".").parse::<EventNameBuf>().expect("a name");
        let (left, right) = (event(&events.0), event(&events.1));
        prop_assert_eq!(ns.event_subject(&left) == ns.event_subject(&right), events.0 == events.1);
        let subscription = |name: &str| name.parse::<Token>().expect("a token");
        let dead = |parts: &(String, u16, String)| {
            ns.dead_subject(key(parts).key().service_key(), &subscription(&parts.2))
        };
        prop_assert_eq!(dead(&one) == dead(&two), one == two);
        let all = [ns.command_subject(&commands.0), ns.event_subject(&left), dead(&two), ns.members_subject(),
            ns.cancel_subject(commands.0.key().service_key())];
        for (at, subject) in all.iter().enumerate() {
            prop_assert!(!all[..at].contains(subject), "{subject}");
        }
        let other: Namespace = "Roadshow".parse().expect("a namespace");
        prop_assert_ne!(ns.command_subject(&commands.0), other.command_subject(&commands.0));
    }

    #[test]
    fn an_envelope_survives_both_forms(
        id: u128, cause in any::<Option<u128>>(), attempt in 1_u32.., hops: u8, budget_ms in any::<Option<u32>>(),
        principal in "\\PC{1,40}", kind in 0_usize..12, payload in vec(any::<u8>(), 0..200), sequence: u64,
    ) {
        let mut sent = sample();
        sent.kind = Kind::ALL[kind];
        sent.identity = Identity::root(MessageId::from_u128(id)).with_principal(principal);
        sent.identity.causation = cause.map(MessageId::from_u128);
        sent.identity.budget = budget_ms.map(|ms| Duration::from_millis(ms.into()));
        (sent.identity.attempt, sent.identity.hops, sent.sequence) = (attempt, hops, sequence);
        sent.payload = Bytes::from(payload.clone()).into();

        let binary = Envelope::decode_binary(&sent.encode_binary().expect("encodes")).expect("decodes");
        prop_assert_eq!(&binary.identity, &sent.identity);
        prop_assert_eq!((binary.kind, binary.sequence), (sent.kind, sequence));
        prop_assert_eq!(&binary.payload.to_bytes().expect("bytes")[..], &payload[..]);

        let headers = sent.to_headers(Kind::Command);
        let got = Envelope::from_headers(arrival(), headers.iter().map(|(name, value)| (*name, value.as_str())));
        prop_assert_eq!((got.dropped, got.envelope.kind, got.envelope.sequence), (0, sent.kind, sequence));
        if !matches!(sent.kind, Kind::Reply | Kind::Failure) {
            prop_assert_eq!(&got.envelope.identity, &sent.identity);
        }
    }
}

/// The largest amount of memory that this process ever had, in KiB.
#[cfg(target_os = "linux")]
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("linux has it");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .expect("linux says it");
    line.split_whitespace()
        .nth(1)
        .and_then(|number| number.parse().ok())
        .expect("a number")
}

#[cfg(target_os = "linux")]
#[test]
fn lengths_that_lie_allocate_no_more_than_the_limit() {
    let good = sample().encode_binary().expect("encodes");
    let before = peak_kib();
    for length in [u64::MAX, 1 << 62, 1 << 40, 1 << 32, ENVELOPE_BYTES_MAX as u64, 1 << 20] {
        for at in 0..good.len().saturating_sub(8) {
            let mut bytes = good.clone();
            bytes[at..at + 8].copy_from_slice(&length.to_le_bytes());
            let _ = Envelope::decode_binary(&bytes);
        }
        let _ = codec::decode_binary::<Vec<Vec<String>>>(&length.to_le_bytes());
    }
    let grown = peak_kib() - before;
    assert!(grown < 64 * 1024, "grew by {grown} KiB");
}

//! The outbox against tables, and against a model of members that come, go, hold and lose.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use roadshow_bridges::{EventName, Identity, Namespace};

use super::*;

const AGE_MAX: Duration = Duration::from_secs(600);

fn envelope(number: u128) -> Arc<Envelope> {
    let name = EventName::new("a.b");
    let subject = Namespace::default().event_subject(name);
    let identity = Identity::root(MessageId::from_u128(number));
    Arc::new(Envelope::event(subject, name.into(), identity, Bytes::new()))
}

fn target(group: &str) -> Target {
    Target {
        group: Some(group.into()),
        again: format!("again/{group}").into(),
    }
}

fn keep(outbox: &mut Outbox, number: u128, groups: &[&str], now: Instant) -> Result<(), Full> {
    let targets = groups.iter().map(|group| target(group)).collect();
    outbox.keep(envelope(number), 10, targets, now, AGE_MAX)
}

fn mark(number: u128, verdict: Verdict) -> Mark {
    Mark::new(MessageId::from_u128(number), verdict)
}

/// The ids and groups of what is to be sent.
fn sends(outbox: &mut Outbox, now: Instant) -> Vec<(u128, String)> {
    let actions = outbox.step(now).into_iter();
    let sends = actions.filter_map(|action| match action {
        Action::Send { target, envelope, .. } => {
            let group = target.group.as_deref().unwrap_or("any").to_owned();
            Some((envelope.identity.id.as_u128(), group))
        }
        Action::Expire { .. } => None,
    });
    sends.collect()
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_message_waits_for_each_group_and_no_other() {
    let now = Instant::now();
    let mut outbox = Outbox::new(10, 1000);
    assert_eq!(keep(&mut outbox, 1, &["a", "b"], now), Ok(()));
    outbox.mark("a", mark(1, Verdict::Done), now);
    outbox.mark("c", mark(1, Verdict::Done), now);
    assert_eq!((outbox.len(), sends(&mut outbox, now + secs(3)).len()), (1, 0));
    assert_eq!(sends(&mut outbox, now + PATIENCE), [(1, "b".to_owned())]);
    assert!(sends(&mut outbox, now + secs(60)).is_empty(), "it is on its way");
    outbox.mark("b", mark(1, Verdict::Done), now);
    assert_eq!((outbox.len(), outbox.bytes, outbox.next_due()), (0, 0, None));
}

#[test]
fn who_says_that_it_works_is_believed() {
    let now = Instant::now();
    let mut outbox = Outbox::new(10, 1000);
    assert_eq!(keep(&mut outbox, 1, &["a"], now), Ok(()));
    for second in 1..100 {
        outbox.mark("a", mark(1, Verdict::Handed), now + secs(second));
        assert!(sends(&mut outbox, now + secs(second)).is_empty());
    }
    assert_eq!(sends(&mut outbox, now + secs(103)), [(1, "a".to_owned())]);
}

#[test]
fn what_is_given_back_goes_out_at_once_with_its_starts() {
    let now = Instant::now();
    let mut outbox = Outbox::new(10, 1000);
    assert_eq!(keep(&mut outbox, 1, &["a"], now), Ok(()));
    let mut given_back = mark(1, Verdict::GivenBack);
    given_back.starts = 2;
    outbox.mark("a", given_back, now);
    let actions = outbox.step(now);
    assert!(matches!(actions[..], [Action::Send { starts: 2, .. }]), "{actions:?}");
}

#[test]
fn an_absent_group_is_asked_with_one_message_until_it_is_back() {
    let now = Instant::now();
    let mut outbox = Outbox::new(10, 1000);
    for number in 0..5 {
        assert_eq!(keep(&mut outbox, number, &["a"], now), Ok(()));
        outbox.unheard(MessageId::from_u128(number), now);
    }
    assert!(sends(&mut outbox, now).is_empty());
    let later = now + ASK_EVERY;
    assert_eq!(sends(&mut outbox, later), [(0, "a".to_owned())]);
    outbox.sent_again(MessageId::from_u128(0), &target("a"), Again::Unrouted, later);
    assert!(sends(&mut outbox, later).is_empty());
    let later = later + ASK_EVERY;
    assert_eq!(sends(&mut outbox, later), [(0, "a".to_owned())]);
    outbox.sent_again(MessageId::from_u128(0), &target("a"), Again::Routed, later);
    let rest: Vec<_> = (1..5).map(|number| (number, "a".to_owned())).collect();
    assert_eq!(sends(&mut outbox, later), rest);
    assert_eq!(outbox.open(), 5);
}

#[test]
fn a_group_that_owes_nothing_any_more_is_not_asked() {
    let now = Instant::now();
    let mut outbox = Outbox::new(10, 1000);
    assert_eq!(keep(&mut outbox, 1, &["a"], now), Ok(()));
    assert_eq!(keep(&mut outbox, 2, &["b"], now), Ok(()));
    outbox.unheard(MessageId::from_u128(1), now);
    outbox.forget(MessageId::from_u128(1));
    assert!(sends(&mut outbox, now + ASK_EVERY).is_empty());
    assert_eq!(outbox.next_due(), Some(now + PATIENCE));
}

#[test]
fn a_member_that_comes_gets_what_waited() {
    let now = Instant::now();
    let mut outbox = Outbox::new(10, 1000);
    for number in 0..3 {
        assert_eq!(keep(&mut outbox, number, &["a", "b"], now), Ok(()));
        outbox.unheard(MessageId::from_u128(number), now);
    }
    assert_eq!(outbox.open(), 0);
    outbox.joined("again/a", now);
    let expected: Vec<_> = (0..3).map(|number| (number, "a".to_owned())).collect();
    assert_eq!(sends(&mut outbox, now), expected);
}

#[test]
fn silence_of_the_broker_says_nothing_about_members() {
    let now = Instant::now();
    let mut outbox = Outbox::new(10, 1000);
    assert_eq!(keep(&mut outbox, 1, &["a"], now), Ok(()));
    outbox.postpone(now + secs(9), PATIENCE);
    assert!(sends(&mut outbox, now + secs(12)).is_empty());
    outbox.connected(now + secs(12));
    assert_eq!(sends(&mut outbox, now + secs(12)), []);
    assert_eq!(sends(&mut outbox, now + secs(12) + SETTLING), [(1, "a".to_owned())]);
}

#[test]
fn count_and_bytes_are_bounded_and_one_message_always_fits() {
    let now = Instant::now();
    let mut outbox = Outbox::new(3, 25);
    assert_eq!(keep(&mut outbox, 1, &["a"], now), Ok(()));
    assert_eq!(keep(&mut outbox, 2, &["a"], now), Ok(()));
    assert_eq!(keep(&mut outbox, 3, &["a"], now), Err(Full));
    assert_eq!(keep(&mut outbox, 2, &["a"], now), Ok(()), "it is kept already");
    outbox.forget(MessageId::from_u128(1));
    assert_eq!(keep(&mut outbox, 3, &["a"], now), Ok(()));
    let mut narrow = Outbox::new(3, 5);
    assert_eq!(keep(&mut narrow, 1, &["a"], now), Ok(()));
    assert_eq!(keep(&mut narrow, 2, &["a"], now), Err(Full));
}

#[test]
fn nothing_is_kept_for_ever() {
    let now = Instant::now();
    let mut outbox = Outbox::new(10, 1000);
    assert_eq!(keep(&mut outbox, 1, &["a"], now), Ok(()));
    let actions = outbox.step(now + AGE_MAX);
    assert!(matches!(actions[..], [Action::Expire { .. }]), "{actions:?}");
    assert_eq!(outbox.len(), 0);
    assert_eq!(keep(&mut outbox, 2, &["a"], now), Ok(()));
    let mut losses = 0;
    loop {
        let actions = outbox.step(now + PATIENCE * (losses + 1));
        let [Action::Send { .. }] = actions[..] else {
            assert!(matches!(actions[..], [Action::Expire { .. }]), "{actions:?}");
            break;
        };
        losses += 1;
        let then = now + PATIENCE * losses;
        outbox.sent_again(MessageId::from_u128(2), &target("a"), Again::Routed, then);
    }
    assert_eq!((losses, outbox.len()), (LOSSES_MAX, 0));
}

/// What may happen to an outbox.
#[derive(Debug, Clone, Copy)]
enum Input {
    Keep(u128, bool),
    Mark(u128, bool, Verdict),
    Unheard(u128),
    Joined(bool),
    Connected,
    Postpone,
    Forget(u128),
    Step(Again),
}

fn input() -> impl Strategy<Value = Input> {
    let id = 0_u128..8;
    let verdict = prop_oneof![
        Just(Verdict::Done),
        Just(Verdict::Waiting),
        Just(Verdict::Handed),
        Just(Verdict::GivenBack),
    ];
    let how = prop_oneof![Just(Again::Routed), Just(Again::Unrouted), Just(Again::Unknown)];
    prop_oneof![
        (id.clone(), any::<bool>()).prop_map(|(id, both)| Input::Keep(id, both)),
        (id.clone(), any::<bool>(), verdict).prop_map(|(id, a, verdict)| Input::Mark(id, a, verdict)),
        id.clone().prop_map(Input::Unheard),
        any::<bool>().prop_map(Input::Joined),
        Just(Input::Connected),
        Just(Input::Postpone),
        id.prop_map(Input::Forget),
        how.prop_map(Input::Step),
    ]
}

/// Does one thing; what is sent is answered as it says.
fn apply(outbox: &mut Outbox, input: Input, now: Instant) {
    let group = |a: bool| if a { "a" } else { "b" };
    match input {
        Input::Keep(id, both) => {
            let groups: &[&str] = if both { &["a", "b"] } else { &["a"] };
            let _ = keep(outbox, id, groups, now);
        }
        Input::Mark(id, a, verdict) => outbox.mark(group(a), mark(id, verdict), now),
        Input::Unheard(id) => outbox.unheard(MessageId::from_u128(id), now),
        Input::Joined(a) => outbox.joined(&format!("again/{}", group(a)), now),
        Input::Connected => outbox.connected(now),
        Input::Postpone => outbox.postpone(now, PATIENCE),
        Input::Forget(id) => outbox.forget(MessageId::from_u128(id)),
        Input::Step(how) => {
            for action in outbox.step(now) {
                if let Action::Send { target, envelope, .. } = action {
                    outbox.sent_again(envelope.identity.id, &target, how, now);
                }
            }
        }
    }
}

/// Whether each group of which nobody listens is asked: only such a group is looked for when a member comes.
fn is_everybody_asked(outbox: &Outbox) -> bool {
    let mut pending = outbox.entries.values().flat_map(|entry| &entry.pending);
    pending.all(|pending| pending.step != Step::Absent || outbox.ask.contains_key(&pending.target.again))
}

proptest! {
    /// Whatever happens, the books are right, and each message that is kept is sent again or given up, never forgotten.
    #[test]
    fn nothing_that_is_kept_is_forgotten(inputs in vec((input(), 0_u64..3000), 0..120)) {
        let mut now = Instant::now();
        let mut outbox = Outbox::new(6, 1000);
        for (input, ms) in inputs {
            now += Duration::from_millis(ms);
            apply(&mut outbox, input, now);
            prop_assert_eq!(outbox.places.len(), outbox.entries.len());
            prop_assert_eq!(outbox.bytes, outbox.entries.len() * 10);
            prop_assert!(outbox.entries.len() <= 6);
            prop_assert!(outbox.entries.values().all(|entry| !entry.pending.is_empty()));
            prop_assert_eq!(outbox.next_due().is_none(), outbox.entries.is_empty());
            prop_assert!(outbox.next_due() <= outbox.find_soonest(), "something is due sooner than is known");
            prop_assert!(is_everybody_asked(&outbox), "a group is absent and not asked");
        }
        // From here on somebody listens and settles what arrives.
        for _ in 0..20 {
            now += PATIENCE;
            for action in outbox.step(now) {
                if let Action::Send { target, envelope, .. } = action {
                    outbox.sent_again(envelope.identity.id, &target, Again::Routed, now);
                    let group = target.group.as_deref().expect("a group");
                    outbox.mark(group, mark(envelope.identity.id.as_u128(), Verdict::Done), now);
                }
            }
        }
        prop_assert_eq!(outbox.len(), 0);
    }
}

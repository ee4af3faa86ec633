//! Marks: what the members of a group tell the outbox of a sender about its messages, many in one message.
//!
//! MQTT itself tells a sender only that the broker had the message. A mark says what became of it in one group: done, held
//! by a living member, or given back. Twenty-one bytes each: the id, the verdict, how often a handler was started.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::{BufMut, Bytes, BytesMut};
use roadshow_bridges::MessageId;

use crate::lock;

/// The user property of a message of marks that names the group.
pub(crate) const GROUP: &str = "group";
/// The most marks in one message.
pub(crate) const MARKS_MAX: usize = 1024;
/// The most marks that wait to be sent; what is beyond is not told, and the message comes again.
const WAITING_MAX: usize = 262_144;
const MARK_LEN: usize = 21;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is settled: forget it.
    Done,
    /// A living member has it, and it waits there.
    Waiting,
    /// A living member has it, and a subscriber holds it.
    Handed,
    /// A member that leaves could not begin or finish it: send it to another one.
    GivenBack,
}

/// One line of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) id: MessageId,
    pub(crate) verdict: Verdict,
    /// How often a handler was started with it at this member.
    pub(crate) starts: u32,
}

impl Mark {
    pub(crate) fn new(id: MessageId, verdict: Verdict) -> Self {
        Self { id, verdict, starts: 0 }
    }
}

/// Writes marks.
pub(crate) fn encode(marks: &[Mark]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(marks.len() * MARK_LEN);
    for mark in marks {
        bytes.put_u128(mark.id.as_u128());
        bytes.put_u8(match mark.verdict {
            Verdict::Done => 0,
            Verdict::Waiting => 1,
            Verdict::Handed => 2,
            Verdict::GivenBack => 3,
        });
        bytes.put_u32(mark.starts);
    }
    bytes.freeze()
}

/// Reads marks; what cannot be read is left out.
pub(crate) fn decode(bytes: &[u8]) -> impl Iterator<Item = Mark> + '_ {
    bytes.chunks_exact(MARK_LEN).take(MARKS_MAX).filter_map(|chunk| {
        let (id, rest) = chunk.split_first_chunk::<16>()?;
        let (verdict, starts) = rest.split_first()?;
        let verdict = match verdict {
            0 => Verdict::Done,
            1 => Verdict::Waiting,
            2 => Verdict::Handed,
            3 => Verdict::GivenBack,
            _ => return None,
        };
        Some(Mark {
            id: MessageId::from_u128(u128::from_be_bytes(*id)),
            verdict,
            starts: u32::from_be_bytes(starts.try_into().ok()?),
        })
    })
}

/// Marks of one group for one outbox.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) outbox: u128,
    pub(crate) group: Arc<str>,
    pub(crate) marks: Vec<Mark>,
}

impl Report {
    /// Its marks in parts that fit into so many bytes, each at least one mark.
    pub(crate) fn parts(&self, bytes: usize) -> impl Iterator<Item = &[Mark]> {
        self.marks.chunks((bytes / MARK_LEN).clamp(1, MARKS_MAX))
    }
}

/// The marks that wait to be sent.
#[derive(Debug, Default)]
pub(crate) struct MarkBook(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    count: usize,
    marks: HashMap<(u128, Arc<str>), Vec<Mark>>,
}

impl MarkBook {
    /// Adds a mark and says whether it is the first that waits.
    pub(crate) fn add(&self, outbox: u128, group: &Arc<str>, mark: Mark) -> bool {
        let mut waiting = lock(&self.0);
        if waiting.count >= WAITING_MAX {
            return false;
        }
        waiting.count += 1;
        waiting.marks.entry((outbox, Arc::clone(group))).or_default().push(mark);
        waiting.count == 1
    }

    /// Takes everything.
    pub(crate) fn take(&self) -> Vec<Report> {
        let taken = std::mem::take(&mut *lock(&self.0));
        let reports = taken.marks.into_iter();
        reports
            .map(|((outbox, group), marks)| Report { outbox, group, marks })
            .collect()
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.0).count == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn mark() -> impl Strategy<Value = Mark> {
        let verdicts = [Verdict::Done, Verdict::Waiting, Verdict::Handed, Verdict::GivenBack];
        (any::<u128>(), 0..verdicts.len(), any::<u32>()).prop_map(move |(id, verdict, starts)| Mark {
            id: MessageId::from_u128(id),
            verdict: verdicts[verdict],
            starts,
        })
    }

    proptest! {
        #[test]
        fn marks_survive_the_wire(marks in vec(mark(), 0..50)) {
            let read: Vec<_> = decode(&encode(&marks)).collect();
            prop_assert_eq!(read, marks);
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in vec(any::<u8>(), 0..500)) {
            prop_assert!(decode(&bytes).count() <= bytes.len() / MARK_LEN);
        }
    }

    #[test]
    fn a_report_is_bounded_and_keeps_outboxes_and_groups_apart() {
        let book = MarkBook::default();
        let (one, two): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        assert!(book.add(1, &one, Mark::new(MessageId::from_u128(0), Verdict::Done)));
        for number in 0..u128::try_from(MARKS_MAX).expect("small") {
            assert!(!book.add(1, &one, Mark::new(MessageId::from_u128(number), Verdict::Done)));
        }
        book.add(1, &two, Mark::new(MessageId::from_u128(1), Verdict::Done));
        book.add(2, &one, Mark::new(MessageId::from_u128(1), Verdict::Done));
        let reports = book.take();
        let sizes = |bytes| {
            let parts = reports.iter().flat_map(|report| report.parts(bytes));
            let mut sizes: Vec<_> = parts.map(<[Mark]>::len).collect();
            sizes.sort_unstable();
            sizes
        };
        assert_eq!(sizes(usize::MAX), [1, 1, 1, MARKS_MAX]);
        assert_eq!(sizes(1000 * MARK_LEN + 20), [1, 1, 25, 1000]);
        assert_eq!(sizes(0).len(), MARKS_MAX + 3);
        assert!(book.is_empty() && book.take().is_empty());
    }
}

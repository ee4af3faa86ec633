//! Places: whether the frames of a stream have all arrived, once each and in order.

/// What a frame is to its consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The one that is expected.
    Next,
    /// One that was here before.
    Again,
    /// A later one: this one is missing.
    Lost(u64),
}

/// Which frame is expected next; the first has place 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Places(u64);

impl Default for Places {
    fn default() -> Self {
        Places(1)
    }
}

impl Places {
    /// Hears of a frame.
    pub(crate) fn arrive(&mut self, place: u64) -> Arrival {
        if place > self.0 {
            return Arrival::Lost(self.0);
        }
        if place < self.0 {
            return Arrival::Again;
        }
        self.0 += 1;
        Arrival::Next
    }

    /// Hears how many frames were sent so far, and answers the first that is missing.
    pub(crate) fn missing(&self, sent: u64) -> Option<u64> {
        (sent >= self.0).then_some(self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_gap_is_named_by_its_first_frame_and_what_came_before_is_no_gap() {
        let mut places = Places::default();
        let table = [
            (0, Arrival::Again),
            (1, Arrival::Next),
            (1, Arrival::Again),
            (2, Arrival::Next),
            (4, Arrival::Lost(3)),
            (u64::MAX, Arrival::Lost(3)),
            (3, Arrival::Next),
            (4, Arrival::Next),
        ];
        for (place, expected) in table {
            assert_eq!(places.arrive(place), expected, "{place}");
        }
        assert_eq!(
            (places.missing(4), places.missing(5), places.missing(9)),
            (None, Some(5), Some(5))
        );
    }

    proptest! {
        #[test]
        fn what_is_handed_on_is_always_the_beginning_of_the_stream(places in prop::collection::vec(0_u64..20, 0..200)) {
            let (mut seen, mut handed) = (Places::default(), Vec::new());
            for place in places {
                if seen.arrive(place) == Arrival::Next {
                    handed.push(place);
                }
            }
            let expected: Vec<u64> = (1..=handed.len() as u64).collect();
            prop_assert_eq!(handed, expected);
        }
    }
}

//! What is left of a command's time when it arrives.

use std::time::Duration;

/// What is left of a command's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Its sender set none: its endpoint does.
    Unset,
    /// This much.
    Some(Duration),
    /// Nothing: nobody waits for it any more.
    Nothing,
}

impl Left {
    pub(super) fn as_budget(self) -> Option<Duration> {
        match self {
            Left::Unset => None,
            Left::Some(left) => Some(left),
            Left::Nothing => Some(Duration::ZERO),
        }
    }
}

/// What is left of a `budget` at an `age`, as far as the age is known.
pub(super) fn left(budget: Option<Duration>, age: Option<Duration>) -> Left {
    let Some(budget) = budget else { return Left::Unset };
    match budget.saturating_sub(age.unwrap_or_default()) {
        Duration::ZERO => Left::Nothing,
        left => Left::Some(left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_on_the_way_is_taken_off_the_budget() {
        let ms = Duration::from_millis;
        let table = [
            (None, None, Left::Unset),
            (None, Some(ms(1_000_000)), Left::Unset),
            (Some(ms(100)), None, Left::Some(ms(100))),
            (Some(ms(100)), Some(ms(30)), Left::Some(ms(70))),
            (Some(ms(100)), Some(ms(100)), Left::Nothing),
            (Some(ms(100)), Some(ms(101)), Left::Nothing),
            (Some(ms(0)), None, Left::Nothing),
        ];
        for (budget, age, expected) in table {
            assert_eq!(left(budget, age), expected, "{budget:?} {age:?}");
        }
    }
}

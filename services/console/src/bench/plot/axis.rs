//! From values to places: a linear axis that begins at nought, because a bar's length is its value, and a logarithmic one
//! for marks that have no length.

/// From nought to a round number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Linear {
    max: f64,
    step: f64,
}

impl Linear {
    /// An axis that holds `largest`, with four to ten steps of 1, 2 or 5.
    pub(super) fn holding(largest: f64) -> Self {
        if !largest.is_finite() || largest <= 0.0 {
            return Linear { max: 1.0, step: 1.0 };
        }
        let decade = 10f64.powf((largest / 4.0).log10().floor());
        let step = [5.0, 2.0, 1.0]
            .into_iter()
            .map(|times| times * decade)
            .find(|step| *step <= largest / 4.0)
            .unwrap_or(decade);
        Linear {
            max: (largest / step).ceil() * step,
            step,
        }
    }

    /// Where a value is: 0 at the begin, where what is no number is too, and 1 at the end.
    pub(super) fn at(self, value: f64) -> f64 {
        if value.is_nan() {
            return 0.0;
        }
        (value / self.max).clamp(0.0, 1.0)
    }

    /// The values that have a line.
    pub(super) fn ticks(self) -> Vec<f64> {
        let count = (self.max / self.step).round() as u32;
        (0..=count).map(|n| f64::from(n) * self.step).collect()
    }
}

/// From one power of ten to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Log {
    low: u32,
    high: u32,
}

impl Log {
    /// An axis that holds all from `least` to `most`, with room for a text before the least.
    pub(super) fn holding(least: u64, most: u64) -> Self {
        let low = least.max(1).ilog10().saturating_sub(1);
        let high = most.max(1).ilog10() + 1;
        Log { low, high }
    }

    /// Where a value is: 0 at the begin, 1 at the end.
    pub(super) fn at(self, value: u64) -> f64 {
        let decades = (value.max(1) as f64).log10() - f64::from(self.low);
        (decades / f64::from(self.high - self.low)).clamp(0.0, 1.0)
    }

    /// The values that have a line.
    pub(super) fn ticks(self) -> Vec<u64> {
        (self.low..=self.high)
            .map(|power| 10u64.saturating_pow(power))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_axis_ends_at_a_round_number_and_has_few_steps() {
        let table = [
            (7.3e6, 8e6, 1e6),
            (4.0, 4.0, 1.0),
            (9.9, 10.0, 2.0),
            (20.0, 20.0, 5.0),
            (1.0, 1.0, 0.2),
            (0.0, 1.0, 1.0),
            (f64::NAN, 1.0, 1.0),
        ];
        for (largest, max, step) in table {
            let axis = Linear::holding(largest);
            assert!((axis.max - max).abs() < 1e-6 * max, "{largest}: {axis:?}");
            assert!((axis.step - step).abs() < 1e-6 * step, "{largest}: {axis:?}");
            assert!(axis.ticks().len() <= 11, "{largest}: {axis:?}");
        }
    }

    #[test]
    fn a_logarithmic_axis_gives_every_decade_the_same_room() {
        let axis = Log::holding(140, 9_000_000);
        assert_eq!(axis, Log { low: 1, high: 7 });
        assert_eq!(axis.ticks().len(), 7);
        assert!((axis.at(1_000) - 2.0 / 6.0).abs() < 1e-9);
        assert!((axis.at(1) - 0.0).abs() < 1e-9 && (axis.at(u64::MAX) - 1.0).abs() < 1e-9);
        assert_eq!(Log::holding(0, 0), Log { low: 0, high: 1 });
    }
}

//! The randomness of a run: one seed, from which every case draws its own numbers.

use std::env;
use std::sync::{Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The variable that repeats a run: its number, or any other.
pub(crate) const VARIABLE: &str = "CONFORMANCE_SEED";

/// The seed of this run.
pub(crate) fn of_run() -> u64 {
    let given = env::var(VARIABLE).ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| rand::rng().random())
}

/// The random numbers of one case: the same for the same seed and case.
#[derive(Debug)]
pub(crate) struct Random(Mutex<StdRng>);

impl Random {
    pub(crate) fn new(seed: u64, case: &str) -> Self {
        let mixed = case.bytes().fold(seed, |state, byte| {
            (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(Mutex::new(StdRng::seed_from_u64(mixed)))
    }

    pub(crate) fn below(&self, bound: usize) -> usize {
        self.with(|random| random.random_range(0..bound.max(1)))
    }

    pub(crate) fn bytes(&self, count: usize) -> Vec<u8> {
        self.with(|random| (0..count).map(|_| random.random()).collect())
    }

    fn with<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

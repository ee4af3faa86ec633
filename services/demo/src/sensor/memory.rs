//! The readings of the demo: the latest of each sensor, and the next ones for those who watch.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use roadshow_services::Failure;
use tokio::sync::broadcast;

use super::{Reading, RecordReading};

/// How many sensors are kept.
pub const SENSORS_MAX: usize = 1_000;
/// How many readings a watcher may be behind before it misses some.
pub const BEHIND_MAX: usize = 256;

/// Readings in memory.
#[derive(Debug)]
pub(crate) struct SensorMemory {
    kept: Mutex<Kept>,
    coming: broadcast::Sender<Reading>,
}

#[derive(Debug, Default)]
struct Kept {
    latest: BTreeMap<String, Reading>,
    readings: u64,
}

impl Default for SensorMemory {
    fn default() -> Self {
        SensorMemory {
            kept: Mutex::default(),
            coming: broadcast::channel(BEHIND_MAX).0,
        }
    }
}

impl SensorMemory {
    /// Keeps a reading and tells those who watch.
    ///
    /// # Errors
    /// `exhausted` for one sensor more than are kept.
    pub(crate) fn record(&self, input: RecordReading) -> Result<Reading, Failure> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.latest.len() >= SENSORS_MAX && !kept.latest.contains_key(&input.sensor) {
            return Err(Failure::exhausted(format!("there are {SENSORS_MAX} sensors already")));
        }
        kept.readings += 1;
        let reading = Reading {
            sensor: input.sensor,
            value: input.value,
            number: kept.readings,
            missed: 0,
        };
        kept.latest.insert(reading.sensor.clone(), reading.clone());
        // Told under the lock, so that a watcher neither misses a reading nor gets it twice. Nobody may be watching.
        let _ = self.coming.send(reading.clone());
        Ok(reading)
    }

    /// The latest readings, and those that come after them.
    pub(crate) fn watch(&self) -> (Vec<Reading>, broadcast::Receiver<Reading>) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.latest.values().cloned().collect(), self.coming.subscribe())
    }
}

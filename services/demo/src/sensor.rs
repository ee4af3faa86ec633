//! The service `sensor` 1: takes readings, and streams them to whoever watches.
//!
//! It shows what a stream is for: what happens now, told as it happens. A watcher that is too slow is not waited for, and
//! nothing is kept for it: the next reading that it gets says how many it has missed.

mod memory;

use std::convert::Infallible;
use std::sync::Arc;

use roadshow_services::{
    Address, Code, Command, CommandHandler, Context, Failure, Items, Method, Service, ServiceId, Stream, StreamHandler,
    Validate, Violations,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;

use memory::SensorMemory;
pub use memory::{BEHIND_MAX, SENSORS_MAX};

/// The service's name and version.
pub const SENSOR: ServiceId = ServiceId::new("sensor", 1);

/// A letter, then letters, digits, `-` and `_`: 64 in all at most.
const SENSOR_PATTERN: &str = "^[A-Za-z][A-Za-z0-9_-]{0,63}$";

/// Takes a reading of a sensor.
///
/// Whoever watches the sensor, or all of them, is told. Only the latest reading of each sensor is kept.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RecordReading {
    /// Which sensor it is.
    #[schemars(regex(pattern = SENSOR_PATTERN))]
    pub sensor: String,
    /// What it reads.
    pub value: f64,
}

impl Command for RecordReading {
    const ADDRESS: Address = SENSOR.command("record_reading");
    type Reply = Reading;
}

impl Validate for RecordReading {
    fn validate(&self, violations: &mut Violations) {
        check_sensor(&self.sensor, violations);
    }
}

/// Watches the readings of one sensor, or of all.
///
/// It begins with the latest reading of each, and goes on with every reading as it is taken.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct WatchReadings {
    /// Which sensor to watch; all of them where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = SENSOR_PATTERN))]
    pub sensor: Option<String>,
}

impl Stream for WatchReadings {
    const ADDRESS: Address = SENSOR.command("watch_readings");
    type Item = Reading;
}

impl Validate for WatchReadings {
    fn validate(&self, violations: &mut Violations) {
        if let Some(sensor) = &self.sensor {
            check_sensor(sensor, violations);
        }
    }
}

fn check_sensor(sensor: &str, violations: &mut Violations) {
    let mut bytes = sensor.bytes();
    let begins = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic());
    let goes_on = bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let rule = "must be a letter, then letters, digits, '-' and '_': 64 in all at most";
    violations.check("sensor", begins && goes_on && sensor.len() <= 64, rule);
}

/// What a sensor read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reading {
    /// Which sensor it was.
    pub sensor: String,
    /// What it read.
    pub value: f64,
    /// Which reading of all it is, from 1.
    pub number: u64,
    /// How many readings, of any sensor, a watcher has missed right before this one because it was too slow; left out where
    /// it has missed none.
    #[serde(default, skip_serializing_if = "is_none_missed")]
    pub missed: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_none_missed(missed: &u64) -> bool {
    *missed == 0
}

/// The state of the service: the latest readings, and who is told of the next.
#[derive(Debug)]
pub struct Sensors {
    memory: Arc<SensorMemory>,
}

impl CommandHandler<RecordReading> for Sensors {
    async fn handle(&self, input: RecordReading, _ctx: &Context) -> Result<Reading, Failure> {
        self.memory.record(input)
    }
}

impl StreamHandler<WatchReadings> for Sensors {
    async fn open(&self, input: WatchReadings, items: Items<Reading>, ctx: &Context) -> Result<(), Failure> {
        let is_watched = |reading: &Reading| input.sensor.as_ref().is_none_or(|sensor| *sensor == reading.sensor);
        let (latest, mut coming) = self.memory.watch();
        for reading in latest.into_iter().filter(is_watched) {
            items.send(reading).await?;
        }
        let mut missed = 0;
        loop {
            let reading = tokio::select! {
                () = ctx.cancelled() => return Ok(()),
                reading = coming.recv() => reading,
            };
            match reading {
                Ok(mut reading) if is_watched(&reading) => {
                    reading.missed = std::mem::take(&mut missed);
                    items.send(reading).await?;
                }
                Ok(_of_another_sensor) => {}
                Err(RecvError::Lagged(readings)) => missed += readings,
                Err(RecvError::Closed) => return Ok(()),
            }
        }
    }
}

/// Declares the service. Its readings are kept until it is dropped: over restarts, not over the end of the process.
pub fn sensors() -> Service<Sensors> {
    let memory = Arc::new(SensorMemory::default());
    let factory = move || {
        let memory = Arc::clone(&memory);
        async move { Ok::<_, Infallible>(Sensors { memory }) }
    };
    let reading = Reading {
        sensor: "greenhouse".to_owned(),
        value: 21.5,
        number: 1,
        missed: 0,
    };
    let record = RecordReading {
        sensor: reading.sensor.clone(),
        value: reading.value,
    };
    let watch = WatchReadings {
        sensor: Some(reading.sensor.clone()),
    };
    Service::new(SENSOR, factory)
        .command::<RecordReading>(|c| {
            c.http(Method::Post, "/sensors/{sensor}/readings")
                .status(201)
                .public()
                .validate()
                .tag("sensors")
                .example(&record, &reading)
                .fails_with(Code::Invalid, "The sensor's name breaks its rule.")
                .fails_with(Code::Exhausted, "There are too many sensors already.")
        })
        .stream::<WatchReadings>(|s| {
            s.http(Method::Get, "/readings")
                .public()
                .validate()
                .tag("sensors")
                .example(&watch, &reading)
                .fails_with(Code::Invalid, "The sensor's name breaks its rule.")
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    proptest! {
        #[test]
        fn the_schema_says_which_names_are_taken(sensor in "[aZ9_. é/-]{0,4}|a[b_]{60,66}") {
            let mut violations = Violations::default();
            let pattern = Regex::new(SENSOR_PATTERN).expect("a pattern");
            check_sensor(&sensor, &mut violations);
            prop_assert_eq!(violations.into_result().is_ok(), pattern.is_match(&sensor), "{}", sensor);
        }
    }
}

//! The rows: who is measured against whom, and what the bar of DESIGN section 8 compares.

use std::time::Duration;

use clap::ValueEnum;

use super::calls::{ByAddress, ByHandle, Waiting};
use super::channel::Channel;
use super::comparison::Comparison;
use super::contender::Side;
use super::error::Error;
use super::events::Emitter;
use super::mailbox::Mailbox;
use super::report::{Bar, Measured, Row};
use super::respawn::Respawn;
use super::restarts::Crasher;
use super::stage::{Stage, bench};

/// What can be measured without a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum RowName {
    /// A call by address to a handler that is ready at once, from 1, 8 and 64 callers.
    LocalCall,
    /// The same from one caller, with the address resolved once.
    LocalCallSequential,
    /// A call to a handler that yields once, from 64 callers.
    LocalCallWaiting,
    /// An event to one subscriber.
    EventLocal,
    /// From a crash to the first call served.
    Restart,
}

impl RowName {
    /// All rows, in the order of the report.
    pub(crate) const ALL: &[RowName] = &[
        RowName::LocalCall,
        RowName::LocalCallSequential,
        RowName::LocalCallWaiting,
        RowName::EventLocal,
        RowName::Restart,
    ];

    /// The name as it is given and printed.
    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            RowName::LocalCall => "local_call",
            RowName::LocalCallSequential => "local_call_sequential",
            RowName::LocalCallWaiting => "local_call_waiting",
            RowName::EventLocal => "event_local",
            RowName::Restart => "restart",
        }
    }

    /// Measures, for about `length` a line.
    pub(super) fn measure(self, length: Duration) -> Result<Vec<Row>, Error> {
        match self {
            RowName::LocalCall => [1, 8, 64]
                .into_iter()
                .map(|callers| self.calls(callers, length))
                .collect(),
            RowName::LocalCallSequential => Ok(vec![self.sequential(length)?]),
            RowName::LocalCallWaiting => Ok(vec![self.waiting(length)?]),
            RowName::EventLocal => Ok(vec![self.events(length)?]),
            RowName::Restart => Ok(vec![self.restarts(length)?]),
        }
    }

    fn calls(self, in_flight: u32, length: Duration) -> Result<Row, Error> {
        let ours = Side::start(Stage::start(bench(), None, |node| Ok(ByAddress(node.client()))))?;
        let compared = Comparison::run(ours, Side::start(Mailbox::ready())?, in_flight, length)?;
        Ok(self.row(
            in_flight,
            &compared,
            "ractor_call",
            Measured::Throughput,
            match in_flight {
                64 => Some(Bar::RatioAtLeast(3.0)),
                _ => None,
            },
        ))
    }

    fn sequential(self, length: Duration) -> Result<Row, Error> {
        let ours = Side::start(Stage::start(bench(), None, |node| node.client().handle().map(ByHandle)))?;
        let compared = Comparison::run(ours, Side::start(Mailbox::ready())?, 1, length)?;
        let bar = Some(Bar::RatioAtMost(0.3));
        Ok(self.row(1, &compared, "ractor_call", Measured::MeanTime, bar))
    }

    fn waiting(self, length: Duration) -> Result<Row, Error> {
        let ours = Side::start(Stage::start(bench(), None, |node| Ok(Waiting(node.client()))))?;
        let compared = Comparison::run(ours, Side::start(Mailbox::waiting())?, 64, length)?;
        let bar = Some(Bar::RatioAtLeast(1.0));
        Ok(self.row(64, &compared, "ractor_call_waiting", Measured::Throughput, bar))
    }

    fn events(self, length: Duration) -> Result<Row, Error> {
        let ours = Side::start(Emitter::start())?;
        let compared = Comparison::run(ours, Side::start(Channel::start())?, 1, length)?;
        let bar = Some(Bar::PerSecondAtLeast(2e6));
        Ok(self.row(1, &compared, "tokio_mpsc", Measured::Throughput, bar))
    }

    fn restarts(self, length: Duration) -> Result<Row, Error> {
        let ours = Side::start(Stage::start(bench(), None, |node| Ok(Crasher(node.client()))))?;
        let compared = Comparison::run(ours, Side::start(Respawn::start())?, 1, length)?;
        let bar = Some(Bar::P50AtMost(Duration::from_micros(100)));
        Ok(self.row(1, &compared, "ractor_respawn", Measured::MedianTime, bar))
    }

    fn row(
        self,
        in_flight: u32,
        compared: &Comparison,
        baseline: &'static str,
        measured: Measured,
        bar: Option<Bar>,
    ) -> Row {
        Row {
            name: self.as_str(),
            bridge: "memory",
            in_flight,
            per_second: compared.ours.per_second.round(),
            p50_ns: compared.ours.p50_ns,
            p99_ns: compared.ours.p99_ns,
            p999_ns: compared.ours.p999_ns,
            max_ns: compared.ours.max_ns,
            baseline,
            baseline_per_second: compared.baseline.per_second.round(),
            baseline_p50_ns: compared.baseline.p50_ns,
            baseline_p99_ns: compared.baseline.p99_ns,
            baseline_p999_ns: compared.baseline.p999_ns,
            baseline_max_ns: compared.baseline.max_ns,
            ratio: measured.ratio(compared),
            compares: measured,
            bar,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_measured_beside_its_baseline() {
        for name in RowName::ALL {
            let rows = name
                .measure(Duration::from_millis(140))
                .expect("both contenders answer");
            assert!(!rows.is_empty(), "{name:?}");
            for row in rows {
                assert_eq!(row.name, name.as_str());
                assert!(
                    row.per_second > 0.0 && row.baseline_per_second > 0.0 && row.ratio > 0.0,
                    "{row:?}"
                );
                let ours = [row.p50_ns, row.p99_ns, row.p999_ns, row.max_ns];
                let theirs = [
                    row.baseline_p50_ns,
                    row.baseline_p99_ns,
                    row.baseline_p999_ns,
                    row.baseline_max_ns,
                ];
                for percentiles in [ours, theirs] {
                    assert!(percentiles[0] > 0 && percentiles.is_sorted(), "{row:?}");
                }
            }
        }
    }
}

//! The rows: who is measured against whom, and what the bar of DESIGN section 8 compares.

use std::time::Duration;

use clap::ValueEnum;

use roadshow_bridges::BareAct;

use super::bare::Bare;
use super::calls::{ByAddress, ByHandle, Waiting};
use super::channel::Channel;
use super::comparison::Comparison;
use super::contender::Side;
use super::error::Error;
use super::events::Emitter;
use super::mailbox::Mailbox;
use super::remote::{Pair, Remote, Teller};
use super::report::{Bar, Measured, Row};
use super::respawn::Respawn;
use super::restarts::Crasher;
use super::stage::{Stage, bench};

/// What the rows over a bridge are measured against.
const BARE: &str = "bare_client";

/// What can be measured: without a broker, and over one.
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
    /// A call over the bridge, from 1 and 64 callers.
    Call,
    /// An event to one durable subscriber over the bridge, until it is acknowledged, from 64 emitters.
    DurableEvent,
    /// An event to 1 and 4 plain subscribers over the bridge, from 64 emitters.
    Event,
}

impl RowName {
    /// The rows without a broker, in the order of the report.
    pub(crate) const LOCAL: &[RowName] = &[
        RowName::LocalCall,
        RowName::LocalCallSequential,
        RowName::LocalCallWaiting,
        RowName::EventLocal,
        RowName::Restart,
    ];

    /// The rows over a bridge, which come after the others.
    pub(crate) const REMOTE: &[RowName] = &[RowName::Call, RowName::DurableEvent, RowName::Event];

    /// Whether it takes a bridge.
    pub(crate) fn is_remote(self) -> bool {
        Self::REMOTE.contains(&self)
    }

    /// The name as it is given and printed.
    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            RowName::LocalCall => "local_call",
            RowName::LocalCallSequential => "local_call_sequential",
            RowName::LocalCallWaiting => "local_call_waiting",
            RowName::EventLocal => "event_local",
            RowName::Restart => "restart",
            RowName::Call => "call",
            RowName::DurableEvent => "durable_event",
            RowName::Event => "event",
        }
    }

    /// Measures, for about `length` a line; over `remote`, where the row takes a bridge.
    pub(super) fn measure(self, length: Duration, remote: Option<&Remote>) -> Result<Vec<Row>, Error> {
        match self {
            RowName::Call | RowName::DurableEvent | RowName::Event => {
                let remote = remote.ok_or_else(|| Error::new("choosing a bridge", "none was named"))?;
                self.measure_remote(length, remote)
            }
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

    fn measure_remote(self, length: Duration, remote: &Remote) -> Result<Vec<Row>, Error> {
        match self {
            RowName::DurableEvent => Ok(vec![self.told::<true>(1, length, remote)?]),
            RowName::Event => [1, 4]
                .into_iter()
                .map(|subscribers| self.told::<false>(subscribers, length, remote))
                .collect(),
            _ => [1, 64]
                .into_iter()
                .map(|callers| self.asked(callers, length, remote))
                .collect(),
        }
    }

    fn asked(self, in_flight: u32, length: Duration, remote: &Remote) -> Result<Row, Error> {
        let message = remote.bare_command()?;
        let ours = Side::start(Pair::asking(remote))?;
        let compared = Comparison::run(ours, Side::start(Bare::asking(remote, message))?, in_flight, length)?;
        let bar = (in_flight == 64).then_some(Bar::RatioAtLeast(0.85));
        let row = self.row(in_flight, &compared, BARE, Measured::Throughput, bar);
        Ok(Row {
            bridge: remote.bridge,
            ..row
        })
    }

    /// Events to so many subscribers, durable or plain.
    fn told<const DURABLE: bool>(self, subscribers: usize, length: Duration, remote: &Remote) -> Result<Row, Error> {
        let (act, bar) = match DURABLE {
            true => (BareAct::DurableEvent, Some(Bar::RatioAtLeast(0.8))),
            false => (BareAct::Event { subscribers }, None),
        };
        let message = remote.bare_event::<DURABLE>()?;
        let ours = Side::start(Pair::<Teller<DURABLE>>::telling(remote, subscribers))?;
        let compared = Comparison::run(ours, Side::start(Bare::telling(remote, act, message))?, 64, length)?;
        let row = self.row(64, &compared, BARE, Measured::Throughput, bar);
        Ok(Row {
            bridge: remote.bridge,
            subscribers: Some(subscribers),
            ..row
        })
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
            subscribers: None,
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
    fn a_row_over_a_bridge_is_not_measured_without_one() {
        for name in RowName::REMOTE {
            let error = name.measure(Duration::from_millis(140), None).expect_err("no bridge");
            assert!(error.to_string().contains("none was named"), "{error}");
        }
    }

    #[test]
    fn every_row_is_measured_beside_its_baseline() {
        for name in RowName::LOCAL {
            let rows = name
                .measure(Duration::from_millis(140), None)
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

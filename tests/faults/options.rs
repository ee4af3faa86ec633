//! The command line of the chaos program, read by hand: the library that reads the program's own is the console's.

use crate::schedule::{BASELINE_MS, COOL_DOWN_MS, Fault, Step, Transport, draw};

/// How it is called.
pub(crate) const USAGE: &str =
    "tests/chaos --bridge nats|amqp|mqtt|memory [--minutes M] [--seed N] [--nodes 2] [--rate 100]
tests/chaos --bridge nats|amqp|mqtt --scenario broker-kill [--times 20] [--rate 1000]
tests/chaos --bridge nats|amqp|mqtt --scenario broker-pause [--times 1] [--rate 1000]
tests/chaos --bridge nats|amqp|mqtt --scenario broker";

/// How long a paused broker stays so.
const PAUSE_MS: u64 = 5_000;

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// What the seed draws.
    Drawn,
    /// The broker, by kill -9, again and again.
    BrokerKill,
    /// The broker, by SIGSTOP.
    BrokerPause,
    /// Nothing: a broker runs for somebody else until the input ends.
    Broker,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Options {
    /// Over what.
    pub(crate) transport: Transport,
    /// What is broken.
    pub(crate) scenario: Scenario,
    /// How long the generator runs.
    pub(crate) minutes: f64,
    /// Draws faults and acts.
    pub(crate) seed: u64,
    /// Nodes with the probe.
    pub(crate) nodes: usize,
    /// Acts in a second.
    pub(crate) rate: u64,
    /// How often a scenario breaks it.
    pub(crate) times: u64,
}

impl Options {
    /// Reads what follows the program's name.
    pub(crate) fn read(args: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut given = args.into_iter();
        let (mut transport, mut scenario, mut times, mut rate) = (None, Scenario::Drawn, None, None);
        let (mut minutes, mut seed, mut nodes) = (3.0, 1, 2);
        while let Some(flag) = given.next() {
            let value = given.next().ok_or_else(|| format!("{flag} needs a value"))?;
            let wrong = || format!("{flag} cannot be {value:?}");
            match flag.as_str() {
                "--bridge" => transport = Some(Transport::named(&value).ok_or_else(wrong)?),
                "--minutes" => minutes = value.parse().map_err(|_| wrong())?,
                "--seed" => seed = value.parse().map_err(|_| wrong())?,
                "--nodes" => nodes = value.parse().map_err(|_| wrong())?,
                "--rate" => rate = Some(value.parse().map_err(|_| wrong())?),
                "--times" => times = Some(value.parse().map_err(|_| wrong())?),
                "--scenario" if value == "broker-kill" => scenario = Scenario::BrokerKill,
                "--scenario" if value == "broker-pause" => scenario = Scenario::BrokerPause,
                "--scenario" if value == "broker" => scenario = Scenario::Broker,
                _ => return Err(wrong()),
            }
        }
        let (usual_times, usual_rate) = match scenario {
            Scenario::Drawn | Scenario::Broker => (0, 100),
            Scenario::BrokerKill => (20, 1_000),
            Scenario::BrokerPause => (1, 1_000),
        };
        let options = Self {
            transport: transport.ok_or("--bridge is missing")?,
            scenario,
            minutes,
            seed,
            nodes,
            rate: rate.unwrap_or(usual_rate),
            times: times.unwrap_or(usual_times),
        };
        options.checked()
    }

    fn checked(self) -> Result<Self, String> {
        let has_broker = self.transport != Transport::Memory;
        if self.scenario != Scenario::Drawn && !has_broker {
            return Err("a scenario with a broker needs a bridge that has one".to_owned());
        }
        if !(0.5..=600.0).contains(&self.minutes) || !(1..=8).contains(&self.nodes) || !(1..=5_000).contains(&self.rate)
        {
            return Err("minutes are 0.5 to 600, nodes 1 to 8, the rate 1 to 5000".to_owned());
        }
        Ok(self)
    }

    /// The schedule, and how long the generator runs.
    pub(crate) fn schedule(&self) -> (Vec<Step>, u64) {
        match self.scenario {
            Scenario::Drawn => {
                let whole_ms = (self.minutes * 60_000.0) as u64;
                // Over memory there is one node and no other.
                let nodes = if self.transport == Transport::Memory {
                    1
                } else {
                    self.nodes + 1
                };
                (draw(self.seed, self.transport, nodes, whole_ms), whole_ms)
            }
            Scenario::BrokerKill if self.transport == Transport::Amqp => self.repeated(Fault::BrokerKill, 500, 30_000),
            Scenario::BrokerKill => self.repeated(Fault::BrokerKill, 500, 14_000),
            Scenario::BrokerPause => self.repeated(Fault::BrokerPause, PAUSE_MS, 15_000),
            Scenario::Broker => (Vec::new(), 0),
        }
    }

    fn repeated(&self, fault: Fault, lasts_ms: u64, every_ms: u64) -> (Vec<Step>, u64) {
        let step = |turn| Step {
            at_ms: BASELINE_MS + turn * every_ms,
            lasts_ms,
            fault,
        };
        (
            (0..self.times).map(step).collect(),
            BASELINE_MS + self.times * every_ms + COOL_DOWN_MS,
        )
    }

    /// Of a thousand acts so many are calls.
    pub(crate) fn calls_per_mille(&self) -> u64 {
        match self.scenario {
            Scenario::Drawn | Scenario::Broker => 500,
            // Events at the rate that was asked for, and calls enough to see when they are served again.
            Scenario::BrokerKill | Scenario::BrokerPause => 100,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, String> {
        Options::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_line_is_read_and_a_wrong_one_is_refused() {
        let options = read("--bridge nats --minutes 1.5 --seed 9").expect("it is right");
        assert_eq!(
            (options.transport, options.seed, options.nodes),
            (Transport::Nats, 9, 2)
        );
        assert_eq!(options.schedule().1, 90_000);
        let wrong = [
            "",
            "--bridge",
            "--bridge kafka",
            "--bridge nats --seed x",
            "--bridge nats --minutes 0",
            "--bridge nats --nodes 0",
            "--bridge nats --speed 1",
            "--bridge memory --scenario broker-kill",
        ];
        for line in wrong {
            assert!(read(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_scenario_breaks_the_broker_as_often_as_asked() {
        let (steps, whole_ms) = read("--bridge amqp --scenario broker-kill --times 3")
            .expect("right")
            .schedule();
        assert_eq!(steps.len(), 3);
        assert!(steps.iter().all(|step| step.fault == Fault::BrokerKill));
        assert!(whole_ms > steps[2].at_ms + 30_000);
    }
}

//! The schedule of faults: a pure function of the seed and of what is there to break. One seed gives one schedule.
//!
//! Faults come one after the other, each with a time to heal and a time to recover, so that a recovery is somebody's:
//! every kind comes once, in an order that the seed chooses, before one comes again.

use std::fmt;

use super::random::Random;

/// How long the generator runs before the first fault: the rate of these seconds is what a recovery is measured by.
pub(crate) const BASELINE_MS: u64 = 8_000;
/// How long after the last fault the generator goes on.
pub(crate) const COOL_DOWN_MS: u64 = 6_000;

/// How long a node keeps over MQTT what nobody has handled: longer than any fault and its recovery.
pub(crate) const OUTBOX_S: u64 = 60;

/// What is under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Transport {
    /// One process.
    Memory,
    /// nats-server with JetStream.
    Nats,
    /// RabbitMQ.
    Amqp,
    /// Mosquitto.
    Mqtt,
}

impl Transport {
    /// By the name that `--bridge` takes.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "memory" => Self::Memory,
            "nats" => Self::Nats,
            "amqp" => Self::Amqp,
            "mqtt" => Self::Mqtt,
            _ => return None,
        })
    }
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// kill -9 of a node, started again half a second later.
    NodeKill { node: usize },
    /// SIGSTOP of a node, then SIGCONT.
    NodePause { node: usize },
    /// kill -9 of the broker, started again with the same data.
    BrokerKill,
    /// SIGSTOP of the broker, then SIGCONT.
    BrokerPause,
    /// Every connection is reset, in the proxy.
    Cut,
    /// Every connection is destroyed by the kernel, at the broker's end (`ss -K`).
    SocketKill,
    /// Connections stay open and carry nothing.
    Stall,
    /// Connections carry everything late.
    Delay { latency_ms: u64 },
    /// Handlers take long.
    SlowHandlers,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NodeKill { node } => write!(f, "kill -9 of node {node}"),
            Self::NodePause { node } => write!(f, "SIGSTOP of node {node}"),
            Self::BrokerKill => f.write_str("kill -9 of the broker"),
            Self::BrokerPause => f.write_str("SIGSTOP of the broker"),
            Self::Cut => f.write_str("connections reset"),
            Self::SocketKill => f.write_str("sockets destroyed (ss -K)"),
            Self::Stall => f.write_str("connections stalled"),
            Self::Delay { latency_ms } => write!(f, "{latency_ms} ms of latency"),
            Self::SlowHandlers => f.write_str("slow handlers"),
        }
    }
}

/// A fault with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// When it begins, after the generator did.
    pub(crate) at_ms: u64,
    /// How long it lasts; a kill lasts until its victim is started again.
    pub(crate) lasts_ms: u64,
    /// What it is.
    pub(crate) fault: Fault,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, lasts) = (self.at_ms as f64 / 1_000.0, self.lasts_ms as f64 / 1_000.0);
        write!(f, "{at:7.1} s  {lasts:5.1} s  {}", self.fault)
    }
}

/// Draws a schedule that fits into so many milliseconds, cooling down included.
pub(crate) fn draw(seed: u64, transport: Transport, nodes: usize, whole_ms: u64) -> Vec<Step> {
    let mut random = Random::new(seed);
    let mut steps = Vec::new();
    let mut at_ms = BASELINE_MS;
    let mut deck = Vec::new();
    loop {
        if deck.is_empty() {
            deck = every_kind(transport, nodes, &mut random);
            random.shuffle(&mut deck);
        }
        let fault = deck.pop().expect("a deck has cards");
        let lasts_ms = duration(fault, &mut random);
        let next_ms = at_ms + lasts_ms + respite(fault, transport);
        if next_ms + COOL_DOWN_MS > whole_ms {
            return steps;
        }
        steps.push(Step { at_ms, lasts_ms, fault });
        at_ms = next_ms;
    }
}

fn every_kind(transport: Transport, nodes: usize, random: &mut Random) -> Vec<Fault> {
    let mut node = || usize::try_from(random.below(nodes as u64)).expect("a node's number is small");
    let mut kinds = vec![
        Fault::NodeKill { node: node() },
        Fault::NodePause { node: node() },
        Fault::SlowHandlers,
    ];
    if transport != Transport::Memory {
        kinds.extend([
            Fault::BrokerKill,
            Fault::BrokerPause,
            Fault::Cut,
            Fault::SocketKill,
            Fault::Stall,
            Fault::Delay {
                latency_ms: random.between(50, 200),
            },
        ]);
    }
    kinds
}

fn duration(fault: Fault, random: &mut Random) -> u64 {
    match fault {
        Fault::NodeKill { .. } => random.between(200, 1_000),
        Fault::BrokerKill => random.between(100, 1_500),
        Fault::Cut | Fault::SocketKill => 0,
        Fault::NodePause { .. } | Fault::BrokerPause | Fault::Delay { .. } | Fault::SlowHandlers => {
            random.between(2_000, 5_000)
        }
        Fault::Stall => random.between(3_000, 6_000),
    }
}

/// How long nothing is broken afterwards. RabbitMQ itself needs seconds to start.
fn respite(fault: Fault, transport: Transport) -> u64 {
    match (fault, transport) {
        (Fault::BrokerKill, Transport::Amqp) => 24_000,
        (Fault::BrokerKill, _) => 12_000,
        (Fault::Cut | Fault::SocketKill, _) => 6_000,
        _ => 8_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRANSPORTS: [Transport; 4] = [Transport::Memory, Transport::Nats, Transport::Amqp, Transport::Mqtt];

    #[test]
    fn one_seed_gives_one_schedule_and_another_seed_another() {
        for transport in TRANSPORTS {
            let of = |seed| draw(seed, transport, 3, 600_000);
            assert_eq!(of(7), of(7));
            assert_ne!(of(7), of(8));
        }
    }

    #[test]
    fn faults_do_not_overlap_and_fit_into_the_time() {
        for transport in TRANSPORTS {
            for (seed, whole_ms) in (0..50).zip([60_000, 75_000, 180_000, 600_000].into_iter().cycle()) {
                let steps = draw(seed, transport, 3, whole_ms);
                assert!(!steps.is_empty() && steps[0].at_ms == BASELINE_MS);
                for pair in steps.windows(2) {
                    assert!(pair[0].at_ms + pair[0].lasts_ms + 6_000 <= pair[1].at_ms, "{pair:?}");
                }
                let last = steps.last().expect("there are steps");
                assert!(last.at_ms + last.lasts_ms + COOL_DOWN_MS <= whole_ms);
            }
        }
    }

    #[test]
    fn a_long_schedule_has_every_kind_and_memory_has_no_broker() {
        let kinds = |transport| {
            let steps = draw(3, transport, 3, 300_000);
            let kinds: std::collections::HashSet<_> =
                steps.iter().map(|step| std::mem::discriminant(&step.fault)).collect();
            kinds.len()
        };
        assert_eq!(kinds(Transport::Nats), 9);
        assert_eq!(kinds(Transport::Memory), 3);
    }
}

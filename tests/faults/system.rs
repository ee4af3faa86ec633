//! The system under test: a broker of its own behind a proxy, a node for clients and nodes with the probe, and what is
//! done to them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use roadshow_conformance::broker::{Broker, BrokerKind};
use roadshow_conformance::proxy::Proxy;
use rustix::process::Signal;
use tokio::process::Command;
use tokio::time::sleep;

use crate::checker::{Broken, Sample};
use crate::clock::unix_ms;
use crate::node::{Node, resident};
use crate::schedule::{Fault, OUTBOX_S, Step, Transport};

/// How long a broker waits for an acknowledgement before it brings a message to another node, where it can be told.
const LEASE: &str = "4s";

/// Process ids of the nodes that run.
pub(crate) type Pids = Arc<Mutex<Vec<Option<u32>>>>;

/// Everything that can be broken.
#[derive(Debug)]
pub(crate) struct System {
    /// Clients talk to the first.
    pub(crate) nodes: Vec<Node>,
    /// What the probe writes.
    pub(crate) ledger: PathBuf,
    /// Whether handlers are to be slow.
    pub(crate) slow: Arc<AtomicBool>,
    /// For whoever samples their memory.
    pub(crate) pids: Pids,
    broker: Option<Broker>,
    proxy: Option<Proxy>,
}

impl System {
    /// Starts broker, proxy and nodes: one for clients, which serves nothing of the probe, and `nodes` with the probe. Over
    /// memory there is one node, and it does both.
    pub(crate) async fn start(binary: &Path, folder: &Path, transport: Transport, nodes: usize) -> io::Result<Self> {
        let broker = match broker_kind(transport) {
            Some(kind) => Some(Broker::start(kind).await?),
            None => None,
        };
        let proxy = match &broker {
            Some(broker) => Some(Proxy::start(broker.url()).await?),
            None => None,
        };
        let url = match (&broker, &proxy) {
            (Some(broker), Some(proxy)) => proxy.url(&broker.url()),
            _ => "memory:".to_owned(),
        };
        let url = match transport {
            Transport::Nats => format!("{url}?ack_wait={LEASE}"),
            Transport::Mqtt => format!("{url}?outbox_seconds_max={OUTBOX_S}"),
            Transport::Memory | Transport::Amqp => url,
        };
        let ledger = folder.join("ledger.jsonl");
        let path = ledger.to_str().expect("a path in UTF-8");
        let common = ["--event-bridge", &url, "--log-filter", "info", "--log", "json"];
        let probe = [
            &common[..],
            &["--services", "probe", "--probe", path, "--probe-lease", LEASE],
        ]
        .concat();
        let front = [&common[..], &["--services", "user"]].concat();
        let mut list = Vec::new();
        if broker.is_some() {
            list.push(Node::new(binary, folder, "front", &front));
            list.extend((1..=nodes).map(|number| Node::new(binary, folder, &format!("probe{number}"), &probe)));
        } else {
            list.push(Node::new(binary, folder, "solo", &probe));
        }
        for node in &mut list {
            node.start().await?;
        }
        let system = Self {
            nodes: list,
            ledger,
            slow: Arc::default(),
            pids: Pids::default(),
            broker,
            proxy,
        };
        system.note_pids();
        Ok(system)
    }

    /// Breaks something for its time and heals it. Returns what was broken from when to when.
    pub(crate) async fn suffer(&mut self, step: Step) -> io::Result<Broken> {
        let from_ms = unix_ms();
        let lasts = Duration::from_millis(step.lasts_ms);
        self.break_it(step.fault).await?;
        // allow-sleep: a fault lasts as long as the schedule says
        sleep(lasts).await;
        self.heal(step.fault).await?;
        self.note_pids();
        Ok(Broken {
            fault: step.fault,
            from_ms,
            to_ms: unix_ms(),
        })
    }

    async fn break_it(&mut self, fault: Fault) -> io::Result<()> {
        match fault {
            Fault::NodeKill { node } => {
                self.nodes[node].kill().await;
                self.note_pids();
            }
            Fault::NodePause { node } => self.nodes[node].signal(Signal::STOP)?,
            Fault::BrokerKill => self.broker_mut()?.kill(),
            Fault::BrokerPause => self.broker_mut()?.pause()?,
            Fault::Cut => self.proxy()?.cut(),
            Fault::SocketKill => destroy_sockets(self.broker_mut()?.port()).await?,
            Fault::Stall => self.proxy()?.stall(),
            Fault::Delay { latency_ms } => self.proxy()?.delay(Duration::from_millis(latency_ms)),
            Fault::SlowHandlers => self.slow.store(true, Ordering::Relaxed),
        }
        Ok(())
    }

    async fn heal(&mut self, fault: Fault) -> io::Result<()> {
        match fault {
            Fault::NodeKill { node } => self.nodes[node].start().await?,
            Fault::NodePause { node } => self.nodes[node].signal(Signal::CONT)?,
            Fault::BrokerKill => self.broker_mut()?.restart().await?,
            Fault::BrokerPause => self.broker_mut()?.resume()?,
            Fault::Cut | Fault::SocketKill => {}
            Fault::Stall => self.proxy()?.flow(),
            Fault::Delay { .. } => self.proxy()?.delay(Duration::ZERO),
            Fault::SlowHandlers => self.slow.store(false, Ordering::Relaxed),
        }
        Ok(())
    }

    /// How many connections the proxy has let in; 0 without a broker.
    pub(crate) fn connections(&self) -> u64 {
        self.proxy.as_ref().map_or(0, Proxy::accepted)
    }

    /// Asks every node to end and returns those that did not end well.
    pub(crate) async fn stop(&mut self) -> Vec<String> {
        let mut bad = Vec::new();
        for node in &mut self.nodes {
            match node.stop().await {
                Ok(status) if status.success() => {}
                Ok(status) => bad.push(format!("{}: {status}", node.name)),
                Err(error) => bad.push(format!("{}: {error}", node.name)),
            }
        }
        bad
    }

    /// Lines that each node logged, and those of them that tell of an error.
    pub(crate) fn logged(&self) -> Vec<(String, usize, usize)> {
        let of = |node: &Node| {
            let log = node.log();
            let errors = log.lines().filter(|line| line.contains("\"level\":\"ERROR\"")).count();
            (node.name.clone(), log.lines().count(), errors)
        };
        self.nodes.iter().map(of).collect()
    }

    fn note_pids(&self) {
        let pids = self.nodes.iter().map(Node::pid).collect();
        *self.pids.lock().expect("nobody panics with it") = pids;
    }

    fn broker_mut(&mut self) -> io::Result<&mut Broker> {
        self.broker
            .as_mut()
            .ok_or_else(|| io::Error::other("there is no broker"))
    }

    fn proxy(&self) -> io::Result<&Proxy> {
        self.proxy.as_ref().ok_or_else(|| io::Error::other("there is no proxy"))
    }
}

/// The server of a transport.
pub(crate) fn broker_kind(transport: Transport) -> Option<BrokerKind> {
    match transport {
        Transport::Memory => None,
        Transport::Nats => Some(BrokerKind::Nats),
        Transport::Amqp => Some(BrokerKind::Rabbit),
        Transport::Mqtt => Some(BrokerKind::Mosquitto),
    }
}

/// Resident bytes of every node that runs, now.
pub(crate) fn sample(pids: &Pids) -> Vec<Sample> {
    let pids = pids.lock().expect("nobody panics with it").clone();
    let t_ms = unix_ms();
    let of = |(node, pid): (usize, Option<u32>)| {
        let bytes = resident(pid?)?;
        Some(Sample { node, t_ms, bytes })
    };
    pids.into_iter().enumerate().filter_map(of).collect()
}

/// Lets the kernel destroy every connection to a port. `ss` prints a complaint that means nothing.
async fn destroy_sockets(port: u16) -> io::Result<()> {
    let filter = ["-K", "dst", "127.0.0.1", "dport", "=", &format!(":{port}")];
    let ended = Command::new("ss").args(filter).output().await?;
    if ended.status.success() {
        Ok(())
    } else {
        Err(io::Error::other(String::from_utf8_lossy(&ended.stderr).into_owned()))
    }
}

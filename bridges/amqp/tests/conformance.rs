//! The suite that every event bridge must pass, over RabbitMQ.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::{Connection, ConnectionProperties};
use roadshow_amqp::AmqpConnector;
use roadshow_bridges::{Capability, Connector, Namespace};
use roadshow_conformance::{Adapter, BrokerKind, Home};

#[derive(Debug)]
struct Amqp;

/// The groups that cases leave behind because they last.
const DURABLE: [&str; 4] = ["ledger", "cut", "conf-done", "conf-stuck"];
/// Those that are numbered: every second one lasts.
const NUMBERED: std::ops::Range<usize> = 0..20;
const TIERS: [u64; 6] = [100, 500, 1000, 5000, 30000, 300_000];

impl Adapter for Amqp {
    fn capability(&self) -> Capability {
        AmqpConnector::capability()
    }

    fn connector(&self) -> Arc<dyn Connector> {
        Arc::new(AmqpConnector)
    }

    fn home(&self) -> Home {
        Home::Server(BrokerKind::Rabbit)
    }

    fn clean<'a>(&'a self, url: &'a str, namespace: &'a Namespace) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Err(error) = clean(url, namespace.as_str()).await {
                println!("cleaning up namespace {namespace}: {error}");
            }
        })
    }
}

async fn clean(url: &str, namespace: &str) -> lapin::Result<()> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let mut queues = BTreeSet::new();
    let numbered = NUMBERED.map(|number| format!("conf-all-e{number}"));
    for group in DURABLE.map(str::to_owned).into_iter().chain(numbered) {
        let group = format!("conformance=1={group}");
        queues.insert(format!("{namespace}.dead.{}", group.replace('=', ".")));
        queues.insert(format!("{namespace}.{group}"));
    }
    let mut exchanges = vec![namespace.to_owned(), format!("{namespace}.rest")];
    for tier in TIERS {
        exchanges.push(format!("{namespace}.retry.{tier}"));
        exchanges.push(format!("{namespace}.retry.{tier}.passing"));
    }
    queues.extend(exchanges.iter().cloned());
    for queue in queues {
        channel
            .queue_delete(queue.as_str().into(), QueueDeleteOptions::default())
            .await?;
    }
    for exchange in exchanges {
        channel
            .exchange_delete(exchange.as_str().into(), ExchangeDeleteOptions::default())
            .await?;
    }
    connection.close(200, "OK".into()).await
}

fn main() -> ExitCode {
    roadshow_conformance::run(Amqp)
}

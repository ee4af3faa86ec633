//! What one local call costs on an endpoint: `cargo run --release -p roadshow-actors --example call_cost`.

use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use roadshow_actors::metrics::{MetricsSettings, NodeMetrics};
use roadshow_actors::{
    CallContext, Clock, Endpoint, EndpointSpec, Ids, Incarnation, Limits, NodeCore, NodeSpec, Request, ServiceCore,
};
use roadshow_bridges::{Failure, IncarnationId, Namespace, ServiceId};

const CALLS: u32 = 3_000_000;

fn endpoint(yields: bool) -> Arc<Endpoint<[u64; 16], [u64; 8]>> {
    let node = NodeCore::new(NodeSpec {
        clock: Clock::tsc(),
        ids: Ids::random(),
        metrics: NodeMetrics::new(MetricsSettings::default()),
        runtime: tokio::runtime::Handle::current(),
        node_id: "bench".parse().expect("a token"),
        incarnation: IncarnationId::from_u64(1),
        namespace: Namespace::default(),
        codec_always: false,
        call_timeout: std::time::Duration::from_secs(30),
        reply_allow: Vec::new(),
    });
    let service = ServiceCore::new(ServiceId::new("bench", 1), Arc::clone(&node), None);
    service
        .gate()
        .open(Incarnation::new(1, Arc::clone(&service), Box::new(7_u64)));
    Arc::new(Endpoint::new(EndpointSpec {
        name: "run",
        metrics: node.metrics().endpoint("bench", 1, "run"),
        service,
        limits: Limits::default(),
        rate: None,
        run: Box::new(move |input: [u64; 16], ctx: CallContext| {
            async move {
                if yields {
                    tokio::task::yield_now().await;
                }
                let state = ctx.incarnation().state::<u64>().expect("a number");
                Ok::<_, Failure>([input[0] + *state; 8])
            }
            .boxed()
        }),
        key_of: None,
    }))
}

async fn callers(endpoint: &Arc<Endpoint<[u64; 16], [u64; 8]>>, callers: u32) -> f64 {
    let started = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let endpoint = Arc::clone(endpoint);
            tokio::spawn(async move {
                for n in 0..CALLS / callers {
                    let reply = endpoint.call([u64::from(n); 16], Request::root()).await;
                    assert_eq!(reply.expect("an answer")[0], u64::from(n) + 7);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    f64::from(CALLS) / started.elapsed().as_secs_f64()
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    for (name, yields) in [("ready", false), ("yields once", true)] {
        let endpoint = endpoint(yields);
        let counts: Vec<u32> = std::env::args().skip(1).filter_map(|n| n.parse().ok()).collect();
        for n in if counts.is_empty() { vec![1, 8, 64] } else { counts } {
            let rate = tokio::spawn({
                let endpoint = Arc::clone(&endpoint);
                async move { callers(&endpoint, n).await }
            });
            let rate = rate.await.expect("no panic");
            println!("{name}, {n} callers: {:.2} M calls/s, {:.0} ns", rate / 1e6, 1e9 / rate);
        }
    }
}

//! Requests and replies through the adapter beside async-nats' own, 64 in flight: what the adapter itself costs.
//!
//! `cargo run --release -p roadshow-nats --example beside_async_nats -- nats://127.0.0.1:4222`

use std::collections::HashMap;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use roadshow_bridges::{
    BareAct, BareMessage, ConnectContext, Connector, Envelope, EventBridge, EventName, Identity, IncarnationId, Kind,
    MessageId, Namespace, ServiceId, Subscription, TryPublish,
};
use roadshow_nats::NatsConnector;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

const IN_FLIGHT: u64 = 64;
const TURN: Duration = Duration::from_secs(3);
const TURNS: usize = 3;
const SERVICE: ServiceId = ServiceId::new("bench", 1);
const EVENT: EventName = EventName::new("bench.event");

type Failure = Box<dyn Error + Send + Sync>;
type Waiting = Arc<Mutex<HashMap<String, oneshot::Sender<()>>>>;

fn context(ns: &Namespace, node: &str) -> Result<ConnectContext, Failure> {
    Ok(ConnectContext::new(
        ns.clone(),
        node.parse()?,
        IncarnationId::from_u64(1),
    ))
}

/// Everything that one side of the measurement holds.
struct Ours {
    bridge: Arc<dyn EventBridge>,
    context: ConnectContext,
    waiting: Waiting,
    next: AtomicU64,
    received: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Ours {
    async fn prepare(url: &str, ns: &Namespace) -> Result<Self, Failure> {
        let (here, there) = (context(ns, "n1")?, context(ns, "n2")?);
        let bridge = NatsConnector.event_bridge(url, &here).await?;
        let server = NatsConnector.event_bridge(url, &there).await?;
        let mut tasks = JoinSet::new();
        let group = Subscription::children(ns.command_root(SERVICE))
            .group("cmd=bench=1")
            .window(1024);
        let mut requests = server.subscribe(group).await?;
        let answering = Arc::clone(&server);
        tasks.spawn(async move {
            while let Some(delivery) = requests.next().await {
                let request = delivery.shared_envelope();
                delivery.ack();
                let Some(to) = request.reply_to.clone() else { continue };
                let reply = Envelope::new(Kind::Reply, to, request.identity.clone(), request.payload.clone());
                send(&*answering, reply).await;
            }
        });
        let waiting = Waiting::default();
        let root = Subscription::children(ns.inbox_root(&here.node, here.incarnation)).window(1024);
        let mut replies = bridge.subscribe(root).await?;
        let waits = Arc::clone(&waiting);
        tasks.spawn(async move {
            while let Some(delivery) = replies.next().await {
                let found = waits
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(delivery.envelope().subject.as_str());
                delivery.ack();
                if let Some(sender) = found {
                    let _ = sender.send(());
                }
            }
        });
        let durable = Subscription::new(ns.event_subject(EVENT))
            .durable("bench=1=durable")
            .window(256);
        let mut events = server.subscribe(durable).await?;
        let received = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&received);
        tasks.spawn(async move {
            while let Some(mut delivery) = events.next().await {
                delivery.begin();
                delivery.ack();
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Ok(Self {
            bridge,
            context: here,
            waiting,
            next: AtomicU64::new(1),
            received,
            _tasks: tasks,
        })
    }

    fn identity(&self) -> (u128, Identity) {
        let call = u128::from(self.next.fetch_add(1, Ordering::Relaxed));
        (
            call,
            Identity::root(MessageId::from_u128(call)).with_budget(Duration::from_secs(5)),
        )
    }

    async fn request(&self, payload: Bytes) {
        let (ns, context) = (&self.context.namespace, &self.context);
        let (call, identity) = self.identity();
        let mut envelope = Envelope::new(
            Kind::Command,
            ns.command_subject(SERVICE.command("echo")),
            identity,
            payload,
        );
        let reply_to = ns.inbox_subject(&context.node, context.incarnation, call);
        let (sender, receiver) = oneshot::channel();
        let key = reply_to.as_str().to_owned();
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, sender);
        envelope.reply_to = Some(reply_to);
        send(&*self.bridge, envelope).await;
        drop(receiver.await);
    }

    async fn event(&self, payload: Bytes) {
        let subject = self.context.namespace.event_subject(EVENT);
        let envelope = Envelope::event(subject, EVENT.into(), self.identity().1, payload);
        send(&*self.bridge, envelope).await;
    }
}

async fn send(bridge: &dyn EventBridge, envelope: Envelope) {
    if let TryPublish::WouldWait(envelope) = bridge.try_publish(envelope) {
        drop(bridge.publish(envelope).await);
    }
}

/// How often in a second the act is done by so many at the same time.
async fn rate<F: Future<Output = ()> + Send + 'static>(act: impl Fn() -> F + Clone + Send + Sync + 'static) -> f64 {
    let begun = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let act = act.clone();
        callers.spawn(async move {
            let mut count = 0_u64;
            while begun.elapsed() < TURN {
                act().await;
                count += 1;
            }
            count
        });
    }
    let count: u64 = callers.join_all().await.into_iter().sum();
    count as f64 / begun.elapsed().as_secs_f64()
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let url = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "nats://127.0.0.1:4222".to_owned());
    let ns: Namespace = format!("bench{:x}", rand::random::<u32>()).parse()?;
    let payload = Bytes::from(vec![b'x'; 128]);
    let ours = Arc::new(Ours::prepare(&url, &ns).await?);
    let bare = NatsConnector.bare_client(&url, &context(&ns, "n3")?).await?;
    for (name, act) in [("request", BareAct::Request), ("durable_event", BareAct::DurableEvent)] {
        let message = BareMessage {
            run: format!("{ns}"),
            headers: vec![
                ("rs-id".to_owned(), format!("{:032x}", 7)),
                ("rs-timeout-ms".to_owned(), "5000".to_owned()),
            ],
            payload: payload.clone(),
        };
        let run: Arc<dyn roadshow_bridges::BareRun> = bare.prepare(act, message).await?.into();
        for _ in 0..TURNS {
            let (run, once) = (Arc::clone(&run), payload.clone());
            let baseline = rate(move || {
                let run = Arc::clone(&run);
                async move { drop(run.once().await) }
            })
            .await;
            let ours = Arc::clone(&ours);
            let per_second = rate(move || {
                let (ours, payload) = (Arc::clone(&ours), once.clone());
                async move {
                    match act {
                        BareAct::Request => ours.request(payload).await,
                        _ => ours.event(payload).await,
                    }
                }
            })
            .await;
            let ratio = per_second / baseline;
            println!("{name}: ours {per_second:.0}/s, async-nats {baseline:.0}/s, ratio {ratio:.2}");
        }
        println!(
            "{name}: received ours {}, async-nats {}",
            ours.received.load(Ordering::Relaxed),
            run.received()
        );
    }
    Ok(())
}

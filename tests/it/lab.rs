//! A service to experiment on, and the ledger of what its handlers did.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use roadshow::prelude::*;
use roadshow::{Clock, CommandOptions, NodeBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub(crate) const LAB: ServiceId = ServiceId::new("lab", 1);
/// The longest that a test waits for anything.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// What the handler is to do.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Work {
    pub id: u64,
    pub sleep_ms: u64,
    pub panic: bool,
    pub fail: bool,
    /// Never returns.
    pub hang: bool,
    /// Waits until the test lets it go.
    pub hold: bool,
    /// Calls itself that many times, one in the other.
    pub nest: u32,
    pub lane: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Done {
    pub id: u64,
    pub incarnation: u64,
    pub hops: u8,
    pub correlation: String,
    pub trace: String,
    pub causation: Option<String>,
    pub principal: Option<String>,
    pub tenant: Option<String>,
    pub key: Option<String>,
    /// What the innermost nested call answered.
    pub nested: Option<Box<Done>>,
}

impl Command for Work {
    const ADDRESS: Address = LAB.command("work");
    type Reply = Done;
}

/// What handlers did, in order; shared by all incarnations.
#[derive(Debug)]
pub(crate) struct Ledger {
    lines: Mutex<Vec<(u64, &'static str)>>,
    at_work: AtomicU32,
    peak: AtomicU32,
    pub(crate) factories: AtomicU32,
    changed: watch::Sender<u64>,
    released: watch::Sender<bool>,
}

impl Default for Ledger {
    fn default() -> Self {
        Ledger {
            lines: Mutex::default(),
            at_work: AtomicU32::new(0),
            peak: AtomicU32::new(0),
            factories: AtomicU32::new(0),
            changed: watch::channel(0).0,
            released: watch::channel(false).0,
        }
    }
}

impl Ledger {
    pub(crate) fn note(&self, id: u64, what: &'static str) {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((id, what));
        self.changed.send_modify(|version| *version += 1);
    }

    pub(crate) fn lines(&self) -> Vec<(u64, &'static str)> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn count(&self, what: &str) -> usize {
        self.lines().iter().filter(|(_, line)| *line == what).count()
    }

    pub(crate) fn peak(&self) -> u32 {
        self.peak.load(Ordering::SeqCst)
    }

    pub(crate) fn release(&self) {
        self.released.send_replace(true);
    }

    pub(crate) async fn wait_for(&self, what: &'static str, count: usize) {
        let mut changed = self.changed.subscribe();
        let waits = async {
            while self.count(what) < count {
                changed.changed().await.expect("the ledger lives");
            }
        };
        let waited = tokio::time::timeout(LIMIT, waits).await;
        assert!(
            waited.is_ok(),
            "{} of {count} {what} lines within {LIMIT:?}",
            self.count(what)
        );
    }

    pub(crate) async fn held(&self) {
        let mut released = self.released.subscribe();
        let _ = released.wait_for(|released| *released).await;
    }
}

/// Counts a handler at work, also when it is dropped.
struct AtWork<'a>(&'a Ledger, u64);

impl<'a> AtWork<'a> {
    fn begin(ledger: &'a Ledger, id: u64) -> Self {
        let now = ledger.at_work.fetch_add(1, Ordering::SeqCst) + 1;
        ledger.peak.fetch_max(now, Ordering::SeqCst);
        ledger.note(id, "start");
        AtWork(ledger, id)
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::SeqCst);
        self.0.note(self.1, "gone");
    }
}

pub(crate) struct Lab(pub(crate) Arc<Ledger>);

impl CommandHandler<Work> for Lab {
    async fn handle(&self, work: Work, ctx: &Context) -> Result<Done, Failure> {
        let _at_work = AtWork::begin(&self.0, work.id);
        if work.sleep_ms > 0 {
            tokio::time::sleep(Duration::from_millis(work.sleep_ms)).await; // allow-sleep: the handler's own work, on paused time
        }
        if work.hold {
            tokio::select! {
                () = self.0.held() => {}
                () = ctx.cancelled() => {
                    self.0.note(work.id, "cancelled");
                    self.0.held().await;
                }
            }
        }
        if work.hang {
            std::future::pending::<()>().await;
        }
        assert!(!work.panic, "told to panic");
        if work.fail {
            return Err(Failure::conflict("told to fail"));
        }
        let nested = match work.nest {
            0 => None,
            n => {
                let inner = Work {
                    nest: n - 1,
                    ..work.clone()
                };
                let answer = ctx.call(inner).await.inspect_err(|failure| {
                    if failure.executed == roadshow::Executed::No {
                        self.0.note(work.id, "nested not executed");
                    }
                });
                Some(Box::new(answer?))
            }
        };
        self.0.note(work.id, "end");
        Ok(Done {
            id: work.id,
            incarnation: ctx.incarnation(),
            hops: ctx.hops(),
            correlation: ctx.correlation_id().to_string(),
            trace: format!("{:032x}", ctx.trace().trace_id),
            causation: ctx.causation_id().map(|id| id.to_string()),
            principal: ctx.principal().map(str::to_owned),
            tenant: ctx.tenant().map(str::to_owned),
            key: ctx.key().map(str::to_owned),
            nested,
        })
    }
}

pub(crate) type Options = CommandOptions<Work>;

/// The lab on a ledger, its command with options.
pub(crate) fn lab(ledger: &Arc<Ledger>, options: impl FnOnce(Options) -> Options) -> Service<Lab> {
    let ledger = Arc::clone(ledger);
    Service::new(LAB, move || {
        let ledger = Arc::clone(&ledger);
        ledger.factories.fetch_add(1, Ordering::SeqCst);
        async move { Ok::<_, std::convert::Infallible>(Lab(ledger)) }
    })
    .command::<Work>(options)
}

/// A builder on tokio's clock.
pub(crate) fn builder() -> NodeBuilder {
    Node::builder().clock(Clock::tokio())
}

/// A node with a lab.
pub(crate) async fn node(ledger: &Arc<Ledger>, options: impl FnOnce(Options) -> Options) -> Node {
    builder()
        .service(lab(ledger, options))
        .start()
        .await
        .expect("a lab starts")
}

/// Stops a node that has nothing left to do.
pub(crate) async fn stop(node: Node) {
    let drained = node.shutdown(Duration::from_secs(10)).await;
    assert!(drained.is_clean(), "{drained:?}");
}

/// Waits until `holds`, looking again whenever the runtime has nothing else to do.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let looked = tokio::time::timeout(LIMIT, async {
        let mut look = tokio::time::interval(Duration::from_millis(2));
        while !holds() {
            look.tick().await;
        }
    });
    assert!(looked.await.is_ok(), "not within {LIMIT:?}: {what}");
}

/// The sum over all lines of the node's metrics that begin with `start`.
pub(crate) fn metric(node: &Node, start: &str) -> f64 {
    let text = node.metrics_text();
    let lines = text.lines().filter(|line| line.starts_with(start));
    lines
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

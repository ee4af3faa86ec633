//! The publishing connection: its task, and how a message is handed to it.
//!
//! On a new connection it declares the exchanges and opens the lanes; when it is lost, publishers wait for the next one.
//! Nothing is kept here: a message that was not confirmed in time is its publisher's again.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use lapin::Connection;
use lapin::options::ConfirmSelectOptions;
use roadshow_bridges::{Error, ErrorKind, Health, Published, reconnect_delay};
use tokio::sync::watch;
use tokio::sync::watch::error::RecvError;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::bridge::{Phase, Shared};
use crate::connection::{self, AGAIN_MAX};
use crate::declare;
use crate::lane::{self, Handed, Lane};
use crate::readiness::Side;
use crate::wire::Outgoing;

/// The lanes of each of the two classes: events, whose confirmations take their time, and all else.
const LANES: usize = 2;
/// How long closing waits for confirmations.
const IDLE_MAX: Duration = Duration::from_secs(2);

/// The lanes of one connection.
#[derive(Debug)]
pub(crate) struct Lanes {
    /// Which connection it is.
    number: u64,
    lanes: Vec<Lane>,
}

impl Lanes {
    fn pick(&self, outgoing: &Outgoing) -> &Lane {
        let mut hasher = DefaultHasher::new();
        outgoing.routing_key.as_str().hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % LANES as u64).unwrap_or_default();
        &self.lanes[place + if outgoing.mandatory { LANES } else { 0 }]
    }

    /// Waits until nothing waits for a confirmation.
    async fn idle(&self) {
        for lane in &self.lanes {
            lane.idle().await;
        }
    }
}

/// Hands messages to the connection of now. Cloning shares it.
#[derive(Debug, Clone)]
pub(crate) struct Publisher(watch::Receiver<Option<Arc<Lanes>>>);

impl Publisher {
    /// Publishes, and waits for the confirmation until the deadline. The message is made once more for the next connection
    /// if it never left on this one.
    ///
    /// # Errors
    ///
    /// `Unavailable` or `Exhausted`, or those of `make`; nothing was kept by the broker.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves open whether the message was sent.
    pub(crate) async fn send(
        &self,
        make: impl Fn() -> Result<Outgoing, Error>,
        deadline: Instant,
    ) -> Result<Published, Error> {
        let mut seen = 0;
        loop {
            let outgoing = make()?;
            let lanes = self.lanes(seen, deadline).await?;
            seen = lanes.number;
            let lane = lanes.pick(&outgoing);
            let place = timeout_at(deadline, Arc::clone(&lane.window).acquire_owned()).await;
            let Ok(Ok(place)) = place else {
                return Err(Error::exhausted(
                    "cannot publish: too many messages wait for the broker's confirmation",
                ));
            };
            let Some(handed) = lane.hand(outgoing, place) else {
                continue;
            };
            if let Some(published) = handed.outcome(deadline).await? {
                return Ok(published);
            }
        }
    }

    /// Hands a message over, if there is a connection and nothing has to be waited for.
    pub(crate) fn hand(&self, outgoing: Outgoing) -> Option<Handed> {
        let lanes = self.0.borrow().clone()?;
        let lane = lanes.pick(&outgoing);
        let place = Arc::clone(&lane.window).try_acquire_owned().ok()?;
        lane.hand(outgoing, place)
    }

    /// As [`Publisher::send`], of a message that is kept.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub(crate) async fn send_copy(&self, outgoing: &Outgoing, deadline: Instant) -> Result<Published, Error> {
        self.send(|| Ok(outgoing.clone()), deadline).await
    }

    /// Waits until there is a connection; an error means that there will be none any more.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future only stops the waiting.
    pub(crate) async fn connected(&self) -> Result<(), RecvError> {
        self.0.clone().wait_for(Option::is_some).await.map(|_| ())
    }

    /// The lanes of a connection after the one that was seen.
    async fn lanes(&self, seen: u64, deadline: Instant) -> Result<Arc<Lanes>, Error> {
        let mut lanes = self.0.clone();
        let newer = |lanes: &Option<Arc<Lanes>>| lanes.as_ref().is_some_and(|lanes| lanes.number > seen);
        let found = timeout_at(deadline, lanes.wait_for(newer)).await;
        let found = found.ok().and_then(Result::ok).and_then(|lanes| lanes.clone());
        found.ok_or_else(|| Error::unavailable("cannot publish: there is no connection to RabbitMQ"))
    }
}

/// A publishing connection that is ready.
#[derive(Debug)]
pub(crate) struct Opened {
    connection: Connection,
    lanes: Vec<Lane>,
    tasks: JoinSet<()>,
}

/// Connects, declares the exchanges and opens the lanes.
///
/// # Errors
///
/// As [`connection::open`] and [`declare::exchanges`].
pub(crate) async fn open(shared: &Shared, longest: Duration) -> Result<Opened, Error> {
    let name = format!("{} publishing", shared.node);
    let connection = connection::open(&shared.settings, &name, longest, &shared.counters.mended).await?;
    let opening = lanes(shared, &connection);
    let (lanes, tasks) = connection::while_it_lasts(&connection, longest, opening).await?;
    Ok(Opened {
        connection,
        lanes,
        tasks,
    })
}

/// Declares the exchanges and opens the lanes.
async fn lanes(shared: &Shared, connection: &Connection) -> Result<(Vec<Lane>, JoinSet<()>), Error> {
    let (mut lanes, mut tasks) = (Vec::new(), JoinSet::new());
    let failed = |error| declare::explained("open a channel", "publishing", error);
    for number in 0..2 * LANES {
        let channel = connection.create_channel().await.map_err(failed)?;
        if number == 0 {
            declare::exchanges(&channel, &shared.layout).await?;
        }
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .map_err(failed)?;
        let (lane, jobs) = Lane::new();
        lanes.push(lane);
        tasks.spawn(lane::run(channel, jobs));
    }
    Ok((lanes, tasks))
}

/// The task of the publishing connection.
#[derive(Debug)]
pub(crate) struct Publishing {
    shared: Arc<Shared>,
    lanes: watch::Sender<Option<Arc<Lanes>>>,
    number: u64,
}

impl Publishing {
    /// A task that has no connection yet, and the publisher that it serves.
    pub(crate) fn new(shared: Arc<Shared>) -> (Self, Publisher) {
        let (lanes, told) = watch::channel(None);
        let task = Self {
            shared,
            lanes,
            number: 0,
        };
        (task, Publisher(told))
    }

    /// Keeps a connection until the bridge is closed or the broker refuses us.
    pub(crate) async fn run(mut self, first: Opened) {
        let mut opened = Some(first);
        loop {
            let next = match opened.take() {
                Some(first) => first,
                None => match self.reopened().await {
                    Some(next) => next,
                    None => return,
                },
            };
            if self.serve(next).await {
                return;
            }
        }
    }

    /// Serves one connection until it is lost, or `true`: the bridge is closed.
    async fn serve(&mut self, opened: Opened) -> bool {
        let Opened {
            connection,
            lanes,
            mut tasks,
        } = opened;
        self.number += 1;
        let lanes = Arc::new(Lanes {
            number: self.number,
            lanes,
        });
        self.lanes.send_replace(Some(Arc::clone(&lanes)));
        let readiness = &self.shared.readiness;
        readiness.publishing(Side::Up);
        let mut renew = self.shared.renew.subscribe();
        let closed = tokio::select! {
            () = connection::lost(&connection, |reason| readiness.blocked(reason)) => false,
            _ = tasks.join_next() => false,
            _ = renew.changed() => false,
            () = self.shared.closing(Phase::stops_publishing) => true,
        };
        if closed {
            let _in_time = timeout(IDLE_MAX, lanes.idle()).await;
        }
        readiness.publishing(Side::Down(Cow::Borrowed("the connection for publishing was lost")));
        self.lanes.send_replace(None);
        tasks.shutdown().await;
        // A lost connection has no farewell, and one that stands still must not hold up the next.
        if closed && let Err(error) = connection::close(&connection).await {
            tracing::debug!(%error, "the publishing connection was not closed properly");
        }
        closed
    }

    /// Connects again, for ever; `None` when the bridge is closed or the broker refuses us.
    async fn reopened(&self) -> Option<Opened> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let trying = async {
                sleep(reconnect_delay(attempt, rand::random())).await;
                open(&self.shared, AGAIN_MAX).await
            };
            let tried = tokio::select! {
                tried = trying => tried,
                () = self.shared.closing(Phase::stops_publishing) => return None,
            };
            match tried {
                Ok(opened) => return Some(opened),
                Err(error) if error.kind() == ErrorKind::Config => {
                    tracing::error!(%error, "the broker refuses the bridge");
                    let reason = Cow::Owned(error.to_string());
                    self.shared.readiness.presence().set(Health::Failed { reason });
                    return None;
                }
                Err(error) => {
                    tracing::warn!(%error, attempt, "the publishing connection could not be made");
                    self.shared
                        .readiness
                        .publishing(Side::Down(Cow::Owned(error.to_string())));
                }
            }
        }
    }
}

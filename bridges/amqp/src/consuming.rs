//! The consuming connection: its task, and the seats that it serves.
//!
//! On a new connection every seat is declared and subscribed again, each in a task of its own; the side is up when the broker
//! has confirmed all of them. A channel that is lost alone is opened again alone: its neighbours do not notice.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use lapin::Connection;
use roadshow_bridges::{Error, ErrorKind, Health, reconnect_delay};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::bridge::{Phase, Shared};
use crate::connection::{self, AGAIN_MAX};
use crate::declare;
use crate::flow::{self, Ended};
use crate::patience::Patience;
use crate::publishing::Publisher;
use crate::readiness::Side;
use crate::seat::Seat;

/// The most subscriptions that wait to be served.
const ORDERS: usize = 256;
/// How long closing waits for deliveries that are out.
const GRACE: Duration = Duration::from_secs(5);

/// A subscription to be served, and who waits for the broker's word.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) seat: Arc<Seat>,
    pub(crate) answer: oneshot::Sender<Result<(), Error>>,
}

/// Connects and declares the exchanges.
///
/// # Errors
///
/// As [`connection::open`] and [`declare::exchanges`].
pub(crate) async fn open(shared: &Shared, longest: Duration) -> Result<Connection, Error> {
    let name = format!("{} consuming", shared.node);
    let connection = connection::open(&shared.settings, &name, longest, &shared.counters.mended).await?;
    let declaring = async {
        let failed = |error| declare::explained("open a channel", "consuming", error);
        let channel = connection.create_channel().await.map_err(failed)?;
        declare::exchanges(&channel, &shared.layout).await?;
        channel.close(200, "OK".into()).await.map_err(failed)
    };
    connection::while_it_lasts(&connection, longest, declaring).await?;
    Ok(connection)
}

/// What a seat's task tells.
#[derive(Debug)]
enum Told {
    Confirmed(u64),
    /// It could not be subscribed again.
    Failed(u64, Error),
    Ended(u64, Ended),
}

/// A seat, and how it goes with it.
#[derive(Debug)]
struct Kept {
    seat: Arc<Seat>,
    patience: Patience,
}

/// The task of the consuming connection.
#[derive(Debug)]
pub(crate) struct Consuming {
    shared: Arc<Shared>,
    publisher: Publisher,
    orders: mpsc::Receiver<Order>,
    seats: HashMap<u64, Kept>,
    /// Counts the sessions of every seat.
    sessions: u64,
}

/// One connection that is served.
struct Served {
    connection: Arc<Connection>,
    flows: JoinSet<()>,
    told: mpsc::Receiver<Told>,
    tell: mpsc::Sender<Told>,
    /// Seats that the broker has not confirmed.
    missing: HashSet<u64>,
}

impl Consuming {
    /// A task that has no connection yet, and where it takes its orders.
    pub(crate) fn new(shared: Arc<Shared>, publisher: Publisher) -> (Self, mpsc::Sender<Order>) {
        let (order, orders) = mpsc::channel(ORDERS);
        let task = Self {
            shared,
            publisher,
            orders,
            seats: HashMap::new(),
            sessions: 0,
        };
        (task, order)
    }

    /// Keeps a connection until the bridge is closed or the broker refuses us.
    pub(crate) async fn run(mut self, first: Connection) {
        let mut opened = Some(first);
        loop {
            let next = match opened.take() {
                Some(first) => first,
                None => match self.reopened().await {
                    Some(next) => next,
                    None => break,
                },
            };
            if self.serve(Arc::new(next)).await {
                break;
            }
        }
        self.seats.values().for_each(|kept| kept.seat.close());
    }

    /// Serves one connection until it is lost, or `true`: the bridge is closed.
    async fn serve(&mut self, connection: Arc<Connection>) -> bool {
        self.shared.readiness.presence().next_epoch();
        let (tell, told) = mpsc::channel(ORDERS);
        let mut served = Served {
            connection,
            flows: JoinSet::new(),
            told,
            tell,
            missing: self.seats.keys().copied().collect(),
        };
        let seats: Vec<_> = self.seats.values().map(|kept| Arc::clone(&kept.seat)).collect();
        for seat in seats {
            self.begin(&mut served, seat, None, Duration::ZERO);
        }
        self.tell_readiness(&served);
        let shared = Arc::clone(&self.shared);
        let mut renew = shared.renew.subscribe();
        let connection = Arc::clone(&served.connection);
        let lost = connection::lost(&connection, |_| ());
        tokio::pin!(lost);
        loop {
            tokio::select! {
                () = &mut lost => break,
                _ = renew.changed() => break,
                () = shared.closing(|phase| phase != Phase::Open) => {
                    self.close(served).await;
                    return true;
                }
                Some(order) = self.orders.recv() => self.join(&mut served, order),
                Some(told) = served.told.recv() => self.hear(&mut served, told),
                Some(_) = served.flows.join_next(), if !served.flows.is_empty() => {}
            }
        }
        // Before the flows hear of it: none of them may hand out or move what the broker has again.
        self.seats.values().for_each(|kept| kept.seat.interrupt());
        self.shared
            .readiness
            .consuming(Side::Down(Cow::Borrowed("the connection for consuming was lost")));
        served.flows.shutdown().await;
        false
    }

    fn join(&mut self, served: &mut Served, order: Order) {
        let kept = Kept {
            seat: Arc::clone(&order.seat),
            patience: Patience::default(),
        };
        self.seats.insert(order.seat.id, kept);
        self.begin(served, order.seat, Some(order.answer), Duration::ZERO);
    }

    /// Begins a session of a seat after a while.
    fn begin(
        &mut self,
        served: &mut Served,
        seat: Arc<Seat>,
        answer: Option<oneshot::Sender<Result<(), Error>>>,
        after: Duration,
    ) {
        self.sessions += 1;
        let session = Session {
            shared: Arc::clone(&self.shared),
            publisher: self.publisher.clone(),
            connection: Arc::clone(&served.connection),
            seat,
            number: self.sessions,
            tell: served.tell.clone(),
        };
        served.flows.spawn(async move {
            sleep(after).await;
            session.run(answer).await;
        });
    }

    fn hear(&mut self, served: &mut Served, told: Told) {
        match told {
            Told::Confirmed(id) => {
                served.missing.remove(&id);
                if let Some(kept) = self.seats.get_mut(&id) {
                    kept.patience.confirmed();
                }
            }
            Told::Failed(id, error) => {
                if let Some(kept) = self.seats.get_mut(&id) {
                    say(&error, kept.patience.has_to_say(&error));
                }
            }
            Told::Ended(id, Ended::Left) => {
                served.missing.remove(&id);
                if let Some(kept) = self.seats.remove(&id) {
                    kept.seat.close();
                }
            }
            Told::Ended(id, Ended::Lost) => {
                served.missing.insert(id);
                if let Some(kept) = self.seats.get_mut(&id) {
                    let (seat, after) = (Arc::clone(&kept.seat), kept.patience.next(rand::random()));
                    self.begin(served, seat, None, after);
                }
            }
        }
        self.tell_readiness(served);
    }

    fn tell_readiness(&self, served: &Served) {
        let side = if served.missing.is_empty() {
            Side::Up
        } else {
            Side::Down(Cow::Borrowed("subscriptions are not confirmed yet"))
        };
        self.shared.readiness.consuming(side);
    }

    /// Ends every subscription, groups first: a handler that is out may still wait for an answer in the inbox.
    async fn close(&mut self, mut served: Served) {
        let leaving = async {
            while !self.seats.is_empty() {
                if self
                    .seats
                    .values()
                    .all(|kept| self.shared.layout.is_inbox(&kept.seat.subscription))
                {
                    self.shared.closing.send_replace(Phase::Inboxes);
                }
                let Some(told) = served.told.recv().await else { break };
                if let Told::Ended(id, _) = told {
                    self.seats.remove(&id);
                }
            }
        };
        if timeout(GRACE, leaving).await.is_err() {
            tracing::warn!("the bridge was closed while deliveries were out");
        }
        self.shared.closing.send_replace(Phase::Inboxes);
        served.flows.shutdown().await;
        if let Err(error) = connection::close(&served.connection).await {
            tracing::debug!(%error, "the consuming connection was not closed properly");
        }
    }

    /// Connects again, for ever; `None` when the bridge is closed or the broker refuses us.
    async fn reopened(&self) -> Option<Connection> {
        let shared = &self.shared;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let trying = async {
                sleep(reconnect_delay(attempt, rand::random())).await;
                // The other connection looks for the broker: a node need not knock twice.
                self.publisher.connected().await.ok()?;
                Some(open(&self.shared, AGAIN_MAX).await)
            };
            let tried = tokio::select! {
                tried = trying => tried,
                () = shared.closing(|phase| phase != Phase::Open) => None,
            };
            match tried? {
                Ok(connection) => return Some(connection),
                Err(error) if error.kind() == ErrorKind::Config => {
                    tracing::error!(%error, "the broker refuses the bridge");
                    let reason = Cow::Owned(error.to_string());
                    self.shared.readiness.presence().set(Health::Failed { reason });
                    return None;
                }
                Err(error) => {
                    tracing::warn!(%error, attempt, "the consuming connection could not be made");
                    self.shared
                        .readiness
                        .consuming(Side::Down(Cow::Owned(error.to_string())));
                }
            }
        }
    }
}

/// Says why a seat could not be subscribed again; a refusal that was said before is not said again.
fn say(error: &Error, is_new_refusal: bool) {
    if is_new_refusal {
        let advice = "remove what differs there, or allow it again; it is tried until then";
        tracing::error!(%error, advice, "the broker refuses a subscription that it had");
    } else if error.kind() == ErrorKind::Config {
        tracing::debug!(%error, "a subscription is still refused");
    } else {
        tracing::warn!(%error, "a subscription could not be made again");
    }
}

/// One session of one seat.
struct Session {
    shared: Arc<Shared>,
    publisher: Publisher,
    connection: Arc<Connection>,
    seat: Arc<Seat>,
    number: u64,
    tell: mpsc::Sender<Told>,
}

impl Session {
    async fn run(self, answer: Option<oneshot::Sender<Result<(), Error>>>) {
        let id = self.seat.id;
        let ended = self.served(answer).await;
        // Nobody hears it when the connection is over, and then nobody has to.
        let _ = self.tell.send(Told::Ended(id, ended)).await;
    }

    async fn served(&self, answer: Option<oneshot::Sender<Result<(), Error>>>) -> Ended {
        let Some(outbound) = self.seat.begin(self.number) else {
            return Ended::Left;
        };
        if outbound.is_closed() {
            return Ended::Left;
        }
        let opened = flow::open(
            &self.shared,
            self.publisher.clone(),
            &self.connection,
            &self.seat,
            self.number,
        )
        .await;
        let flow = match (opened, answer) {
            (Ok(flow), None) => flow,
            (Ok(flow), Some(answer)) => match answer.send(Ok(())) {
                Ok(()) => flow,
                Err(_nobody_waits) => return Ended::Left,
            },
            (Err(error), Some(answer)) => {
                let _ = answer.send(Err(error));
                return Ended::Left;
            }
            (Err(error), None) => {
                let _ = self.tell.send(Told::Failed(self.seat.id, error)).await;
                return Ended::Lost;
            }
        };
        let _ = self.tell.send(Told::Confirmed(self.seat.id)).await;
        flow.run(outbound).await
    }
}

//! The consuming side of a stream over a bridge: frames become the items of a local reader, and what the reader takes
//! becomes credit.
//!
//! A task of its own says that the consumer lives while its reader is busy with an item. The reader owns it: dropped, the
//! reader ends the task and has the stream called off on the other side.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use roadshow_bridges::{CorrelationId, Delivery, Executed, Failure, Kind, MessageId};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::outgoing::CalledOff;
use super::stream_wire::Peer;
use super::verdict::read_failure;
use crate::inbox::InboxPlace;
use crate::stream::HEARTBEAT;
use crate::stream::credit::Grants;
use crate::stream::items::{ItemReader, ItemSender, Terminal, Upstream, draining, lost, parts};
use crate::stream::places::{Arrival, Places};
use crate::stream::pulse::{Due, Pulse};

/// How many frames may be on their way to a reader.
pub(super) const WINDOW: u64 = 64;
/// Room for what arrives: frames, each of which may come twice, and beside them accept, heartbeats and the end.
pub(super) const ROOM: usize = 2 * WINDOW as usize + 16;
/// How long a credit or a heartbeat may take to be sent; it is said again.
const TELL_MAX: Duration = Duration::from_secs(1);

/// What the reader tells the task.
#[derive(Debug, Default)]
struct Taken {
    items: AtomicU64,
    /// How many are worth a wake-up.
    step: u64,
    wake: Notify,
    /// Whether the other side knows that the stream is over.
    over: AtomicBool,
}

/// The task of one stream, as its reader owns it.
struct Remote {
    taken: Arc<Taken>,
    _task: JoinSet<()>,
    cancels: mpsc::Sender<CalledOff>,
    called: Option<CalledOff>,
}

impl Upstream for Remote {
    fn taken(&mut self) {
        let items = self.taken.items.fetch_add(1, Ordering::Relaxed) + 1;
        if items.is_multiple_of(self.taken.step) {
            self.taken.wake.notify_one();
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if let Some(called) = self.called.take()
            && !self.taken.over.load(Ordering::Acquire)
        {
            // Where there is no room for it, the other side ends by silence.
            let _ = self.cancels.try_send(called);
        }
    }
}

/// A stream that was accepted elsewhere.
pub(super) struct Accepted {
    pub(super) peer: Peer,
    /// The opening that it answers.
    pub(super) opening: (MessageId, CorrelationId),
    pub(super) place: InboxPlace,
    pub(super) flow: mpsc::Receiver<Delivery>,
    pub(super) drain: CancellationToken,
    pub(super) cancels: mpsc::Sender<CalledOff>,
}

impl Accepted {
    /// Reads the stream, with a task on `runtime`.
    pub(super) fn read(self, runtime: &tokio::runtime::Handle) -> ItemReader<Bytes> {
        let grants = Grants::new(WINDOW);
        let taken = Arc::new(Taken {
            step: grants.step(),
            ..Taken::default()
        });
        let parts = parts(usize::try_from(WINDOW).unwrap_or(usize::MAX), self.drain.clone());
        let (id, correlation) = self.opening;
        let called = Some(CalledOff {
            subject: self.peer.subject().clone(),
            id,
            correlation,
        });
        let consumer = Consumer {
            peer: self.peer,
            _place: self.place,
            flow: self.flow,
            items: parts.sender,
            terminal: Some(parts.terminal),
            taken: Arc::clone(&taken),
            grants,
            places: Places::default(),
            pulse: Pulse::new(HEARTBEAT, Instant::now()),
            drain: self.drain,
        };
        let mut task = JoinSet::new();
        task.spawn_on(consumer.run(), runtime);
        parts.reader.with_upstream(Remote {
            taken,
            _task: task,
            cancels: self.cancels,
            called,
        })
    }
}

struct Consumer {
    peer: Peer,
    _place: InboxPlace,
    flow: mpsc::Receiver<Delivery>,
    items: ItemSender<Bytes>,
    terminal: Option<oneshot::Sender<Terminal>>,
    taken: Arc<Taken>,
    grants: Grants,
    places: Places,
    pulse: Pulse,
    drain: CancellationToken,
}

/// How a stream ended for its consumer.
struct Over {
    end: Terminal,
    /// Whether the producer has still to be told.
    cancels: bool,
}

impl Over {
    fn told(end: Terminal) -> Self {
        Over { end, cancels: false }
    }

    fn cancelled(failure: Failure) -> Self {
        Over {
            end: Err(failure),
            cancels: true,
        }
    }
}

impl Consumer {
    async fn run(mut self) {
        let over = loop {
            if let Err(over) = self.step().await {
                break over;
            }
        };
        self.taken.over.store(!over.cancels, Ordering::Release);
        if let Some(terminal) = self.terminal.take() {
            // A reader that has gone needs no answer.
            let _ = terminal.send(over.end);
        }
        if over.cancels {
            self.peer.tell(Kind::Cancel, 0, TELL_MAX).await;
        }
    }

    async fn step(&mut self) -> Result<(), Over> {
        let now = Instant::now();
        let due = match self.pulse.due(now) {
            Due::At(due) => due,
            Due::Beat | Due::Silent => now,
        };
        tokio::select! {
            biased;
            arrived = self.flow.recv() => match arrived {
                Some(delivery) => self.arrive(delivery),
                None => Err(Over::told(Err(lost()))),
            },
            () = self.taken.wake.notified() => {
                if let Some(granted) = self.grants.take(self.taken.items.load(Ordering::Relaxed)) {
                    self.say(Kind::Credit, granted).await?;
                }
                Ok(())
            }
            () = self.drain.cancelled() => Err(Over::cancelled(draining())),
            () = sleep_until(due) => self.time().await,
        }
    }

    fn arrive(&mut self, delivery: Delivery) -> Result<(), Over> {
        self.pulse.hear(Instant::now());
        let (envelope, returned) = (delivery.shared_envelope(), delivery.is_returned());
        delivery.ack();
        let place = envelope.sequence;
        match envelope.kind {
            // A message of ours came back: nobody feeds the stream any more.
            _ if returned => Err(Over::told(Err(gone()))),
            Kind::Frame => match self.places.arrive(place) {
                Arrival::Again => Ok(()),
                Arrival::Lost(frame) => Err(Over::cancelled(frame_lost(frame))),
                Arrival::Next => {
                    let payload = envelope.payload.to_bytes();
                    let payload = payload.map_err(|_error| Over::cancelled(unreadable()))?;
                    self.items
                        .try_send(payload)
                        .map_err(|_item| Over::cancelled(too_many()))
                }
            },
            Kind::Heartbeat => match self.places.missing(place) {
                Some(frame) => Err(Over::cancelled(frame_lost(frame))),
                None => Ok(()),
            },
            Kind::End => Err(Over::told(match self.places.missing(place) {
                Some(frame) => Err(frame_lost(frame)),
                None => Ok(()),
            })),
            Kind::Failure => Err(Over::told(Err(read_failure(&envelope)))),
            _ => Ok(()),
        }
    }

    async fn time(&mut self) -> Result<(), Over> {
        match self.pulse.due(Instant::now()) {
            Due::Silent => Err(Over::cancelled(gone())),
            // It says again what is granted, in case that got lost.
            Due::Beat => self.say(Kind::Heartbeat, self.grants.granted()).await,
            Due::At(_) => Ok(()),
        }
    }

    async fn say(&mut self, kind: Kind, sequence: u64) -> Result<(), Over> {
        self.pulse.speak(Instant::now());
        match self.peer.tell(kind, sequence, TELL_MAX).await {
            true => Ok(()),
            // The end may be here already: it is read before that is believed.
            false => self.last_words(),
        }
    }

    /// Nobody listens at the other side: what it said before is still to be read.
    fn last_words(&mut self) -> Result<(), Over> {
        while let Ok(delivery) = self.flow.try_recv() {
            self.arrive(delivery)?;
        }
        Err(Over::told(Err(gone())))
    }
}

fn gone() -> Failure {
    Failure::unavailable("nothing is heard any more of who feeds the stream").with_executed(Executed::Unknown)
}

fn frame_lost(frame: u64) -> Failure {
    Failure::unavailable(format!("frame {frame} was lost")).with_executed(Executed::Unknown)
}

fn too_many() -> Failure {
    Failure::internal("more frames came than were granted").with_executed(Executed::Unknown)
}

fn unreadable() -> Failure {
    Failure::internal("a frame cannot be read").with_executed(Executed::Unknown)
}

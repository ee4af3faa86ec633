//! What a queue promises, without a server.

use super::*;
use bytes::Bytes;
use futures_util::FutureExt;
use roadshow_bridges::{Deliveries, Envelope, Identity, Kind, MessageId, Namespace, Settlement};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

#[derive(Debug)]
struct Settles(Arc<Queue>);

impl Settler for Settles {
    fn settle(&self, parcel: Parcel, settlement: Settlement<'_>) {
        match settlement {
            Settlement::Reject { reason } => self.0.leave(Chore::Dead(parcel, reason.to_owned())),
            _ => self.0.settled(),
        }
    }
}

fn parcel(id: u128) -> Parcel {
    let identity = Identity::root(MessageId::from_u128(id));
    let subject = Namespace::default().members_subject();
    Parcel::new(Arc::new(Envelope::new(Kind::Event, subject, identity, Bytes::new())))
}

fn queue(window: Option<usize>, capacity: usize, overflow: Overflow) -> (Arc<Queue>, Deliveries) {
    let queue = Arc::new(Queue::new(Rules {
        window,
        capacity,
        overflow,
    }));
    let settler = Arc::new(Settles(Arc::clone(&queue)));
    let deliveries = Deliveries::new(Source::new(Arc::clone(&queue), settler));
    (queue, deliveries)
}

fn id(delivery: &Delivery) -> u128 {
    delivery.envelope().identity.id.as_u128()
}

#[test]
fn the_oldest_makes_room_or_the_newest_is_refused() {
    let (queue, mut deliveries) = self::queue(Some(9), 2, Overflow::DropOldest);
    let puts: Vec<_> = (1..=3).map(|id| queue.put(parcel(id)).expect("open")).collect();
    assert_eq!(puts, [Put::Waiting, Put::Waiting, Put::Dropped]);
    assert_eq!(deliveries.try_next().map(|delivery| id(&delivery)), Some(2));
    let (queue, mut deliveries) = self::queue(None, 2, Overflow::Refuse);
    assert_eq!(queue.put(parcel(1)).expect("open"), Put::Waiting);
    let held = deliveries.try_next().expect("one");
    let puts = [2, 3].map(|id| queue.put(parcel(id)).expect("open"));
    assert_eq!(puts, [Put::Waiting, Put::Dropped]);
    held.ack();
    assert_eq!(queue.put(parcel(4)).expect("open"), Put::Waiting);
}

#[test]
fn no_more_are_out_than_the_window_allows() {
    let (queue, mut deliveries) = self::queue(Some(1), 9, Overflow::DropOldest);
    let _ = (queue.put(parcel(1)), queue.put(parcel(2)));
    let first = deliveries.try_next().expect("one");
    assert!(deliveries.next().now_or_never().is_none());
    first.ack();
    assert!(deliveries.next().now_or_never().flatten().is_some());
}

#[test]
fn what_is_left_to_be_done_keeps_its_place_until_it_is_taken_up() {
    let (queue, mut deliveries) = self::queue(Some(1), 9, Overflow::DropOldest);
    let _ = (queue.put(parcel(1)), queue.put(parcel(2)));
    deliveries.try_next().expect("one").reject("broken");
    assert!(deliveries.next().now_or_never().is_none(), "chores grow without bound");
    assert_eq!(queue.chores().len(), 1);
    assert!(deliveries.next().now_or_never().flatten().is_some());
    let (queue, mut deliveries) = self::queue(None, 1, Overflow::Refuse);
    assert_eq!(queue.put(parcel(1)).expect("open"), Put::Waiting);
    deliveries.try_next().expect("one").reject("broken");
    assert_eq!(queue.put(parcel(2)).expect("open"), Put::Dropped);
    assert_eq!((queue.chores().len(), queue.free()), (1, 1));
}

#[test]
fn a_held_parcel_waits_until_its_start_is_written_down() {
    let (queue, mut deliveries) = self::queue(Some(2), 9, Overflow::Refuse);
    let _ = queue.put_held(parcel(1));
    assert!(queue.wanted().is_none(), "nobody waits yet");
    assert!(deliveries.next().now_or_never().is_none());
    let written = queue.wanted().expect("it is waited for");
    queue.put_back(written).expect("the queue lives");
    assert!(deliveries.try_next().is_some());
}

#[derive(Debug)]
struct Looks(Arc<Queue>, AtomicBool);

impl Wake for Looks {
    fn wake(self: Arc<Self>) {
        self.1.store(self.0.is_over(), Ordering::Relaxed);
    }
}

#[test]
fn a_queue_is_not_over_while_what_waited_is_given_back() {
    let (queue, mut deliveries) = self::queue(Some(9), 9, Overflow::Refuse);
    let _ = queue.put_held(parcel(1));
    let looks = Arc::new(Looks(Arc::clone(&queue), AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&looks));
    let mut next = std::pin::pin!(deliveries.next());
    assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    queue.give_back_all();
    assert!(!looks.1.load(Ordering::Relaxed), "its task may have ended before");
    assert!(matches!(queue.chores().pop_front(), Some(Chore::GiveBack(_))));
}

#[tokio::test(start_paused = true)]
async fn the_end_gives_back_what_was_not_started_and_waits_for_what_was() {
    let (queue, mut deliveries) = self::queue(Some(9), 9, Overflow::Refuse);
    let _ = (queue.put(parcel(1)), queue.put(parcel(2)));
    let out = deliveries.try_next().expect("one");
    deliveries.cancel();
    assert!(matches!(queue.chores().pop_front(), Some(Chore::GiveBack(_))));
    assert!(queue.put(parcel(3)).is_err());
    assert!(!queue.all_over(Instant::now() + Duration::from_secs(1)).await);
    out.reject("broken");
    assert!(!queue.is_over());
    assert!(matches!(queue.chores().pop_front(), Some(Chore::Dead(..))));
    assert!(queue.all_over(Instant::now() + Duration::from_secs(1)).await);
}

//! Waiting with a limit, and saying what did not come.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use roadshow_bridges::{Deliveries, Delivery};
use tokio::time::{Instant, interval, sleep, timeout};

/// How long a case waits for something that must come.
pub(crate) const SOON: Duration = Duration::from_secs(15);
/// How long nothing may come until a case believes that nothing will.
pub(crate) const QUIET: Duration = Duration::from_millis(400);

/// Waits for a future, and fails naming what it is.
pub(crate) async fn soon<T>(what: impl fmt::Display, future: impl Future<Output = T>) -> T {
    within(SOON, what, future).await
}

/// Waits for a future, and fails naming what it is.
pub(crate) async fn within<T>(limit: Duration, what: impl fmt::Display, future: impl Future<Output = T>) -> T {
    let Ok(done) = timeout(limit, future).await else {
        panic!("{what} did not come within {limit:?}");
    };
    done
}

/// Looks again and again until something holds, and says how long that took; fails after the limit.
pub(crate) async fn until(limit: Duration, what: impl fmt::Display, mut holds: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    let mut ticks = interval(Duration::from_millis(5));
    while !holds() {
        assert!(
            begun.elapsed() < limit,
            "it did not become true within {limit:?}: {what}"
        );
        ticks.tick().await;
    }
    begun.elapsed()
}

/// The next delivery, which must come.
pub(crate) async fn next(deliveries: &mut Deliveries) -> Delivery {
    let delivery = soon("a delivery", deliveries.next()).await;
    delivery.expect("a subscription goes on until somebody ends it")
}

/// Fails if a delivery comes within [`QUIET`].
pub(crate) async fn quiet(deliveries: &mut Deliveries) {
    if let Ok(Some(delivery)) = timeout(QUIET, deliveries.next()).await {
        let envelope = delivery.shared_envelope();
        delivery.ack();
        panic!("a delivery came that should not: {envelope:?}");
    }
}

/// Lets time pass, where only time makes the difference that a case is about.
pub(crate) async fn let_pass(time: Duration) {
    sleep(time).await;
}

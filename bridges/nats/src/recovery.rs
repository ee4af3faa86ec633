//! After a lost connection: the bridge is ready again when the server knows all that it knew before.

use std::sync::Arc;
use std::time::Duration;

use roadshow_bridges::reconnect_delay;

use crate::bridge::Shared;

/// How long to wait before what a new connection needs is tried again.
const AGAIN: Duration = Duration::from_millis(250);

/// After every new connection: waits until the server has read all subscriptions and knows all durable groups, then says ready.
pub(crate) async fn keep(shared: Arc<Shared>) {
    loop {
        shared.link.connected.notified().await;
        let changes = shared.link.changes();
        tokio::select! {
            // Another connection is another round.
            () = shared.link.changed(changes) => {}
            () = recover(&shared, changes) => {}
        }
    }
}

async fn recover(shared: &Shared, changes: u64) {
    confirm_all(shared, changes).await;
    renew_streams(shared).await;
}

/// Makes the streams again that a server without its store has forgotten. Nobody waits for those of dead letters and of
/// starts, which may be with another server of a cluster.
async fn renew_streams(shared: &Shared) {
    let Some(jetstream) = &shared.jetstream else { return };
    let mut attempt = 0;
    while let Err(error) = jetstream.renew_streams().await {
        if attempt == 0 {
            tracing::warn!(%error, "the streams are not confirmed on the new connection; they are tried again");
        }
        attempt += 1;
        tokio::time::sleep(reconnect_delay(attempt, rand::random())).await;
    }
}

async fn confirm_all(shared: &Shared, changes: u64) {
    loop {
        if !shared.probe().await {
            shared
                .link
                .lacks(changes, "the server does not confirm our subscriptions");
        } else if shared.durables.rebind(shared).await {
            shared.link.confirmed(changes);
            return;
        } else {
            shared
                .link
                .lacks(changes, "the server does not confirm our durable groups");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

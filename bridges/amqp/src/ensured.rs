//! Queues that are known to be there, and from when on each can be relied on.
//!
//! A quorum queue younger than about a second is lost for good when its broker is killed (RabbitMQ 3.10): every use of it then
//! ends the connection. So one that was not there before is left to settle before anything depends on it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{FieldTable, ShortString};
use lapin::{Connection, ErrorKind};
use roadshow_bridges::Error;
use tokio::time::Instant;

use crate::declare::{self, explained};
use crate::layout::Queue;

/// How long a new quorum queue is left alone.
const QUORUM_SETTLES: Duration = Duration::from_millis(1_500);
/// How long a declaration counts: far less than the time after which the broker forgets an unused queue.
const DECLARED_FOR: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, Copy)]
struct Standing {
    declared: Instant,
    good_from: Instant,
}

/// The queues that a bridge has declared.
#[derive(Debug, Default)]
pub(crate) struct Ensured(Mutex<HashMap<ShortString, Standing>>);

impl Ensured {
    /// Declares a queue unless it is known to be there, and says from when on it can be relied on.
    ///
    /// # Errors
    ///
    /// As [`explained`].
    pub(crate) async fn ensure(&self, connection: &Connection, queue: &Queue) -> Result<Instant, Error> {
        let known = self.known().get(&queue.name).copied();
        if let Some(standing) = known.filter(|known| queue.lasts || known.declared.elapsed() < DECLARED_FOR) {
            return Ok(standing.good_from);
        }
        let is_new = queue.lasts && !is_there(connection, queue).await?;
        let failed = |error| explained("open a channel", queue.name.as_str(), error);
        // A channel of its own: if the declaration fails, nothing else is lost with the channel.
        let channel = connection.create_channel().await.map_err(failed)?;
        declare::queue(&channel, queue).await?;
        channel.close(200, "OK".into()).await.map_err(failed)?;
        let declared = Instant::now();
        let good_from = if is_new { declared + QUORUM_SETTLES } else { declared };
        let standing = Standing { declared, good_from };
        self.known().insert(queue.name.clone(), standing);
        Ok(good_from)
    }

    /// Forgets everything: somebody has removed a queue.
    pub(crate) fn forget(&self) {
        self.known().clear();
    }

    fn known(&self) -> MutexGuard<'_, HashMap<ShortString, Standing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a queue is there already. To ask for one that is not ends the channel.
async fn is_there(connection: &Connection, queue: &Queue) -> Result<bool, Error> {
    let failed = |error| explained("look for a queue", queue.name.as_str(), error);
    let channel = connection.create_channel().await.map_err(failed)?;
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    match channel
        .queue_declare(queue.name.clone(), passive, FieldTable::default())
        .await
    {
        Ok(_) => channel.close(200, "OK".into()).await.map_err(failed).map(|()| true),
        Err(error) if is_missing(&error) => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

fn is_missing(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error)
        if matches!(error.kind(), AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND)))
}

//! Declaring what the layout says. Nothing is ever deleted to make a declaration fit: what exists and differs is told.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, ErrorKind, ExchangeKind};
use roadshow_bridges::Error;

use crate::connection::is_refusal;
use crate::layout::{Bound, Layout, Queue};
use crate::text::{long, table};

/// Every exchange of ours survives a restart of the broker.
const DURABLE: ExchangeDeclareOptions = ExchangeDeclareOptions {
    passive: false,
    durable: true,
    auto_delete: false,
    internal: false,
    nowait: false,
};

/// Declares the exchanges of a namespace.
///
/// # Errors
///
/// As [`explained`].
pub(crate) async fn exchanges(channel: &Channel, layout: &Layout) -> Result<(), Error> {
    let rest = layout.rest.clone();
    let alternate = table([("alternate-exchange", long(rest.as_str()))]);
    for (name, arguments) in [(rest, FieldTable::default()), (layout.exchange.clone(), alternate)] {
        let declared = channel.exchange_declare(name.clone(), ExchangeKind::Topic, DURABLE, arguments);
        declared
            .await
            .map_err(|error| explained("declare an exchange", name.as_str(), error))?;
    }
    Ok(())
}

/// Declares a queue and binds it.
///
/// # Errors
///
/// As [`explained`].
pub(crate) async fn queue(channel: &Channel, queue: &Queue) -> Result<(), Error> {
    let name = &queue.name;
    let declared = channel.queue_declare(name.clone(), queue.options, queue.arguments.clone());
    declared
        .await
        .map_err(|error| explained("declare a queue", name.as_str(), error))?;
    let (exchange, key) = match &queue.bound {
        Bound::Key(exchange, key) => (exchange.clone(), key.clone()),
        Bound::Everything => {
            let (kind, arguments) = (ExchangeKind::Fanout, FieldTable::default());
            let made = channel.exchange_declare(name.clone(), kind, DURABLE, arguments);
            made.await
                .map_err(|error| explained("declare an exchange", name.as_str(), error))?;
            (name.clone(), ShortString::default())
        }
    };
    let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
    let bound = channel.queue_bind(name.clone(), exchange, key, options, arguments);
    bound
        .await
        .map_err(|error| explained("bind a queue", name.as_str(), error))
}

/// What a failed declaration means: `Config` where the broker says what differs or is not allowed, else `Unavailable`.
pub(crate) fn explained(act: &'static str, name: &str, error: lapin::Error) -> Error {
    let differs = matches!(error.kind(), ErrorKind::ProtocolError(error)
        if matches!(error.kind(), AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED)));
    let message = format!("cannot {act} on RabbitMQ");
    let made = if differs || is_refusal(&error) {
        Error::config(message)
    } else {
        Error::unavailable(message)
    };
    made.with("name", name).with("answer", &error).with_source(error)
}

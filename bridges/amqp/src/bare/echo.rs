//! The responder of bare requests: sends each payload back, confirmed, then acknowledges the request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Consumer};

/// Answers until the channel is gone; at most a window of requests at the same time.
pub(super) async fn respond(channel: Channel, mut requests: Consumer, received: Arc<AtomicU64>) {
    if channel.confirm_select(ConfirmSelectOptions::default()).await.is_err() {
        return;
    }
    let mut answering = FuturesUnordered::new();
    loop {
        tokio::select! {
            request = requests.next() => {
                let Some(Ok(request)) = request else { return };
                received.fetch_add(1, Ordering::Relaxed);
                answering.push(answer(&channel, request));
            }
            Some(answered) = answering.next(), if !answering.is_empty() => {
                if answered.is_err() {
                    return;
                }
            }
        }
    }
}

async fn answer(channel: &Channel, request: Delivery) -> lapin::Result<()> {
    let properties = &request.properties;
    if let Some(reply_to) = properties.reply_to().clone() {
        let correlation = properties.correlation_id().clone().unwrap_or_default();
        let reply = BasicProperties::default()
            .with_correlation_id(correlation)
            .with_delivery_mode(1);
        let options = BasicPublishOptions {
            mandatory: true,
            immediate: false,
        };
        let publishing = channel.basic_publish(ShortString::default(), reply_to, options, &request.data, reply);
        publishing.await?.await?;
    }
    channel
        .basic_ack(request.delivery_tag, BasicAckOptions::default())
        .await
}

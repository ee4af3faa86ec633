//! The demo services on a node of their own, typed and forced through the codec.

mod probe;
mod sensors;
mod users;

use roadshow_services::{AnyService, Node};

/// A node with these services, encoded everywhere or not.
async fn node(codec_always: bool, services: impl IntoIterator<Item = std::sync::Arc<dyn AnyService>>) -> Node {
    let builder = services
        .into_iter()
        .fold(Node::builder(), |builder, service| builder.any_service(service));
    builder.codec_always(codec_always).start().await.expect("a node")
}

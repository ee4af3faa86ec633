//! Connectors: from a URL to an adapter, so that a configuration names a broker and no code does.
//!
//! An adapter registers a [`Connector`] for its URL schemes; whoever assembles a program puts them into [`Connectors`]. What
//! an adapter does not offer it does not override. There is no global registry.

use std::fmt;
use std::sync::Arc;

use futures_util::future::{BoxFuture, ready};

use crate::bare::BareClient;
use crate::broker_url::Access;
use crate::error::Error;
use crate::event_bridge::EventBridge;
use crate::names::{IncarnationId, Namespace, NodeId};

/// Who connects.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectContext {
    /// The namespace of the system.
    pub namespace: Namespace,
    /// The node that connects.
    pub node: NodeId,
    /// This life of the node.
    pub incarnation: IncarnationId,
    /// Who the node is to the broker, where the URL does not say it.
    pub access: Access,
}

impl ConnectContext {
    /// A node of a namespace.
    pub fn new(namespace: Namespace, node: NodeId, incarnation: IncarnationId) -> Self {
        Self {
            namespace,
            node,
            incarnation,
            access: Access::default(),
        }
    }

    /// Sets who the node is to the broker, where the URL does not say it.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }
}

/// What one adapter makes of its URLs.
pub trait Connector: Send + Sync + fmt::Debug + 'static {
    /// The URL schemes that are this adapter's, without colon, in lower case.
    fn schemes(&self) -> &[&'static str];

    /// Connects an event bridge.
    ///
    /// # Errors
    ///
    /// `Config` (bad URL, credentials), `Unavailable` (cannot be reached now), `Unsupported` (no event bridge here).
    fn event_bridge<'a>(
        &'a self,
        url: &'a str,
        context: &'a ConnectContext,
    ) -> BoxFuture<'a, Result<Arc<dyn EventBridge>, Error>> {
        let _ = context;
        let error =
            Error::unsupported("cannot connect an event bridge: the adapter has none").with("scheme", scheme(url));
        Box::pin(ready(Err(error)))
    }

    /// The client library that the adapter is built on, for measuring what we cost.
    ///
    /// # Errors
    ///
    /// As [`Connector::event_bridge`]; `Unsupported` where there is no library to compare with.
    fn bare_client<'a>(
        &'a self,
        url: &'a str,
        context: &'a ConnectContext,
    ) -> BoxFuture<'a, Result<Arc<dyn BareClient>, Error>> {
        let _ = context;
        let error =
            Error::unsupported("cannot measure a bare client: the adapter has none").with("scheme", scheme(url));
        Box::pin(ready(Err(error)))
    }
}

/// The adapters that a program knows.
#[derive(Debug, Clone, Default)]
pub struct Connectors(Vec<Arc<dyn Connector>>);

impl Connectors {
    /// No adapter at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an adapter. Of two adapters for one scheme the later one counts.
    #[must_use]
    pub fn with(mut self, connector: impl Connector) -> Self {
        self.0.push(Arc::new(connector));
        self
    }

    /// Every known scheme, sorted.
    pub fn schemes(&self) -> Vec<&'static str> {
        let mut schemes: Vec<_> = self
            .0
            .iter()
            .flat_map(|connector| connector.schemes().iter().copied())
            .collect();
        schemes.sort_unstable();
        schemes.dedup();
        schemes
    }

    /// The adapter of a URL.
    ///
    /// # Errors
    ///
    /// `Config` if no adapter knows the scheme; the error names those that are known, and never the URL's credentials.
    pub fn find(&self, url: &str) -> Result<&Arc<dyn Connector>, Error> {
        let wanted = scheme(url);
        let known = |connector: &&Arc<dyn Connector>| connector.schemes().contains(&wanted.as_str());
        if let Some(connector) = self.0.iter().rev().find(known) {
            return Ok(connector);
        }
        let schemes = self.schemes();
        let mut error = Error::config("cannot choose a bridge: no adapter knows the scheme of the URL")
            .with("scheme", if wanted.is_empty() { "none" } else { &wanted })
            .with("known", schemes.join(" "));
        if let Some(near) = nearest(&wanted, &schemes) {
            error = error.with("did you mean", near);
        }
        Err(error)
    }

    /// Connects the event bridge of a URL.
    ///
    /// # Errors
    ///
    /// As [`Connectors::find`] and [`Connector::event_bridge`].
    pub async fn event_bridge(&self, url: &str, context: &ConnectContext) -> Result<Arc<dyn EventBridge>, Error> {
        self.find(url)?.event_bridge(url, context).await
    }
}

/// The scheme of a URL, or nothing; bounded, so that it can be shown.
fn scheme(url: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    match url.split_once(':') {
        Some((scheme, _)) if scheme.len() <= 32 && scheme.chars().all(plain) => scheme.to_ascii_lowercase(),
        _ => String::new(),
    }
}

fn nearest(wanted: &str, known: &[&'static str]) -> Option<&'static str> {
    let score = |candidate: &&'static str| (strsim::jaro_winkler(wanted, candidate), *candidate);
    let best = known.iter().map(score).max_by(|one, two| one.0.total_cmp(&two.0))?;
    (best.0 > 0.8).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[derive(Debug)]
    struct Nats;

    impl Connector for Nats {
        fn schemes(&self) -> &[&'static str] {
            &["nats", "tls"]
        }
    }

    fn context() -> ConnectContext {
        let node = "n1".parse().expect("a node");
        ConnectContext::new(Namespace::default(), node, IncarnationId::from_u64(1))
    }

    #[test]
    fn an_unknown_scheme_names_the_known_ones_and_no_secret() {
        let connectors = Connectors::new().with(Nats);
        let error = connectors.find("nat://ada:secret@host").expect_err("unknown");
        assert_eq!(error.kind(), ErrorKind::Config);
        let text = error.to_string();
        assert!(
            text.contains("known: nats tls") && text.contains("did you mean: nats"),
            "{text}"
        );
        assert!(!format!("{error:?}").contains("secret"));
        assert!(connectors.find("no url at all").is_err());
        assert!(connectors.find("NATS://host").is_ok());
    }

    #[tokio::test]
    async fn what_an_adapter_does_not_offer_is_unsupported() {
        let connectors = Connectors::new().with(Nats);
        let error = connectors
            .event_bridge("nats://host", &context())
            .await
            .expect_err("not offered");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}

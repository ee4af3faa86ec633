//! A system, reached over its event bridge: a node of our own that serves nothing, for as long as one command takes.
//!
//! It is a member like any other, so that calls, events and streams are made as services make them. Who it is to the
//! broker comes from the variables of `up` (`ROADSHOW_BRIDGE__USER` and its like), the configuration file is not read.
//! Nothing is logged: what goes wrong is the end of the command and is told there.

use std::sync::Arc;
use std::time::Duration;

use roadshow_bridges::{Access, ConnectContext, IncarnationId};
use roadshow_services::config::{BridgeUrl, Resolved, Settings};
use roadshow_services::{
    Client, Connector, Connectors, Error, ErrorKind, Executed, Failure, Node, NodeBuilder, NodeView,
};
use tokio::time::{interval, timeout};

use crate::end::{self, End};
use crate::prepared;

/// How long connecting may take.
const JOIN_MAX: Duration = Duration::from_secs(5);
/// How often it is looked whether connecting has failed.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long leaving may take: what was asked for is done by then.
const LEAVE_MAX: Duration = Duration::from_secs(1);
/// The variables that mean something to a client too.
const VARIABLES: [&str; 3] = ["ROADSHOW_BRIDGE__", "ROADSHOW_NAMESPACE", "ROADSHOW_CALL__"];

/// A system that can be joined.
#[derive(Debug)]
pub(crate) struct System {
    access: Access,
    resolved: Resolved,
    connectors: Connectors,
}

/// Why a system could not be joined.
#[derive(Debug)]
pub(crate) enum NotJoined {
    /// What was given is wrong.
    Usage(String),
    /// The broker is not there, or does not let us in.
    Unreachable(String),
}

/// A node of ours in the system.
#[derive(Debug)]
pub(crate) struct Member(Node);

impl System {
    /// The system on a bridge. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// A scheme that no adapter knows, a namespace that is none, settings of access that contradict each other.
    pub(crate) fn new(url: &BridgeUrl, namespace: Option<&str>, connectors: &Connectors) -> Result<Self, String> {
        Self::named("cli", url, namespace, connectors)
    }

    /// As [`System::new`], with node ids that begin with another word.
    ///
    /// # Errors
    ///
    /// As [`System::new`].
    pub(crate) fn named(
        who: &str,
        url: &BridgeUrl,
        namespace: Option<&str>,
        connectors: &Connectors,
    ) -> Result<Self, String> {
        let known = connectors.schemes();
        if !known.contains(&url.scheme()) {
            return Err(prepared::no_event_adapter(url.scheme(), &known));
        }
        let mut flags = vec![
            ("event_bridge".to_owned(), url.expose().to_owned()),
            ("node_id".to_owned(), format!("{who}-{:016x}", rand::random::<u64>())),
        ];
        flags.extend(namespace.map(|namespace| ("namespace".to_owned(), namespace.to_owned())));
        let resolved =
            Settings::resolve(None, variables()?.into_iter(), &flags, None).map_err(|errors| errors.to_string())?;
        let settings = resolved.settings();
        let access = settings
            .bridge
            .access(&settings.event_bridge)
            .map_err(|(name, why)| format!("{name} from {}: {why}", resolved.origin(name)))?;
        Ok(System {
            access,
            resolved,
            connectors: connectors.clone(),
        })
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// The broker cannot be reached in time, or does not let us in.
    pub(crate) async fn join(&self) -> Result<Member, NotJoined> {
        let joining = async {
            let node = self.builder().launch().await.map_err(|error| self.not_joined(&error))?;
            let view = node.view();
            let joined = tokio::select! {
                ready = node.ready() => ready.map_err(|error| self.not_joined(&error)),
                why = first_failure(&view) => Err(self.unreachable(&why)),
            };
            match joined {
                Ok(()) => Ok(Member(node)),
                Err(problem) => {
                    Member(node).leave().await;
                    Err(problem)
                }
            }
        };
        match timeout(JOIN_MAX, joining).await {
            Ok(joined) => joined,
            Err(_elapsed) => Err(self.unreachable(&format!("no answer within {}s", JOIN_MAX.as_secs()))),
        }
    }

    /// A node of the system, to be given services.
    pub(crate) fn builder(&self) -> NodeBuilder {
        Node::builder()
            .with_connectors(self.connectors.clone())
            .settings(self.resolved.clone())
    }

    /// The adapter of its bridge.
    pub(crate) fn connector(&self) -> Result<&Arc<dyn Connector>, roadshow_bridges::Error> {
        self.connectors.find(self.url())
    }

    /// Where its bridge is, with all that is secret.
    pub(crate) fn url(&self) -> &str {
        self.resolved.settings().event_bridge.expose()
    }

    /// What the adapter is told beside the URL.
    pub(crate) fn context(&self) -> ConnectContext {
        let settings = self.resolved.settings();
        let incarnation = IncarnationId::from_u64(rand::random());
        ConnectContext::new(settings.namespace.clone(), settings.node_id.clone(), incarnation)
            .access(self.access.clone())
    }

    fn not_joined(&self, error: &Error) -> NotJoined {
        match error.kind() {
            ErrorKind::Definition => NotJoined::Usage(error.to_string()),
            // The chain begins with who gave up in the tree; what the broker said is its end.
            _ => self.unreachable(error.causes().last().map_or("it gave up", String::as_str)),
        }
    }

    fn unreachable(&self, why: &str) -> NotJoined {
        let url = &self.resolved.settings().event_bridge;
        NotJoined::Unreachable(format!("cannot reach the system over {url}: {why}"))
    }
}

impl Member {
    /// For calls, events and streams.
    pub(crate) fn client(&self) -> Client {
        self.0.client()
    }

    /// Closes the connection.
    pub(crate) async fn leave(self) {
        // Nothing of ours is at work any more, so there is nothing to report.
        let _ = self.0.shutdown(LEAVE_MAX).await;
    }
}

/// What failed first in a node. A node that stays waits for its broker; a command has nobody to wait for.
async fn first_failure(node: &NodeView) -> String {
    let mut look = interval(LOOK_EVERY);
    loop {
        look.tick().await;
        if let Some(failure) = node.failures().first() {
            return failure.causes.join(": ");
        }
    }
}

/// Ends because the system could not be joined.
pub(crate) fn not_joined(problem: &NotJoined) -> End {
    match problem {
        NotJoined::Usage(problem) => end::wrong_usage(problem),
        NotJoined::Unreachable(why) => end::refused(Failure::unavailable(why.clone()).with_executed(Executed::No)),
    }
}

/// The variables of this process that a client reads. What is no text is not passed over.
fn variables() -> Result<Vec<(String, String)>, String> {
    let mut read = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        if VARIABLES.iter().any(|ours| name.starts_with(ours)) {
            let value = value.into_string().map_err(|_| format!("{name} is not UTF-8"))?;
            read.push((name, value));
        }
    }
    Ok(read)
}

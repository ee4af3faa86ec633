//! The services that the tests knock at, and nodes that run them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use roadshow_gateway::{Authenticate, Caller, Gateway, RequestHead};
use roadshow_services::{
    Address, Code, Command, CommandHandler, Context, Event, EventHandler, EventName, Failure, Method, Node, Outcome,
    RateLimit, Service, ServiceId, Validate, Violations,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::wire::PATIENCE;

pub(crate) const STAGE: ServiceId = ServiceId::new("stage", 1);
/// The largest body that the gateways of these tests take, in bytes.
pub(crate) const BODY_LIMIT: usize = 4096;

macro_rules! command {
    ($name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty),* } => $reply:ty, $address:literal) => {
        #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
        pub(crate) struct $name { $($(#[$attribute])* pub(crate) $field: $type),* }
        impl Command for $name {
            const ADDRESS: Address = STAGE.command($address);
            type Reply = $reply;
        }
    };
}

command!(CreateUser { name: String, email: String } => User, "create_user");
command!(GetUser { id: u64 } => User, "get_user");
command!(RenameUser { id: u64, name: String } => (), "rename_user");
command!(Search {
    q: String,
    limit: Option<u32>,
    #[serde(default)] tags: Vec<String>,
    #[serde(default)] exact: bool,
    #[serde(default)] below: Option<f64>
} => Search, "search");
command!(WhoAmI {} => Who, "who_am_i");
command!(WhoIsThere {} => Who, "who_is_there");
command!(Fail { code: String, retry_after_ms: Option<u64> } => (), "fail");
command!(Wait { #[serde(default)] then: String } => String, "wait");
command!(Linger {} => (), "linger");
command!(Blob { bytes: usize } => String, "blob");
command!(Touch {} => (), "touch");
command!(Scarce {} => (), "scarce");

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct User {
    pub(crate) id: u64,
    pub(crate) name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Who {
    pub(crate) principal: Option<String>,
    pub(crate) tenant: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) correlation: String,
    pub(crate) trace: String,
    pub(crate) remaining_ms: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Heard {
    pub(crate) text: String,
}
impl Event for Heard {
    const NAME: EventName = EventName::new("stage.heard");
}

impl Validate for CreateUser {
    fn validate(&self, violations: &mut Violations) {
        violations.check("email", self.email.contains('@'), "must be an email address");
    }
}

/// What the handlers note and wait for.
#[derive(Debug)]
pub(crate) struct Props {
    pub(crate) started: AtomicUsize,
    pub(crate) cancelled: AtomicUsize,
    pub(crate) finished: AtomicUsize,
    pub(crate) heard: AtomicUsize,
    pub(crate) release: Semaphore,
    changed: watch::Sender<()>,
}

impl Props {
    fn new() -> Arc<Props> {
        Arc::new(Props {
            started: AtomicUsize::new(0),
            cancelled: AtomicUsize::new(0),
            finished: AtomicUsize::new(0),
            heard: AtomicUsize::new(0),
            release: Semaphore::new(0),
            changed: watch::channel(()).0,
        })
    }

    fn note(&self, counter: &AtomicUsize) {
        counter.fetch_add(1, Ordering::SeqCst);
        self.changed.send_replace(());
    }

    /// Waits until something is so.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Props) -> bool) {
        let mut changes = self.changed.subscribe();
        let wait = async {
            while !holds(self) {
                changes.changed().await.expect("the props outlive their tests");
            }
        };
        timeout(PATIENCE, wait)
            .await
            .unwrap_or_else(|_| panic!("{what}: {self:?}"));
    }
}

struct Stage(Arc<Props>);

impl CommandHandler<CreateUser> for Stage {
    async fn handle(&self, input: CreateUser, _ctx: &Context) -> Result<User, Failure> {
        if input.name == "taken" {
            return Err(Failure::conflict("the name is taken").with_details(serde_json::json!({ "field": "name" })));
        }
        Ok(User {
            id: 7,
            name: input.name,
        })
    }
}

impl CommandHandler<GetUser> for Stage {
    async fn handle(&self, input: GetUser, _ctx: &Context) -> Result<User, Failure> {
        if input.id > 100 {
            return Err(Failure::not_found(format!("there is no user {}", input.id)));
        }
        Ok(User {
            id: input.id,
            name: "Ada".to_owned(),
        })
    }
}

impl CommandHandler<RenameUser> for Stage {
    async fn handle(&self, _input: RenameUser, _ctx: &Context) -> Result<(), Failure> {
        Ok(())
    }
}

impl CommandHandler<Search> for Stage {
    async fn handle(&self, input: Search, _ctx: &Context) -> Result<Search, Failure> {
        Ok(input)
    }
}

fn who(ctx: &Context) -> Who {
    Who {
        principal: ctx.principal().map(str::to_owned),
        tenant: ctx.tenant().map(str::to_owned),
        key: ctx.key().map(str::to_owned),
        correlation: ctx.correlation_id().to_string(),
        trace: ctx.trace().to_string(),
        remaining_ms: u64::try_from(ctx.remaining().as_millis()).expect("a budget is short"),
    }
}

impl CommandHandler<WhoAmI> for Stage {
    async fn handle(&self, _input: WhoAmI, ctx: &Context) -> Result<Who, Failure> {
        Ok(who(ctx))
    }
}

impl CommandHandler<WhoIsThere> for Stage {
    async fn handle(&self, _input: WhoIsThere, ctx: &Context) -> Result<Who, Failure> {
        Ok(who(ctx))
    }
}

impl CommandHandler<Fail> for Stage {
    async fn handle(&self, input: Fail, _ctx: &Context) -> Result<(), Failure> {
        let Ok(code) = input.code.parse::<Code>() else {
            panic!("a handler panics, as it was asked to");
        };
        let failure = Failure::new(code, "as you wish");
        Err(match input.retry_after_ms {
            Some(ms) => failure.with_details(serde_json::json!({ "retry_after_ms": ms })),
            None => failure.with_details(serde_json::json!({ "inside": true })),
        })
    }
}

impl CommandHandler<Wait> for Stage {
    async fn handle(&self, input: Wait, _ctx: &Context) -> Result<String, Failure> {
        self.0.note(&self.0.started);
        self.0.release.acquire().await.expect("it is never closed").forget();
        self.0.note(&self.0.finished);
        Ok(input.then)
    }
}

impl CommandHandler<Linger> for Stage {
    async fn handle(&self, _input: Linger, ctx: &Context) -> Result<(), Failure> {
        self.0.note(&self.0.started);
        ctx.cancelled().await;
        self.0.note(&self.0.cancelled);
        self.0.release.acquire().await.expect("it is never closed").forget();
        self.0.note(&self.0.finished);
        Ok(())
    }
}

impl CommandHandler<Blob> for Stage {
    async fn handle(&self, input: Blob, _ctx: &Context) -> Result<String, Failure> {
        Ok("x".repeat(input.bytes))
    }
}

impl CommandHandler<Touch> for Stage {
    async fn handle(&self, _input: Touch, _ctx: &Context) -> Result<(), Failure> {
        Ok(())
    }
}

impl CommandHandler<Scarce> for Stage {
    async fn handle(&self, _input: Scarce, _ctx: &Context) -> Result<(), Failure> {
        Ok(())
    }
}

impl EventHandler<Heard> for Stage {
    async fn receive(&self, _event: &Heard, _ctx: &Context) -> Outcome {
        self.0.note(&self.0.heard);
        Outcome::Ack
    }
}

fn stage(props: &Arc<Props>) -> impl roadshow_services::AnyService {
    let props = Arc::clone(props);
    Service::new(STAGE, move || {
        let props = Arc::clone(&props);
        async move { Ok::<_, Infallible>(Stage(props)) }
    })
    .command::<CreateUser>(|c| c.http(Method::Post, "/users").status(201).public().validate())
    .command::<GetUser>(|c| c.http(Method::Get, "/users/{id}").public())
    .command::<RenameUser>(|c| c.http(Method::Put, "/users/{id}").public())
    .command::<Search>(|c| c.http(Method::Get, "/search").public())
    .command::<WhoAmI>(|c| c.http(Method::Get, "/me"))
    .command::<WhoIsThere>(|c| c.http(Method::Get, "/there").public())
    .command::<Fail>(|c| c.http(Method::Post, "/fail").public())
    .command::<Wait>(|c| c.http(Method::Post, "/wait").public())
    .command::<Linger>(|c| c.http(Method::Post, "/linger").public().concurrency(1))
    .command::<Blob>(|c| c.http(Method::Get, "/blob").public())
    .command::<Touch>(|c| c.http(Method::Delete, "/touch").public())
    .command::<Scarce>(|c| {
        let limit = RateLimit::per_minute(NonZeroU32::MIN);
        c.http(Method::Post, "/scarce").public().rate_limit(limit)
    })
    .subscribe::<Heard>(|s| s)
}

/// Lets `Bearer ada` in, refuses everybody else, and panics at `Bearer crash`.
pub(crate) struct Doorman;

impl Authenticate for Doorman {
    fn authenticate<'a>(&'a self, head: &'a RequestHead<'a>) -> BoxFuture<'a, Result<Caller, Failure>> {
        Box::pin(async move {
            assert_eq!(head.command.to_string(), "stage.1.who_am_i");
            match head.headers.get("authorization").and_then(|value| value.to_str().ok()) {
                Some("Bearer ada") => Ok(Caller::principal("ada").tenant("acme")),
                Some("Bearer eve") => Err(Failure::forbidden("not you")),
                Some("Bearer crash") => panic!("the doorman panics, as he was asked to"),
                Some("Bearer leak") => Err(Failure::internal("no database").with_details("10.0.0.1")),
                _ => Err(Failure::unauthenticated("who are you")),
            }
        })
    }
}

/// A node on its stage.
pub(crate) struct Staged {
    pub(crate) node: Node,
    pub(crate) at: SocketAddr,
    pub(crate) props: Arc<Props>,
}

impl Staged {
    pub(crate) async fn start() -> Staged {
        Staged::with(|gateway| gateway).await
    }

    pub(crate) async fn with(told: impl FnOnce(Gateway) -> Gateway) -> Staged {
        let props = Props::new();
        let gateway = Gateway::new(SocketAddr::from(([127, 0, 0, 1], 0))).body_limit(BODY_LIMIT);
        let node = Node::builder()
            .component(told(gateway))
            .service(stage(&props))
            .start()
            .await
            .expect("it starts");
        let at = node
            .view()
            .location(Gateway::NAME)
            .expect("it listens")
            .parse()
            .expect("an address");
        Staged { node, at, props }
    }

    /// Stops the node and sees that nothing was cut.
    pub(crate) async fn end(self) {
        let drained = self.node.shutdown(Duration::from_secs(10)).await;
        assert!(drained.is_clean(), "{drained:?}");
    }
}

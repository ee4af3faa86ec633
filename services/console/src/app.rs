//! An application: services, what they need, and the command line around them.

use std::ffi::OsString;
use std::fmt;
use std::process::ExitCode;

use clap::{ArgMatches, FromArgMatches};
use roadshow_gateway::Authenticate;
use roadshow_services::{AnyService, Component, Connector, NodeBuilder};

use crate::bench::{self, BenchArgs};
use crate::call::{self, CallArgs};
use crate::command_line;
use crate::emit::{self, EmitArgs};
use crate::end::{self, End};
use crate::front::Front;
use crate::new::{self, NewArgs};
use crate::service_flags::{IntoServices, ServiceFlags};
use crate::stream::{self, StreamArgs};
use crate::tree::{self, TreeArgs};
use crate::{asyncapi, completions, doctor, openapi, up};

/// The application `name`, to be given its services.
///
/// ```no_run
/// use std::convert::Infallible;
/// use std::process::ExitCode;
///
/// use roadshow_services::{Service, ServiceId};
///
/// # #[tokio::main]
/// # async fn main() -> ExitCode {
/// let shop = Service::new(ServiceId::new("shop", 1), || async { Ok::<_, Infallible>(()) });
/// roadshow_console::app("shop").service(shop).main().await
/// # }
/// ```
pub fn app(name: &'static str) -> App {
    App {
        front: Front::new(name),
        node: NodeBuilder::default(),
        schemes: vec!["memory"],
        flags: Vec::new(),
    }
}

/// Services and the command line around them. Methods return the application, to be chained; [`App::main`] runs it.
#[must_use = "an application does nothing until `main` is called"]
pub struct App {
    pub(crate) front: Front,
    pub(crate) node: NodeBuilder,
    /// URL schemes that some connector knows.
    pub(crate) schemes: Vec<&'static str>,
    pub(crate) flags: Vec<ServiceFlags>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("front", &self.front)
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

impl App {
    /// Adds a service. Which of an application's services run in a process is configuration: `up --services a,b`.
    pub fn service(mut self, service: impl AnyService) -> Self {
        self.node = self.node.service(service);
        self
    }

    /// Adds services that `up` gets flags for. `make` is given the flags and returns a service, or `None`, or several.
    ///
    /// The flags are a type that derives clap's `Args`. A flag that `up` or another service has already, or an argument
    /// without a name, ends the program with exit code 2 before anything starts.
    pub fn service_with_args<A, S>(mut self, make: impl FnOnce(A) -> S + Send + 'static) -> Self
    where
        A: clap::Args,
        S: IntoServices,
    {
        self.flags.push(ServiceFlags::new(make));
        self
    }

    /// Adds an adapter for bridge URLs. `memory:` is known already.
    pub fn connector(mut self, connector: impl Connector) -> Self {
        self.schemes.extend(connector.schemes());
        self.node = self.node.connector(connector);
        self
    }

    /// Adds a component of every node that `up` starts. The gateway is there already, unless `--http off`.
    pub fn component(mut self, component: impl Component) -> Self {
        self.node = self.node.component(component);
        self
    }

    /// Sets the application's own version, usually `env!("CARGO_PKG_VERSION")`: what `--version` prints and what stands in
    /// its documents. Default: Roadshow's version.
    pub fn version(mut self, version: &'static str) -> Self {
        self.front.version = version;
        self
    }

    /// Sets who may enter by a route that is not public. Without a hook nobody may: such routes answer 401.
    ///
    /// How the hook says that callers prove who they are stands in the OpenAPI document. The admin routes do not ask it.
    pub fn authenticate(mut self, hook: impl Authenticate) -> Self {
        self.front.authenticate(hook);
        self
    }

    /// Reads the arguments of this process and does what they say. Meant to be all that `main` does, inside
    /// `#[tokio::main]`; never panics about arguments.
    ///
    /// `up` installs the log subscriber, the panic hook and signal handlers of the process.
    ///
    /// # Exit codes
    ///
    /// 0: done. 1: the call failed, the node could not be reached, started or kept up. 2: wrong usage or settings.
    /// 3: `up` had to kill or abandon something when it stopped. 128 + n: the second signal, of number n, while stopping.
    pub async fn main(self) -> ExitCode {
        self.run(std::env::args_os().collect()).await.into()
    }

    async fn run(self, line: Vec<OsString>) -> End {
        let mut command = match command_line::command(&self.front, &self.flags) {
            Ok(command) => command,
            Err(problem) => return end::wrong_usage(&problem),
        };
        match command.try_get_matches_from_mut(line) {
            Ok(matches) => self.dispatch(&mut command, &matches).await,
            Err(error) => end::of_clap(&error),
        }
    }

    async fn dispatch(self, command: &mut clap::Command, matches: &ArgMatches) -> End {
        let Some((name, matches)) = matches.subcommand() else {
            return end::of_clap(&command.error(
                clap::error::ErrorKind::MissingSubcommand,
                "say which command; --help lists them",
            ));
        };
        let connectors = self.node.connectors().clone();
        match name {
            "up" => Box::pin(up::run(self, matches)).await,
            "openapi" => Box::pin(openapi::run(self, matches)).await,
            "asyncapi" => Box::pin(asyncapi::run(self, matches)).await,
            "doctor" => Box::pin(doctor::run(self, matches)).await,
            "completions" => Box::pin(completions::run(self, matches)).await,
            "call" => with::<CallArgs, _>(matches, async |args| call::run(args, &connectors).await).await,
            "emit" => with::<EmitArgs, _>(matches, async |args| emit::run(args, &connectors).await).await,
            "stream" => with::<StreamArgs, _>(matches, async |args| stream::run(args, &connectors).await).await,
            "tree" => with::<TreeArgs, _>(matches, async |args| tree::run(args).await).await,
            "new" => with::<NewArgs, _>(matches, async |args| new::run(&args)).await,
            "bench" => with::<BenchArgs, _>(matches, async |args| End::Code(bench::run(args, &connectors).await)).await,
            other => end::wrong_usage(&format!("there is no command {other}")),
        }
    }
}

async fn with<A: FromArgMatches, F: AsyncFnOnce(A) -> End>(matches: &ArgMatches, run: F) -> End {
    match A::from_arg_matches(matches) {
        Ok(args) => Box::pin(run(args)).await,
        Err(error) => end::of_clap(&error),
    }
}

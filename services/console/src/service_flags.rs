//! Flags that services bring to `up`.
//!
//! clap treats two flags of one name as a mistake of the programmer and panics; here they come from services that do
//! not know each other, so they are found before clap sees them.

use std::fmt;
use std::sync::Arc;

use clap::builder::Resettable;
use clap::{ArgMatches, Command};
use roadshow_services::{AnyService, Service};

/// What a function of flags may return: a service, none, or several.
pub trait IntoServices {
    /// The services, to be given to a node.
    fn into_services(self) -> Vec<Arc<dyn AnyService>>;
}

impl<S: Send + Sync + 'static> IntoServices for Service<S> {
    fn into_services(self) -> Vec<Arc<dyn AnyService>> {
        vec![Arc::new(self)]
    }
}

impl IntoServices for Arc<dyn AnyService> {
    fn into_services(self) -> Vec<Arc<dyn AnyService>> {
        vec![self]
    }
}

impl<T: IntoServices> IntoServices for Option<T> {
    fn into_services(self) -> Vec<Arc<dyn AnyService>> {
        self.map_or_else(Vec::new, T::into_services)
    }
}

impl<T: IntoServices> IntoServices for Vec<T> {
    fn into_services(self) -> Vec<Arc<dyn AnyService>> {
        self.into_iter().flat_map(T::into_services).collect()
    }
}

type Make = Box<dyn FnOnce(&ArgMatches) -> Result<Vec<Arc<dyn AnyService>>, clap::Error> + Send>;

/// The flags of some services, and how to make the services from them.
pub(crate) struct ServiceFlags {
    augment: fn(Command) -> Command,
    make: Make,
}

impl fmt::Debug for ServiceFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceFlags").finish_non_exhaustive()
    }
}

impl ServiceFlags {
    pub(crate) fn new<A: clap::Args, S: IntoServices>(make: impl FnOnce(A) -> S + Send + 'static) -> Self {
        Self {
            augment: A::augment_args,
            make: Box::new(|matches| Ok(make(A::from_arg_matches(matches)?).into_services())),
        }
    }

    /// Makes the services from what the command line says.
    pub(crate) fn services(self, matches: &ArgMatches) -> Result<Vec<Arc<dyn AnyService>>, clap::Error> {
        (self.make)(matches)
    }
}

/// Adds all flags to a command.
///
/// # Errors
///
/// An argument that the command has already, or one without a name.
pub(crate) fn add_all(command: Command, flags: &[ServiceFlags]) -> Result<Command, String> {
    flags.iter().try_fold(command, |command, flags| {
        let own = (flags.augment)(Command::new("flags"));
        match own.get_arguments().find_map(|arg| quarrel(&command, arg)) {
            Some(problem) => Err(problem),
            None => match own.get_groups().find(|group| has_group(&command, group)) {
                Some(group) => Err(format!(
                    "two services bring flags in a group named {}: give one another name, or none with #[group(skip)]",
                    group.get_id()
                )),
                None => Ok(augment(command, flags)),
            },
        }
    })
}

/// Adds flags and nothing else: a type of flags describes itself too, where the command has its own description.
fn augment(command: Command, flags: &ServiceFlags) -> Command {
    let about = Resettable::from(command.get_about().cloned());
    let long_about = Resettable::from(command.get_long_about().cloned());
    (flags.augment)(command).about(about).long_about(long_about)
}

fn has_group(command: &Command, group: &clap::ArgGroup) -> bool {
    command.get_groups().any(|other| other.get_id() == group.get_id())
}

/// Says what keeps an argument from being added.
fn quarrel(command: &Command, arg: &clap::Arg) -> Option<String> {
    if arg.is_positional() {
        let id = arg.get_id();
        return Some(format!(
            "a service brings the argument {id} without a name: make it a flag"
        ));
    }
    let shown = arg
        .get_long()
        .map_or_else(|| arg.get_id().to_string(), |long| format!("--{long}"));
    let is_taken = |other: &clap::Arg| {
        let same_long = arg.get_long().is_some() && other.get_long() == arg.get_long();
        let same_short = arg.get_short().is_some() && other.get_short() == arg.get_short();
        other.get_id() == arg.get_id() || same_long || same_short
    };
    let of_clap = matches!(arg.get_long(), Some("help" | "version")) || matches!(arg.get_short(), Some('h' | 'V'));
    (of_clap || command.get_arguments().any(is_taken))
        .then(|| format!("a service brings the flag {shown}, which is taken: give it another name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How deep.
    #[derive(clap::Args)]
    struct Depth {
        #[arg(long)]
        depth: Option<u32>,
    }

    #[derive(clap::Args)]
    #[group(skip)]
    struct Taken {
        #[arg(long)]
        http: Option<String>,
    }

    #[derive(clap::Args)]
    #[group(skip)]
    struct Nameless {
        depth: Option<u32>,
    }

    fn none<A: clap::Args + 'static>(used: fn(A)) -> ServiceFlags {
        ServiceFlags::new(move |args: A| {
            used(args);
            None::<Service<()>>
        })
    }

    fn up() -> Command {
        Command::new("up")
            .about("Run a node")
            .arg(clap::Arg::new("http").long("http"))
    }

    #[test]
    fn flags_of_a_service_are_read_and_its_services_made() {
        let flags = [none(|args: Depth| assert_eq!(args.depth, Some(3)))];
        let command = add_all(up(), &flags).expect("no quarrel");
        assert_eq!(
            command.get_about().map(ToString::to_string).as_deref(),
            Some("Run a node")
        );
        let matches = command.try_get_matches_from(["up", "--depth", "3"]).expect("flags");
        let [flags] = flags;
        assert!(flags.services(&matches).expect("services").is_empty());
    }

    #[test]
    fn flags_that_quarrel_are_found_before_clap_panics() {
        let table = [
            (
                [none(|args: Taken| assert!(args.http.is_some())), none(|_: Depth| ())],
                "--http, which is taken",
            ),
            (
                [none(|args: Depth| assert!(args.depth.is_some())), none(|_: Depth| ())],
                "--depth, which is taken",
            ),
            (
                [
                    none(|args: Nameless| assert!(args.depth.is_some())),
                    none(|_: Depth| ()),
                ],
                "make it a flag",
            ),
        ];
        for (flags, expected) in table {
            let problem = add_all(up(), &flags).expect_err(expected);
            assert!(problem.contains(expected), "{problem}");
        }
    }
}

//! A case: one property with an id, what it needs, and the function that shows it.

use std::time::Duration;

use futures_util::future::BoxFuture;
use roadshow_bridges::Capability;

use crate::adapter::Home;
use crate::stage::Stage;

/// What is missing where the broker is in this process: there is nothing to lose.
pub(crate) const NO_SERVER: &str = "no server";

/// What a case needs of an adapter.
#[derive(Clone, Copy)]
pub(crate) enum Need {
    /// A fact of the capability, with its name.
    Fact(&'static str, fn(&Capability) -> bool),
    /// A broker that a connection leads to.
    Server,
}

impl Need {
    /// What is missing, in words, if it is.
    pub(crate) fn missing(self, capability: &Capability, home: Home) -> Option<String> {
        match (self, home) {
            (Self::Fact(name, holds), _) => (!holds(capability)).then(|| format!("declared false: {name}")),
            (Self::Server, Home::Here(_)) => Some(NO_SERVER.to_owned()),
            (Self::Server, Home::Server(_)) => None,
        }
    }
}

/// Which broker a case runs against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Where {
    /// The one that everybody shares.
    Shared,
    /// One of its own, which it may kill.
    Own,
    /// One of its own that lets this user in and nobody else.
    OwnWithUser(&'static str, &'static str),
}

/// One property.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    /// For example `E01`.
    pub(crate) id: &'static str,
    /// The name of the function that shows it.
    pub(crate) name: &'static str,
    /// Given, when, then.
    pub(crate) property: &'static str,
    pub(crate) needs: &'static [Need],
    pub(crate) at: Where,
    /// The longest time that it may take, the start of a broker apart.
    pub(crate) limit: Duration,
    pub(crate) run: fn(Stage) -> BoxFuture<'static, ()>,
}

impl Case {
    /// The name that a test runner shows: filters choose by its parts.
    pub(crate) fn title(&self) -> String {
        let at = if self.at == Where::Shared {
            "shared"
        } else {
            "own_broker"
        };
        format!("{at}::{}_{}", self.id.to_ascii_lowercase(), self.name)
    }

    /// What is missing in the adapter for this case, if anything is.
    pub(crate) fn missing(&self, capability: &Capability, home: Home) -> Option<String> {
        self.needs.iter().find_map(|need| need.missing(capability, home))
    }
}

/// Makes a case of a function: `case!("E01", function, [needs], "given …, when …, then …")`.
macro_rules! case {
    ($id:literal, $run:ident, [$($need:expr),*], $property:literal $(, $field:ident: $value:expr)*) => {
        $crate::case::Case {
            $($field: $value,)*
            ..$crate::case::Case {
                id: $id,
                name: stringify!($run),
                property: $property,
                needs: &[$($need),*],
                at: $crate::case::Where::Shared,
                limit: $crate::case::LIMIT,
                run: |stage| Box::pin($run(stage)),
            }
        }
    };
}

/// The longest time of a case that names none.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A need that is a field of the capability.
macro_rules! fact {
    ($field:ident) => {
        $crate::case::Need::Fact(stringify!($field), |capability| capability.$field)
    };
}

pub(crate) use {case, fact};

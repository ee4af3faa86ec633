//! The id of a service: its name and its version.

use std::fmt;

use super::address::Address;
use super::error::{Flaw, NameRule};
use super::token::check_whole;

/// A service's name and version, checked when the constant is compiled.
///
/// ```
/// use roadshow_bridges::{Address, ServiceId};
///
/// pub const USER: ServiceId = ServiceId::new("user", 1);
/// pub const CREATE_USER: Address = USER.command("create_user");
/// assert_eq!(CREATE_USER.to_string(), "user.1.create_user");
/// ```
///
/// A bad name does not compile:
///
/// ```compile_fail
/// use roadshow_bridges::ServiceId;
///
/// pub const USER: ServiceId = ServiceId::new("user service", 1);
/// let _ = USER;
/// ```
#[derive(Debug, Copy, Clone, Eq, PartialEq, Hash, Ord, PartialOrd)]
pub struct ServiceId {
    name: &'static str,
    version: u16,
}

impl ServiceId {
    /// Names a service; `name` is a token, `version` is 1 to 65535.
    ///
    /// # Panics
    ///
    /// On a bad name or version 0. In a constant that is a compile error.
    pub const fn new(name: &'static str, version: u16) -> Self {
        if let Err(flaw) = check_whole(name) {
            flaw.refuse();
        }
        if version == 0 {
            Flaw {
                rule: NameRule::Version,
                at: 0,
            }
            .refuse();
        }
        Self { name, version }
    }

    /// The service's name, a token.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The service's version, at least 1.
    pub const fn version(&self) -> u16 {
        self.version
    }

    /// The address of a command (or stream) of this service.
    ///
    /// # Panics
    ///
    /// If `command` is not a token. In a constant that is a compile error:
    ///
    /// ```compile_fail
    /// use roadshow_bridges::{Address, ServiceId};
    ///
    /// const BAD: Address = ServiceId::new("user", 1).command("create.user");
    /// let _ = BAD;
    /// ```
    pub const fn command(&self, command: &'static str) -> Address {
        Address::new(*self, command)
    }

    /// What a lookup or a subject needs of this id.
    pub const fn key(&self) -> ServiceKey<'static> {
        ServiceKey {
            name: self.name,
            version: self.version,
        }
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.name, self.version)
    }
}

/// A service's checked name and version, borrowed from a [`ServiceId`] or a parsed address.
#[derive(Debug, Copy, Clone, Eq, PartialEq, Hash, Ord, PartialOrd)]
#[non_exhaustive]
pub struct ServiceKey<'a> {
    /// The service's name, a token.
    pub name: &'a str,
    /// The service's version, at least 1.
    pub version: u16,
}

impl ServiceKey<'_> {
    pub(crate) const fn of(name: &str, version: u16) -> ServiceKey<'_> {
        ServiceKey { name, version }
    }
}

impl From<ServiceId> for ServiceKey<'static> {
    fn from(id: ServiceId) -> Self {
        id.key()
    }
}

impl fmt::Display for ServiceKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: ServiceId = ServiceId::new("order", 65535);

    #[test]
    fn a_constant_service_keeps_its_name_and_version() {
        assert_eq!((ORDER.name(), ORDER.version()), ("order", 65535));
        assert_eq!(ORDER.to_string(), "order.65535");
    }

    #[test]
    #[should_panic(expected = "version must not be 0")]
    fn version_zero_is_refused() {
        let _ = ServiceId::new("order", 0);
    }
}

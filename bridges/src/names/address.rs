//! The address of a command or stream: service, version and command, with a hash computed when it is declared.
//!
//! Three forms: [`Address`] is a constant of the program, [`AddressBuf`] was parsed at run time, and [`AddressKey`] is what
//! both lend to a routing table. Equal addresses have equal hashes whatever their form, so a table that is built from
//! constants finds what a stranger's text asks for. The hash (FNV-1a, 64 bit) selects a slot and nothing else: every
//! comparison also compares the names.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use super::error::{Flaw, NameError, NameRule};
use super::serde_as_text;
use super::service::{ServiceId, ServiceKey};
use super::token::{check_token, check_whole};

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
const WHAT: &str = "an address";

const fn fnv1a(mut state: u64, bytes: &[u8]) -> u64 {
    let mut at = 0;
    while at < bytes.len() {
        state = (state ^ bytes[at] as u64).wrapping_mul(FNV_PRIME);
        at += 1;
    }
    state
}

/// Hashes the parts with a separator that no token holds, so that different parts are different texts.
const fn hash_parts(service: &str, version: u16, command: &str) -> u64 {
    let mut state = fnv1a(FNV_OFFSET, service.as_bytes());
    state = fnv1a(state, b".");
    state = fnv1a(state, &version.to_be_bytes());
    state = fnv1a(state, b".");
    fnv1a(state, command.as_bytes())
}

/// The address of a command or stream, a constant of the program. See [`ServiceId::command`].
#[derive(Debug, Copy, Clone, Eq, PartialEq, Hash, Ord, PartialOrd)]
pub struct Address {
    service: ServiceId,
    command: &'static str,
    hash: u64,
}

impl Address {
    pub(super) const fn new(service: ServiceId, command: &'static str) -> Self {
        if let Err(flaw) = check_whole(command) {
            flaw.refuse();
        }
        let hash = hash_parts(service.name(), service.version(), command);
        Self { service, command, hash }
    }

    /// The service that owns the command.
    pub const fn service(&self) -> ServiceId {
        self.service
    }

    /// The command's name, a token.
    pub const fn command(&self) -> &'static str {
        self.command
    }

    /// What a routing table looks up.
    pub const fn key(&self) -> AddressKey<'static> {
        AddressKey {
            hash: self.hash,
            service: self.service.name(),
            version: self.service.version(),
            command: self.command,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key().fmt(f)
    }
}

/// The address of a command or stream that is known at run time only.
///
/// ```
/// use roadshow_bridges::AddressBuf;
///
/// let address: AddressBuf = "user.1.create_user".parse()?;
/// assert_eq!((address.service(), address.version(), address.command()), ("user", 1, "create_user"));
/// # Ok::<_, roadshow_bridges::NameError>(())
/// ```
#[derive(Clone)]
pub struct AddressBuf {
    service: Box<str>,
    version: u16,
    command: Box<str>,
    hash: u64,
}

impl AddressBuf {
    /// The name of the service that owns the command.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The service's version.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// The command's name.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// What a routing table looks up.
    pub fn key(&self) -> AddressKey<'_> {
        AddressKey {
            hash: self.hash,
            service: &self.service,
            version: self.version,
            command: &self.command,
        }
    }
}

impl FromStr for AddressBuf {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        parse_parts(text)
            .map(AddressKey::to_buf)
            .map_err(|flaw| NameError::new(WHAT, text, flaw))
    }
}

fn parse_parts(text: &str) -> Result<AddressKey<'_>, Flaw> {
    let shape = Flaw {
        rule: NameRule::AddressShape,
        at: 0,
    };
    let first = text.find('.').ok_or(shape)?;
    let second = text[first + 1..].find('.').ok_or(shape)? + first + 1;
    check_token(text.as_bytes(), 0, first)?;
    let version = parse_version(&text[first + 1..second]).ok_or(Flaw {
        rule: NameRule::Version,
        at: first + 1,
    })?;
    check_token(text.as_bytes(), second + 1, text.len())?;
    Ok(AddressKey::of(&text[..first], version, &text[second + 1..]))
}

/// Reads a version in its one accepted spelling, so that no two texts mean the same address.
fn parse_version(text: &str) -> Option<u16> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    if canonical { text.parse().ok() } else { None }
}

impl From<Address> for AddressBuf {
    fn from(address: Address) -> Self {
        address.key().to_buf()
    }
}

impl PartialEq for AddressBuf {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for AddressBuf {}

impl Hash for AddressBuf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl fmt::Display for AddressBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key().fmt(f)
    }
}

impl fmt::Debug for AddressBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AddressBuf({self})")
    }
}

serde_as_text!(AddressBuf);

/// A checked address in its parts, borrowed: what a routing table looks up.
///
/// Its `Hash` feeds only the precomputed `hash`; its `Eq` compares everything.
#[derive(Debug, Copy, Clone)]
#[non_exhaustive]
pub struct AddressKey<'a> {
    /// The FNV-1a hash of the parts.
    pub hash: u64,
    /// The service's name, a token.
    pub service: &'a str,
    /// The service's version, at least 1.
    pub version: u16,
    /// The command's name, a token.
    pub command: &'a str,
}

impl<'a> AddressKey<'a> {
    /// Checks the parts of an address that a stranger asks for.
    ///
    /// # Errors
    ///
    /// A name or a version breaks its rule.
    pub fn new(service: &'a str, version: u16, command: &'a str) -> Result<Self, NameError> {
        check_whole(service).map_err(|flaw| NameError::new("a service", service, flaw))?;
        if version == 0 {
            return Err(NameError::new(
                "a version",
                "0",
                Flaw {
                    rule: NameRule::Version,
                    at: 0,
                },
            ));
        }
        check_whole(command).map_err(|flaw| NameError::new("a command", command, flaw))?;
        Ok(Self::of(service, version, command))
    }

    fn of(service: &'a str, version: u16, command: &'a str) -> Self {
        Self {
            hash: hash_parts(service, version, command),
            service,
            version,
            command,
        }
    }

    /// The service's part of the address.
    pub fn service_key(self) -> ServiceKey<'a> {
        ServiceKey::of(self.service, self.version)
    }

    /// An owned copy.
    pub fn to_buf(self) -> AddressBuf {
        let (service, command) = (self.service.into(), self.command.into());
        AddressBuf {
            service,
            version: self.version,
            command,
            hash: self.hash,
        }
    }
}

impl PartialEq for AddressKey<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
            && self.version == other.version
            && self.service == other.service
            && self.command == other.command
    }
}

impl Eq for AddressKey<'_> {}

impl Hash for AddressKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl From<Address> for AddressKey<'static> {
    fn from(address: Address) -> Self {
        address.key()
    }
}

impl<'a> From<&'a AddressBuf> for AddressKey<'a> {
    fn from(address: &'a AddressBuf) -> Self {
        address.key()
    }
}

impl fmt::Display for AddressKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.service, self.version, self.command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREATE: Address = ServiceId::new("user", 1).command("create_user");

    #[test]
    fn a_parsed_address_equals_the_constant_and_hashes_the_same() {
        let parsed: AddressBuf = "user.1.create_user".parse().expect("an address");
        assert_eq!(parsed.key(), CREATE.key());
        assert_eq!(parsed.key().hash, CREATE.key().hash);
        assert_eq!(parsed, AddressBuf::from(CREATE));
        assert_eq!(
            AddressKey::new("user", 1, "create_user").expect("an address"),
            CREATE.key()
        );
    }

    #[test]
    fn refusals_name_the_rule_and_the_character() {
        let table = [
            ("", NameRule::AddressShape, 0),
            ("user", NameRule::AddressShape, 0),
            ("user.1", NameRule::AddressShape, 0),
            (".1.x", NameRule::Empty, 0),
            ("user.0.x", NameRule::Version, 5),
            ("user.01.x", NameRule::Version, 5),
            ("user.+1.x", NameRule::Version, 5),
            ("user.65536.x", NameRule::Version, 5),
            ("user.1.", NameRule::Empty, 7),
            ("user.1.a.b", NameRule::Character, 8),
            ("us er.1.a", NameRule::Character, 2),
        ];
        for (text, rule, at) in table {
            let error = text.parse::<AddressBuf>().expect_err(text);
            assert_eq!((error.rule(), error.at()), (rule, at), "{text:?}: {error}");
        }
    }

    #[test]
    fn an_address_survives_serde_as_text() {
        let address = AddressBuf::from(CREATE);
        let text = serde_json::to_string(&address).expect("serialises");
        assert_eq!(text, "\"user.1.create_user\"");
        assert_eq!(serde_json::from_str::<AddressBuf>(&text).expect("parses"), address);
        assert!(serde_json::from_str::<AddressBuf>("\"user.*.x\"").is_err());
    }
}

//! Who the node is to a broker, and what it trusts, as settings: what a URL need not say.
//!
//! A password in a URL ends up in shells' histories and in lists of processes; here it is a secret with a variable of its
//! own. What the URL says goes first, but two users that differ are refused: the password of one would be tried for the
//! other.

use std::path::PathBuf;

use roadshow_bridges::Access;

use super::secret::Secret;
use super::url::BridgeUrl;

/// Who the node is to brokers. `Debug` hides the password.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct BridgeSettings {
    /// The user.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// Certificates to trust in place of this machine's, in PEM.
    pub ca_file: Option<PathBuf>,
    /// The node's own certificate chain, in PEM.
    pub cert_file: Option<PathBuf>,
    /// The key of that certificate, in PEM.
    pub key_file: Option<PathBuf>,
}

impl BridgeSettings {
    /// Tells whether nobody set any of it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns what a connector is told beside the URL.
    ///
    /// # Errors
    ///
    /// Fails with the setting and what is wrong with it: half of a certificate, a password of nobody, and another user
    /// than the URL's. Neither user nor password is repeated.
    pub fn access(&self, url: &BridgeUrl) -> Result<Access, (&'static str, &'static str)> {
        match (&self.cert_file, &self.key_file) {
            (Some(_), None) => {
                return Err(("bridge.cert_file", "bridge.key_file is not set: mutual TLS takes both"));
            }
            (None, Some(_)) => {
                return Err(("bridge.key_file", "bridge.cert_file is not set: mutual TLS takes both"));
            }
            _ => {}
        }
        match (url.user(), &self.user) {
            (Some(theirs), Some(ours)) if theirs != *ours => {
                return Err(("bridge.user", "the URL of the event bridge names another user"));
            }
            (None, None) if self.password.is_some() => {
                return Err(("bridge.password", "neither bridge.user nor the URL says whose it is"));
            }
            _ => {}
        }
        let mut access = Access::default();
        access.user.clone_from(&self.user);
        access.password = self.password.as_ref().map(|password| password.expose().to_owned());
        access.ca_file.clone_from(&self.ca_file);
        access.cert_file.clone_from(&self.cert_file);
        access.key_file.clone_from(&self.key_file);
        Ok(access)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(user: &str, password: &str, cert: bool, key: bool) -> BridgeSettings {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        BridgeSettings {
            user: text(user),
            password: text(password).map(|password| Secret::new(&password)),
            ca_file: None,
            cert_file: cert.then(|| "cert.pem".into()),
            key_file: key.then(|| "key.pem".into()),
        }
    }

    #[test]
    fn what_contradicts_is_refused_by_the_name_of_its_setting() {
        let table = [
            (settings("", "", false, false), "nats://h", None),
            (settings("ada", "hunter2", true, true), "nats://h", None),
            (settings("ada", "hunter2", false, false), "nats://ada@h", None),
            (settings("a@b", "", false, false), "nats://a%40b:pw@h", None),
            (settings("", "hunter2", false, false), "nats://ada@h", None),
            (
                settings("", "hunter2", false, false),
                "nats://h",
                Some("bridge.password"),
            ),
            (
                settings("", "hunter2", false, false),
                "memory:",
                Some("bridge.password"),
            ),
            (
                settings("ada", "hunter2", false, false),
                "nats://bob@h",
                Some("bridge.user"),
            ),
            (settings("ada", "", true, false), "nats://h", Some("bridge.cert_file")),
            (settings("ada", "", false, true), "nats://h", Some("bridge.key_file")),
        ];
        for (settings, url, expected) in table {
            let found = settings.access(&url.parse().expect("a url"));
            assert_eq!(found.as_ref().err().map(|(name, _)| *name), expected, "{url}");
            let Ok(access) = found else { continue };
            assert_eq!(access.user, settings.user);
            assert_eq!(
                access.password.as_deref(),
                settings.password.as_ref().map(Secret::expose)
            );
            assert!(!format!("{access:?} {settings:?}").contains("hunter2"));
        }
    }
}

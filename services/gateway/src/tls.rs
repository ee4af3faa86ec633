//! TLS, read from files when the node starts: whatever is wrong with them is said then, with the file's name.
//!
//! The cryptography is ring's, handed over explicitly: nothing is installed for the whole process, so two nodes, or a node
//! and a broker's client, do not decide for each other.

mod expiry;

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{Error, InconsistentKeys, ServerConfig};
use tracing::warn;

/// How large a file of certificates or keys may be, in bytes: ten times the list of a whole operating system.
const PEM_BYTES_MAX: u64 = 4 << 20;
/// The versions of HTTP that are offered, the better one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What serves TLS with the certificates and the key of two files.
///
/// # Errors
/// What is wrong, and with which file.
pub(crate) fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, String> {
    let (acceptor, ends) = read(certificate, key)?;
    let certificate = certificate.display();
    match ends {
        None => {}
        Some(Duration::ZERO) => warn!(%certificate, "the certificate has expired: callers will refuse it"),
        Some(left) => {
            let hours = left.as_secs() / 3_600;
            warn!(%certificate, days = hours / 24, hours = hours % 24, "the certificate expires soon");
        }
    }
    Ok(acceptor)
}

/// What serves TLS, and when its certificate ends, where that is soon.
fn read(certificate: &Path, key: &Path) -> Result<(TlsAcceptor, Option<Duration>), String> {
    let chain = certificates(certificate)?;
    let ends = expiry::soon(&chain[0], today());
    let pem = contents("the private key", key)?;
    let private = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| match error {
        pem::Error::NoItemsFound => format!("there is no private key in {}, or it is not in PEM", key.display()),
        error => unreadable("the private key", key, error),
    })?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("cannot serve TLS: {error}"))?
        .with_no_client_auth()
        .with_single_cert(chain, private);
    let mut config = config.map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => format!(
            "the key in {} does not belong to the certificate in {}",
            key.display(),
            certificate.display()
        ),
        Error::InvalidCertificate(_) => format!("the certificate in {} cannot be used: {error}", certificate.display()),
        error => format!("the private key in {} cannot be used: {error}", key.display()),
    })?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok((TlsAcceptor::from(Arc::new(config)), ends))
}

/// Says whether a gateway could serve TLS with the certificates and the key of two files, in PEM, and for how long where the
/// first certificate ends within two weeks: zero if it has ended, which a node starts with and callers refuse.
///
/// # Errors
/// What is wrong, and with which file: the text with which a node would refuse to start.
pub fn check_tls(certificate: &Path, key: &Path) -> Result<Option<Duration>, String> {
    read(certificate, key).map(|(_acceptor, ends)| ends)
}

/// The certificates in a file, the first one first.
///
/// # Errors
/// What is wrong with the file.
pub(crate) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = contents("the certificate", file)?;
    let read = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let found = read.map_err(|error| unreadable("the certificate", file, error))?;
    if found.is_empty() {
        return Err(format!(
            "there is no certificate in {}, or it is not in PEM",
            file.display()
        ));
    }
    Ok(found)
}

/// What is in a file of some size. A pipe or a device could keep a start for ever, or fill the memory.
fn contents(what: &str, file: &Path) -> Result<Vec<u8>, String> {
    let open = || {
        if !std::fs::metadata(file)?.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        let mut contents = Vec::new();
        File::open(file)?.take(PEM_BYTES_MAX + 1).read_to_end(&mut contents)?;
        Ok(contents)
    };
    let contents = open().map_err(|error| unreadable(what, file, error))?;
    if contents.len() as u64 > PEM_BYTES_MAX {
        return Err(unreadable(
            what,
            file,
            format_args!("it is larger than {PEM_BYTES_MAX} bytes"),
        ));
    }
    Ok(contents)
}

#[expect(
    clippy::disallowed_methods,
    reason = "certificates end by the calendar, which the node's clock does not know"
)]
fn today() -> SystemTime {
    SystemTime::now()
}

/// The one provider of cryptography.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn unreadable(what: &str, file: &Path, error: impl Display) -> String {
    format!("cannot read {what} in {}: {error}", file.display())
}

//! TLS of a connection to the broker: ring, the machine's certificates or a file's, and our own certificate.

use std::path::Path;
use std::sync::Arc;

use roadshow_bridges::{Access, Error};
use rumqttc::tokio_rustls::rustls::crypto::ring;
use rumqttc::tokio_rustls::rustls::pki_types::pem::PemObject;
use rumqttc::tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rumqttc::tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Reads the files and makes the configuration. Blocks on the disk: not for a task.
///
/// # Errors
///
/// `Config` if a file cannot be read or does not hold what it should.
pub(crate) fn client_config(access: &Access) -> Result<Arc<ClientConfig>, Error> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = &access.ca_file {
        for certificate in certificates(file)? {
            let added = roots.add(certificate);
            added.map_err(|error| unusable(file, "a certificate is broken").with_source(error))?;
        }
    } else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let why = "cannot use TLS: this machine trusts no certificates, so name a ca_file";
            return Err(Error::config(why));
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::config("cannot use TLS: no protocol version is left").with_source(error))?
        .with_root_certificates(roots);
    let config = match (&access.cert_file, &access.key_file) {
        (Some(certificate), Some(key)) => {
            let found = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| unusable(key, "it holds no private key").with("problem", error))?;
            builder
                .with_client_auth_cert(certificates(certificate)?, found)
                .map_err(|error| unusable(certificate, "it does not belong to the key").with_source(error))?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| unusable(file, "it cannot be read").with("problem", error))?;
    if found.is_empty() {
        return Err(unusable(file, "it holds no certificate"));
    }
    Ok(found)
}

fn unusable(file: &Path, why: &'static str) -> Error {
    Error::config("cannot use a file of TLS")
        .with("file", file.display())
        .with("because", why)
}

#[cfg(test)]
mod tests {
    use roadshow_bridges::ErrorKind;

    use super::*;

    #[test]
    fn a_file_that_does_not_hold_what_it_should_is_a_matter_of_settings() {
        let folder = tempfile::tempdir().expect("a folder");
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "nothing").expect("written");
        for file in [folder.path().join("missing.pem"), empty] {
            let mut access = Access::default();
            access.ca_file = Some(file.clone());
            let error = client_config(&access).expect_err("unusable");
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(&*file.to_string_lossy()), "{error}");
        }
    }

    #[test]
    fn a_certificate_and_its_key_are_taken_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        std::fs::write(&certificate, made.cert.pem()).expect("written");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
        let mut access = Access::default();
        access.ca_file = Some(certificate.clone());
        assert!(client_config(&access).is_ok());
        (access.cert_file, access.key_file) = (Some(certificate.clone()), Some(key));
        assert!(client_config(&access).is_ok());
        access.key_file = Some(certificate);
        assert!(client_config(&access).is_err());
    }
}

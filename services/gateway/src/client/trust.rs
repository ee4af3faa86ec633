//! Whom a client takes for the node that it asked for: what this machine trusts, and what it was told to trust beside it.
//!
//! There is no way to trust everybody. A node with a certificate of one's own making is reached by naming that
//! certificate, or the authority that signed it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error, RootCertStore};

use crate::tls;

/// Who is trusted. The machine's own list is read when it is needed first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    extra: Vec<CertificateDer<'static>>,
    config: Arc<OnceCell<Arc<ClientConfig>>>,
}

impl Trust {
    /// What this machine trusts, and the certificates in a file.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(crate) fn and_file(self, file: &Path) -> Result<Trust, String> {
        let mut extra = self.extra;
        extra.extend(tls::certificates(file)?);
        let mut probe = RootCertStore::empty();
        for certificate in &extra {
            probe
                .add(certificate.clone())
                .map_err(|error| format!("a certificate in {} cannot be used: {error}", file.display()))?;
        }
        Ok(Trust {
            extra,
            config: Arc::default(),
        })
    }

    /// Agrees on TLS with whoever is at the other end, if it proves to be `host`.
    ///
    /// # Errors
    /// When it does not prove that, or speaks no TLS.
    pub(crate) async fn greet<S>(&self, stream: S, host: &str) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| io::Error::other(format!("{host:?} is no name that a certificate could hold")))?;
        let config = self.config.get_or_try_init(|| self.configure()).await?;
        let connector = TlsConnector::from(Arc::clone(config));
        connector.connect(name, stream).await.map_err(|error| {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
            match inner {
                Some(Error::InvalidCertificate(why)) => {
                    io::Error::other(format!("its certificate does not prove who it is: {}", in_words(why)))
                }
                Some(Error::InvalidMessage(_)) => io::Error::other("it does not speak TLS: is it an http:// address?"),
                _ => error,
            }
        })
    }

    async fn configure(&self) -> io::Result<Arc<ClientConfig>> {
        let found = spawn_blocking(rustls_native_certs::load_native_certs)
            .await
            .map_err(|_| io::Error::other("what this machine trusts cannot be read"))?;
        let mut roots = RootCertStore::empty();
        // What one list holds beside usable certificates is no reason to trust nobody.
        roots.add_parsable_certificates(found.certs);
        roots.add_parsable_certificates(self.extra.iter().cloned());
        if roots.is_empty() {
            let why = found
                .errors
                .first()
                .map(|error| format!(" ({error})"))
                .unwrap_or_default();
            return Err(io::Error::other(format!(
                "this machine trusts nobody{why}: name a file with the authority's certificate"
            )));
        }
        let config = ClientConfig::builder_with_provider(tls::provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// What is wrong with a certificate, and what to do where that is known.
fn in_words(why: &CertificateError) -> String {
    match why {
        // A signature is wrong where somebody who is trusted has the signer's name and another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "nobody who is trusted here has signed it: trust the authority that did, or the certificate itself if it is of \
             one's own making"
                .to_owned()
        }
        // rustls passes this one on as it comes from its verifier, whose type is not ours to name.
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "it is that of an authority (CA:TRUE), which may sign others and not stand for a server; for a certificate of \
             one's own making that is trusted as it is, give openssl req -x509 also \
             -addext basicConstraints=critical,CA:FALSE"
                .to_owned()
        }
        why => why.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
    use tokio::io::duplex;

    use super::*;

    /// What a client that trusts a certificate of one's own making hears from the server that shows it.
    async fn greeted(is_ca: IsCa) -> Result<(), String> {
        let folder = tempfile::tempdir().expect("a folder");
        let [certificate, key] = ["c.pem", "k.pem"].map(|name| folder.path().join(name));
        let own = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("names");
        params.is_ca = is_ca;
        fs::write(&certificate, params.self_signed(&own).expect("a certificate").pem()).expect("a file");
        fs::write(&key, own.serialize_pem()).expect("a file");
        let acceptor = tls::acceptor(&certificate, &key).expect("files that belong together");
        let trust = Trust::default().and_file(&certificate).expect("a certificate");
        let (here, there) = duplex(16 << 10);
        let (greeted, _served) = tokio::join!(trust.greet(here, "localhost"), acceptor.accept(there));
        greeted.map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn a_signer_whom_nobody_here_knows_is_said_to_be_one() {
        for why in [CertificateError::UnknownIssuer, CertificateError::BadSignature] {
            assert!(in_words(&why).contains("nobody who is trusted here"), "{why:?}");
        }
    }

    #[tokio::test]
    async fn a_certificate_of_ones_own_making_is_believed_unless_it_is_an_authoritys() {
        assert_eq!(greeted(IsCa::ExplicitNoCa).await, Ok(()));
        assert_eq!(greeted(IsCa::NoCa).await, Ok(()));
        // What `openssl req -x509` makes unless told otherwise.
        let refused = greeted(IsCa::Ca(BasicConstraints::Unconstrained)).await;
        let refused = refused.expect_err("it is no server's");
        assert!(
            refused.contains("-addext basicConstraints=critical,CA:FALSE"),
            "{refused}"
        );
        assert!(!refused.contains("OtherError"), "{refused}");
    }
}

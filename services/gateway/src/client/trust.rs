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
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore};

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
                    io::Error::other(format!("its certificate does not prove who it is: {why}"))
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

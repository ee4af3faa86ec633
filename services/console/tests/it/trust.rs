//! Whom client commands take for the node that they were told of: the owner of a certificate that they trust.

use std::fs;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use tempfile::TempDir;

use crate::example;
use crate::program::{Ended, Program};

/// A certificate of one's own making and its key, in files.
struct Papers {
    _folder: TempDir,
    certificate: PathBuf,
    key: PathBuf,
}

impl Papers {
    fn of(is_ca: IsCa) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let [certificate, key] = ["c.pem", "k.pem"].map(|name| folder.path().join(name));
        let own = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("names");
        params.is_ca = is_ca;
        let signed = params.self_signed(&own).expect("a certificate");
        fs::write(&certificate, signed.pem()).expect("a file");
        fs::write(&key, own.serialize_pem()).expect("a file");
        Papers {
            _folder: folder,
            certificate,
            key,
        }
    }

    /// What `openapi` says of a node that shows this certificate, which it is told to trust.
    fn openapi(&self) -> Ended {
        let [certificate, key] = [&self.certificate, &self.key].map(|file| file.to_str().expect("UTF-8"));
        let tls = ["--gateway-tls-cert", certificate, "--gateway-tls-key", key];
        let line = [&["up", "--http", "127.0.0.1:0"][..], &tls].concat();
        let mut program = Program::start(&example("locked"), &line);
        let at = program.ready().replace("127.0.0.1", "https://localhost");
        let ended = Program::start(&example("locked"), &["openapi", "--node", &at, "--ca", certificate]).end();
        program.signal("TERM");
        assert_eq!(program.end().code, Some(0));
        ended
    }
}

#[test]
fn a_document_is_fetched_from_a_node_whose_certificate_is_named() {
    let fetched = Papers::of(IsCa::ExplicitNoCa).openapi();
    assert_eq!((fetched.code, fetched.err.as_str()), (Some(0), ""), "{fetched:?}");
    let own = Program::start(&example("locked"), &["openapi"]).end();
    assert_eq!(fetched.out, own.out);
}

#[test]
fn an_authoritys_certificate_is_refused_with_the_way_to_a_better_one() {
    let refused = Papers::of(IsCa::Ca(BasicConstraints::Unconstrained)).openapi();
    assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""), "{refused:?}");
    assert!(
        refused.err.contains("basicConstraints=critical,CA:FALSE") && !refused.err.contains("is a node up there"),
        "{}",
        refused.err
    );
}

#[test]
fn certificates_are_trusted_for_a_node_and_for_nothing_else() {
    let papers = Papers::of(IsCa::NoCa);
    let certificate = papers.certificate.to_str().expect("UTF-8");
    let ended = Program::start(&example("locked"), &["openapi", "--ca", certificate]).end();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.err.contains("--node"), "{}", ended.err);
}

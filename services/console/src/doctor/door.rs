//! The gateway's address: whether it is free, who can come through it, and what they could read on the way.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use roadshow_gateway::{Cors, NodeClient};
use roadshow_services::config::{HttpListen, Resolved};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::finding::{Area, Finding};
use super::words::{count, shown, time};

/// How long whoever holds the address may take to say who it is.
const DEADLINE: Duration = Duration::from_secs(3);

/// Whether the gateway could listen.
pub(super) async fn address(resolved: &Resolved, is_offline: bool) -> Finding {
    let HttpListen::At(address) = resolved.settings().http else {
        return Area::Surroundings.ok("http", "off: nobody calls this node over HTTP");
    };
    if is_offline {
        let advice = "run it again without --offline where the node will run";
        return Area::Surroundings.note(
            "http",
            format!("nobody looked whether {address} is free: --offline"),
            advice,
        );
    }
    match TcpListener::bind(address).await {
        Ok(_listener) if address.port() == 0 => {
            Area::Surroundings.ok("http", format!("{address}: the system chooses a port"))
        }
        Ok(_listener) => Area::Surroundings.ok("http", format!("{address} is free")),
        Err(error) => {
            let (message, advice) = match error.kind() {
                ErrorKind::AddrInUse => (
                    format!("{address} is taken: {}", holder(address).await),
                    "stop who is there, or choose another address with --http",
                ),
                ErrorKind::AddrNotAvailable => (
                    format!("{address} is no address of this machine"),
                    "choose one that is, 127.0.0.1 for this machine only, or 0.0.0.0 for all of them",
                ),
                ErrorKind::PermissionDenied => (
                    format!("{address} is not for everybody: {error}"),
                    "choose a port from 1024, or give the program the right to lower ones",
                ),
                _ => (
                    format!("cannot listen on {address}: {error}"),
                    "choose another address with --http",
                ),
            };
            Area::Surroundings.problem("http", message, advice)
        }
    }
}

/// Says who listens at an address that is taken.
async fn holder(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let url = format!("http://{}", SocketAddr::new(ip, address.port()));
    let Ok(client) = NodeClient::new(&url) else {
        return "somebody listens there".to_owned();
    };
    match timeout(DEADLINE, client.ready()).await {
        Ok(Ok(told)) => {
            let is_ready = told.get("ready").and_then(serde_json::Value::as_bool) == Some(true);
            format!(
                "a roadshow node answers there, {}",
                if is_ready { "ready" } else { "not ready" }
            )
        }
        Ok(Err(_)) => "no roadshow node answers there over plain HTTP".to_owned(),
        Err(_elapsed) => format!("who is there says nothing within {}", time(DEADLINE)),
    }
}

/// Who can come to the gateway, and whether what they bring can be read on the way.
pub(super) fn exposure(resolved: &Resolved) -> Vec<Finding> {
    let settings = resolved.settings();
    let mut findings = Vec::new();
    let HttpListen::At(address) = settings.http else {
        return findings;
    };
    let has_tls = matches!(settings.gateway.tls(), Ok(Some(_)));
    let is_local = address.ip().to_canonical().is_loopback();
    findings.push(match (is_local, &settings.http_token, has_tls) {
        (true, _, _) => Area::Surroundings.ok("admin routes", format!("{address} is reached from this machine only")),
        (false, None, _) => Area::Surroundings.note(
            "admin routes",
            format!(
                "{address} is reached from other machines; without http_token the admin routes answer this one only"
            ),
            "set http_token to use them from elsewhere",
        ),
        (false, Some(_), false) => Area::Surroundings.warning(
            "admin routes",
            format!("{address} is reached from other machines without TLS: http_token travels in clear"),
            "set gateway.tls_cert and gateway.tls_key, or listen on 127.0.0.1 behind a proxy that ends TLS",
        ),
        (false, Some(_), true) => {
            Area::Surroundings.ok("admin routes", format!("{address}: with http_token, over TLS"))
        }
    });
    let origins = &settings.gateway.cors_origins;
    if let Err(problem) = Cors::origins(origins)
        && !origins.is_empty()
    {
        let advice = "write origins as browsers do, as in https://shop.example";
        findings.push(Area::Surroundings.problem("gateway.cors_origins", shown(&problem.to_string()), advice));
    }
    if origins.iter().any(|origin| origin == "*") {
        findings.push(Area::Surroundings.note(
            "gateway.cors_origins",
            "* lets a page of any site call the declared routes",
            "name the origins that need it",
        ));
    }
    findings
}

/// A time in days, begun ones counted whole.
fn days(time: Duration) -> String {
    let days = time.as_secs().div_ceil(24 * 60 * 60);
    count(usize::try_from(days).unwrap_or(usize::MAX), "day")
}

/// Whether certificate and key are both there, can be read and belong together.
pub(super) fn tls(resolved: &Resolved) -> Vec<Finding> {
    let subject = "TLS";
    match resolved.settings().gateway.tls() {
        Ok(None) => Vec::new(),
        Err(problem) => vec![Area::Surroundings.problem(subject, problem, "set both, or none")],
        Ok(Some((certificate, key))) => match roadshow_gateway::check_tls(certificate, key) {
            Ok(None) => vec![Area::Surroundings.ok(subject, "certificate and key can be read and belong together")],
            Ok(Some(Duration::ZERO)) => vec![Area::Surroundings.problem(
                subject,
                format!(
                    "the certificate in {} has expired: callers refuse it",
                    shown(&certificate.display().to_string())
                ),
                "renew it",
            )],
            Ok(Some(left)) => vec![Area::Surroundings.warning(
                subject,
                format!(
                    "the certificate in {} expires within {}",
                    shown(&certificate.display().to_string()),
                    days(left)
                ),
                "renew it, and start the node again: the files are read when it starts",
            )],
            Err(problem) => vec![Area::Surroundings.problem(
                subject,
                shown(&problem),
                "correct gateway.tls_cert and gateway.tls_key: PEM files that whoever runs the node can read",
            )],
        },
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::SystemTime;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;
    use crate::doctor::finding::Level;
    use crate::doctor::sample::resolved;

    #[tokio::test]
    async fn an_address_is_free_taken_or_none_of_ours() {
        let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = taken.local_addr().expect("an address");
        let table = [
            ("off".to_owned(), Level::Ok, "off"),
            ("127.0.0.1:0".to_owned(), Level::Ok, "chooses a port"),
            // Reserved for documentation: no machine has it.
            ("192.0.2.1:80".to_owned(), Level::Problem, "no address of this machine"),
        ];
        for (http, level, text) in table {
            let found = address(&resolved(&format!("http = '{http}'")), false).await;
            assert_eq!(found.level, level, "{found:?}");
            assert!(found.message.contains(text), "{found:?}");
        }
        let file = format!("http = '{at}'");
        let (found, hung_up) = tokio::join!(address_of(&file), async { taken.accept().await.map(drop) });
        hung_up.expect("it was asked");
        assert_eq!(found.level, Level::Problem);
        assert!(found.message.contains("no roadshow node answers"), "{found:?}");
    }

    async fn address_of(file: &str) -> Finding {
        address(&resolved(file), false).await
    }

    #[tokio::test]
    async fn offline_looks_at_no_port() {
        assert_eq!(
            address(&resolved("http = '192.0.2.1:80'"), true).await.level,
            Level::Note
        );
    }

    #[test]
    fn what_is_open_to_others_is_said() {
        let token = "http_token = 'hunter2'";
        let tls = "[gateway]\ntls_cert = 'c'\ntls_key = 'k'";
        let table = [
            (String::new(), Level::Ok, "this machine only"),
            (
                "http = '[::ffff:127.0.0.1]:1'".to_owned(),
                Level::Ok,
                "this machine only",
            ),
            ("http = '0.0.0.0:1'".to_owned(), Level::Note, "this one only"),
            (format!("http = '0.0.0.0:1'\n{token}"), Level::Warning, "in clear"),
            (format!("http = '[::]:1'\n{token}\n{tls}"), Level::Ok, "over TLS"),
            (format!("{token}\n{tls}"), Level::Ok, "this machine only"),
        ];
        for (file, level, text) in table {
            let found = exposure(&resolved(&file));
            assert_eq!((found.len(), found[0].level), (1, level), "{file}: {found:?}");
            assert!(found[0].message.contains(text), "{file}: {found:?}");
        }
        assert!(exposure(&resolved("http = 'off'")).is_empty());
        let found = exposure(&resolved("gateway.cors_origins = ['*']"));
        assert_eq!(found[1].level, Level::Note);
    }

    /// The finding about a certificate that ends so many seconds from now.
    #[expect(clippy::disallowed_methods, reason = "certificates end by the calendar")]
    fn ending_in(seconds: i64) -> Finding {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .expect("after 1970");
        let end = now.as_secs().saturating_add_signed(seconds);
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("names");
        params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(end);
        let key = KeyPair::generate().expect("a key");
        let folder = tempfile::tempdir().expect("a folder");
        let [cert_file, key_file] = ["c.pem", "k.pem"].map(|name| folder.path().join(name));
        fs::write(&cert_file, params.self_signed(&key).expect("a certificate").pem()).expect("a file");
        fs::write(&key_file, key.serialize_pem()).expect("a file");
        let file = format!("gateway.tls_cert = {cert_file:?}\ngateway.tls_key = {key_file:?}");
        tls(&resolved(&file)).remove(0)
    }

    #[test]
    fn a_certificate_that_ends_soon_is_a_warning_and_one_that_has_ended_a_problem() {
        const DAY: i64 = 24 * 60 * 60;
        let table = [
            (100 * DAY, Level::Ok, "belong together"),
            (10 * DAY, Level::Warning, "expires within 11 days"),
            (DAY / 2, Level::Warning, "expires within 1 day"),
            (-DAY, Level::Problem, "has expired"),
        ];
        for (seconds, level, text) in table {
            let found = ending_in(seconds);
            assert_eq!(found.level, level, "{found:?}");
            assert!(
                found.message.contains(text) && !found.message.contains(" 1 days"),
                "{found:?}"
            );
        }
    }

    #[test]
    fn one_of_two_tls_files_is_a_problem_and_so_is_one_that_is_not_there() {
        assert_eq!(tls(&resolved("")), []);
        let found = tls(&resolved("gateway.tls_cert = 'c.pem'"));
        assert!(
            found[0].level == Level::Problem && found[0].message.contains("gateway.tls_key is not"),
            "{found:?}"
        );
        let found = tls(&resolved(
            "gateway.tls_cert = '/no/c.pem'\ngateway.tls_key = '/no/k.pem'",
        ));
        assert!(
            found[0].level == Level::Problem && found[0].message.contains("/no/c.pem"),
            "{found:?}"
        );
    }
}

//! What readiness tells to whom.

use std::net::SocketAddr;
use std::time::Duration;

use roadshow_gateway::Gateway;
use roadshow_services::config::Secret;
use roadshow_services::{Node, Service};
use tokio::time::timeout;

use crate::stage::STAGE;
use crate::wire::{Answer, PATIENCE, ask};

const TOLD: &str = "the database at 10.0.0.1 is away";

async fn readiness(at: SocketAddr, headers: &str) -> Answer {
    ask(at, &format!("GET /readyz HTTP/1.1\r\n{headers}\r\n")).await
}

fn reason(answer: &Answer) -> String {
    let told = answer.json();
    let parts = told["parts"].as_array().expect("parts");
    let part = parts.iter().find(|part| part["name"] == "service stage.1");
    part.expect("the service")["reason"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test]
async fn what_a_failure_said_is_for_whom_the_admin_routes_are_open_to() {
    let gateway = Gateway::new(SocketAddr::from(([127, 0, 0, 1], 0))).token(Secret::new("correct-horse"));
    let broken = Service::new(STAGE, || async { Err::<(), _>(TOLD) });
    let node = Node::builder().component(gateway).service(broken).launch().await;
    let node = node.expect("it launches");
    let failed_once = async {
        loop {
            if let Some(at) = node.view().location(Gateway::NAME) {
                let at = at.parse().expect("an address");
                let reason = reason(&readiness(at, "host: localhost\r\n").await);
                if reason.contains(" is backing_off: ") {
                    return (at, reason);
                }
            }
            tokio::task::yield_now().await;
        }
    };
    let (at, whole) = timeout(PATIENCE, failed_once).await.expect("it fails in time");
    assert!(whole.contains(TOLD), "{whole}");

    // The state of the service may have changed meanwhile.
    let strangers = [
        "host: shop.example\r\n",
        "host: localhost\r\nx-forwarded-for: 10.0.0.7\r\n",
        "host: localhost\r\nauthorization: Bearer wrong\r\n",
    ];
    for stranger in strangers {
        let answer = readiness(at, stranger).await;
        assert_eq!(answer.status, 503, "{stranger}");
        assert!(!answer.text().contains("10.0.0.1"), "{stranger} {}", answer.text());
        assert!(reason(&answer).starts_with("state is "), "{}", answer.text());
        assert!(!reason(&answer).contains(':'), "{}", answer.text());
    }
    let token = "host: shop.example\r\nauthorization: Bearer correct-horse\r\n";
    assert!(reason(&readiness(at, token).await).contains(TOLD));
    let drained = node.shutdown(Duration::from_secs(10)).await;
    assert!(drained.is_clean(), "{drained:?}");
}

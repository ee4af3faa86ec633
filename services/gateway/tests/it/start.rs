//! Starting: ports, definitions, and two nodes in one process.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use roadshow_gateway::Gateway;
use roadshow_services::config::Secret;
use roadshow_services::{Address, Command, CommandHandler, Context, Failure, Method, Node, Service, ServiceId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::stage::Staged;
use crate::wire::get;

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

#[tokio::test]
async fn a_taken_port_fails_the_node_at_once_with_the_way_out() {
    let taken = TcpListener::bind(ANY).await.expect("a free port");
    let at = taken.local_addr().expect("an address");
    let error = Node::builder()
        .component(Gateway::new(at))
        .start()
        .await
        .expect_err("the port is taken");
    let text = error.to_string();
    for part in [
        "cannot start the gateway",
        &format!("cannot listen on {at}"),
        "--http",
        "ROADSHOW_HTTP",
    ] {
        assert!(text.contains(part), "{part:?} in {text:?}");
    }
}

#[tokio::test]
async fn an_empty_token_is_no_token() {
    let gateway = Gateway::new(ANY).token(Secret::new(""));
    let error = Node::builder()
        .component(gateway)
        .start()
        .await
        .expect_err("anybody would know it");
    assert!(error.to_string().contains("the admin token is empty"), "{error}");
}

const ODD: ServiceId = ServiceId::new("odd", 3);

#[derive(Serialize, Deserialize, JsonSchema)]
struct Odd {
    id: u64,
}
impl Command for Odd {
    const ADDRESS: Address = ODD.command("odd");
    type Reply = ();
}

struct Odds;

impl CommandHandler<Odd> for Odds {
    async fn handle(&self, _input: Odd, _ctx: &Context) -> Result<(), Failure> {
        Ok(())
    }
}

#[tokio::test]
async fn a_route_that_cannot_work_fails_the_node_at_once() {
    let table = [
        (
            "/odd/{di}",
            200,
            "has the segment {di}, which is no field of the input: is id meant",
        ),
        ("odd", 200, "does not begin with a slash"),
        ("/odd/{id}/{id}", 200, "has the segment {id} twice"),
        ("/odd/{id}.json", 200, "neither a {name} nor made of"),
        ("/odd/{id}", 302, "answers 302, which is no status of success"),
    ];
    for (path, status, expected) in table {
        let service = Service::new(ODD, || async { Ok::<_, Infallible>(Odds) })
            .command::<Odd>(|c| c.http(Method::Get, path).status(status));
        let node = Node::builder().component(Gateway::new(ANY)).service(service);
        let text = node.start().await.expect_err(path).to_string();
        assert!(
            text.contains("the route of odd.3.odd") && text.contains(expected),
            "{path}: {text}"
        );
    }
}

#[tokio::test]
async fn two_nodes_in_one_process_have_two_doors() {
    let (one, other) = tokio::join!(Staged::start(), Staged::start());
    assert_ne!(one.at, other.at);
    assert_eq!(get(one.at, "/api/v1/users/7").await.status, 200);
    one.end().await;
    assert_eq!(get(other.at, "/api/v1/users/7").await.status, 200);
    other.end().await;
}

#[tokio::test]
async fn readiness_names_every_part() {
    let staged = Staged::start().await;
    let answer = get(staged.at, "/readyz").await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/json"))
    );
    let told = answer.json();
    let names: Vec<&str> = told["parts"]
        .as_array()
        .expect("parts")
        .iter()
        .filter_map(|part| part["name"].as_str())
        .collect();
    assert_eq!(names, ["node", "event bridge", "service stage.1"]);
    let metrics = get(staged.at, "/metrics").await.text();
    assert!(metrics.contains("roadshow_"), "{metrics}");
    staged.end().await;
}

#[tokio::test]
async fn a_service_that_cannot_start_is_named_while_the_door_is_open() {
    let failing = Service::new(ODD, || async { Err::<Odds, _>(std::io::Error::other("no database")) });
    let node = Node::builder()
        .component(Gateway::new(ANY))
        .service(
            failing
                .optional()
                .command::<Odd>(|c| c.http(Method::Get, "/odd/{id}").public()),
        )
        .launch()
        .await
        .expect("an optional service may fail");
    let at = node
        .view()
        .location(Gateway::NAME)
        .expect("it listens")
        .parse()
        .expect("an address");
    let told = get(at, "/readyz").await.json();
    let part = told["parts"]
        .as_array()
        .and_then(|parts| parts.iter().find(|part| part["name"] == "service odd.3"));
    assert_ne!(part.expect("it is named")["state"], "ready", "{told}");
    let _ = node.shutdown(Duration::from_secs(5)).await;
}

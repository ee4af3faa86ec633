//! The router actor: what is told, in the table.

use std::any::Any;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use ractor::rpc::CallResult;
use roadshow_bridges::{Address, Code};

use super::*;
use crate::endpoint::{CommandEndpoint, EndpointCore};
use crate::request::Request;
use crate::service::ServiceCore;
use crate::test_node::test_node;

const USER: ServiceId = ServiceId::new("user", 1);
const CREATE: Address = USER.command("create");

/// An address with nothing behind it.
#[derive(Debug)]
struct Nowhere;

impl CommandEndpoint for Nowhere {
    fn address(&self) -> Address {
        CREATE
    }

    fn core(&self) -> &Arc<EndpointCore> {
        unreachable!("routing looks at addresses only")
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }

    fn call_encoded<'a>(&'a self, _: Bytes, _: Request<'a>) -> BoxFuture<'a, Result<Bytes, Failure>> {
        unreachable!("routing calls nobody")
    }
}

async fn resolve(router: &ActorRef<RouterMessage>, address: &str) -> Result<Route, Failure> {
    let address: AddressBuf = address.parse().unwrap();
    let deadline = Some(Duration::from_secs(5));
    match router
        .call(|reply| RouterMessage::Resolve(address, reply), deadline)
        .await
        .unwrap()
    {
        CallResult::Success(route) => route,
        other => panic!("the router did not answer: {other:?}"),
    }
}

#[tokio::test]
async fn a_service_is_found_from_when_it_serves_until_it_is_withdrawn() {
    let node = test_node();
    let (router, ended) = Actor::spawn(None, Router::new(Arc::clone(&node)), ()).await.unwrap();
    let unknown = resolve(&router, "user.1.create").await.unwrap_err();
    assert_eq!(unknown.code, Code::Unavailable);
    let served = Served {
        service: ServiceCore::new(USER, Arc::clone(&node), None),
        commands: vec![Arc::new(Nowhere)],
    };
    router.send_message(RouterMessage::Serve(served)).unwrap();
    assert!(matches!(resolve(&router, "user.1.create").await, Ok(Route::Local(_))));
    let missing = resolve(&router, "user.1.delete").await.unwrap_err();
    assert_eq!(missing.code, Code::NotFound);
    assert!(node.routes().local(CREATE.key()).is_some());
    router.send_message(RouterMessage::Withdraw(USER)).unwrap();
    let gone = resolve(&router, "user.1.create").await.unwrap_err();
    assert_eq!(gone.code, Code::Unavailable);
    router.stop(None);
    ended.await.unwrap();
}

#[tokio::test]
async fn a_router_whose_wheel_has_ended_ends_and_its_successor_drives_it_again() {
    let node = test_node();
    let (router, ended) = Actor::spawn(None, Router::new(Arc::clone(&node)), ()).await.unwrap();
    let panic = TaskPanic("the wheel broke".to_owned());
    router.send_message(RouterMessage::WheelEnded(Err(panic))).unwrap();
    let limit = Duration::from_secs(5);
    tokio::time::timeout(limit, ended).await.unwrap().unwrap();
    let (router, _ended) = Actor::spawn(None, Router::new(Arc::clone(&node)), ()).await.unwrap();
    let due = node.clock.now() + Duration::from_millis(20);
    let place = node.wheel.enter(due, due);
    let late = std::future::poll_fn(|cx| {
        place.watch.register(cx.waker());
        match place.watch.stage() {
            crate::watch::Stage::InTime => std::task::Poll::Pending,
            _ => std::task::Poll::Ready(()),
        }
    });
    tokio::time::timeout(limit, late).await.unwrap();
    router.stop(None);
}

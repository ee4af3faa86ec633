//! Users: created once, found again, told about.

use std::sync::Arc;
use std::time::Duration;

use roadshow_demo::email::{SendWelcome, emails};
use roadshow_demo::user::{CreateUser, GetUser, users};
use roadshow_services::{AnyService, Code, Node};

fn ada() -> CreateUser {
    serde_json::from_value(serde_json::json!({ "name": "Ada", "email": "ada@example.org" })).expect("a user")
}

async fn both(codec_always: bool) -> Node {
    let services: [Arc<dyn AnyService>; 2] = [Arc::new(users()), Arc::new(emails())];
    super::node(codec_always, services).await
}

#[tokio::test]
async fn a_user_that_was_created_is_found() {
    for codec_always in [false, true] {
        let node = both(codec_always).await;
        let user = node.client().call(ada()).await.expect("created");
        let found = node.client().call(GetUser { id: user.id.clone() }).await;
        assert_eq!(found, Ok(user));
        assert!(node.shutdown(Duration::from_secs(5)).await.is_clean());
    }
}

#[tokio::test]
async fn an_unknown_id_is_not_found() {
    let node = both(false).await;
    let id = "00000000-0000-4000-8000-000000000000".to_owned();
    let failure = node.client().call(GetUser { id }).await.expect_err("nobody");
    assert_eq!(failure.code, Code::NotFound);
    assert!(node.shutdown(Duration::from_secs(5)).await.is_clean());
}

#[tokio::test]
async fn a_bad_address_names_the_field() {
    let node = both(false).await;
    let bad = CreateUser {
        email: "ada".to_owned(),
        ..ada()
    };
    let failure = node.client().call(bad).await.expect_err("refused");
    assert_eq!(failure.code, Code::Invalid);
    assert!(failure.message.starts_with("email "), "{failure}");
    let to = "nobody".to_owned();
    let failure = node.client().call(SendWelcome { to }).await.expect_err("refused");
    assert!(failure.message.starts_with("to "), "{failure}");
    assert!(node.shutdown(Duration::from_secs(5)).await.is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_users_with_one_address_that_race_exactly_one_is_created() {
    let node = both(false).await;
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let client = node.client();
        racers.spawn(async move { client.call(ada()).await });
    }
    let results = racers.join_all().await;
    let refused: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 63);
    assert!(refused.iter().all(|failure| failure.code == Code::Conflict));
    assert!(node.shutdown(Duration::from_secs(5)).await.is_clean());
}

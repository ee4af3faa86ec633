//! Users: created once, found again, told about.

use std::sync::Arc;
use std::time::Duration;

use roadshow_demo::email::{SendWelcome, emails};
use roadshow_demo::user::{CreateUser, GetUser, NAME_CHARS_MAX, users};
use roadshow_services::{AnyService, Code, Executed, Node};

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
async fn what_breaks_a_rule_is_refused_with_every_field_named() {
    let node = both(false).await;
    let table: [(&str, &str, &[&str]); 5] = [
        ("Ada", "ada", &["email"]),
        ("", "ada@example.org", &["name"]),
        (" \t", "ada@example.org", &["name", "name"]),
        ("Ada\u{7f}", "ada@", &["name", "email"]),
        (&"n".repeat(NAME_CHARS_MAX + 1), "ada@example.org", &["name"]),
    ];
    for (name, email, fields) in table {
        let bad = CreateUser {
            name: name.to_owned(),
            email: email.to_owned(),
        };
        let failure = node.client().call(bad).await.expect_err("refused");
        assert_eq!(
            (failure.code, failure.executed),
            (Code::Invalid, Executed::No),
            "{name:?}"
        );
        let details = failure.details.expect("details");
        let named: Vec<_> = details["fields"].as_array().into_iter().flatten().collect();
        let named: Vec<_> = named.iter().filter_map(|field| field["field"].as_str()).collect();
        assert_eq!(named, fields, "{name:?} {email:?}");
    }
    let to = "nobody".to_owned();
    let failure = node.client().call(SendWelcome { to }).await.expect_err("refused");
    assert!(failure.message.starts_with("to "), "{failure}");
    assert!(node.shutdown(Duration::from_secs(5)).await.is_clean());
}

#[tokio::test]
async fn an_address_that_is_taken_is_a_conflict_that_names_the_field() {
    let node = both(false).await;
    node.client().call(ada()).await.expect("created");
    let again = CreateUser {
        email: "ADA@example.org".to_owned(),
        ..ada()
    };
    let failure = node.client().call(again).await.expect_err("taken");
    assert_eq!((failure.code, failure.executed), (Code::Conflict, Executed::Yes));
    let details = failure.details.expect("details");
    assert_eq!(details["fields"][0]["field"], "email");
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

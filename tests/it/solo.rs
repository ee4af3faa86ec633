//! The testing kit: one handler without a node, and a recorder around one.

use std::sync::Arc;
use std::time::Duration;

use roadshow::CallOptions;
use roadshow::prelude::*;
use roadshow::testing::{Recorder, Solo};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lab::{Lab, Ledger, Work, stop};

const POST: ServiceId = ServiceId::new("post", 1);

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct Send {
    to: String,
}

impl Command for Send {
    const ADDRESS: Address = POST.command("send");
    type Reply = String;
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Sent {
    to: String,
}

impl Event for Sent {
    const NAME: EventName = EventName::new("post.sent");
}

struct Post;

impl CommandHandler<Send> for Post {
    async fn handle(&self, input: Send, ctx: &Context) -> Result<String, Failure> {
        let done = ctx
            .call(Work {
                id: 7,
                ..Work::default()
            })
            .await?;
        ctx.emit(Sent { to: input.to.clone() }).await?;
        Ok(format!("{} by {} as {:?}", input.to, done.id, ctx.principal()))
    }
}

impl EventHandler<Sent> for Post {
    async fn receive(&self, _sent: &Sent, _ctx: &Context) -> Outcome {
        Outcome::retry_after(Duration::from_secs(1), "busy")
    }
}

#[tokio::test]
async fn one_handler_runs_without_a_node() {
    let solo = Solo::new(Post)
        .with(CallOptions::default().principal("ada"))
        .answer::<Work>(|work| {
            if work.id == 7 {
                Err(Failure::not_found("no seven"))
            } else {
                unreachable!()
            }
        });
    assert_eq!(
        solo.call(Send { to: "bob".into() }).await.unwrap_err().code,
        Code::NotFound
    );
    assert!(solo.emitted::<Sent>().is_empty());
    let solo = Solo::new(Lab(Arc::new(Ledger::default())));
    assert_eq!(
        solo.call(Work {
            id: 3,
            ..Work::default()
        })
        .await
        .unwrap()
        .id,
        3
    );
}

#[tokio::test]
async fn what_a_handler_emits_is_recorded() {
    let ledger = Arc::new(Ledger::default());
    let answers = super::lab::node(&ledger, |c| c).await;
    let client = answers.client();
    let done = client
        .call(Work {
            id: 7,
            ..Work::default()
        })
        .await
        .unwrap();
    let solo = Solo::new(Post).answer::<Work>(move |_| Ok(done.clone()));
    assert_eq!(solo.call(Send { to: "bob".into() }).await.unwrap(), "bob by 7 as None");
    assert_eq!(solo.emitted::<Sent>(), [Arc::new(Sent { to: "bob".into() })]);
    assert_eq!(
        solo.receive(Sent { to: "bob".into() }).await,
        Outcome::retry_after(Duration::from_secs(1), "busy")
    );
    stop(answers).await;
}

#[tokio::test]
async fn a_recorder_sees_what_a_whole_node_emits() {
    let ledger = Arc::new(Ledger::default());
    let recorder = Recorder::default();
    let post = Service::new(POST, || async { Ok::<_, std::convert::Infallible>(Post) }).command::<Send>(|c| c);
    let node = roadshow::testing::node()
        .event_bridge(recorder.bridge())
        .service(post)
        .service(super::lab::lab(&ledger, |c| c))
        .start()
        .await
        .unwrap();
    node.client().call(Send { to: "bob".into() }).await.unwrap();
    let sent = recorder.wait_for::<Sent>(1, Duration::from_secs(5)).await;
    assert_eq!(sent[0].0.to, "bob");
    assert_eq!(sent[0].1.hops, 1);
    stop(node).await;
}

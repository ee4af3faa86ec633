//! A whole document, word by word: two services, and an event that the second knows by a type of its own.

use std::convert::Infallible;
use std::time::Duration;

use roadshow_services::config::Settings;
use roadshow_services::{
    Address, Code, Command, CommandHandler, Context, Event, EventHandler, EventName, Failure, Items, NodeBuilder,
    Outcome, Service, ServiceId, Stream, StreamHandler,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document::{About, document};

const STOCK: ServiceId = ServiceId::new("stock", 2);
const PAPERS: ServiceId = ServiceId::new("papers", 1);

/// Takes goods out of the store. More of this is said in a second sentence.
#[derive(Deserialize, JsonSchema, Serialize)]
struct Take {
    /// How many of them.
    count: u32,
}

/// What was taken.
#[derive(Deserialize, JsonSchema, Serialize)]
struct Taken {
    left: Option<u32>,
}

impl Command for Take {
    const ADDRESS: Address = STOCK.command("take");
    type Reply = Taken;
}

/// Goods have left the store.
#[derive(Deserialize, JsonSchema, Serialize)]
struct GoodsTaken {
    count: u32,
}

impl Event for GoodsTaken {
    const NAME: EventName = EventName::new("goods.taken");
}

mod narrower {
    use super::*;

    /// All that papers need to know.
    #[derive(Deserialize, JsonSchema, Serialize)]
    pub(super) struct GoodsTaken {}

    impl Event for GoodsTaken {
        const NAME: EventName = EventName::new("goods.taken");
    }
}

impl CommandHandler<Take> for () {
    async fn handle(&self, _input: Take, _ctx: &Context) -> Result<Taken, Failure> {
        Ok(Taken { left: None })
    }
}

/// Tells what is left whenever that changes.
#[derive(Deserialize, JsonSchema, Serialize)]
struct Watch {
    shelf: u32,
}

impl Stream for Watch {
    const ADDRESS: Address = STOCK.command("watch");
    type Item = Taken;
}

impl StreamHandler<Watch> for () {
    async fn open(&self, _input: Watch, _items: Items<Taken>, _ctx: &Context) -> Result<(), Failure> {
        Ok(())
    }
}

impl EventHandler<narrower::GoodsTaken> for () {
    async fn receive(&self, _event: &narrower::GoodsTaken, _ctx: &Context) -> Outcome {
        Outcome::Ack
    }
}

fn shop(bridge: &str) -> String {
    let stock = Service::new(STOCK, || async { Ok::<_, Infallible>(()) })
        .command::<Take>(|take| {
            take.describe("Nothing is taken that is not there.")
                .idempotent()
                .deprecated()
                .example(&Take { count: 2 }, &Taken { left: Some(5) })
                .fails_with(Code::Conflict, "There is less in the store.")
        })
        .stream::<Watch>(|watch| {
            watch
                .example(&Watch { shelf: 3 }, &Taken { left: Some(4) })
                .max_duration(Duration::from_secs(60))
        })
        .emits::<GoodsTaken>();
    let papers = Service::new(PAPERS, || async { Ok::<_, Infallible>(()) })
        .subscribe::<narrower::GoodsTaken>(|taken| taken.durable("slip"))
        .subscribe::<narrower::GoodsTaken>(|taken| taken.every_instance());
    let resolved = Settings::resolve(None, std::iter::empty(), &[], None).expect("settings");
    let contracts = NodeBuilder::default()
        .service(stock)
        .service(papers)
        .contracts(&resolved);
    let about = About {
        title: "shop",
        version: "1.2.3",
        namespace: &"shop".parse().expect("a namespace"),
        bridge: &bridge.parse().expect("a url"),
    };
    let document = document(&about, &contracts.expect("definitions without a contradiction"));
    serde_json::to_string_pretty(&document).expect("JSON") + "\n"
}

#[test]
fn a_document_is_written_word_by_word_as_it_was_looked_at() {
    insta::assert_snapshot!(shop("nats://ada:hunter2@broker:4222"));
}

#[test]
fn an_event_that_two_services_see_differently_is_two_messages_on_one_channel() {
    let document: Value = serde_json::from_str(&shop("memory:")).expect("JSON");
    let channel = &document["channels"]["goods.taken"];
    let names: Vec<&String> = channel["messages"].as_object().expect("messages").keys().collect();
    assert_eq!(names, ["goods.taken", "goods.taken.papers.1"], "{channel}");
    let emitted = &document["operations"]["stock.2.emit.goods.taken"]["messages"][0]["$ref"];
    assert_eq!(emitted, "#/channels/goods.taken/messages/goods.taken");
}

//! Services whose commands have everything that can be declared.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::num::NonZeroU32;

use roadshow_gateway::{OpenApi, Preface, openapi};
use roadshow_services::config::Settings;
use roadshow_services::{
    Address, AnyService, Code, Command, CommandHandler, Context, Failure, Items, Method, NodeBuilder, RateLimit,
    Service, ServiceContract, ServiceId, Stream, StreamHandler,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) const SHOP: ServiceId = ServiceId::new("shop", 1);
pub(crate) const SHOP_2: ServiceId = ServiceId::new("shop", 2);
/// A description that would be another page, if it were taken for tags.
pub(crate) const HOSTILE: &str =
    "</style></pre><script>alert(1)</script><img src=x onerror=alert(2)> \"'> `</code><b>` {{x}}";

macro_rules! command {
    ($service:ident, $address:literal, $input:ty => $reply:ty) => {
        impl Command for $input {
            const ADDRESS: roadshow_services::Address = $service.command($address);
            type Reply = $reply;
        }
    };
}

/// Places an order.
///
/// Orders of the same basket are one:
/// - the key decides, not the content
/// - see [`Order`] for what comes of it
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlaceOrder {
    /// What is ordered.
    #[schemars(length(min = 1, max = 20))]
    pub(crate) lines: Vec<Line>,
    pub(crate) speed: Speed,
    /// Said by whoever orders.
    #[serde(default)]
    pub(crate) notes: BTreeMap<String, String>,
    #[schemars(range(min = 0.5, max = 1.0))]
    pub(crate) discount: Option<f64>,
}
command!(SHOP, "place_order", PlaceOrder => Order);

/// One line of an order.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Line {
    #[schemars(regex(pattern = r"^[A-Z]{3}-\d+$"))]
    pub(crate) article: String,
    pub(crate) count: u32,
}

/// How soon it is sent.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Speed {
    /// Within a week.
    #[default]
    Slow,
    /// Tomorrow.
    Fast,
}

/// An order.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Order {
    pub(crate) number: u64,
    pub(crate) lines: Vec<Line>,
    pub(crate) parent: Option<Box<Order>>,
}

/// Finds an order.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct GetOrder {
    /// Its number.
    pub(crate) number: u64,
    #[serde(default)]
    pub(crate) expand: bool,
}
command!(SHOP, "get_order", GetOrder => Option<Order>);

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ChangeOrder {
    pub(crate) id: u64,
    pub(crate) speed: Option<Speed>,
    #[serde(default)]
    pub(crate) lines: Vec<Line>,
}
command!(SHOP, "change_order", ChangeOrder => ());

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct CancelOrder {
    pub(crate) number: u64,
}
command!(SHOP, "cancel_order", CancelOrder => ());

/// Where to look.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Span {
    pub(crate) from: i64,
    pub(crate) to: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Search {
    pub(crate) q: String,
    pub(crate) tags: Vec<String>,
    pub(crate) limit: Option<u16>,
    pub(crate) speed: Option<Speed>,
    #[serde(default)]
    pub(crate) levels: Vec<i32>,
    pub(crate) span: Option<Span>,
    #[serde(flatten)]
    pub(crate) more: BTreeMap<String, String>,
}
command!(SHOP, "search", Search => Vec<Order>);

/// Asks whether anybody is there.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Ping;
command!(SHOP, "ping", Ping => String);

/// A parcel of some form.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "form", rename_all = "snake_case")]
pub(crate) enum Pack {
    /// A box.
    Cube { depot: u8, side: f32 },
    /// A tube.
    Tube { depot: u8, radius: f32, length: f32 },
}
command!(SHOP, "pack", Pack => bool);

pub(crate) mod second {
    use super::*;

    /// An order, as the second version has it.
    #[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
    pub(crate) struct Order {
        pub(crate) id: String,
        pub(crate) basket: Basket,
    }

    /// Says the same in both versions, and means another order.
    #[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
    pub(crate) struct Basket {
        pub(crate) lines: Vec<Line>,
        pub(crate) last: Option<Box<Order>>,
    }

    /// A name that a document of ours has already.
    #[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
    pub(crate) struct Problem {
        pub(crate) text: String,
    }

    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    pub(crate) struct GetOrder {
        pub(crate) id: String,
    }
    command!(SHOP_2, "get_order", GetOrder => Order);

    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    pub(crate) struct Complain {
        pub(crate) about: Problem,
        pub(crate) example: Option<Basket>,
    }
    command!(SHOP_2, "complain", Complain => Problem);
}

/// Answers everything with nothing in particular.
pub(crate) struct Shop;

impl<C: Command> CommandHandler<C> for Shop
where
    C::Reply: Default,
{
    async fn handle(&self, _input: C, _ctx: &Context) -> Result<C::Reply, Failure> {
        Ok(C::Reply::default())
    }
}

/// Follows an order.
///
/// It ends at the door.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Watch {
    number: u64,
}
impl Stream for Watch {
    const ADDRESS: Address = SHOP.command("watch");
    type Item = Moved;
}

/// An order has moved.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Moved {
    number: u64,
    place: String,
}

/// Tells again what was told.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Replay {
    since: u64,
}
impl Stream for Replay {
    const ADDRESS: Address = SHOP.command("replay");
    type Item = Option<Moved>;
}

impl StreamHandler<Watch> for Shop {
    async fn open(&self, _input: Watch, _items: Items<Moved>, _ctx: &Context) -> Result<(), Failure> {
        Ok(())
    }
}

impl StreamHandler<Replay> for Shop {
    async fn open(&self, _input: Replay, _items: Items<Option<Moved>>, _ctx: &Context) -> Result<(), Failure> {
        Ok(())
    }
}

pub(crate) fn shop() -> impl AnyService {
    let line = || Line {
        article: "ABC-1".to_owned(),
        count: 2,
    };
    let place = PlaceOrder {
        lines: vec![line()],
        speed: Speed::Fast,
        notes: BTreeMap::from([("gift".to_owned(), "it's a <gift>".to_owned())]),
        discount: None,
    };
    let order = || Order {
        number: 7,
        lines: vec![line()],
        parent: None,
    };
    let get = GetOrder {
        number: 7,
        expand: true,
    };
    let limit = RateLimit::per_second(NonZeroU32::MIN);
    Service::new(SHOP, || async { Ok::<_, Infallible>(Shop) })
        .command::<PlaceOrder>(|c| {
            c.http(Method::Post, "/orders")
                .status(201)
                .rate_limit(limit)
                .example(&place, &order())
                .fails_with(Code::Conflict, "An order of this basket exists.")
                .fails_with(Code::Conflict, "The shop is `closed`.")
                .fails_with(Code::Invalid, "No such article.")
        })
        .command::<GetOrder>(|c| {
            c.http(Method::Get, "/orders/{number}")
                .public()
                .idempotent()
                .deprecated()
                .tag("orders")
                .tag("reading")
                .example(&get, &Some(order()))
                .fails_with(Code::NotFound, "There is no such order.")
        })
        .command::<ChangeOrder>(|c| {
            c.http(Method::Patch, "/orders/{id}")
                .public()
                .summary("Changes an order & <more>")
                .describe(HOSTILE)
        })
        .command::<CancelOrder>(|c| c.http(Method::Delete, "/orders/{number}").public())
        .command::<Search>(|c| c.http(Method::Get, "/search").public())
        .command::<Ping>(|c| c.http(Method::Post, "/ping").status(202).public())
        .command::<Pack>(|c| c.http(Method::Get, "/packs/{depot}").public())
        .stream::<Watch>(|s| {
            let item = Moved {
                number: 7,
                place: "the door".to_owned(),
            };
            s.http(Method::Get, "/orders/{number}/moves")
                .public()
                .example(&Watch { number: 7 }, &item)
        })
        .stream::<Replay>(|s| s.http(Method::Post, "/replays"))
}

pub(crate) fn shop_2() -> impl AnyService {
    Service::new(SHOP_2, || async { Ok::<_, Infallible>(Shop) })
        .command::<second::GetOrder>(|c| c.http(Method::Get, "/orders/{id}").public())
        .command::<second::Complain>(|c| c.http(Method::Put, "/complaint").public())
}

/// The contracts of services, as a node with them has them.
pub(crate) fn contracts(builder: &NodeBuilder) -> Vec<ServiceContract> {
    let settings = Settings::resolve(None, std::iter::empty(), &[], None).expect("no settings are good settings");
    builder
        .contracts(&settings)
        .expect("they contradict each other nowhere")
}

pub(crate) fn both() -> OpenApi {
    let builder = NodeBuilder::default().service(shop()).service(shop_2());
    openapi(&Preface::new("Shop", "1.2.3"), &contracts(&builder))
}

pub(crate) fn both_as_json() -> Value {
    serde_json::from_str(&both().to_json()).expect("it is JSON")
}

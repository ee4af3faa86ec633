//! The real program over real brokers: two processes that are one system, outages, deaths in the middle, credentials.
//!
//! Each test starts a broker of its own, which it may kill. `$TEST_BIN_ROADSHOW` names the program; without it, the one that
//! cargo has built for these tests is driven. What takes minutes is `tests/chaos`; what foreign clients see is
//! `tests/foreign/run`.

#![cfg(all(
    feature = "console",
    feature = "demo",
    feature = "nats",
    feature = "amqp",
    feature = "mqtt",
    unix
))]

#[path = "brokers/credentials.rs"]
mod credentials;
#[path = "brokers/deaths.rs"]
mod deaths;
#[path = "brokers/dropped.rs"]
mod dropped;
#[path = "faults/http.rs"]
#[allow(dead_code, reason = "the chaos program asks more of it")]
mod http;
#[path = "faults/ledger.rs"]
#[allow(dead_code, reason = "the chaos program reads more of it")]
mod ledger;
#[path = "faults/node.rs"]
#[allow(dead_code, reason = "the chaos program does more with it")]
mod node;
#[path = "brokers/outages.rs"]
mod outages;
#[path = "brokers/stage.rs"]
mod stage;
#[path = "brokers/two_processes.rs"]
mod two_processes;

//! The program `roadshow` as a hostile client meets it over HTTP.
//!
//! A table of requests with what the standards and the design ask for, a fuzzer that knows the structure of requests, and
//! clients that send slowly. All of it goes over TCP to the real program: `$TEST_BIN_ROADSHOW` names it; without it, the
//! one that cargo has built for these tests is driven.

#![cfg(all(feature = "console", feature = "demo", target_os = "linux"))]

mod http {
    pub(crate) mod case;
    pub(crate) mod fuzz;
    pub(crate) mod node;
    pub(crate) mod slow;
    pub(crate) mod streams;
    pub(crate) mod table;
    pub(crate) mod wire;
}

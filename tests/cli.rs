//! The program `roadshow` as its users meet it: what it prints, where, and with which exit code it ends.
//!
//! `$TEST_BIN_ROADSHOW` names the program; without it, the one that cargo has built for these tests is driven.

#![cfg(all(feature = "console", feature = "demo"))]

#[path = "cli/asyncapi.rs"]
mod asyncapi;
#[path = "cli/bench.rs"]
mod bench;
#[cfg(all(feature = "nats", feature = "amqp", feature = "mqtt"))]
#[path = "cli/bridges.rs"]
mod bridges;
#[path = "cli/clients.rs"]
mod clients;
#[path = "cli/completions.rs"]
mod completions;
#[path = "cli/doctor.rs"]
mod doctor;
#[path = "cli/ledger.rs"]
mod ledger;
#[path = "cli/logs.rs"]
mod logs;
#[path = "cli/openapi.rs"]
mod openapi;
#[path = "../services/console/tests/it/program.rs"]
mod program;
#[path = "cli/stopping.rs"]
mod stopping;
#[path = "cli/stream.rs"]
mod stream;
#[cfg(unix)]
#[path = "cli/terminal.rs"]
mod terminal;
#[cfg(unix)]
#[path = "cli/tree.rs"]
mod tree;
#[path = "cli/web.rs"]
mod web;
#[path = "cli/wrong_usage.rs"]
mod wrong_usage;

use std::path::PathBuf;

use program::{Ended, Program};

fn binary() -> PathBuf {
    std::env::var_os("TEST_BIN_ROADSHOW").map_or_else(|| env!("CARGO_BIN_EXE_roadshow").into(), PathBuf::from)
}

/// Runs the program to its end.
fn run(args: &[&str]) -> Ended {
    Program::start(&binary(), args).end()
}

/// A node that is ready.
struct Up {
    program: Program,
    /// `host:port`.
    at: String,
}

impl Up {
    /// Starts a node on a free port.
    fn new(args: &[&str]) -> Self {
        let mut program = Program::start(&binary(), &[&["up", "--http", "127.0.0.1:0"], args].concat());
        let at = program.ready();
        Self { program, at }
    }

    /// The URL that client commands take.
    fn url(&self) -> String {
        format!("http://{}", self.at)
    }

    /// Runs a client command against the node.
    fn client(&self, args: &[&str]) -> Ended {
        run(&[args, &["--node", &self.url()]].concat())
    }

    /// Stops the node with SIGTERM.
    fn stop(self) -> Ended {
        self.program.signal("TERM");
        self.program.end()
    }
}

//! The service: what its handlers share, what they do, and how they are reached.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard};

use roadshow::prelude::*;

use crate::contract::{Count, CountGreetings, Greet, Greeted, Greeting, SERVICE};

/// How many names are counted: everything has a limit.
const NAMES_MAX: usize = 10_000;

/// What the handlers share. It is made anew at every start and restart: it holds what may be lost.
#[derive(Debug, Default)]
pub struct Greeter {
    counts: Mutex<HashMap<String, u64>>,
}

impl Greeter {
    async fn open() -> Result<Self, Infallible> {
        Ok(Self::default())
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.counts.lock().expect("nobody panics while counting")
    }
}

impl CommandHandler<Greet> for Greeter {
    async fn handle(&self, input: Greet, ctx: &Context) -> Result<Greeting, Failure> {
        let greeting = hello(&input.name);
        ctx.emit(Greeted { name: input.name }).await?;
        Ok(greeting)
    }
}

impl CommandHandler<CountGreetings> for Greeter {
    async fn handle(&self, input: CountGreetings, _ctx: &Context) -> Result<Count, Failure> {
        match self.counts().get(&input.name) {
            Some(&count) => Ok(Count { count }),
            None => Err(Failure::not_found("nobody of this name was greeted")),
        }
    }
}

impl EventHandler<Greeted> for Greeter {
    async fn receive(&self, event: &Greeted, _ctx: &Context) -> Outcome {
        let mut counts = self.counts();
        if counts.len() == NAMES_MAX && !counts.contains_key(&event.name) {
            return Outcome::Drop;
        }
        *counts.entry(event.name.clone()).or_default() += 1;
        Outcome::Ack
    }
}

fn hello(name: &str) -> Greeting {
    let text = format!("Hello, {name}!");
    Greeting { text }
}

/// Declares the service: its commands with their routes, and what it subscribes to.
pub fn service() -> Service<Greeter> {
    let ada = || "Ada".to_owned();
    Service::new(SERVICE, Greeter::open)
        .command::<Greet>(|c| {
            c.http(Method::Post, "/greetings")
                .public()
                .validate()
                .summary("Greet somebody")
                .example(&Greet { name: ada() }, &hello("Ada"))
        })
        .command::<CountGreetings>(|c| {
            c.http(Method::Get, "/greetings/{name}")
                .public()
                .idempotent()
                .summary("Count the greetings of somebody")
                .example(&CountGreetings { name: ada() }, &Count { count: 2 })
                .fails_with(Code::NotFound, "nobody of this name was greeted")
        })
        .subscribe::<Greeted>(|s| s.durable("counting"))
        .emits::<Greeted>()
}

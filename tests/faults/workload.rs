//! The generator: calls and events at a steady rate, whatever the system does, and the history of what it was told.
//!
//! What the n-th act is depends on the seed alone. A worker that waits for an answer lets its beats pass, so an outage never
//! piles up work.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use crate::clock::unix_ms;
use crate::history::{Act, Kind, Order, Outcome};
use crate::http::{Answer, Connection};
use crate::random::Random;

/// The time budget of every act.
const BUDGET_MS: u64 = 4_000;
/// How much longer the generator waits before it gives an act up.
const PATIENCE: Duration = Duration::from_millis(BUDGET_MS + 4_000);
/// How far back a repeat looks for what to repeat.
const BACK_MAX: u64 = 40;

/// How to generate.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// Chooses every act.
    pub(crate) seed: u64,
    /// Acts in a second.
    pub(crate) per_second: u64,
    /// Of a thousand acts so many are calls.
    pub(crate) calls_per_mille: u64,
    /// Through which node, and where that is.
    pub(crate) node: (usize, SocketAddr),
    /// Whether handlers are to be slow now.
    pub(crate) slow: Arc<AtomicBool>,
    /// Ends it.
    pub(crate) stop: CancellationToken,
}

impl Load {
    fn workers(&self) -> u64 {
        (self.per_second / 4).clamp(32, 400)
    }

    /// Generates until it is stopped, and returns the history.
    pub(crate) async fn run(self) -> Vec<Act> {
        let workers = self.workers();
        let mut set = JoinSet::new();
        for worker in 0..workers {
            set.spawn(self.clone().work(worker, workers));
        }
        let mut acts: Vec<Act> = set.join_all().await.into_iter().flatten().collect();
        acts.sort_by_key(|act| act.begun_ms);
        acts
    }

    async fn work(self, worker: u64, workers: u64) -> Vec<Act> {
        let between = Duration::from_secs(1).mul_f64(workers as f64 / self.per_second as f64);
        let first = Instant::now() + between.mul_f64(worker as f64 / workers as f64);
        let mut beat = interval_at(first, between);
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut acts, mut connection) = (Vec::new(), None);
        for turn in 0.. {
            tokio::select! {
                () = self.stop.cancelled() => break,
                _ = beat.tick() => {}
            }
            let number = turn * workers + worker;
            acts.push(self.act(number, workers, &mut connection).await);
        }
        acts
    }

    async fn act(&self, number: u64, workers: u64, connection: &mut Option<Connection>) -> Act {
        let plan = plan(self.seed, number, workers, self.calls_per_mille);
        let (path, body) = (plan.path(), plan.body(self.slow.load(Ordering::Relaxed)));
        let mut headers = format!("\r\nx-timeout-ms: {BUDGET_MS}");
        if plan.keyed {
            headers.push_str(&format!("\r\nidempotency-key: {}", plan.id()));
        }
        let begun_ms = unix_ms();
        let end = exchange(connection, self.node.1, path, &headers, &body).await;
        Act {
            id: plan.id(),
            kind: plan.kind,
            order: plan.order,
            keyed: plan.keyed,
            node: self.node.0,
            begun_ms,
            budget_ms: BUDGET_MS,
            end: end.map(|outcome| (unix_ms(), outcome)),
        }
    }
}

/// One request and what it says; none if no answer came in all the time there is.
async fn exchange(
    connection: &mut Option<Connection>,
    at: SocketAddr,
    path: &str,
    headers: &str,
    body: &Value,
) -> Option<Outcome> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => match Connection::open(at).await {
            Ok(open) => open,
            // Nothing was sent.
            Err(error) => return Some(Outcome::Fail(format!("not connected: {}", error.kind()))),
        },
    };
    match open.post(path, headers, body, PATIENCE).await {
        Ok(answer) => {
            let outcome = judge(&answer);
            if !answer.closes() {
                *connection = Some(open);
            }
            Some(outcome)
        }
        Err(error) if error.kind() == std::io::ErrorKind::TimedOut => None,
        Err(error) => Some(Outcome::Info(format!("connection lost: {}", error.kind()))),
    }
}

/// What an answer says about the effect.
pub(crate) fn judge(answer: &Answer) -> Outcome {
    if (200..300).contains(&answer.status) {
        return Outcome::Ok;
    }
    let problem = answer.json();
    let code = problem["code"].as_str().unwrap_or("no code");
    let said = format!(
        "{} {code}: {}",
        answer.status,
        problem["message"].as_str().unwrap_or("")
    );
    match problem["executed"].as_str() {
        Some("no") => Outcome::Fail(said),
        Some("yes") => Outcome::Ok,
        _ => Outcome::Info(said),
    }
}

/// What the n-th act is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    number: u64,
    kind: Kind,
    order: Order,
    keyed: bool,
    sleep_ms: u64,
}

/// The plan of an act: a pure function of the seed, with its repeats.
pub(crate) fn plan(seed: u64, number: u64, workers: u64, calls_per_mille: u64) -> Plan {
    let (own, repeats) = fresh(seed, number, calls_per_mille);
    let can_be_repeated = own.keyed && own.order.ends_well();
    if !repeats || !can_be_repeated {
        return own;
    }
    // Beats of the last round may still be on their way, which is what a repeat is about.
    let earlier = (workers..workers + BACK_MAX).filter_map(|back| number.checked_sub(back));
    let found = earlier
        .map(|number| fresh(seed, number, calls_per_mille))
        .find(|(plan, repeats)| !repeats && plan.kind == own.kind && plan.keyed && plan.order.ends_well());
    found.map_or(own, |(plan, _)| plan)
}

fn fresh(seed: u64, number: u64, calls_per_mille: u64) -> (Plan, bool) {
    let mut random = Random::of(seed, number);
    let kind = if random.per_mille(calls_per_mille) {
        Kind::Command
    } else {
        Kind::Event
    };
    let order = match random.below(1_000) {
        0..10 => Order::Panic,
        10..20 => Order::Poison,
        20..25 => Order::Oversize,
        25..55 => Order::Big,
        55..155 => Order::Sleep,
        _ => Order::Echo,
    };
    let plan = Plan {
        number,
        kind,
        order,
        keyed: random.per_mille(500),
        sleep_ms: random.between(10, 300),
    };
    (plan, random.per_mille(100))
}

impl Plan {
    fn id(&self) -> String {
        let kind = if self.kind == Kind::Command { 'c' } else { 'e' };
        format!("{kind}{}", self.number)
    }

    fn path(&self) -> &'static str {
        match self.kind {
            Kind::Command => "/_node/call/probe/1/run",
            Kind::Event => "/_node/emit/probe.event",
        }
    }

    fn body(&self, slow: bool) -> Value {
        let mut body = json!({"id": self.id()});
        match self.order {
            Order::Echo => {}
            Order::Sleep => body["sleep_ms"] = self.sleep_ms.into(),
            Order::Big => body["reply_bytes"] = 100_000.into(),
            Order::Panic => body["panic"] = true.into(),
            Order::Poison => body["fail"] = "invalid".into(),
            // Too large as a request, or too large as a reply.
            Order::Oversize if self.keyed => body["filling"] = "x".repeat(2 << 20).into(),
            Order::Oversize => body["reply_bytes"] = (2 << 20).into(),
        }
        if slow && self.order.ends_well() {
            body["sleep_ms"] = (self.sleep_ms * 8).into();
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn the_mix_is_as_it_should_be_and_the_same_again() {
        let plans: Vec<Plan> = (0..20_000).map(|number| plan(7, number, 64, 500)).collect();
        let again: Vec<Plan> = (0..20_000).map(|number| plan(7, number, 64, 500)).collect();
        assert_eq!(plans, again);
        let share = |wanted: &dyn Fn(&Plan) -> bool| plans.iter().filter(|plan| wanted(plan)).count() / 20;
        assert!((450..550).contains(&share(&|plan| plan.kind == Kind::Command)));
        assert!((450..550).contains(&share(&|plan| plan.keyed)));
        assert!((5..15).contains(&share(&|plan| plan.order == Order::Panic)));
        let repeats = plans
            .iter()
            .enumerate()
            .filter(|(number, plan)| plan.number != *number as u64);
        let repeats: Vec<&Plan> = repeats.map(|(_, plan)| plan).collect();
        assert!((600..1_400).contains(&repeats.len()), "{}", repeats.len());
        assert!(repeats.iter().all(|plan| plan.keyed && plan.order.ends_well()));
    }

    #[test]
    fn only_an_answer_that_says_so_is_a_failure() {
        let answer = |status, body: Value| Answer {
            status,
            headers: HashMap::new(),
            body: body.to_string().into_bytes(),
        };
        let table = [
            (answer(202, Value::Null), "Ok"),
            (answer(400, json!({"code": "invalid", "executed": "yes"})), "Ok"),
            (answer(503, json!({"code": "unavailable", "executed": "no"})), "Fail"),
            (answer(504, json!({"code": "timeout", "executed": "unknown"})), "Info"),
            (answer(500, json!("no problem at all")), "Info"),
        ];
        for (answer, expected) in table {
            assert!(format!("{:?}", judge(&answer)).starts_with(expected), "{answer:?}");
        }
    }
}

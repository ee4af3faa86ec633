//! Arithmetic on time and memory: what services declare against what a node is given.
//!
//! Pure functions of contracts and settings. Defaults are judged more mildly than choices: that a call with the default
//! deadline can outlast the default drain is a note, because nobody chose either; once somebody chose one of the two
//! figures, it is a warning.

use std::time::Duration;

use roadshow_services::config::{Origin, Resolved};
use roadshow_services::{Limits, ServiceContract, time_for_work};

use super::definitions::subscriptions;
use super::finding::{Area, Finding, Level};
use super::words::{shown, size, some_of, time, whole_seconds};

/// What a stop takes beyond its budget, at most: the gateway's farewell, and the wait for what was killed.
const AFTER_THE_BUDGET: Duration = Duration::from_secs(3);

/// What Kubernetes waits before it kills, unless it is told otherwise.
const KUBERNETES_WAITS: Duration = Duration::from_secs(30);

/// One command or subscription, as far as its time goes.
struct Endpoint {
    name: String,
    deadline: Duration,
    abandon_after: Duration,
}

impl Endpoint {
    fn all(contracts: &[ServiceContract]) -> Vec<Self> {
        let commands = contracts.iter().flat_map(|contract| &contract.commands);
        let commands = commands.map(|command| Self {
            name: command.address.to_string(),
            deadline: command.limits.deadline,
            abandon_after: command.limits.abandon_after,
        });
        let subscriptions = contracts.iter().flat_map(subscriptions).map(|(name, one)| Self {
            name,
            deadline: one.deadline,
            abandon_after: one.abandon_after,
        });
        commands.chain(subscriptions).collect()
    }

    /// The longest that a handler of it is at work.
    fn longest(&self) -> Duration {
        self.deadline.saturating_add(self.abandon_after)
    }

    fn is_chosen(&self) -> bool {
        let limits = Limits::default();
        (self.deadline, self.abandon_after) != (limits.deadline, limits.abandon_after)
    }
}

/// Whether a stop fits into what whoever stops the node waits. `grace` is unknown unless it was given.
pub(super) fn grace(resolved: &Resolved, grace: Option<Duration>) -> Finding {
    let subject = "shutdown_budget";
    let budget = resolved.settings().shutdown_budget;
    let whole = budget.saturating_add(AFTER_THE_BUDGET);
    let takes = format!(
        "a stop takes up to {} ({} and {} to say goodbye)",
        time(whole),
        time(budget),
        time(AFTER_THE_BUDGET)
    );
    match grace {
        Some(grace) if whole > grace => {
            let fitting = grace.saturating_sub(AFTER_THE_BUDGET);
            let shorter = if fitting.is_zero() {
                String::new()
            } else {
                format!(", or set shutdown_budget to {} or less", time(fitting))
            };
            Area::Budgets.problem(
                subject,
                format!(
                    "{takes}, and the grace period is {}: what is left is killed unseen",
                    time(grace)
                ),
                &format!("lengthen the grace period to {} or more{shorter}", whole_seconds(whole)),
            )
        }
        Some(grace) => Area::Budgets.ok(subject, format!("{takes}, within the grace period of {}", time(grace))),
        None if whole > KUBERNETES_WAITS => Area::Budgets.note(
            subject,
            format!(
                "{takes}; Kubernetes kills after {} unless told otherwise",
                time(KUBERNETES_WAITS)
            ),
            &format!(
                "set terminationGracePeriodSeconds to {} or more; --grace DURATION checks it",
                whole_seconds(whole).trim_end_matches('s')
            ),
        ),
        None => Area::Budgets.ok(
            subject,
            format!("{takes}; --grace DURATION checks that against who stops the node"),
        ),
    }
}

/// Handlers that may be at work longer than a drain waits.
pub(super) fn drain(contracts: &[ServiceContract], resolved: &Resolved) -> Vec<Finding> {
    let budget = resolved.settings().shutdown_budget;
    let waits = time_for_work(budget);
    let late: Vec<Endpoint> = Endpoint::all(contracts)
        .into_iter()
        .filter(|one| one.longest() > waits)
        .collect();
    if late.is_empty() {
        let message = format!("every handler ends within the {} that a drain waits", time(waits));
        return vec![Area::Budgets.ok("drain", message)];
    }
    let drain = format!("a drain waits {} of shutdown_budget {}", time(waits), time(budget));
    let (chosen, usual): (Vec<_>, Vec<_>) = late.into_iter().partition(Endpoint::is_chosen);
    let mut findings: Vec<Finding> = chosen
        .iter()
        .map(|one| {
            let (deadline, abandoned) = (time(one.deadline), time(one.abandon_after));
            Area::Budgets.warning(
                one.name.clone(),
                format!(
                    "a handler may run {} (deadline {deadline}, dropped {abandoned} later); {drain}",
                    time(one.longest())
                ),
                &format!(
                    "shorten its deadline, or set shutdown_budget to {}",
                    whole_seconds(budget_for(one.longest()))
                ),
            )
        })
        .collect();
    if let [one, ..] = &usual[..] {
        let level = match resolved.origin("shutdown_budget") {
            Origin::Default => Level::Note,
            _ => Level::Warning,
        };
        let names: Vec<String> = usual.iter().map(|one| one.name.clone()).collect();
        let (deadline, abandoned) = (time(one.deadline), time(one.abandon_after));
        findings.push(Area::Budgets.found(
            level,
            "drain",
            format!(
                "{} may run {} (default deadline {deadline}, dropped {abandoned} later); {drain}",
                some_of(&names),
                time(one.longest())
            ),
            &format!(
                "give them the deadline they need with .deadline, or set shutdown_budget to {}",
                whole_seconds(budget_for(one.longest()))
            ),
        ));
    }
    findings
}

/// The shutdown budget of which a drain has this much: the inverse of `time_for_work`.
fn budget_for(work: Duration) -> Duration {
    let plenty = work.saturating_add(Duration::from_secs(2));
    let third = work.saturating_add(work / 3);
    // Short budgets keep a quarter for stopping the tree, long ones two seconds.
    plenty.min(third.saturating_add(Duration::from_millis(1)))
}

/// Commands whose own deadline a caller cannot make use of.
pub(super) fn timeouts(contracts: &[ServiceContract], resolved: &Resolved) -> Vec<Finding> {
    let most = resolved.settings().call.max_timeout;
    let by = |name: &str| shown(&resolved.origin(name).to_string());
    let mut findings = Vec::new();
    for command in contracts.iter().flat_map(|contract| &contract.commands) {
        let (name, deadline) = (command.address.to_string(), command.limits.deadline);
        if deadline > most {
            findings.push(Area::Budgets.warning(
                name,
                format!(
                    "its deadline is {}, and a caller who asks for more than call.max_timeout {} ({}) gets that: only who \
                     asks for nothing has all of it",
                    time(deadline),
                    time(most),
                    by("call.max_timeout")
                ),
                &format!("raise call.max_timeout to {}, or shorten the deadline", whole_seconds(deadline)),
            ));
        }
    }
    if findings.is_empty() {
        let message = format!("no command's deadline is beyond call.max_timeout {}", time(most));
        findings.push(Area::Budgets.ok("deadlines", message));
    }
    findings
}

/// The most that payloads can hold at one time, where it is more than there is.
///
/// What comes over HTTP is bounded by `gateway.bodies_limit` as a whole; what a bridge brings from other processes is not,
/// so there each call that is admitted and each delivery counts with the largest payload.
pub(super) fn memory(contracts: &[ServiceContract], resolved: &Resolved, there_is: Option<u64>) -> Finding {
    let settings = resolved.settings();
    let payload = settings.payload_limit as u64;
    let calls: u64 = contracts
        .iter()
        .flat_map(|contract| &contract.commands)
        .map(|command| u64::from(command.limits.concurrency.get()) + u64::from(command.limits.waiting))
        .sum();
    let deliveries: u64 = contracts
        .iter()
        .flat_map(|contract| &contract.subscriptions)
        .map(|one| u64::from(one.window.get()))
        .sum();
    let calls = match settings.event_bridge.scheme() {
        "memory" => settings.gateway.bodies_limit as u64,
        _ => calls
            .saturating_mul(payload)
            .saturating_add(settings.gateway.bodies_limit as u64),
    };
    let most = calls.saturating_add(deliveries.saturating_mul(payload));
    let holds = format!(
        "payloads can hold {} at one time (payload_limit {})",
        size(most),
        size(payload)
    );
    match there_is {
        Some(there_is) if most > there_is => Area::Budgets.note(
            "memory",
            format!("{holds}, and this process can have {}", size(there_is)),
            "lower payload_limit, or the concurrency and waiting of what takes large payloads",
        ),
        Some(there_is) => Area::Budgets.ok("memory", format!("{holds}, of {}", size(there_is))),
        None => Area::Budgets.ok("memory", holds),
    }
}

#[cfg(test)]
mod tests;

//! The program of a suite: lists the cases of an adapter and runs them, each on a runtime and in a namespace of its own.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::adapter::Adapter;
use crate::case::Case;
use crate::stage::Stage;
use crate::{cases, page, seed};

/// How long cleaning up after a case may take.
const CLEAN_MAX: Duration = Duration::from_secs(20);
/// How long tasks may take to end with their runtime.
const END_MAX: Duration = Duration::from_secs(2);

/// Runs the suite over an adapter, as a test program does: filters and flags are those of `cargo test`.
///
/// ```no_run
/// # use std::sync::Arc;
/// use roadshow_bridges::memory::{MemoryBridgeSettings, MemoryBus, MemoryConnector, MemoryEventBridge};
/// use roadshow_bridges::{Capability, Connector, EventBridge};
/// use roadshow_conformance::{Adapter, Home};
///
/// #[derive(Debug, Default)]
/// struct Memory(MemoryBus);
///
/// impl Adapter for Memory {
///     fn capability(&self) -> Capability {
///         MemoryEventBridge::new(self.0.clone(), MemoryBridgeSettings::default()).capability()
///     }
///     fn connector(&self) -> Arc<dyn Connector> {
///         Arc::new(MemoryConnector::new(self.0.clone()))
///     }
///     fn home(&self) -> Home {
///         Home::Here("memory:")
///     }
/// }
///
/// fn main() -> std::process::ExitCode {
///     roadshow_conformance::run(Memory::default())
/// }
/// ```
pub fn run(adapter: impl Adapter) -> ExitCode {
    let adapter: Arc<dyn Adapter> = Arc::new(adapter);
    let seed = seed::of_run();
    let mut trials: Vec<Trial> = cases::all()
        .into_iter()
        .map(|case| trial(&adapter, case, seed))
        .collect();
    let of_page = Arc::clone(&adapter);
    trials.push(Trial::test("page::says_what_is_declared", move || {
        page::check_column(&*of_page).map_err(Failed::from)
    }));
    libtest_mimic::run(&one_at_a_time(Arguments::from_args()), trials).exit_code()
}

/// One case after the other, unless another number is asked for: in one process they would measure each other's time and
/// memory. nextest gives each a process of its own.
fn one_at_a_time(mut arguments: Arguments) -> Arguments {
    arguments.test_threads.get_or_insert(1);
    arguments
}

fn trial(adapter: &Arc<dyn Adapter>, case: Case, seed: u64) -> Trial {
    let missing = case.missing(&adapter.capability(), adapter.home());
    let title = case.title();
    let adapter = Arc::clone(adapter);
    match missing {
        Some(missing) => Trial::test(title, || Err(Failed::from("this is declared false")))
            .with_kind(missing)
            .with_ignored_flag(true),
        None => Trial::test(title, move || play(&adapter, &case, seed)),
    }
}

fn play(adapter: &Arc<dyn Adapter>, case: &Case, seed: u64) -> Result<(), Failed> {
    println!("{} over {}: {}", case.id, adapter.capability().name, case.property);
    println!("{}={seed}", seed::VARIABLE);
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    page::forget(&**adapter, case)?;
    let outcome = runtime.block_on(played(Arc::clone(adapter), case, seed));
    runtime.shutdown_timeout(END_MAX);
    outcome?;
    page::record(&**adapter, case, seed)?;
    Ok(())
}

async fn played(adapter: Arc<dyn Adapter>, case: &Case, seed: u64) -> Result<(), Failed> {
    let stage = Stage::set(Arc::clone(&adapter), case, seed).await?;
    let (url, namespace, is_shared) = (stage.url.clone(), stage.namespace.clone(), stage.broker.is_none());
    // A task of its own: a panic comes back as a value, and what the case has left is removed all the same.
    let mut playing = tokio::task::JoinSet::new();
    playing.spawn((case.run)(stage));
    let outcome = timeout(case.limit, playing.join_next()).await;
    playing.shutdown().await;
    if is_shared && timeout(CLEAN_MAX, adapter.clean(&url, &namespace)).await.is_err() {
        println!("cleaning up namespace {namespace} took longer than {CLEAN_MAX:?}");
    }
    match outcome {
        Ok(Some(Ok(()))) => Ok(()),
        Ok(Some(Err(error))) => Err(Failed::from(words(error))),
        Ok(None) => Err(Failed::from("the case did not run")),
        Err(_elapsed) => Err(Failed::from(format!("the case took longer than {:?}", case.limit))),
    }
}

/// What a panic said.
fn words(error: tokio::task::JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else {
        return "the case was cancelled".to_owned();
    };
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "the case panicked".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_run_one_after_the_other_unless_more_are_asked_for() {
        let threads = |line: &[&str]| one_at_a_time(Arguments::from_iter(line)).test_threads;
        assert_eq!(threads(&["suite"]), Some(1));
        assert_eq!(threads(&["suite", "--test-threads", "4"]), Some(4));
    }
}

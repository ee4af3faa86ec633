//! Anything at any time: whatever children do and whatever is asked, a few things always hold.
//!
//! A child never has two lives at once, every life that began is told to have ended, a supervisor ends in time, and no
//! actor outlives it.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::Strategy as Generate;
use ractor::ActorStatus;
use roadshow_supervision::{
    Backoff, Budget, ChildSpec, EventKind, GiveUp, InitialStart, Restart, Shutdown, Strategy, SupervisorSpec,
};

use super::stage::{Order, Script, Stage, Start, ms, secs};

const IDS: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Clone, Copy, Debug)]
enum Act {
    End,
    Fail,
    ReportPanic,
    Panic,
    Hang,
    Kill,
    Terminate,
    Restart,
    Delete,
    Add,
    Healthy,
    Wait,
}

fn acts() -> impl Generate<Value = Vec<(usize, Act)>> {
    use Act::{Add, Delete, End, Fail, Hang, Healthy, Kill, Panic, ReportPanic, Restart, Terminate, Wait};
    let act = prop::sample::select(vec![
        End,
        Fail,
        Fail,
        ReportPanic,
        ReportPanic,
        Panic,
        Hang,
        Kill,
        Terminate,
        Restart,
        Delete,
        Add,
        Healthy,
        Wait,
        Wait,
    ]);
    prop::collection::vec((0..IDS.len(), act), 0..30)
}

fn starts() -> impl Generate<Value = Vec<Vec<Start>>> {
    let start = prop::sample::select(vec![
        Start::Ready,
        Start::Ready,
        Start::Ready,
        Start::Fail,
        Start::Hang,
        Start::SpawnAndHang,
        Start::SpawnAsideAndHang,
        Start::Slow(ms(3)),
        Start::Ignore,
        Start::EndBeforeAnswer,
    ]);
    prop::collection::vec(prop::collection::vec(start, 0..8), IDS.len())
}

fn specs() -> impl Generate<Value = SupervisorSpec> {
    let strategy = prop::sample::select(vec![Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne]);
    (strategy, any::<bool>(), 2_u32..40, 0_u64..4).prop_map(|(strategy, stays, intensity, delay)| {
        let backoff = Backoff::new(ms(delay), ms(8)).jitter(true);
        let budget = Budget::new(intensity, secs(5)).backoff(backoff);
        SupervisorSpec::new("root")
            .strategy(strategy)
            .panics(budget.clone())
            .exits(budget)
            .initial(InitialStart::Retry)
            .give_up(if stays { GiveUp::Stay } else { GiveUp::Escalate })
    })
}

fn child(script: &Script, id: &str, restart: Restart) -> ChildSpec {
    script
        .child(id)
        .restart(restart)
        .start_deadline(ms(10))
        .shutdown(Shutdown::After(ms(6)))
}

async fn play(spec: SupervisorSpec, starts: Vec<Vec<Start>>, restarts: Vec<Restart>, acts: Vec<(usize, Act)>) {
    let stage = Stage::new();
    let scripts: Vec<_> = starts.into_iter().map(Script::new).collect();
    let make = |index: usize| child(&scripts[index], IDS[index], restarts[index]);
    let supervisor = stage.open(spec, (0..IDS.len() - 1).map(make).collect()).await;
    for (index, act) in acts {
        let (id, script) = (IDS[index], &scripts[index]);
        let tell = |order: Order| script.cells().last().map(|cell| cell.send_message(order).is_ok());
        match act {
            Act::End => drop(tell(Order::End)),
            Act::Fail => drop(tell(Order::Fail)),
            Act::ReportPanic => drop(tell(Order::ReportPanic)),
            Act::Panic => drop(tell(Order::Panic)),
            Act::Hang => drop(tell(Order::Hang)),
            Act::Kill => drop(script.cells().last().map(ractor::ActorCell::kill)),
            Act::Terminate => drop(supervisor.terminate_child(id).await),
            Act::Delete => drop(supervisor.delete_child(id).await),
            // A request that is answered late must not hold up the others.
            Act::Restart => drop(tokio::time::timeout(ms(2), supervisor.restart_child(id)).await),
            Act::Add => drop(tokio::time::timeout(ms(2), supervisor.start_child(make(index))).await),
            Act::Healthy => supervisor.healthy(id, 1),
            Act::Wait => drop(tokio::time::timeout(ms(4), std::future::pending::<()>()).await),
        }
    }
    let stopping = supervisor.stop(secs(20));
    tokio::time::timeout(secs(10), stopping)
        .await
        .expect("a supervisor ends in time");
    check_lives(&stage);
    for cell in scripts.iter().flat_map(Script::cells) {
        let ended = cell.wait(Some(secs(10))).await;
        ended.unwrap_or_else(|_| panic!("{cell:?} outlives its supervisor as {:?}", cell.get_status()));
        assert_eq!(cell.get_status(), ActorStatus::Stopped);
    }
}

/// Reads the log: lives of one child follow each other and all of them end.
fn check_lives(stage: &Stage) {
    let mut alive = HashMap::new();
    let mut latest: HashMap<String, u64> = HashMap::new();
    for event in stage.log.events() {
        let id = event.child.to_string();
        match event.kind {
            EventKind::Started { .. } => {
                let former = alive.insert(id.clone(), event.incarnation);
                assert_eq!(former, None, "{id} has two lives in {:#?}", stage.log.lines());
                // A child that was deleted and added again counts anew.
                let before = latest.insert(id, event.incarnation);
                assert!(before.is_none_or(|before| before < event.incarnation || event.incarnation <= 8));
            }
            EventKind::Exited(_) | EventKind::Stopped(_) => {
                let former = alive.remove(&id);
                assert!(
                    former.is_none_or(|former| former == event.incarnation),
                    "{:#?}",
                    stage.log.lines()
                );
            }
            _ => {}
        }
    }
    assert!(alive.is_empty(), "{alive:?} never ended in {:#?}", stage.log.lines());
}

fn restarts() -> impl Generate<Value = Vec<Restart>> {
    let restart = prop::sample::select(vec![
        Restart::Permanent,
        Restart::Permanent,
        Restart::Transient,
        Restart::Temporary,
    ]);
    prop::collection::vec(restart, IDS.len())
}

fn run(paused: bool, work: impl Future<Output = ()> + Send + 'static) {
    let runtime = if paused {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
    } else {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
    };
    let runtime = runtime.expect("a runtime can be built");
    let work = runtime.spawn(work);
    let result = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(3600), work).await });
    result.expect("it ends").expect("it does not panic");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lives_are_kept_apart_and_all_end(spec in specs(), starts in starts(), restarts in restarts(), acts in acts()) {
        run(true, play(spec, starts, restarts, acts));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn the_same_holds_on_several_threads(spec in specs(), starts in starts(), restarts in restarts(), acts in acts()) {
        run(false, play(spec, starts, restarts, acts));
    }
}

//! The restart decision against a slow, obvious model of it.

use proptest::prelude::*;
use proptest::strategy::Strategy as Generate;

use super::tests::{decide, member, secs};
use super::*;
use crate::budget::Backoff;
use crate::supervisor_spec::Strategy;

/// The rules once more, with everything that ever happened kept and searched.
struct Model {
    budgets: [Budget; 2],
    restarts: Vec<(usize, Duration)>,
    /// For each child, its failures since it was last healthy, as indices of budgets.
    rows: Vec<Vec<usize>>,
}

impl Model {
    fn decide(&mut self, strategy: Strategy, members: &[Member], step: &Step) -> Action {
        let ended = step.child;
        let ready_for = members[ended].ready_since.map(|since| step.now.saturating_sub(since));
        let budgets = self.budgets.clone();
        self.rows[ended].retain(|kind| ready_for.is_none_or(|ready_for| ready_for < budgets[*kind].reset_after));
        let excused = step.exit == ExitKind::PanickedExcused;
        let kind = usize::from(step.exit != ExitKind::Panicked && !excused);
        let budget = &budgets[kind];
        match (members[ended].restart, step.exit) {
            (Restart::Temporary, _) => return Action::Leave { forget: true },
            (Restart::Transient, ExitKind::Normal) => return Action::Leave { forget: false },
            (_, ExitKind::Unrecoverable) => return Action::GiveUp(GiveUpReason::Unrecoverable),
            _ => {}
        }
        let name = if kind == 0 {
            BudgetKind::Panics
        } else {
            BudgetKind::Exits
        };
        if !excused {
            self.restarts.push((kind, step.now));
        }
        self.rows[ended].push(kind);
        let in_window = self
            .restarts
            .iter()
            .filter(|(k, time)| *k == kind && *time + budget.period >= step.now)
            .count();
        if !excused && in_window > budget.intensity as usize {
            let (intensity, period) = (budget.intensity, budget.period);
            return Action::GiveUp(GiveUpReason::Intensity {
                budget: name,
                intensity,
                period,
            });
        }
        let in_a_row = self.rows[ended].iter().filter(|k| **k == kind).count() as u32;
        if let Some(limit) = budget.consecutive.filter(|limit| !excused && in_a_row > *limit) {
            return Action::GiveUp(GiveUpReason::Consecutive { budget: name, limit });
        }
        let in_group = |i: usize| match strategy {
            Strategy::OneForOne => i == ended,
            Strategy::OneForAll => true,
            Strategy::RestForOne => i >= ended,
        };
        let is_up = |i: usize| i != ended && members[i].presence == Presence::Active;
        let is_lost = |i: usize| is_up(i) && members[i].restart == Restart::Temporary;
        let group: Vec<usize> = (0..members.len()).filter(|i| in_group(*i)).collect();
        Action::Restart {
            stop: group.iter().rev().copied().filter(|i| is_up(*i)).collect(),
            forget: group.iter().copied().filter(|i| is_lost(*i)).collect(),
            start: group.iter().copied().filter(|i| !is_lost(*i)).collect(),
            delay: budget.backoff.delay(in_a_row, step.random),
            budget: name,
        }
    }
}

#[derive(Clone, Debug)]
struct Step {
    now: Duration,
    child: usize,
    exit: ExitKind,
    ready_for: Option<Duration>,
    healthy: bool,
    random: f64,
}

fn budgets() -> impl Generate<Value = Budget> {
    (
        0_u32..6,
        0_u64..8_000,
        proptest::option::of(0_u32..6),
        0_u64..4_000,
        any::<bool>(),
    )
        .prop_map(|(intensity, period, consecutive, reset_after, immediate)| {
            let backoff = Backoff::new(Duration::from_millis(100), secs(2))
                .jitter(true)
                .first_immediate(immediate);
            let mut budget = Budget::new(intensity, Duration::from_millis(period)).backoff(backoff);
            budget.consecutive = consecutive;
            budget.reset_after(Duration::from_millis(reset_after))
        })
}

fn steps(children: usize) -> impl Generate<Value = Vec<Step>> {
    let exit = prop_oneof![
        1 => Just(ExitKind::Normal),
        4 => Just(ExitKind::Panicked),
        2 => Just(ExitKind::PanickedExcused),
        4 => Just(ExitKind::Failed),
        1 => Just(ExitKind::Killed),
        1 => Just(ExitKind::StartFailed),
        1 => Just(ExitKind::Unrecoverable),
    ];
    let step = (
        0_u64..2_000,
        0..children,
        exit,
        proptest::option::of(0_u64..6_000),
        prop::bool::weighted(0.1),
        0.0..1.0,
    );
    proptest::collection::vec(step, 1..40).prop_map(|steps| {
        let mut now = secs(10);
        let place = |(after, child, exit, ready_for, healthy, random): (u64, _, _, Option<u64>, _, _)| {
            now += Duration::from_millis(after);
            Step {
                now,
                child,
                exit,
                ready_for: ready_for.map(Duration::from_millis),
                healthy,
                random,
            }
        };
        steps.into_iter().map(place).collect()
    })
}

fn members() -> impl Generate<Value = Vec<Member>> {
    let restart =
        prop_oneof![3 => Just(Restart::Permanent), 1 => Just(Restart::Transient), 1 => Just(Restart::Temporary)];
    let presence = prop_oneof![4 => Just(Presence::Active), 1 => Just(Presence::Pending), 1 => Just(Presence::Stopped)];
    let one = (restart, presence).prop_map(|(restart, presence)| Member {
        presence,
        ..member(restart)
    });
    proptest::collection::vec(one, 1..6)
}

proptest! {
    #[test]
    fn decides_as_the_model_does(
        members in members(),
        steps in steps(5),
        panics in budgets(),
        exits in budgets(),
        strategy in prop_oneof![Just(Strategy::OneForOne), Just(Strategy::OneForAll), Just(Strategy::RestForOne)],
    ) {
        let mut members = members;
        let mut model = Model { budgets: [panics.clone(), exits.clone()], restarts: vec![], rows: vec![vec![]; members.len()] };
        let policy = Policy { strategy, auto_shutdown: AutoShutdown::Never, panics: &panics, exits: &exits };
        let mut history = History::new();
        for step in steps {
            let step = Step { child: step.child % members.len(), ..step };
            if step.healthy {
                members[step.child].row = Row::default();
                model.rows[step.child].clear();
            }
            members[step.child].ready_since = step.ready_for.map(|ready_for| step.now.saturating_sub(ready_for));
            let situation = Situation {
                members: &members,
                ended: step.child,
                exit: step.exit,
                gave_up: false,
                now: step.now,
                random: step.random,
            };
            let plan = plan(&policy, &situation, history);
            prop_assert_eq!(plan.action.clone().sorted(), model.decide(strategy, &members, &step).sorted());
            prop_assert!(plan.history.count(BudgetKind::Panics) <= panics.intensity as usize + 1, "memory is bounded");
            prop_assert!(plan.history.count(BudgetKind::Exits) <= exits.intensity as usize + 1, "memory is bounded");
            members[step.child].row = plan.row;
            history = plan.history;
            if matches!(plan.action, Action::GiveUp(_)) {
                break;
            }
        }
    }

    #[test]
    fn a_group_is_stopped_in_reverse_and_started_in_order(members in members(), ended in 0_usize..5, all: bool) {
        let ended = ended % members.len();
        let strategy = if all { Strategy::OneForAll } else { Strategy::RestForOne };
        if let Action::Restart { stop, start, .. } = decide(strategy, &members, ended, ExitKind::Failed) {
            prop_assert!(stop.is_sorted_by(|a, b| a > b));
            prop_assert!(start.is_sorted_by(|a, b| a < b));
            prop_assert!(start.contains(&ended) && !stop.contains(&ended));
        }
    }
}

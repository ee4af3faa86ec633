//! Tables of the restart decision.

use super::*;
use crate::budget::Backoff;
use crate::supervisor_spec::Strategy;

pub(super) const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(super) fn member(restart: Restart) -> Member {
    Member {
        restart,
        significant: false,
        presence: Presence::Active,
        on_give_up: OnGiveUp::Restart,
        row: Row::default(),
        ready_since: Some(Duration::ZERO),
    }
}

fn significant(restart: Restart, presence: Presence) -> Member {
    Member {
        significant: true,
        presence,
        ..member(restart)
    }
}

pub(super) fn decide(strategy: Strategy, members: &[Member], ended: usize, exit: ExitKind) -> Action {
    let (panics, exits) = (Budget::panics(), Budget::new(1, secs(5)));
    let policy = Policy {
        strategy,
        auto_shutdown: AutoShutdown::Never,
        panics: &panics,
        exits: &exits,
    };
    let situation = Situation {
        members,
        ended,
        exit,
        gave_up: false,
        now: secs(1),
        random: 0.0,
    };
    plan(&policy, &situation, History::new()).action
}

fn restart(stop: &[usize], forget: &[usize], start: &[usize]) -> Action {
    Action::Restart {
        stop: stop.to_vec(),
        forget: forget.to_vec(),
        start: start.to_vec(),
        delay: Duration::ZERO,
        budget: BudgetKind::Exits,
    }
}

#[test]
fn restart_type_and_exit_decide_whether_a_child_is_restarted() {
    let abnormal = [
        ExitKind::Failed,
        ExitKind::Killed,
        ExitKind::StartFailed,
        ExitKind::Panicked,
    ];
    let is_restarted = |kind, exit| {
        matches!(
            decide(Strategy::OneForOne, &[member(kind)], 0, exit),
            Action::Restart { .. }
        )
    };
    for exit in abnormal {
        assert!(is_restarted(Restart::Permanent, exit), "permanent after {exit:?}");
        assert!(is_restarted(Restart::Transient, exit), "transient after {exit:?}");
        assert!(!is_restarted(Restart::Temporary, exit), "temporary after {exit:?}");
    }
    assert!(is_restarted(Restart::Permanent, ExitKind::Normal));
    assert!(!is_restarted(Restart::Transient, ExitKind::Normal));
    assert!(!is_restarted(Restart::Temporary, ExitKind::Normal));
}

#[test]
fn only_a_temporary_child_is_forgotten() {
    let left = |kind| decide(Strategy::OneForOne, &[member(kind)], 0, ExitKind::Normal);
    assert_eq!(left(Restart::Transient), Action::Leave { forget: false });
    assert_eq!(left(Restart::Temporary), Action::Leave { forget: true });
}

#[test]
fn strategies_choose_who_is_restarted() {
    let all = [member(Restart::Permanent); 4];
    let table = [
        (Strategy::OneForOne, 1, restart(&[], &[], &[1])),
        (Strategy::OneForAll, 1, restart(&[3, 2, 0], &[], &[0, 1, 2, 3])),
        (Strategy::RestForOne, 1, restart(&[3, 2], &[], &[1, 2, 3])),
        (Strategy::RestForOne, 3, restart(&[], &[], &[3])),
        (Strategy::RestForOne, 0, restart(&[3, 2, 1], &[], &[0, 1, 2, 3])),
    ];
    for (strategy, ended, expected) in table {
        assert_eq!(
            decide(strategy, &all, ended, ExitKind::Failed),
            expected,
            "{strategy:?} of {ended}"
        );
    }
}

#[test]
fn temporary_bystanders_are_stopped_for_good() {
    let members = [
        member(Restart::Temporary),
        member(Restart::Permanent),
        member(Restart::Temporary),
    ];
    assert_eq!(
        decide(Strategy::OneForAll, &members, 1, ExitKind::Failed),
        restart(&[2, 0], &[2, 0], &[1]).sorted()
    );
    assert_eq!(
        decide(Strategy::RestForOne, &members, 1, ExitKind::Failed),
        restart(&[2], &[2], &[1])
    );
}

#[test]
fn children_that_are_down_are_started_with_their_group_but_not_stopped() {
    let mut members = [
        member(Restart::Permanent),
        member(Restart::Transient),
        member(Restart::Temporary),
    ];
    members[1].presence = Presence::Stopped;
    members[2].presence = Presence::Pending;
    assert_eq!(
        decide(Strategy::OneForAll, &members, 0, ExitKind::Failed),
        restart(&[], &[], &[0, 1, 2])
    );
}

impl Action {
    /// Forgotten children have no order.
    pub(super) fn sorted(mut self) -> Self {
        if let Self::Restart { forget, .. } = &mut self {
            forget.sort_unstable();
        }
        self
    }
}

#[test]
fn an_intensity_of_zero_never_restarts() {
    let exits = Budget::new(0, secs(5));
    let policy = Policy {
        strategy: Strategy::OneForOne,
        auto_shutdown: AutoShutdown::Never,
        panics: &exits,
        exits: &exits,
    };
    let members = [member(Restart::Permanent)];
    let situation = Situation {
        members: &members,
        ended: 0,
        exit: ExitKind::Failed,
        gave_up: false,
        now: secs(1),
        random: 0.0,
    };
    let action = plan(&policy, &situation, History::new()).action;
    assert!(matches!(
        action,
        Action::GiveUp(GiveUpReason::Intensity { intensity: 0, .. })
    ));
}

#[test]
fn what_cannot_recover_is_given_up_at_once_unless_it_is_temporary() {
    let unrecoverable = |kind| decide(Strategy::OneForOne, &[member(kind)], 0, ExitKind::Unrecoverable);
    assert_eq!(
        unrecoverable(Restart::Permanent),
        Action::GiveUp(GiveUpReason::Unrecoverable)
    );
    assert_eq!(
        unrecoverable(Restart::Transient),
        Action::GiveUp(GiveUpReason::Unrecoverable)
    );
    assert_eq!(unrecoverable(Restart::Temporary), Action::Leave { forget: true });
}

#[test]
fn a_give_up_below_is_restarted_or_passed_on_as_the_child_says() {
    let budget = Budget::new(1, secs(5));
    let policy = Policy {
        strategy: Strategy::OneForOne,
        auto_shutdown: AutoShutdown::Never,
        panics: &budget,
        exits: &budget,
    };
    let act = |on_give_up| {
        let members = [Member {
            on_give_up,
            ..member(Restart::Permanent)
        }];
        let situation = Situation {
            members: &members,
            ended: 0,
            exit: ExitKind::Failed,
            gave_up: true,
            now: secs(1),
            random: 0.0,
        };
        plan(&policy, &situation, History::new()).action
    };
    assert_eq!(act(OnGiveUp::Restart), restart(&[], &[], &[0]));
    assert_eq!(act(OnGiveUp::Escalate), Action::GiveUp(GiveUpReason::ChildGaveUp));
}

#[test]
fn significant_children_end_their_supervisor_by_its_rule() {
    use AutoShutdown::{AllSignificant, AnySignificant, Never};
    use Presence::{Active, Pending, Stopped};
    let budget = Budget::new(1, secs(5));
    let ends = |auto_shutdown, kind, exit, other| {
        let members = [
            significant(kind, Active),
            significant(Restart::Transient, other),
            member(Restart::Permanent),
        ];
        let policy = Policy {
            strategy: Strategy::OneForOne,
            auto_shutdown,
            panics: &budget,
            exits: &budget,
        };
        let situation = Situation {
            members: &members,
            ended: 0,
            exit,
            gave_up: false,
            now: secs(1),
            random: 0.0,
        };
        plan(&policy, &situation, History::new()).action == Action::Shutdown
    };
    for exit in [ExitKind::Normal, ExitKind::Failed] {
        assert!(!ends(Never, Restart::Temporary, exit, Stopped));
        assert!(ends(AnySignificant, Restart::Temporary, exit, Active));
        assert!(!ends(AllSignificant, Restart::Temporary, exit, Active));
        assert!(!ends(AllSignificant, Restart::Temporary, exit, Pending));
        assert!(ends(AllSignificant, Restart::Temporary, exit, Stopped));
    }
    assert!(ends(AnySignificant, Restart::Transient, ExitKind::Normal, Active));
    assert!(
        !ends(AnySignificant, Restart::Transient, ExitKind::Failed, Active),
        "it is restarted"
    );
    assert!(!ends(AllSignificant, Restart::Transient, ExitKind::Normal, Active));
    assert!(ends(AllSignificant, Restart::Transient, ExitKind::Normal, Stopped));
}

/// Runs one child through failures at the given times; `ready` says since when it had been ready each time.
fn run_through(budget: &Budget, failures: &[(Duration, Option<Duration>)]) -> Vec<Action> {
    let policy = Policy {
        strategy: Strategy::OneForOne,
        auto_shutdown: AutoShutdown::Never,
        panics: budget,
        exits: budget,
    };
    let (mut history, mut row) = (History::new(), Row::default());
    let mut actions = Vec::new();
    for (now, ready_since) in failures {
        let members = [Member {
            row,
            ready_since: *ready_since,
            ..member(Restart::Permanent)
        }];
        let situation = Situation {
            members: &members,
            ended: 0,
            exit: ExitKind::Failed,
            gave_up: false,
            now: *now,
            random: 1.0,
        };
        let plan = plan(&policy, &situation, history);
        (history, row) = (plan.history, plan.row);
        actions.push(plan.action);
    }
    actions
}

#[test]
fn the_second_limit_gives_up_where_delays_keep_the_window_from_filling() {
    let budget = Budget::exits().backoff(Backoff::new(secs(20), secs(30)));
    let failures: Vec<_> = (1..=11).map(|n| (secs(n * 30), None)).collect();
    let actions = run_through(&budget, &failures);
    assert!(
        actions[..10]
            .iter()
            .all(|action| matches!(action, Action::Restart { .. }))
    );
    assert_eq!(
        actions[10],
        Action::GiveUp(GiveUpReason::Consecutive {
            budget: BudgetKind::Exits,
            limit: 10
        })
    );
}

#[test]
fn being_ready_long_enough_starts_the_row_again() {
    let budget = Budget::new(100, secs(1000)).backoff(Backoff::new(secs(1), secs(30)));
    let ready = |since| Some(Duration::from_millis(since));
    let failures = [
        (secs(10), None),
        (secs(12), None),
        (secs(25), ready(15_001)),
        (secs(40), ready(30_000)),
        (secs(41), None),
    ];
    let delays: Vec<_> = run_through(&budget, &failures)
        .into_iter()
        .map(|action| match action {
            Action::Restart { delay, .. } => delay.as_secs(),
            other => panic!("expected a restart, got {other:?}"),
        })
        .collect();
    assert_eq!(delays, [1, 2, 4, 1, 2], "9.999 s of readiness do not reset, 10 s do");
}

#[test]
fn an_excused_panic_backs_off_and_is_counted_by_no_limit() {
    let (panics, exits) = (
        Budget::new(1, secs(10)).backoff(Backoff::new(secs(1), secs(8))),
        Budget::exits(),
    );
    let policy = Policy {
        strategy: Strategy::OneForOne,
        auto_shutdown: AutoShutdown::Never,
        panics: &panics,
        exits: &exits,
    };
    let mut history = History::new();
    let mut one = member(Restart::Permanent);
    one.ready_since = None;
    for nth in 1..=1_000 {
        let members = [one];
        let situation = Situation {
            members: &members,
            ended: 0,
            exit: ExitKind::PanickedExcused,
            gave_up: false,
            now: secs(1),
            random: 1.0,
        };
        let decided = plan(&policy, &situation, history);
        let Action::Restart { delay, .. } = decided.action else {
            panic!("gave up at {nth}")
        };
        assert_eq!(delay, panics.backoff.delay(nth, 1.0));
        (history, one.row) = (decided.history, decided.row);
    }
    assert_eq!(history.count(BudgetKind::Panics), 0);
}

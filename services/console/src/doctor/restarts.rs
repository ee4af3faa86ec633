//! Whether restart budgets can ever be used up: back-off must not outlast the window that counts the restarts.
//!
//! A window trips when more than `intensity` restarts fall into `period`. Restarts wait, longer each time, so with enough
//! of a wait the window never holds that many and nobody gives up: the limit on failures in a row is there for that
//! (`supervision/src/budget.rs`). Pure functions of what services declare.

use std::time::Duration;

use roadshow_services::config::Resolved;
use roadshow_services::{Backoff, Budget, ServiceContract};

use super::finding::{Area, Finding};
use super::words::{count, time};

/// From this restart in a row on, delays do not grow any more, whatever the back-off.
const GROWN: u32 = 40;

/// A start that hangs is found out by somebody who waits for readiness within this time.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// Budgets that never end anything, and starts that are tried for too long.
pub(super) fn findings(contracts: &[ServiceContract], resolved: &Resolved) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut longest = Duration::ZERO;
    for contract in contracts {
        let name = contract.id.to_string();
        let budgets = [
            ("panic", ".panic_budget", &contract.panics, Budget::panics()),
            ("exit", ".exit_budget", &contract.exits, Budget::exits()),
        ];
        for (kind, method, budget, default) in budgets {
            if *budget != default {
                findings.extend(judged(&name, kind, method, budget));
            }
        }
        let start_deadline = contract.start_deadline.unwrap_or(resolved.settings().start_deadline);
        match hangs_for(&contract.exits, start_deadline) {
            None => findings.push(Area::Budgets.warning(
                name,
                format!(
                    "a start that hangs is tried for ever: each try may take {}",
                    time(start_deadline)
                ),
                "limit failures in a row with .exit_budget(budget.consecutive(10))",
            )),
            Some(tried) if tried > PATIENCE => findings.push(Area::Budgets.note(
                name,
                format!(
                    "a start that hangs is given up on after {}: until then the node is not ready",
                    time(tried)
                ),
                "shorten .start_deadline, or allow fewer failures in a row with .exit_budget",
            )),
            Some(tried) => longest = longest.max(tried),
        }
    }
    if findings.is_empty() && !contracts.is_empty() {
        let message = format!(
            "no back-off outlasts its window; a start that hangs is given up on after {}",
            time(longest)
        );
        findings.push(Area::Budgets.ok("restarts", message));
    }
    findings
}

/// What is to be said of a budget that somebody chose.
fn judged(service: &str, kind: &str, method: &str, budget: &Budget) -> Option<Finding> {
    let Budget { intensity, period, .. } = *budget;
    if intensity == 0 || budget.consecutive == Some(0) {
        return Some(Area::Budgets.note(
            service,
            format!("its {kind} budget allows no restart: the first {kind} is given up on"),
            &format!("allow some with {method}, if that is not meant"),
        ));
    }
    let in_a_row = delays(&budget.backoff, intensity, 0.0);
    let between_good_answers = budget.backoff.delay(1, 0.0).saturating_mul(intensity);
    if in_a_row <= period {
        return None;
    }
    let restarts = count(intensity as usize, "restart");
    let never = between_good_answers > period;
    let waits = format!(
        "its {kind} budget allows {restarts} in {}, which wait at least {}",
        time(period),
        time(in_a_row)
    );
    let advice = format!(
        "lengthen the window of {method} to {} or more, or shorten the back-off",
        time(in_a_row)
    );
    match budget.consecutive {
        Some(row) if never => Some(Area::Budgets.note(
            service,
            format!("{waits}: only the limit of {row} in a row can trip"),
            &advice,
        )),
        Some(_) => None,
        None if never => Some(Area::Budgets.warning(
            service,
            format!("{waits}: it can never be used up, and the service is restarted for ever"),
            &format!("{advice}, or limit failures in a row with .consecutive(10)"),
        )),
        None => Some(Area::Budgets.note(
            service,
            format!("{waits}: a service that never answers in between is restarted for ever"),
            &format!("{advice}, or limit failures in a row with .consecutive(10)"),
        )),
    }
}

/// How long the first `restarts` restarts in a row wait together. `random` decides about jitter: 0 for the shortest.
fn delays(backoff: &Backoff, restarts: u32, random: f64) -> Duration {
    let growing: Duration = (1..=restarts.min(GROWN))
        .map(|nth| backoff.delay(nth, random))
        .fold(Duration::ZERO, Duration::saturating_add);
    let grown = backoff
        .delay(GROWN, random)
        .saturating_mul(restarts.saturating_sub(GROWN));
    growing.saturating_add(grown)
}

/// How long a service is tried whose every start runs into its deadline; `None` is for ever.
fn hangs_for(budget: &Budget, start_deadline: Duration) -> Option<Duration> {
    let tried = |restarts: u32| {
        let starts = start_deadline.saturating_mul(restarts.saturating_add(1));
        starts.saturating_add(delays(&budget.backoff, restarts, 1.0))
    };
    let in_a_row = budget.consecutive.map(tried);
    // The window begins with the first failure, which is one start after the beginning.
    let by_window = tried(budget.intensity);
    let fits = by_window.saturating_sub(start_deadline) <= budget.period;
    let by_window = fits.then_some(by_window);
    [in_a_row, by_window].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Level;
    use crate::doctor::sample::{A, contracts, resolved, service};

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    const fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn the_defaults_are_right_and_say_how_long_a_hanging_start_is_tried() {
        let found = findings(&contracts(vec![service(A)]), &resolved(""));
        let [found] = &found[..] else { panic!("{found:?}") };
        // Eleven starts of 30 s, and 0.1 + 0.2 + … + 25.6 + 30 s between them.
        let expected = "no back-off outlasts its window; a start that hangs is given up on after 6m51s";
        assert_eq!((found.level, found.message.as_str()), (Level::Ok, expected));
        let found = findings(&contracts(vec![service(A)]), &resolved("start_deadline = '1s'"));
        // Now the window is the first to trip: six starts of 1 s, and 0.1 + … + 1.6 s between them.
        assert!(found[0].message.ends_with("after 9.1s"), "{found:?}");
    }

    #[test]
    fn delays_are_summed_as_the_supervisor_waits_them() {
        let doubling = Backoff::new(ms(100), secs(30));
        let table = [
            (0, 0),
            (1, 100),
            (2, 300),
            (5, 3_100),
            (9, 51_100),
            (10, 81_100),
            (100, 2_781_100),
        ];
        for (restarts, expected) in table {
            let slow: Duration = (1..=restarts).map(|nth| doubling.delay(nth, 0.5)).sum();
            assert_eq!(delays(&doubling, restarts, 0.5), slow);
            assert_eq!(slow, ms(expected), "{restarts}");
        }
        assert_eq!(delays(&doubling.clone().jitter(true), 5, 0.0), ms(1_550));
        assert!(delays(&doubling, u32::MAX, 1.0) > secs(1 << 32), "it ends, and soon");
        assert_eq!(delays(&Backoff::NONE, u32::MAX, 1.0), Duration::ZERO);
    }

    #[test]
    fn a_backoff_that_outlasts_its_window_is_found() {
        let fixed = |wait| Backoff::new(wait, wait);
        let table = [
            // Five restarts a second apart take five seconds.
            (Budget::new(5, secs(5)).backoff(fixed(secs(1))), None),
            (
                Budget::new(5, ms(4_999)).backoff(fixed(secs(1))),
                Some((Level::Warning, "for ever")),
            ),
            (
                Budget::new(5, ms(4_999)).backoff(fixed(secs(1))).consecutive(3),
                Some((Level::Note, "limit of 3 in a row")),
            ),
            // Doubling: in a row 3.1 s, after good answers 0.5 s.
            (
                Budget::new(5, secs(3)).backoff(Backoff::new(ms(100), secs(30))),
                Some((Level::Note, "never answers")),
            ),
            (Budget::new(5, ms(3_100)).backoff(Backoff::new(ms(100), secs(30))), None),
            (
                Budget::new(5, ms(499)).backoff(Backoff::new(ms(100), secs(30))),
                Some((Level::Warning, "for ever")),
            ),
            // With jitter they may wait half of it.
            (
                Budget::new(5, ms(1_550)).backoff(Backoff::new(ms(100), secs(30)).jitter(true)),
                None,
            ),
            (Budget::new(1_000_000, secs(1)), None),
            (Budget::new(0, secs(1)), Some((Level::Note, "no restart"))),
            (
                Budget::new(5, secs(1)).consecutive(0),
                Some((Level::Note, "no restart")),
            ),
        ];
        for (budget, expected) in table {
            let found = judged("a.1", "exit", ".exit_budget", &budget);
            match (&found, expected) {
                (None, None) => {}
                (Some(found), Some((level, text))) => {
                    assert_eq!(found.level, level, "{found:?}");
                    assert!(found.message.contains(text), "{found:?}");
                }
                _ => panic!("{budget:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_start_that_hangs_ends_by_the_row_or_by_the_window() {
        let table = [
            // Three restarts and four starts of a second.
            (Budget::new(3, secs(3)), secs(1), Some(secs(4))),
            (Budget::new(3, ms(2_999)), secs(1), None),
            (Budget::new(3, ms(2_999)).consecutive(9), secs(1), Some(secs(10))),
            (Budget::new(3, secs(60)).consecutive(1), secs(1), Some(secs(2))),
            (Budget::new(0, secs(1)), secs(5), Some(secs(5))),
        ];
        for (budget, deadline, expected) in table {
            assert_eq!(hangs_for(&budget, deadline), expected, "{budget:?}");
        }
        assert_eq!(
            hangs_for(&Budget::new(u32::MAX, Duration::MAX), Duration::MAX),
            Some(Duration::MAX)
        );
    }

    #[test]
    fn a_start_without_an_end_is_warned_of_and_a_long_one_noted() {
        let patient = service(A).exit_budget(Budget::new(5, secs(30)));
        let found = findings(&contracts(vec![patient]), &resolved(""));
        assert!(
            found[0].level == Level::Warning && found[0].message.contains("for ever"),
            "{found:?}"
        );
        let slow = service(A).start_deadline(secs(600));
        let found = findings(&contracts(vec![slow]), &resolved("start_deadline = '1s'"));
        assert!(
            found[0].level == Level::Note && found[0].message.contains("1h51m"),
            "{found:?}"
        );
    }
}

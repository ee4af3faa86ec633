//! Who needs whom, from what services declare to call: nothing may depend on what starts later, or on itself.
//!
//! Services start in the order in which they are declared and stop in reverse. Pure functions; what a service calls
//! without declaring it is not known here.

use std::collections::VecDeque;

use roadshow_services::ServiceContract;

use super::finding::{Area, Finding};

/// Services that are declared before what they call, and circles of services.
pub(super) fn findings(contracts: &[ServiceContract]) -> Vec<Finding> {
    let needs = needs(contracts);
    let name = |at: usize| contracts[at].id.to_string();
    let mut findings = Vec::new();
    let mut in_circles = vec![false; needs.len()];
    for start in 0..needs.len() {
        if in_circles[start] {
            continue;
        }
        let Some(circle) = way(&needs, start, start) else {
            continue;
        };
        for (at, is_in) in in_circles.iter_mut().enumerate() {
            *is_in |= way(&needs, start, at).is_some() && way(&needs, at, start).is_some();
        }
        let shown: Vec<String> = circle.into_iter().map(name).collect();
        findings.push(Area::Definitions.warning(
            name(start),
            format!("services call each other in a circle: {}", shown.join(" -> ")),
            "no order of starting and stopping suits them: let one of them emit an event that the other subscribes to",
        ));
    }
    for (earlier, needed) in needs.iter().enumerate() {
        for later in needed.iter().copied().filter(|later| *later > earlier) {
            // In a circle one of them always comes first; the circle itself has been named.
            if way(&needs, later, earlier).is_some() {
                continue;
            }
            let (earlier, later) = (name(earlier), name(later));
            findings.push(Area::Definitions.warning(
                earlier.clone(),
                format!("it calls {later}, which is declared after it: it starts before and stops after what it needs"),
                &format!("declare {later} before {earlier}"),
            ));
        }
    }
    findings
}

/// For each service the places of those that it calls, itself left out.
fn needs(contracts: &[ServiceContract]) -> Vec<Vec<usize>> {
    let needs_of = |at: usize, contract: &ServiceContract| {
        let mut needed: Vec<usize> = contract
            .calls
            .iter()
            .filter_map(|address| contracts.iter().position(|other| other.id == address.service()))
            .filter(|other| *other != at)
            .collect();
        needed.sort_unstable();
        needed.dedup();
        needed
    };
    contracts
        .iter()
        .enumerate()
        .map(|(at, contract)| needs_of(at, contract))
        .collect()
}

/// The shortest way from one service to another along calls, both included; from a service to itself it takes a step.
fn way(needs: &[Vec<usize>], from: usize, to: usize) -> Option<Vec<usize>> {
    let mut came_from = vec![None; needs.len()];
    let mut next = VecDeque::from([from]);
    while let Some(at) = next.pop_front() {
        for step in needs[at].iter().copied() {
            if came_from[step].is_some() {
                continue;
            }
            came_from[step] = Some(at);
            if step == to {
                return Some(traced(&came_from, from, to));
            }
            next.push_back(step);
        }
    }
    None
}

fn traced(came_from: &[Option<usize>], from: usize, to: usize) -> Vec<usize> {
    let mut way = vec![to];
    let mut at = to;
    while let Some(before) = came_from[at] {
        way.push(before);
        at = before;
        if at == from {
            break;
        }
    }
    way.reverse();
    way
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::sample::{A, B, C, Ping, Service, contracts, service};

    /// What is said of services in this order, one line each.
    fn told(services: Vec<Service<()>>) -> Vec<String> {
        let told = |finding: Finding| format!("{}: {}", finding.subject, finding.message);
        findings(&contracts(services)).into_iter().map(told).collect()
    }

    #[test]
    fn an_order_in_which_everything_needed_comes_first_is_right() {
        assert!(
            told(vec![
                service(A),
                service(B).calls::<Ping<0>>(),
                service(C).calls::<Ping<1>>()
            ])
            .is_empty()
        );
        assert!(
            told(vec![service(A).calls::<Ping<0>>()]).is_empty(),
            "calling oneself is no circle"
        );
        assert!(
            told(vec![service(A).calls::<Ping<2>>()]).is_empty(),
            "who is not here has no place"
        );
    }

    #[test]
    fn what_is_needed_and_comes_later_is_named_with_what_to_move() {
        let services = || vec![service(A).calls::<Ping<2>>().calls::<Ping<2>>(), service(B), service(C)];
        let expected = "a.1: it calls c.1, which is declared after it: it starts before and stops after what it needs";
        assert_eq!(told(services()), [expected]);
        let found = findings(&contracts(services()));
        assert_eq!(found[0].advice.as_deref(), Some("declare c.1 before a.1"));
    }

    #[test]
    fn a_circle_is_named_once_with_all_who_are_in_it() {
        let services = vec![
            service(A).calls::<Ping<1>>(),
            service(B).calls::<Ping<2>>(),
            service(C).calls::<Ping<0>>(),
        ];
        assert_eq!(
            told(services),
            ["a.1: services call each other in a circle: a.1 -> b.1 -> c.1 -> a.1"]
        );
    }

    #[test]
    fn who_calls_into_a_circle_is_not_in_it() {
        let services = vec![
            service(A).calls::<Ping<1>>(),
            service(B).calls::<Ping<2>>(),
            service(C).calls::<Ping<1>>(),
        ];
        assert_eq!(
            told(services),
            [
                "b.1: services call each other in a circle: b.1 -> c.1 -> b.1",
                "a.1: it calls b.1, which is declared after it: it starts before and stops after what it needs"
            ]
        );
    }
}

//! Validation: the rules about a message that its types cannot express.

use roadshow_bridges::Failure;
use serde::Serialize;

/// Semantic rules of a message, checked before any guard or handler sees it.
///
/// Switched on per command with `.validate()`.
///
/// ```
/// use roadshow_services::{Validate, Violations};
///
/// struct Transfer {
///     amount: i64,
/// }
///
/// impl Validate for Transfer {
///     fn validate(&self, violations: &mut Violations) {
///         violations.check("amount", self.amount > 0, "must be positive");
///     }
/// }
///
/// let mut violations = Violations::default();
/// Transfer { amount: -1 }.validate(&mut violations);
/// assert!(violations.into_result().is_err());
/// ```
pub trait Validate {
    /// Adds one violation for each rule that does not hold.
    fn validate(&self, violations: &mut Violations);
}

/// Checks the rules of one message.
pub(crate) fn check<M: Validate>(message: &M) -> Result<(), Failure> {
    let mut violations = Violations::default();
    message.validate(&mut violations);
    violations.into_result()
}

/// The rules that a message broke. At most [`Violations::MAX`] are kept.
#[derive(Clone, Debug, Default)]
pub struct Violations(Vec<Violation>);

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The field, as a path: `items[2].price`.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Violations {
    /// How many violations one answer names.
    pub const MAX: usize = 32;

    /// Notes `problem` with `field` unless the rule holds.
    pub fn check(&mut self, field: impl Into<String>, holds: bool, problem: impl Into<String>) {
        if !holds {
            self.add(field, problem);
        }
    }

    /// Notes `problem` with `field`.
    pub fn add(&mut self, field: impl Into<String>, problem: impl Into<String>) {
        if self.0.len() < Self::MAX {
            self.0.push(Violation {
                field: field.into(),
                problem: problem.into(),
            });
        }
    }

    /// The answer to a message with these violations.
    ///
    /// # Errors
    /// An `invalid` failure whose details list them, unless there are none.
    pub fn into_result(self) -> Result<(), Failure> {
        let Some(first) = self.0.first() else { return Ok(()) };
        let text = format!("{} {}", first.field, first.problem);
        Err(Failure::invalid(text).with_details(serde_json::json!({ "fields": self.0 })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_violation_is_the_message_and_all_are_details() {
        let mut violations = Violations::default();
        violations.check("name", false, "must not be empty");
        violations.check("age", true, "must be positive");
        violations.add("email", "has no @");
        let failure = violations.into_result().unwrap_err();
        assert_eq!(failure.message, "name must not be empty");
        assert_eq!(failure.details.unwrap()["fields"][1]["field"], "email");
    }

    #[test]
    fn the_list_of_violations_is_bounded() {
        let mut violations = Violations::default();
        (0..1_000).for_each(|n| violations.add(format!("f{n}"), "is wrong"));
        assert_eq!(violations.0.len(), Violations::MAX);
    }
}

//! What callers see: the service's name, its messages and their rules. It depends on no handler.

use roadshow::prelude::*;

/// The service's name and version.
pub const SERVICE: ServiceId = ServiceId::new("{{name}}", 1);

/// Greets somebody.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Greet {
    /// Who is greeted.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
}

impl Command for Greet {
    const ADDRESS: Address = SERVICE.command("greet");
    type Reply = Greeting;
}

impl Validate for Greet {
    fn validate(&self, violations: &mut Violations) {
        let fits = (1..=100).contains(&self.name.chars().count());
        violations.check("name", fits, "must have 1 to 100 characters");
    }
}

/// A greeting.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Greeting {
    /// What is said.
    pub text: String,
}

/// Tells how often somebody was greeted.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct CountGreetings {
    /// Who was greeted.
    pub name: String,
}

impl Command for CountGreetings {
    const ADDRESS: Address = SERVICE.command("count_greetings");
    type Reply = Count;
}

/// How often somebody was greeted.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Count {
    /// How often, since the service started last.
    pub count: u64,
}

/// Somebody was greeted.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Greeted {
    /// Who was greeted.
    pub name: String,
}

impl Event for Greeted {
    const NAME: EventName = EventName::new("{{name}}.greeted");
}

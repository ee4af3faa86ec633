//! The service `user` 1: creates users, finds them, and tells that one was created.

mod email_address;
mod memory;

use std::convert::Infallible;
use std::sync::Arc;

use roadshow_services::{
    Address, Code, Command, CommandHandler, CommandOptions, Context, Event, EventName, Failure, Method, Service,
    ServiceId, Validate, Violations,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use email_address::{EMAIL_PATTERN, email_problem};
pub use memory::USERS_MAX;
use memory::UserMemory;

/// The service's name and version.
pub const USER: ServiceId = ServiceId::new("user", 1);

/// How many characters a name may have.
pub const NAME_CHARS_MAX: usize = 200;

/// No control characters, and one character at least that is no space.
const NAME_PATTERN: &str =
    r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";

/// Creates a user.
///
/// The e-mail address is unique, whatever its capitals. Subscribers hear of the new user: the demo's `email` service sends
/// a welcome.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CreateUser {
    /// What the user is called: up to 200 characters, not all of them spaces.
    #[schemars(length(min = 1, max = 200), regex(pattern = NAME_PATTERN))]
    pub name: String,
    /// Where mail reaches the user.
    #[schemars(email, length(min = 3, max = 254), regex(pattern = EMAIL_PATTERN))]
    pub email: String,
}

impl Command for CreateUser {
    const ADDRESS: Address = USER.command("create_user");
    type Reply = User;
}

impl Validate for CreateUser {
    fn validate(&self, violations: &mut Violations) {
        let chars = self.name.chars().count();
        violations.check("name", !self.name.trim().is_empty(), "must not be empty");
        let fits = chars <= NAME_CHARS_MAX;
        violations.check("name", fits, format!("has more than {NAME_CHARS_MAX} characters"));
        let is_text = !self.name.chars().any(char::is_control);
        violations.check("name", is_text, "must not contain control characters");
        if let Some(problem) = email_problem(&self.email) {
            violations.add("email", problem);
        }
    }
}

/// Finds a user by id.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct GetUser {
    /// The id that creating the user gave.
    #[schemars(extend("format" = "uuid"))]
    pub id: String,
}

impl Command for GetUser {
    const ADDRESS: Address = USER.command("get_user");
    type Reply = User;
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct User {
    /// A random UUID: nobody can guess another's.
    #[schemars(extend("format" = "uuid"))]
    pub id: String,
    /// What the user is called.
    pub name: String,
    /// Where mail reaches the user, as it was given.
    pub email: String,
}

/// A user was created.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct UserCreated {
    /// The user's id.
    pub id: String,
    /// Where mail reaches the user.
    pub email: String,
}

impl Event for UserCreated {
    const NAME: EventName = EventName::new("user.created");
}

/// The state of the service: a handle to the memory that stands in for a database.
#[derive(Debug)]
pub struct Users {
    memory: Arc<UserMemory>,
}

impl CommandHandler<CreateUser> for Users {
    async fn handle(&self, input: CreateUser, ctx: &Context) -> Result<User, Failure> {
        let user = self.memory.insert(input)?;
        let created = UserCreated {
            id: user.id.clone(),
            email: user.email.clone(),
        };
        if let Err(failure) = ctx.emit(created).await {
            // Without its event the user would be there for some and not for others: the caller may try again.
            self.memory.remove(&user.id);
            return Err(failure);
        }
        Ok(user)
    }
}

impl CommandHandler<GetUser> for Users {
    async fn handle(&self, input: GetUser, _ctx: &Context) -> Result<User, Failure> {
        self.memory
            .find(&input.id)
            .ok_or_else(|| Failure::not_found("there is no user with this id"))
    }
}

/// Declares the service. Its users are kept until it is dropped: over restarts, not over the end of the process.
pub fn users() -> Service<Users> {
    let memory = Arc::new(UserMemory::default());
    let factory = move || {
        let memory = Arc::clone(&memory);
        async move { Ok::<_, Infallible>(Users { memory }) }
    };
    Service::new(USER, factory)
        .command::<CreateUser>(|c| documented_create(c.http(Method::Post, "/users").status(201).public().validate()))
        .command::<GetUser>(|c| documented_get(c.http(Method::Get, "/users/{id}").public().idempotent()))
        .emits::<UserCreated>()
}

fn documented_create(options: CommandOptions<CreateUser>) -> CommandOptions<CreateUser> {
    let ada = ada();
    let input = CreateUser {
        name: ada.name.clone(),
        email: ada.email.clone(),
    };
    options
        .tag("users")
        .example(&input, &ada)
        .fails_with(
            Code::Invalid,
            "A field breaks a rule. `details.fields` names each with its problem.",
        )
        .fails_with(Code::Conflict, "A user with this e-mail address exists already.")
        .fails_with(Code::Exhausted, "The memory that stands in for a database is full.")
}

fn documented_get(options: CommandOptions<GetUser>) -> CommandOptions<GetUser> {
    let ada = ada();
    options
        .tag("users")
        .example(&GetUser { id: ada.id.clone() }, &ada)
        .fails_with(Code::NotFound, "No user has this id.")
}

/// The user whom the documents show.
fn ada() -> User {
    User {
        id: "9f1c2d3e-4b5a-4678-9abc-def012345678".to_owned(),
        name: "Ada Lovelace".to_owned(),
        email: "ada@example.org".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    fn is_taken(name: &str, email: &str) -> bool {
        let mut violations = Violations::default();
        let user = CreateUser {
            name: name.to_owned(),
            email: email.to_owned(),
        };
        user.validate(&mut violations);
        violations.into_result().is_ok()
    }

    /// The pattern without the bound that schemas can state and the library of these tests cannot.
    fn without_lookahead() -> String {
        EMAIL_PATTERN.replace("(?=[^@]{1,64}@)", "")
    }

    proptest! {
        #[test]
        fn the_schema_says_which_names_are_taken(name in "[a \\PC\u{0}\u{85}\u{a0}\u{2028}]{0,4}") {
            let pattern = Regex::new(NAME_PATTERN).expect("a pattern");
            prop_assert_eq!(is_taken(&name, "ada@example.org"), pattern.is_match(&name));
        }

        #[test]
        fn the_schema_says_which_addresses_are_taken(email in "[aZ9.@_ é\n-]{0,8}") {
            // Too short for the bound on the part before the at sign to matter.
            let pattern = Regex::new(&without_lookahead()).expect("a pattern");
            prop_assert_eq!(is_taken("Ada", &email), pattern.is_match(&email));
        }

        #[test]
        fn what_the_schema_calls_an_address_is_taken(email in without_lookahead().trim_matches(['^', '$'])) {
            let fits = email.len() <= 254 && email.find('@').is_some_and(|at| at <= 64);
            prop_assert_eq!(is_taken("Ada", &email), fits, "{}", email);
        }
    }
}

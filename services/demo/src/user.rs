//! The service `user` 1: creates users, finds them, and tells that one was created.

mod email_address;
mod memory;

use std::convert::Infallible;
use std::sync::Arc;

use roadshow_services::{
    Address, Command, CommandHandler, Context, Event, EventName, Failure, Method, Service, ServiceId, Validate,
    Violations,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use email_address::email_problem;
pub use memory::USERS_MAX;
use memory::UserMemory;

/// The service's name and version.
pub const USER: ServiceId = ServiceId::new("user", 1);

/// How many characters a name may have.
pub const NAME_CHARS_MAX: usize = 200;

/// Creates a user. The e-mail address is unique, whatever its capitals.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CreateUser {
    /// What the user is called.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// Where mail reaches the user.
    #[schemars(length(min = 3, max = 254))]
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
        .command::<CreateUser>(|c| c.http(Method::Post, "/users").status(201).public().validate())
        .command::<GetUser>(|c| c.http(Method::Get, "/users/{id}").public().idempotent())
}

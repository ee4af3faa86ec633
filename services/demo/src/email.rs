//! The service `email` 1: welcomes new users, by command or because it heard of one.
//!
//! It writes a log line in place of a mail. The line stands inside the span of its handler, so it shows the correlation
//! and the trace of whatever caused the mail.

use std::convert::Infallible;

use roadshow_services::{
    Address, Code, Command, CommandHandler, Context, EventHandler, Failure, Method, Outcome, Service, ServiceId,
    Validate, Violations,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::info;

use crate::user::{EMAIL_PATTERN, UserCreated, email_problem};

/// The service's name and version.
pub const EMAIL: ServiceId = ServiceId::new("email", 1);

/// Sends a welcome mail.
///
/// New users get one without this command: the service hears of them. The route is closed, so it answers 401 until the node
/// is given a hook that lets callers in.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SendWelcome {
    /// The address it goes to.
    #[schemars(email, length(min = 3, max = 254), regex(pattern = EMAIL_PATTERN))]
    pub to: String,
}

impl Command for SendWelcome {
    const ADDRESS: Address = EMAIL.command("send_welcome");
    type Reply = Sent;
}

impl Validate for SendWelcome {
    fn validate(&self, violations: &mut Violations) {
        if let Some(problem) = email_problem(&self.to) {
            violations.add("to", problem);
        }
    }
}

/// A mail that is on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sent {
    /// The address it goes to.
    pub to: String,
}

/// The state of the service: nothing but the will to write.
#[derive(Debug)]
pub struct Emails;

impl Emails {
    /// Does what a mail server would: the line is the mail.
    fn welcome(&self, to: &str) {
        info!(to, "welcome mail sent");
    }
}

impl CommandHandler<SendWelcome> for Emails {
    async fn handle(&self, input: SendWelcome, _ctx: &Context) -> Result<Sent, Failure> {
        self.welcome(&input.to);
        Ok(Sent { to: input.to })
    }
}

impl EventHandler<UserCreated> for Emails {
    async fn receive(&self, event: &UserCreated, _ctx: &Context) -> Outcome {
        self.welcome(&event.email);
        Outcome::Ack
    }
}

/// Declares the service.
pub fn emails() -> Service<Emails> {
    let to = || "ada@example.org".to_owned();
    Service::new(EMAIL, || async { Ok::<_, Infallible>(Emails) })
        // Not public: whoever may send mail in somebody's name is known by name.
        .command::<SendWelcome>(|c| {
            c.http(Method::Post, "/welcome-mails")
                .status(202)
                .validate()
                .tag("mail")
                .example(&SendWelcome { to: to() }, &Sent { to: to() })
                .fails_with(Code::Invalid, "The address is none. `details.fields` says why.")
        })
        .subscribe::<UserCreated>(|s| s.durable("welcome"))
}

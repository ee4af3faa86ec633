//! The program: its services, and the whole command line around them.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    roadshow::app("{{name}}")
        .version(env!("CARGO_PKG_VERSION"))
        // Each service of the project has a line here; `up --services` chooses among them.
        .service({{crate}}::service())
        .main()
        .await
}

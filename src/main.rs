//! The program `roadshow`: the command line with the demo services.

use std::process::ExitCode;

use roadshow::demo::{email, probe, user};

#[tokio::main]
async fn main() -> ExitCode {
    roadshow::app("roadshow")
        .service(user::users())
        .service(email::emails())
        .service_with_args(probe::probe)
        .main()
        .await
}

//! The program `roadshow`: the command line with the demo services.

use std::process::ExitCode;

use roadshow::demo::{email, probe, sensor, user};

/// Events are made on one thread and dropped on another, which is where the system's allocator takes locks.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    roadshow::app("roadshow")
        .version(env!("CARGO_PKG_VERSION"))
        .service(user::users())
        .service(email::emails())
        .service(sensor::sensors())
        .service_with_args(probe::probe)
        .main()
        .await
}

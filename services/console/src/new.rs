//! `new`: writes a project with one service.

use clap::ArgMatches;

use crate::app::App;
use crate::end::{self, End};

/// Writes the project.
pub(crate) async fn run(_app: App, _matches: &ArgMatches) -> End {
    end::wrong_usage("not there yet")
}

//! `asyncapi`: the AsyncAPI document of all commands and events.

use clap::ArgMatches;

use crate::app::App;
use crate::end::{self, End};

/// Prints the document.
pub(crate) async fn run(_app: App, _matches: &ArgMatches) -> End {
    end::wrong_usage("not there yet")
}

//! `openapi`: the OpenAPI document of the commands that declare a route.

use clap::ArgMatches;

use crate::app::App;
use crate::end::{self, End};

/// Prints the document.
pub(crate) async fn run(_app: App, _matches: &ArgMatches) -> End {
    end::wrong_usage("not there yet")
}

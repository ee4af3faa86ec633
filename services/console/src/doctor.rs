//! `doctor`: checks settings, definitions and surroundings without starting anything.

use clap::ArgMatches;

use crate::app::App;
use crate::end::{self, End};

/// Checks and says what to change.
pub(crate) async fn run(_app: App, _matches: &ArgMatches) -> End {
    end::wrong_usage("not there yet")
}

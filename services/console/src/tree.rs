//! `tree`: the supervision tree of a node, as a picture or as JSON; once, or for as long as somebody watches.

use std::time::Duration;

use roadshow_services::Failure;

use crate::call::duration;
use crate::end::{self, End};
use crate::picture::{self, Paper, TreeNode};
use crate::screen;
use crate::style::Style;
use crate::target::TargetArgs;
use crate::watch;

/// How often a watch may ask: often enough to see, seldom enough not to disturb.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// The arguments of `tree`.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub(crate) struct TreeArgs {
    /// Print the tree as one JSON document, with --watch one a line
    #[arg(long)]
    json: bool,
    /// Show the tree again and again: redrawn on a terminal, elsewhere once per change [default: 1s]
    #[arg(long, value_name = "INTERVAL", num_args = 0..=1, default_missing_value = "1s", value_parser = interval)]
    watch: Option<Duration>,
    #[command(flatten)]
    target: TargetArgs,
}

/// Asks the node and draws.
pub(crate) async fn run(args: TreeArgs) -> End {
    let client = match args.target.client() {
        Ok(client) => client,
        Err(problem) => return end::wrong_usage(&problem),
    };
    if let Some(interval) = args.watch {
        return Box::pin(watch::run(client, interval, args.json)).await;
    }
    let tree = match client.tree().await {
        Ok(tree) => tree,
        Err(error) => return end::unanswered(&error),
    };
    if args.json {
        return end::print(&tree.to_string());
    }
    match serde_json::from_value::<TreeNode>(tree) {
        Ok(tree) => {
            let paper = Paper {
                style: Style::for_stdout(),
                width: screen::columns(),
                changed: None,
            };
            end::print(&picture::draw(&tree, &paper).join("\n"))
        }
        Err(error) => {
            let text = format!("the tree of the node at {} cannot be read: {error}", client.at());
            end::failed(&Failure::internal(text))
        }
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    if interval < INTERVAL_MIN {
        return Err(format!("expected {INTERVAL_MIN:?} or more"));
    }
    Ok(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_does_not_ask_without_a_break() {
        assert_eq!(interval("100ms"), Ok(INTERVAL_MIN));
        for wrong in ["99ms", "0s", "1"] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
    }
}

//! `tree`: the supervision tree of a node, as a picture or as JSON.

use roadshow_services::Failure;

use crate::end::{self, End};
use crate::picture::{self, TreeNode};
use crate::target::TargetArgs;

/// The arguments of `tree`.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub(crate) struct TreeArgs {
    /// Print the tree as one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: TargetArgs,
}

/// Asks the node and draws.
pub(crate) async fn run(args: TreeArgs) -> End {
    let client = match args.target.client() {
        Ok(client) => client,
        Err(problem) => return end::wrong_usage(&problem),
    };
    let tree = match client.tree().await {
        Ok(tree) => tree,
        Err(error) => return end::unanswered(&error),
    };
    if args.json {
        end::print(&tree.to_string());
        return End::Done;
    }
    match serde_json::from_value::<TreeNode>(tree) {
        Ok(tree) => {
            end::print(&picture::draw(&tree));
            End::Done
        }
        Err(error) => {
            let text = format!("the tree of the node at {} cannot be read: {error}", client.at());
            end::failed(&Failure::internal(text))
        }
    }
}

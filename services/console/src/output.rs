//! How a document is asked for and where it goes: `--yaml` and `--out`, the same for every document.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches};

use crate::end::{self, End};

const YAML: &str = "yaml";
const OUT: &str = "out";

/// The arguments.
pub(crate) fn flags() -> [Arg; 2] {
    let yaml = Arg::new(YAML)
        .long(YAML)
        .action(ArgAction::SetTrue)
        .help("Print YAML in place of JSON");
    let out = Arg::new(OUT)
        .long(OUT)
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help("Write to this file in place of stdout");
    [yaml, out]
}

/// Whether it is to be YAML.
pub(crate) fn is_yaml(matches: &ArgMatches) -> bool {
    matches.get_flag(YAML)
}

/// Prints a document that ends with a line end, or writes it to the file that was named.
pub(crate) fn put(text: &str, matches: &ArgMatches) -> End {
    let Some(file) = matches.get_one::<PathBuf>(OUT) else {
        // The document ends its last line itself.
        return end::print(text.trim_end_matches('\n'));
    };
    match std::fs::write(file, text) {
        Ok(()) => End::Done,
        Err(error) => {
            end::tell(&format!("error: cannot write {}: {error}", file.display()));
            End::Failed
        }
    }
}

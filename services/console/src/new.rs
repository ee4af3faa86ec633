//! `new`: writes a small project with one service, which builds, passes its tests and runs as it is.
//!
//! All that can be wrong is found before the first file: a name that cannot be a package and a service, a folder that is
//! in use, a checkout that is none. Deliberately not here: changing a project that is there.

mod checkout;
mod name;
mod place;
mod project;

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use checkout::Checkout;
use name::ProjectName;
use place::Place;
use serde::Serialize;

use crate::end::{self, End};

/// The arguments of `new`.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub(crate) struct NewArgs {
    /// The folder to write to: one that is not there yet, or an empty one
    dir: PathBuf,
    /// The name of the package and of its service [default: the folder's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The checkout of Roadshow to build against [default: the one this program was built in]
    #[arg(long, value_name = "CHECKOUT")]
    path: Option<PathBuf>,
}

/// What was written, for programs.
#[derive(Serialize)]
struct Written<'a> {
    name: &'a str,
    dir: String,
    files: Vec<&'a str>,
}

/// Writes the project and says what to do next.
pub(crate) fn run(args: &NewArgs) -> End {
    let place = match Place::survey(&args.dir) {
        Ok(place) => place,
        Err(problem) => return not_written(&args.dir, &problem),
    };
    let name = match args.name.as_deref() {
        Some(name) => name.parse::<ProjectName>(),
        None => place.name().parse(),
    };
    let name = match name {
        Ok(name) => name,
        Err(problem) => return end::wrong_usage(&problem),
    };
    let checkout = chosen(args.path.as_deref(), Checkout::of_this_build);
    let files = match checkout.and_then(|checkout| project::files(&name, &checkout)) {
        Ok(files) => files,
        Err(problem) => return end::wrong_usage(&problem),
    };
    if let Err(problem) = place.write(&files) {
        return not_written(&args.dir, &problem);
    }
    let files = files.iter().map(|file| file.path).collect();
    announce(&args.dir, &name, files);
    End::Done
}

/// The checkout to build against: no version of Roadshow is published that could stand in for one.
fn chosen(path: Option<&Path>, of_this_build: impl FnOnce() -> Option<Checkout>) -> Result<Checkout, String> {
    if let Some(path) = path {
        return Checkout::at(path);
    }
    of_this_build().ok_or_else(|| {
        "the checkout of Roadshow that this program was built in is not there, and no version is published to build \
         against; name a checkout with --path CHECKOUT"
            .to_owned()
    })
}

fn not_written(dir: &Path, problem: &str) -> End {
    end::gave_up(
        &format!("no project was written to {}", dir.display()),
        &[problem.to_owned()],
    )
}

/// Tells programs what was written, and people what comes next.
fn announce(dir: &Path, name: &ProjectName, files: Vec<&str>) {
    let count = files.len();
    let written = Written {
        name: name.as_str(),
        dir: dir.to_string_lossy().into_owned(),
        files,
    };
    if !io::stdout().is_terminal()
        && let Ok(line) = serde_json::to_string(&written)
    {
        end::print(&line);
    }
    end::tell(&format!(
        "wrote {count} files of the project {}; next:\n",
        name.as_str()
    ));
    if dir != Path::new(".") {
        end::tell(&format!("  cd {}", shell_word(&dir.to_string_lossy())));
    }
    end::tell("  cargo run -- up");
    end::tell(
        "  curl localhost:8080/api/v1/greetings -H 'content-type: application/json' -d '{\"name\":\"Ada\"}'    # from another terminal",
    );
}

/// A path as a shell takes it: in quotes where it has signs that mean something there.
fn shell_word(path: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+,@%".contains(c);
    let dashed = path.starts_with('-');
    match (path.chars().all(is_plain), dashed) {
        (true, false) => path.to_owned(),
        (true, true) => format!("./{path}"),
        (false, dashed) => format!("'{}{}'", if dashed { "./" } else { "" }, path.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_checkout_one_is_asked_for() {
        let none = || None;
        let refused = chosen(None, none).expect_err("there is nothing to build against");
        assert!(refused.contains("--path CHECKOUT"), "{refused}");
        let here = Checkout::of_this_build().expect("tests are built in a checkout");
        let root = here.root().expect("UTF-8");
        let named = chosen(Some(Path::new(root)), none).expect("it was named");
        assert_eq!(named.root(), Ok(root));
        assert_eq!(
            chosen(None, Checkout::of_this_build).expect("it is there").root(),
            Ok(root)
        );
    }

    #[test]
    fn a_path_is_quoted_only_where_a_shell_would_read_it_otherwise() {
        let table = [
            ("../shop", "../shop"),
            ("größe", "größe"),
            ("my shop", "'my shop'"),
            ("it's", r"'it'\''s'"),
            ("$(shop)", "'$(shop)'"),
            ("~shop", "'~shop'"),
            ("-shop", "./-shop"),
            ("-my shop", "'./-my shop'"),
        ];
        for (path, expected) in table {
            assert_eq!(shell_word(path), expected);
        }
    }
}

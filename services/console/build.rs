//! Notes which compiler builds the console and from which commit, for `bench` to print beside its numbers.

use std::env;
use std::path::Path;
use std::process::Command;

/// What goes into the program, from the root of the checkout.
const SOURCES: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "actors",
    "bridges",
    "services",
    "src",
    "supervision",
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RUSTC");
    println!("cargo:rerun-if-env-changed=ROADSHOW_COMMIT");
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    if let Some(version) = answer_of(Command::new(compiler).arg("--version")) {
        println!("cargo:rustc-env=ROADSHOW_RUSTC={version}");
    }
    if let Some(commit) = commit() {
        println!("cargo:rustc-env=ROADSHOW_COMMIT={commit}");
    }
}

/// The commit that a packager names, else that of the checkout, with a word if the sources differ from it.
///
/// Not in a debug build: its numbers say nothing, and it would be built again after every commit.
fn commit() -> Option<String> {
    if let Ok(commit) = env::var("ROADSHOW_COMMIT") {
        return Some(commit);
    }
    let root = Path::new("../..");
    if env::var("PROFILE").ok()? != "release" || !root.join(".git").exists() {
        return None;
    }
    for path in SOURCES.iter().map(|path| root.join(path)).filter(|path| path.exists()) {
        println!("cargo:rerun-if-changed={}", path.display());
    }
    let git = || {
        let mut git = Command::new("git");
        git.current_dir(root);
        git
    };
    let log = root.join(answer_of(git().args(["rev-parse", "--git-path", "logs/HEAD"]))?);
    if log.exists() {
        println!("cargo:rerun-if-changed={}", log.display());
    }
    let commit = answer_of(git().args(["rev-parse", "--short=10", "HEAD"]))?;
    let changes = answer_of(git().args(["status", "--porcelain", "--"]).args(SOURCES))?;
    let word = if changes.is_empty() { "" } else { "+changes" };
    Some(format!("{commit}{word}"))
}

/// What a program prints, if it can be run and is content.
fn answer_of(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

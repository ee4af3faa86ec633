//! The page of the command line, from the program's own help.

use crate::program::Program;
use crate::{binary, generated};

#[test]
fn the_page_of_the_command_line_is_what_the_program_prints() {
    let mut text = section("roadshow", &[]);
    for command in commands() {
        text.push_str(&section(&format!("roadshow {command}"), &[&command]));
    }
    generated::expect("docs/cli.md", "cli", &text);
}

fn section(title: &str, command: &[&str]) -> String {
    // Lines of the help end with spaces where a cell of its table is empty.
    let help: Vec<String> = help(command).lines().map(|line| line.trim_end().to_owned()).collect();
    format!("## {title}\n\n```text\n{}\n```\n\n", help.join("\n").trim_end())
}

/// What `--help` prints, with the name that the page uses.
fn help(command: &[&str]) -> String {
    // Help is as wide as it is told, and without colours where nobody looks.
    let wide = [("COLUMNS", "100")];
    let ended = Program::start_with(&binary(), &[command, &["--help"]].concat(), &wide, "").end();
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
    ended.out
}

/// The commands that the program's help lists.
pub(crate) fn commands() -> Vec<String> {
    let help = help(&[]);
    // Listed in groups, each below a heading of its own.
    let listed = help.lines().take_while(|line| *line != "Options:");
    let commands: Vec<String> = listed
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect();
    assert!(commands.iter().any(|command| command == "up"), "{help}");
    commands
}

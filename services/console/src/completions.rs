//! `completions`: a script by which a shell completes our command line.
//!
//! It knows commands, flags and the values of those that have a list; it asks no node. It is for the name by which this
//! program was called, because that is what will be typed.

use std::path::Path;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Command};
use clap_complete::Shell;

use crate::app::App;
use crate::command_line;
use crate::end::{self, End};

const SHELL: &str = "shell";

/// Adds what only this command takes.
pub(crate) fn with_flags(command: Command, name: &str) -> Command {
    let shell = Arg::new(SHELL)
        .value_name("SHELL")
        .required(true)
        .value_parser(clap::value_parser!(Shell))
        .help("The shell that is to complete");
    let help = format!(
        "Where each shell looks for it:\n  \
         bash        {name} completions bash > ~/.local/share/bash-completion/completions/{name}\n  \
         zsh         {name} completions zsh > ~/.zfunc/_{name}\n              \
         (with fpath+=~/.zfunc before compinit in ~/.zshrc)\n  \
         fish        {name} completions fish > ~/.config/fish/completions/{name}.fish\n  \
         elvish      eval ({name} completions elvish | slurp), in rc.elv\n  \
         powershell  {name} completions powershell | Out-String | Invoke-Expression, in $PROFILE\n\n\
         Example, for this shell only:\n  eval \"$({name} completions bash)\"\n\n\
         Exit codes: 0 done, 2 wrong usage."
    );
    command.arg(shell).after_help(help)
}

/// Prints the script of a shell.
pub(crate) async fn run(app: App, matches: &ArgMatches) -> End {
    let Some(shell) = matches.get_one::<Shell>(SHELL) else {
        return end::wrong_usage("say for which shell");
    };
    let mut command = match command_line::command(&app.front, &app.flags) {
        Ok(command) => command,
        Err(problem) => return end::wrong_usage(&problem),
    };
    let called = std::env::args_os().next().unwrap_or_default();
    let name = name_of(Path::new(&called)).unwrap_or_else(|| app.front.name.to_owned());
    let mut script = Vec::new();
    clap_complete::generate(*shell, &mut command, name, &mut script);
    end::print(String::from_utf8_lossy(&script).trim_end())
}

/// The name by which a program was called, if a script can hold it as it is.
fn name_of(called: &Path) -> Option<String> {
    let name = called.file_name()?.to_str()?;
    let name = name.strip_suffix(std::env::consts::EXE_SUFFIX).unwrap_or(name);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(is_plain)).then(|| name.to_owned())
}

/// A text with a list of values that shells complete. What is not on the list is not refused here, but where all sources
/// of the value are read.
#[derive(Clone, Debug)]
pub(crate) struct Suggestions(pub(crate) &'static [&'static str]);

impl TypedValueParser for Suggestions {
    type Value = String;

    fn parse_ref(&self, command: &Command, _arg: Option<&Arg>, value: &std::ffi::OsStr) -> Result<String, clap::Error> {
        let text = value.to_str().map(str::to_owned);
        text.ok_or_else(|| clap::Error::new(ErrorKind::InvalidUtf8).with_cmd(command))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0.iter().map(PossibleValue::new)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_for_the_name_that_was_typed() {
        let table = [
            ("/usr/bin/roadshow", Some("roadshow")),
            ("./shop-2.0", Some("shop-2.0")),
            ("", None),
            ("/usr/bin/my shop", None),
            ("$(reboot)", None),
            ("-rf", None),
        ];
        for (called, expected) in table {
            assert_eq!(name_of(Path::new(called)).as_deref(), expected, "{called}");
        }
    }
}

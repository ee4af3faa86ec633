//! The command line as clap knows it: every command with its arguments, help and examples.
//!
//! The flags of settings come from the table of settings, so a new setting is a new flag. Values of settings are read
//! where the file's and the environment's are read, and are refused in the same words.

use clap::builder::PossibleValuesParser;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{Arg, ArgMatches, Command};
use roadshow_services::config::{Setting, settings};

use crate::bench::BenchArgs;
use crate::call::CallArgs;
use crate::doctor;
use crate::emit::EmitArgs;
use crate::new::NewArgs;
use crate::openapi;
use crate::service_flags::{ServiceFlags, add_all};
use crate::tree::TreeArgs;

/// The id of the argument that names the configuration file.
pub(crate) const CONFIG: &str = "config";

const ABOUT: &str = "Runs services, and talks to those that run";
const CLIENT_HELP: &str = "Exit codes: 0 done, 1 the call failed or the node cannot be reached (the problem as JSON on \
                           stderr), 2 wrong usage.";
const UP_HELP: &str = "Every setting can stand in the configuration file and in the environment too; flags beat the \
                       environment, which beats the file.\nSIGTERM or ctrl-c stops the node once it has finished what \
                       it began; a second one ends it at once.\n\nExit codes: 0 clean, 1 the node could not start or \
                       gave up, 2 wrong usage or settings, 3 something was killed or abandoned, 128+n at a second \
                       signal.";

/// The colours of help and complaints. They are always there: [`Style::of_clap`](crate::style::Style::of_clap) takes them
/// off where nobody wants them.
const STYLES: Styles = Styles::plain()
    .header(AnsiColor::Yellow.on_default().bold())
    .usage(AnsiColor::Yellow.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::White.on_default().dimmed())
    .error(AnsiColor::Red.on_default().bold())
    .invalid(AnsiColor::Yellow.on_default())
    .valid(AnsiColor::Green.on_default());

/// The whole command line of an application.
///
/// # Errors
///
/// Two flags of one name: the services that bring them cannot be together.
pub(crate) fn command(name: &'static str, flags: &[ServiceFlags]) -> Result<Command, String> {
    let up = add_all(up(name), flags)?;
    let openapi = defining("openapi", "Print the OpenAPI document of the commands with a route");
    let openapi = add_all(openapi::with_flags(openapi, name), flags)?;
    let asyncapi = add_all(
        defining("asyncapi", "Print the AsyncAPI document of all commands and events"),
        flags,
    )?;
    let doctor = defining(
        "doctor",
        "Check settings, definitions and surroundings, and say what to change",
    );
    let doctor = add_all(doctor::with_flags(doctor, name), flags)?;
    Ok(Command::new(name)
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .styles(STYLES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(up)
        .subcommand(call(name))
        .subcommand(emit(name))
        .subcommand(tree(name))
        .subcommand(openapi)
        .subcommand(asyncapi)
        .subcommand(doctor)
        .subcommand(new(name))
        .subcommand(Command::new("completions").about("Print a script that completes this command line in a shell"))
        .subcommand(with::<BenchArgs>(
            "bench",
            "Measure this machine: calls, events, restarts, each beside its baseline",
        )))
}

/// The settings that the flags of `up` give, by name.
pub(crate) fn given_settings(matches: &ArgMatches) -> Vec<(String, String)> {
    let given = |setting: &Setting| {
        let text = matches.try_get_one::<String>(setting.name()).ok().flatten()?;
        Some((setting.name().to_owned(), text.clone()))
    };
    settings().iter().filter_map(given).collect()
}

/// A command that looks at the same settings and services as `up`.
fn defining(name: &'static str, about: &'static str) -> Command {
    with_settings(Command::new(name).about(about))
}

fn up(name: &str) -> Command {
    with_settings(
        Command::new("up")
            .about("Run a node with these services")
            .after_help(format!(
                "Example: {name} up --services user --http 127.0.0.1:9000 --log json\n\n{UP_HELP}"
            )),
    )
}

/// Adds the flags of all settings.
fn with_settings(command: Command) -> Command {
    let config = Arg::new(CONFIG)
        .long(CONFIG)
        .value_name("FILE")
        .value_parser(clap::value_parser!(std::path::PathBuf))
        .help("The configuration file [default: roadshow.toml, if it is there] [env: ROADSHOW_CONFIG]");
    command.arg(config).args(settings().iter().map(setting_flag))
}

fn setting_flag(setting: &'static Setting) -> Arg {
    let flag = setting.flag();
    let arg = Arg::new(setting.name())
        .long(flag.trim_start_matches('-').to_owned())
        .value_name(placeholder(setting.kind()))
        .help(format!(
            "{} [default: {}] [env: {}]",
            capitalised(setting.meaning()),
            setting.default_text(),
            setting.variable()
        ));
    if setting.kind() == "true or false" {
        arg.num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_parser(PossibleValuesParser::new(["true", "false"]))
            .hide_possible_values(true)
    } else {
        arg
    }
}

/// What stands for the value in help.
fn placeholder(kind: &str) -> String {
    match kind {
        "address or off" => "ADDR|off".to_owned(),
        "text or json" => "text|json".to_owned(),
        "true or false" => "BOOL".to_owned(),
        "list of names" => "NAME,…".to_owned(),
        "list of subjects" => "SUBJECT,…".to_owned(),
        "list of origins" => "ORIGIN,…".to_owned(),
        "filter directives" => "FILTER".to_owned(),
        other => other.to_uppercase(),
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

fn call(name: &str) -> Command {
    let examples = format!(
        "Examples:\n  {name} call user.1.create_user '{{\"name\":\"Ada\",\"email\":\"ada@example.org\"}}'\n  \
         {name} call user.1.create_user @ada.json --timeout 5s\n  \
         echo '{{\"id\":\"…\"}}' | {name} call user.1.get_user -\n\n{CLIENT_HELP}"
    );
    with::<CallArgs>("call", "Call a command and print its reply").after_help(examples)
}

fn emit(name: &str) -> Command {
    let examples =
        format!("Example: {name} emit user.created '{{\"id\":\"1\",\"email\":\"ada@example.org\"}}'\n\n{CLIENT_HELP}");
    with::<EmitArgs>("emit", "Publish an event").after_help(examples)
}

fn new(name: &str) -> Command {
    let examples = format!(
        "Example: {name} new shop && cd shop && cargo run -- up\n\nExit codes: 0 written, 1 the folder cannot be \
         written to or is not empty, 2 wrong usage; but for 0 nothing was written."
    );
    with::<NewArgs>("new", "Write a project with one service, its tests and settings").after_help(examples)
}

fn tree(name: &str) -> Command {
    let examples = format!("Example: {name} tree --node http://127.0.0.1:9000\n\n{CLIENT_HELP}");
    with::<TreeArgs>(
        "tree",
        "Show the supervision tree of a node: states, restarts, last failures",
    )
    .after_help(examples)
}

/// A command with the arguments `A`. What the type says of itself is for readers of the code, not of the help.
fn with<A: clap::Args>(name: &'static str, about: &'static str) -> Command {
    A::augment_args(Command::new(name)).about(about).long_about(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::Style;

    fn up_with(line: &[&str]) -> Result<Vec<(String, String)>, clap::Error> {
        let matches = command("shop", &[])
            .expect("a command line")
            .try_get_matches_from([&["shop", "up"], line].concat())?;
        let (_, matches) = matches.subcommand().expect("up");
        Ok(given_settings(matches))
    }

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        command("shop", &[]).expect("a command line").debug_assert();
    }

    #[test]
    fn help_says_what_commands_do_and_not_what_types_are() {
        let help = Style::plain().of_clap(&command("shop", &[]).expect("a command line").render_help());
        assert!(
            help.contains("  call ") && help.contains("  Call a command") && !help.contains("arguments of"),
            "{help}"
        );
    }

    #[test]
    fn every_setting_has_its_flag() {
        let help = Style::plain().of_clap(&up("shop").render_help());
        for setting in settings() {
            assert!(help.contains(&setting.flag()), "{}", setting.flag());
        }
    }

    #[test]
    fn flags_become_settings_and_nothing_is_given_that_was_not() {
        assert_eq!(up_with(&[]).expect("no flags"), []);
        let given = up_with(&["--http", "off", "--codec-always", "--call-max-timeout=90s"]).expect("flags");
        let expected = [("http", "off"), ("call.max_timeout", "90s"), ("codec_always", "true")];
        assert_eq!(given, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
        let given = up_with(&["--codec-always=false"]).expect("flags");
        assert_eq!(given, [("codec_always".to_owned(), "false".to_owned())]);
    }

    #[test]
    fn a_slip_is_answered_with_what_was_meant() {
        let error = up_with(&["--evnet-bridge", "memory:"]).expect_err("a slip");
        assert!(error.to_string().contains("--event-bridge"), "{error}");
        assert_eq!(error.exit_code(), 2);
        let error = command("shop", &[])
            .expect("a command line")
            .try_get_matches_from(["shop", "cal"])
            .expect_err("a slip");
        assert!(error.to_string().contains("call"), "{error}");
    }
}

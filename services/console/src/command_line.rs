//! The command line as clap knows it: every command with its arguments, help and examples.
//!
//! The flags of settings come from the table of settings, so a new setting is a new flag. Values of settings are read
//! where the file's and the environment's are read, and are refused in the same words.

use clap::builder::PossibleValuesParser;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{Arg, ArgMatches, Command, ValueHint};
use roadshow_services::config::{Setting, settings};

use crate::asyncapi;
use crate::bench::BenchArgs;
use crate::call::CallArgs;
use crate::completions::{self, Suggestions};
use crate::doctor;
use crate::emit::EmitArgs;
use crate::front::Front;
use crate::new::NewArgs;
use crate::openapi;
use crate::service_flags::{ServiceFlags, add_all};
use crate::stream::StreamArgs;
use crate::tree::TreeArgs;

/// The id of the argument that names the configuration file.
pub(crate) const CONFIG: &str = "config";

const ABOUT: &str = "Runs services, and talks to those that run";
const NODE_HELP: &str = "Environment: ROADSHOW_HTTP_TOKEN is the node's admin token, which a node asks for that is not on this \
                         machine.\n\nExit codes: 0 done, 1 the node cannot be reached (the problem as JSON on stderr), 2 \
                         wrong usage.";
const CLIENT_HELP: &str = "A --node beats a bridge, and a bridge beats the default node. Over a bridge whoever serves it \
                           answers, wherever it runs.\n\nEnvironment: ROADSHOW_HTTP_TOKEN is the node's admin token, which \
                           a node asks for that is not on this machine; over a bridge ROADSHOW_BRIDGE__USER, \
                           ROADSHOW_BRIDGE__PASSWORD and their like say who asks.\n\nExit codes: 0 done, 1 the call failed, \
                           or the node or the broker cannot be reached (the problem as JSON on stderr), 2 wrong usage.";
const UP_HELP: &str = "Every setting can stand in the configuration file and in the environment too; flags beat the \
                       environment, which beats the file.\nSIGTERM or ctrl-c stops the node once it has finished what \
                       it began; a second one ends it at once.\n\nExit codes: 0 clean, 1 the node could not start or \
                       gave up, 2 wrong usage or settings, 3 something was killed or abandoned, 128+n at a second \
                       signal.";
const WATCH_HELP: &str = "With --watch the picture is redrawn in place and what has just changed is marked with ▸; where \
                          stdout is no terminal there is one picture per change, with --- between two. A node that goes \
                          away is asked again until it is back. It ends with exit code 130 at ctrl-c, 143 at SIGTERM, \
                          and 0 when nobody reads any more.";
const ROOT_HELP: &str = "Data goes to stdout, everything else to stderr. Colours only where a terminal shows them; NO_COLOR \
                         turns them off.";

/// The commands as the help lists them.
const GROUPS: [(&str, &[&str]); 4] = [
    ("Run services", &["up", "doctor"]),
    ("Talk to what runs", &["call", "emit", "stream", "tree"]),
    ("Describe services", &["openapi", "asyncapi"]),
    ("Begin, measure, complete", &["new", "bench", "completions"]),
];

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
pub(crate) fn command(front: &Front, flags: &[ServiceFlags]) -> Result<Command, String> {
    let name = front.name;
    let up = add_all(up(name), flags)?;
    let openapi = defining("openapi", "Print the OpenAPI document of the commands with a route");
    let openapi = add_all(openapi::with_flags(openapi, name), flags)?;
    let asyncapi = defining("asyncapi", "Print the AsyncAPI document of all commands and events");
    let asyncapi = add_all(asyncapi::with_flags(asyncapi, name), flags)?;
    let doctor = defining(
        "doctor",
        "Check settings, definitions and surroundings, and say what to change",
    );
    let doctor = add_all(doctor::with_flags(doctor, name), flags)?;
    let whole = Command::new(name)
        .version(front.version)
        .about(ABOUT)
        .styles(STYLES)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(up)
        .subcommand(call(name))
        .subcommand(emit(name))
        .subcommand(stream(name))
        .subcommand(tree(name))
        .subcommand(openapi)
        .subcommand(asyncapi)
        .subcommand(doctor)
        .subcommand(new(name))
        .subcommand(completions(name))
        .subcommand(bench(name));
    let listed = listed(&whole);
    Ok(whole
        .help_template(format!(
            "{{about}}\n\n{{usage-heading}} {{usage}}\n\n{listed}\nOptions:\n{{options}}{{after-help}}"
        ))
        .after_help(ROOT_HELP))
}

/// The commands, each below the heading of its group.
fn listed(whole: &Command) -> String {
    let width = whole.get_subcommands().map(|command| command.get_name().len()).max();
    let width = width.unwrap_or_default();
    let mut text = String::new();
    for (heading, names) in GROUPS {
        text.push_str(&format!("{heading}:\n"));
        for command in names.iter().filter_map(|name| whole.find_subcommand(name)) {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            text.push_str(&format!("  {:width$}  {about}\n", command.get_name()));
        }
        text.push('\n');
    }
    text.pop();
    text
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
                "Examples:\n  {name} up\n  {name} up --services user --http 127.0.0.1:9000 --log json\n\n{UP_HELP}"
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
        match setting.kind() {
            "text or json" => arg
                .value_parser(Suggestions(&["text", "json"]))
                .hide_possible_values(true),
            "path" => arg.value_hint(ValueHint::FilePath),
            "url" => arg.value_hint(ValueHint::Url),
            _ => arg,
        }
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
         {name} call user.1.create_user @bob.json --timeout 5s --key bob-1\n  \
         echo '{{\"name\":\"Eve\",\"email\":\"eve@example.org\"}}' | {name} call user.1.create_user\n\n{CLIENT_HELP}"
    );
    with::<CallArgs>("call", "Call a command and print its reply").after_help(examples)
}

fn emit(name: &str) -> Command {
    let examples = format!(
        "Example:\n  {name} emit user.created '{{\"id\":\"1\",\"email\":\"ada@example.org\"}}'\n\n{CLIENT_HELP}"
    );
    with::<EmitArgs>("emit", "Publish an event").after_help(examples)
}

fn stream(name: &str) -> Command {
    let examples = format!(
        "Examples:\n  {name} stream sensor.1.watch_readings '{{\"sensor\":\"roof\"}}'\n  {name} stream probe.1.count '{{\"id\":\"c\",\"n\":9}}' \
         | head -2\n\nA slow reader holds the producer back; ctrl-c \
         cancels the stream (exit code 130), and so does a reader that goes away (exit code 0).\n\n{CLIENT_HELP}"
    );
    with::<StreamArgs>("stream", "Open a stream and print an item a line").after_help(examples)
}

fn new(name: &str) -> Command {
    let examples = format!(
        "Example:\n  {name} new shop && cd shop && cargo run -- up\n\nExit codes: 0 written, 1 the folder cannot be \
         written to or is not empty, 2 wrong usage; but for 0 nothing was written."
    );
    with::<NewArgs>("new", "Write a project with one service, its tests and settings").after_help(examples)
}

/// The examples of `bench` do not know what the application is called.
fn bench(name: &str) -> Command {
    let about = "Measure this machine: calls, events, restarts, each beside its baseline";
    let bench = with::<BenchArgs>("bench", about);
    let help = bench.get_after_help().map(ToString::to_string).unwrap_or_default();
    bench.after_help(help.replace("\n  bench ", &format!("\n  {name} bench ")))
}

fn completions(name: &str) -> Command {
    let about = "Print a script that completes this command line in a shell";
    completions::with_flags(Command::new("completions").about(about), name)
}

fn tree(name: &str) -> Command {
    let examples = format!(
        "Examples:\n  {name} tree\n  {name} tree --node http://127.0.0.1:9000 --watch 500ms\n  {name} tree --json | jq \
         .state\n\n{WATCH_HELP}\n\n{NODE_HELP}"
    );
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
        let matches = command(&Front::new("shop"), &[])
            .expect("a command line")
            .try_get_matches_from([&["shop", "up"], line].concat())?;
        let (_, matches) = matches.subcommand().expect("up");
        Ok(given_settings(matches))
    }

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        command(&Front::new("shop"), &[])
            .expect("a command line")
            .debug_assert();
    }

    #[test]
    fn help_says_what_commands_do_and_not_what_types_are() {
        let help = Style::plain().of_clap(&command(&Front::new("shop"), &[]).expect("a command line").render_help());
        for (_, names) in GROUPS {
            for name in names {
                assert!(help.contains(&format!("\n  {name} ")), "{name} in {help}");
            }
        }
        assert!(
            help.contains("  call ") && help.contains("  Call a command") && !help.contains("arguments of"),
            "{help}"
        );
    }

    #[test]
    fn every_command_stands_in_one_group() {
        let whole = command(&Front::new("shop"), &[]).expect("a command line");
        let mut listed: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let mut known: Vec<&str> = whole.get_subcommands().map(Command::get_name).collect();
        listed.sort_unstable();
        known.sort_unstable();
        assert_eq!(listed, known);
    }

    /// The invocations of `shop` in a line for a shell, as the shell would split them.
    fn invocations(line: &str) -> Vec<Vec<String>> {
        let (mut words, mut word, mut is_quoted) = (Vec::new(), None::<String>, false);
        for c in line.chars().chain([' ']) {
            match c {
                '\'' => {
                    is_quoted = !is_quoted;
                    word.get_or_insert_default();
                }
                ' ' if !is_quoted => words.extend(word.take()),
                c => word.get_or_insert_default().push(c),
            }
        }
        assert!(!is_quoted, "an open quote in {line}");
        let parts = words.split(|word| matches!(word.as_str(), "|" | "&&" | ">"));
        let ours = parts.filter(|words| words.first().is_some_and(|word| word == "shop"));
        ours.map(<[String]>::to_vec).collect()
    }

    #[test]
    fn every_example_of_every_help_can_be_typed() {
        let whole = command(&Front::new("shop"), &[]).expect("a command line");
        for sub in whole.get_subcommands() {
            let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            let (_, examples) = help
                .split_once("Example")
                .unwrap_or_else(|| panic!("{sub} has no example"));
            let lines = examples.lines().skip(1).take_while(|line| line.starts_with("  "));
            let lines: Vec<&str> = lines.map(str::trim).collect();
            let all: Vec<Vec<String>> = lines.iter().flat_map(|line| invocations(line)).collect();
            assert!(!lines.is_empty(), "{sub}: {help}");
            assert_eq!(all.is_empty(), sub.get_name() == "completions", "{sub}: {lines:?}");
            for line in lines {
                assert!(line.chars().count() <= 78, "a terminal would break this: {line}");
            }
            for words in all {
                let parsed = command(&Front::new("shop"), &[])
                    .expect("a command line")
                    .try_get_matches_from(&words);
                assert!(parsed.is_ok(), "{words:?}: {}", parsed.expect_err("a mistake"));
                assert_eq!(words[1], sub.get_name(), "{words:?}");
            }
        }
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
        let error = command(&Front::new("shop"), &[])
            .expect("a command line")
            .try_get_matches_from(["shop", "cal"])
            .expect_err("a slip");
        assert!(error.to_string().contains("call"), "{error}");
    }
}

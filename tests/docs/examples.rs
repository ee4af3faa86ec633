//! Command lines that the pages show: each is one that the program, or cargo, would take.
//!
//! They are parsed, not run: `--help` behind a command line makes the program look at nothing but its shape.

use crate::{command_line, page, run};

const PAGES: [&str; 3] = ["README.md", "docs/operations.md", "docs/settings.md"];

/// The lines of a page's `sh` blocks, continued ones joined, comments left out.
fn shell_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut is_shell = false;
    let mut begun = String::new();
    for line in text.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            is_shell = !is_shell && language == "sh";
        } else if is_shell {
            begun.push_str(line.split(" # ").next().unwrap_or_default());
            match begun.strip_suffix('\\') {
                Some(more) => begun = format!("{} ", more.trim_end()),
                None => lines.push(std::mem::take(&mut begun)),
            }
        }
    }
    lines.retain(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines
}

/// The words of a line as a shell would make them: single and double quotes, no expansion.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The arguments of the program in a line that runs it, by itself or through cargo.
fn arguments(words: &[String]) -> Option<&[String]> {
    match words.first()?.as_str() {
        "roadshow" => Some(&words[1..]),
        "cargo" if words.get(1)? == "run" => {
            let at = words.iter().position(|word| word == "--")?;
            Some(&words[at + 1..])
        }
        _ => None,
    }
}

#[test]
fn every_command_line_of_the_pages_is_one_that_the_program_takes() {
    let commands = command_line::commands();
    let mut shown = 0;
    for path in PAGES {
        for line in shell_lines(&page(path)) {
            let words = words(&line);
            let Some(arguments) = arguments(&words) else {
                continue;
            };
            shown += 1;
            let command = arguments.first().expect("a command");
            assert!(
                commands.contains(command),
                "{path} shows {line}: there is no command {command}"
            );
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["--help"]).collect();
            let ended = run(&arguments);
            assert_eq!(ended.code, Some(0), "{path} shows {line}: {}", ended.err);
        }
    }
    assert!(shown >= 5, "the pages show {shown} command lines");
}

#[test]
fn scripts_that_the_pages_name_are_there() {
    for path in PAGES {
        for line in shell_lines(&page(path)) {
            let words = words(&line);
            let script = words.iter().find(|word| *word != "bash").expect("a word");
            let is_ours = ["tests/", ".ci/", "benches/"]
                .iter()
                .any(|folder| script.starts_with(folder));
            assert!(
                !is_ours || crate::root().join(script).is_file(),
                "{path} shows {line}: there is no {script}"
            );
        }
    }
}

#[test]
fn a_shell_line_is_read_as_a_shell_would() {
    let text = "```sh\ncurl -i \\\n  -d '{\"a\": 1}' # why\n\n# a comment\nroadshow up\n```\n```text\nroadshow no\n```";
    let lines = shell_lines(text);
    assert_eq!(lines, ["curl -i   -d '{\"a\": 1}'", "roadshow up"]);
    assert_eq!(words(&lines[0]), ["curl", "-i", "-d", "{\"a\": 1}"]);
    let through_cargo = words("cargo run --release -- call a.1.b '{}'");
    assert_eq!(arguments(&through_cargo), Some(&through_cargo[4..]));
    assert_eq!(arguments(&words("cargo bench")), None);
}

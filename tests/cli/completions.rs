//! `completions`: what a real bash makes of the script, and that every shell gets one.

use std::process::Command;

use crate::{binary, run};

/// Asks bash what it would complete after a line.
fn bash(line: &str) -> Vec<String> {
    let script = r#"
        eval "$("$1" completions bash)" || exit 1
        COMP_LINE="$2"; COMP_POINT=${#COMP_LINE}
        read -ra COMP_WORDS <<<"$2"
        [[ "$2" == *" " ]] && COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        function="$(complete -p "$3" | sed 's/.*-F \([^ ]*\).*/\1/')"
        "$function" "$3" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let name = binary().file_name().expect("a name").to_string_lossy().into_owned();
    let line = line.replacen("roadshow", &name, 1);
    let ended = Command::new("bash")
        .args(["--norc", "-c", script, "bash"])
        .arg(binary())
        .args([&line, &name])
        .output()
        .expect("bash runs");
    assert!(ended.status.success() && ended.stderr.is_empty(), "{line}: {ended:?}");
    let text = String::from_utf8(ended.stdout).expect("UTF-8");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_and_listed_values() {
    let table: &[(&str, &[&str], &[&str])] = &[
        ("roadshow ", &["up", "call", "emit", "tree", "completions"], &["cal"]),
        ("roadshow asy", &["asyncapi"], &["up"]),
        (
            "roadshow tree --",
            &["--watch", "--json", "--node", "--ca"],
            &["--http"],
        ),
        ("roadshow up --event", &["--event-bridge"], &["--http"]),
        ("roadshow up --pro", &["--probe", "--probe-lease"], &[]),
        ("roadshow up --log ", &["json", "text"], &["up"]),
        ("roadshow bench --rows restar", &["restart"], &["local_call"]),
        (
            "roadshow completions ",
            &["bash", "zsh", "fish", "elvish", "powershell"],
            &[],
        ),
    ];
    for (line, expected, foreign) in table {
        let offered = bash(line);
        for word in *expected {
            assert!(
                offered.iter().any(|offered| offered == word),
                "{line}: {word} in {offered:?}"
            );
        }
        for word in *foreign {
            assert!(
                !offered.iter().any(|offered| offered == word),
                "{line}: {word} in {offered:?}"
            );
        }
    }
}

#[test]
fn every_shell_gets_a_script_that_knows_the_commands() {
    for (shell, mark) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef"),
        ("fish", "complete -c"),
        ("elvish", "edit:completion:arg-completer"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let ended = run(&["completions", shell]);
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{shell}");
        for text in [mark, "event-bridge", "asyncapi", "watch"] {
            assert!(ended.out.contains(text), "{shell}: {text}");
        }
    }
    let unknown = run(&["completions", "tcsh"]);
    assert_eq!((unknown.code, unknown.out.as_str()), (Some(2), ""));
    assert!(unknown.err.contains("zsh"), "{}", unknown.err);
}

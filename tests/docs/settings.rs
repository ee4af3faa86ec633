//! The table of settings, from the table in the code.

use roadshow::config::{Setting, settings};

use crate::generated;

#[test]
fn the_table_of_settings_is_the_one_in_the_code() {
    let mut table = String::from(
        "| name in the file | variable | flag | what may be written | default | meaning |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    settings().iter().for_each(|setting| table.push_str(&row(setting)));
    generated::expect("docs/settings.md", "settings", &table);
}

fn row(setting: &Setting) -> String {
    let (name, variable, flag) = (setting.name(), setting.variable(), setting.flag());
    let (kind, meaning) = (setting.kind(), escaped(setting.meaning()));
    // Words that stand for a value are no value: `empty` could be taken for one.
    let default = match setting.default_text() {
        words @ ("empty" | "none" | "the host's name") => words.to_owned(),
        value => format!("`{value}`"),
    };
    format!("| `{name}` | `{variable}` | `{flag}` | {kind} | {default} | {meaning} |\n")
}

/// A text that does not end a cell, or begin something that Markdown knows.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('*', "\\*").replace('<', "&lt;")
}

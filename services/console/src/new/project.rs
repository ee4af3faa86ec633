//! The files of a new project, from the templates in the folder `templates` of this crate.
//!
//! `{{name}}`, `{{crate}}`, `{{roadshow}}` and `{{rust_version}}` are all there is to fill in. Three templates bear
//! other names than what they become: a second `Cargo.toml` or a `.gitignore` in this crate would take effect here, and a
//! page would be checked as one of this repository.

use super::checkout::Checkout;
use super::name::ProjectName;

/// A file to be written: its path below the project's folder, with slashes, and all of its text.
#[derive(Debug)]
pub(crate) struct ProjectFile {
    pub(crate) path: &'static str,
    pub(crate) text: String,
}

const TEMPLATES: [(&str, &str); 9] = [
    ("Cargo.toml", include_str!("../../templates/manifest.toml")),
    ("README.md", include_str!("../../templates/readme")),
    ("roadshow.toml", include_str!("../../templates/roadshow.toml")),
    ("src/contract.rs", include_str!("../../templates/src/contract.rs")),
    ("src/lib.rs", include_str!("../../templates/src/lib.rs")),
    ("src/main.rs", include_str!("../../templates/src/main.rs")),
    ("src/service.rs", include_str!("../../templates/src/service.rs")),
    ("tests/service.rs", include_str!("../../templates/tests/service.rs")),
    (".gitignore", include_str!("../../templates/gitignore")),
];

/// What a project on a checkout takes along: the versions and the compiler that the checkout is tested with, so that a
/// first build neither looks for versions nor meets another compiler. cargo drops from the lock what is not needed.
const TAKEN_ALONG: [&str; 2] = ["Cargo.lock", "rust-toolchain.toml"];

/// All files of a project.
///
/// # Errors
///
/// A checkout that a manifest cannot name.
pub(crate) fn files(name: &ProjectName, checkout: &Checkout) -> Result<Vec<ProjectFile>, String> {
    let roadshow = format!("{{ path = {} }}", basic_string(checkout.root()?));
    let krate = name.krate();
    let values = [
        ("{{name}}", name.as_str()),
        ("{{crate}}", &krate),
        ("{{roadshow}}", &roadshow),
        ("{{rust_version}}", env!("CARGO_PKG_RUST_VERSION")),
    ];
    let mut files: Vec<ProjectFile> = TEMPLATES
        .iter()
        .map(|&(path, template)| ProjectFile {
            path,
            text: fill(template, &values),
        })
        .collect();
    for path in TAKEN_ALONG {
        if let Some(text) = checkout.file(path) {
            files.push(ProjectFile { path, text });
        }
    }
    Ok(files)
}

fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut text = template.to_owned();
    for (place, value) in values {
        text = text.replace(place, value);
    }
    text
}

/// A text as a basic string of TOML.
fn basic_string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(control))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> Checkout {
        Checkout::of_this_build().expect("tests are built in a checkout")
    }

    fn text_of(path: &str) -> String {
        let name = "my-shop".parse().expect("a name");
        let files = files(&name, &here()).expect("files");
        let file = files.into_iter().find(|file| file.path == path);
        file.expect("a file of this path").text
    }

    #[test]
    fn every_place_is_filled_in() {
        let name = "my-shop".parse().expect("a name");
        for file in files(&name, &here()).expect("files") {
            assert!(!file.text.contains("{{"), "{}", file.path);
            assert!(file.text.ends_with('\n'), "{}", file.path);
        }
        assert!(text_of("src/contract.rs").contains("ServiceId::new(\"my-shop\", 1)"));
        assert!(text_of("src/main.rs").contains("my_shop::service()"));
    }

    #[test]
    fn a_project_depends_on_the_checkout_and_takes_its_versions_along() {
        let manifest = text_of("Cargo.toml");
        let path = basic_string(here().root().expect("UTF-8"));
        assert!(
            manifest.contains(&format!("roadshow = {{ path = {path} }}")),
            "{manifest}"
        );
        assert_eq!(text_of("Cargo.lock"), here().file("Cargo.lock").expect("a lock"));
    }

    #[test]
    fn a_path_with_strange_signs_stays_one_string() {
        assert_eq!(basic_string("/a b/ü"), "\"/a b/ü\"");
        assert_eq!(basic_string("C:\\x\"y\n\u{7f}"), "\"C:\\\\x\\\"y\\u000A\\u007F\"");
    }

    #[test]
    fn the_settings_that_the_project_shows_exist_and_stand_at_their_defaults() {
        let shown = text_of("roadshow.toml");
        let mut table = String::new();
        let mut count = 0;
        for line in shown.lines().filter_map(|line| line.strip_prefix("# ")) {
            if let Some(name) = line.strip_prefix('[') {
                table = name.trim_end_matches(']').to_owned() + ".";
            } else if let Some((name, value)) = line.split_once(" = ") {
                let name = format!("{table}{name}");
                let settings = roadshow_services::config::settings();
                let setting = settings.iter().find(|setting| setting.name() == name);
                let default = setting.unwrap_or_else(|| panic!("{name} is no setting")).default_text();
                let value = value.trim_matches('"').replace("[]", "empty");
                assert_eq!(value, default, "{name}");
                count += 1;
            }
        }
        assert!(count >= 7, "{count}");
    }
}

//! Reads the configuration of this process: the only code here that touches a disk or an environment.

use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use super::Settings;
use super::env::CONFIG;
use super::error::{ConfigError, ConfigErrors};
use super::origin::Origin;
use super::resolve::Resolved;
use super::table::PREFIX;

/// The file that is read if it is there and no other is named.
pub const DEFAULT_FILE: &str = "roadshow.toml";

/// The size up to which a file is read, in bytes.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads file, environment and flags of this process.
///
/// `config` is the file that a flag names; else the variable `ROADSHOW_CONFIG` names it; else [`DEFAULT_FILE`] in the
/// working directory is read, if it is there. `flags` are pairs of a setting's name and its text.
///
/// Reads the disk: call it before the runtime starts or where blocking is allowed.
///
/// # Errors
///
/// Fails with everything that is wrong, like [`Settings::resolve`]; with a file that was named and cannot be read, is
/// larger than [`FILE_BYTES_MAX`] or is not UTF-8; and with a variable of ours that is not UTF-8.
pub fn load(config: Option<&Path>, flags: &[(String, String)]) -> Result<Resolved, ConfigErrors> {
    resolve(config, flags, std::env::vars_os(), host_name().as_deref())
}

fn resolve(
    config: Option<&Path>,
    flags: &[(String, String)],
    environment: impl Iterator<Item = (OsString, OsString)>,
    host: Option<&str>,
) -> Result<Resolved, ConfigErrors> {
    let mut errors = ConfigErrors::default();
    let variables = variables(environment, &mut errors);
    let named_by_variable = variables
        .iter()
        .find(|(name, _)| name == CONFIG)
        .map(|(_, path)| PathBuf::from(path));
    let named = config.map(Path::to_owned).or(named_by_variable);
    let is_named = named.is_some();
    let path = named.unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    let text = match read(&path, is_named) {
        Ok(text) => text,
        Err(error) => {
            errors.push(error);
            None
        }
    };
    let file = text.as_deref().map(|text| (path.as_path(), text));
    match Settings::resolve(file, variables.into_iter(), flags, host) {
        Ok(resolved) => errors.into_result(resolved),
        Err(further) => {
            errors.append(further);
            Err(errors)
        }
    }
}

/// Returns the variables of ours.
fn variables(
    environment: impl Iterator<Item = (OsString, OsString)>,
    errors: &mut ConfigErrors,
) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    for (name, value) in environment {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
            continue;
        };
        match value.into_string() {
            Ok(value) => variables.push((name.to_owned(), value)),
            Err(_) => {
                let origin = Origin::Env {
                    variable: name.to_owned(),
                };
                errors.push(ConfigError::new(origin, name, "its value is not UTF-8"));
            }
        }
    }
    variables
}

/// Reads a file, if it is there or must be.
fn read(path: &Path, is_named: bool) -> Result<Option<String>, ConfigError> {
    let failed = |why: String| ConfigError::new(Origin::Default, &path.display().to_string(), why);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound && !is_named => return Ok(None),
        Err(error) => return Err(failed(error.to_string())),
    };
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that is too large from one that just fits.
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(failed(format!("the file is larger than {FILE_BYTES_MAX} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        failed(format!("line {} is not UTF-8", line + 1))
    })?;
    Ok(Some(text))
}

/// Returns this machine's name, where the system or the environment tells it.
fn host_name() -> Option<String> {
    let from_system = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = from_system.or_else(|| std::env::var("HOSTNAME").ok())?;
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    #[test]
    fn a_default_file_may_be_missing_and_a_named_one_may_not() {
        let folder = folder();
        let path = folder.path().join("none.toml");
        assert_eq!(read(&path, false), Ok(None));
        assert!(
            read(&path, true)
                .expect_err("it is missing")
                .to_string()
                .contains("none.toml")
        );
    }

    #[test]
    fn a_file_that_cannot_be_text_is_refused() {
        let folder = folder();
        let path = folder.path().join("a.toml");
        fs::write(&path, b"a = 1\n\xff").expect("written");
        assert!(
            read(&path, true)
                .expect_err("not UTF-8")
                .to_string()
                .ends_with("line 2 is not UTF-8")
        );
        assert!(read(folder.path(), true).is_err(), "a folder is no file");
    }

    #[test]
    fn the_size_of_a_file_is_bounded() {
        let folder = folder();
        let path = folder.path().join("a.toml");
        fs::write(&path, "#".repeat(FILE_BYTES_MAX as usize)).expect("written");
        assert!(read(&path, true).is_ok());
        fs::write(&path, "#".repeat(FILE_BYTES_MAX as usize + 1)).expect("written");
        assert!(
            read(&path, true)
                .expect_err("too large")
                .to_string()
                .contains("larger than 1048576 bytes")
        );
    }

    #[test]
    fn a_named_file_is_loaded_with_its_lines() {
        let folder = folder();
        let path = folder.path().join("shop.toml");
        fs::write(&path, "# shop\nnamespace = \"shop\"\nnode_id = \"a\"\n").expect("written");
        let resolved = resolve(Some(&path), &[], std::iter::empty(), None).expect("the file is right");
        assert_eq!(resolved.settings().namespace.as_str(), "shop");
        assert_eq!(resolved.origin("namespace"), &Origin::File { path, line: 2 });
    }

    #[test]
    fn a_variable_names_the_file_unless_a_flag_does() {
        let folder = folder();
        let (one, other) = (folder.path().join("one.toml"), folder.path().join("other.toml"));
        fs::write(&one, "namespace = \"one\"").expect("written");
        fs::write(&other, "namespace = \"other\"").expect("written");
        let environment = || [(OsString::from("ROADSHOW_CONFIG"), one.clone().into_os_string())].into_iter();
        let by_variable = resolve(None, &[], environment(), None).expect("it is right");
        assert_eq!(by_variable.settings().namespace.as_str(), "one");
        let by_flag = resolve(Some(&other), &[], environment(), None).expect("it is right");
        assert_eq!(by_flag.settings().namespace.as_str(), "other");
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_of_ours_that_is_no_text_is_refused_and_others_are_not() {
        use std::os::unix::ffi::OsStringExt as _;
        let bytes = || OsString::from_vec(vec![0xff]);
        let others = [(OsString::from("PATH"), bytes()), (bytes(), bytes())].into_iter();
        assert!(variables(others, &mut ConfigErrors::default()).is_empty());
        let ours = [(OsString::from("ROADSHOW_HTTP"), bytes())].into_iter();
        let error = resolve(None, &[], ours, None).expect_err("it is no text").to_string();
        assert_eq!(error, "cannot use ROADSHOW_HTTP: its value is not UTF-8");
    }
}

//! A reader who does what a page says, in a folder of its own, with two terminals.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::page::{Act, Edit, Page};
use super::terminal::Terminal;
use super::wildcard;

/// How long anything that is typed may take, builds included; `timeout` ends it.
const PATIENCE: Duration = Duration::from_secs(240);
/// How long what is asked again and again may take to be true.
const UNTIL: Duration = Duration::from_secs(30);

/// The reader.
pub(crate) struct Reader {
    home: TempDir,
    /// Where the second terminal stands.
    at: PathBuf,
    /// What runs in the first one.
    node: Option<Terminal>,
}

/// What was printed, to both streams, and the exit code.
struct Printed {
    text: String,
    code: Option<i32>,
}

impl Reader {
    /// A reader who has installed the program.
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let bin = home.path().join(".bin");
        fs::create_dir(&bin).expect("made");
        let program = std::env::var_os("TEST_BIN_ROADSHOW").unwrap_or_else(|| env!("CARGO_BIN_EXE_roadshow").into());
        let program = fs::canonicalize(&program).unwrap_or_else(|error| panic!("{program:?}: {error}"));
        std::os::unix::fs::symlink(program, bin.join("roadshow")).expect("linked");
        let at = home.path().to_owned();
        Self { home, at, node: None }
    }

    /// Does all that a page says.
    pub(crate) fn follow(&mut self, page: &Page) {
        for step in &page.steps {
            let begun = Instant::now();
            let done = self.act(&step.act);
            let place = format!("{}:{}", page.path, step.line);
            println!("{place}: {:.1} s", begun.elapsed().as_secs_f64());
            done.unwrap_or_else(|problem| panic!("{place}: {problem}"));
        }
    }

    /// Types something that must succeed.
    pub(crate) fn types(&mut self, lines: &str) {
        let begun = Instant::now();
        let printed = self.run(lines);
        println!("{lines}: {:.1} s", begun.elapsed().as_secs_f64());
        assert_eq!(printed.code, Some(0), "{lines}\n{}", printed.text);
    }

    /// Closes the book.
    pub(crate) fn ends(mut self) {
        assert!(self.node.take().is_none(), "the page leaves a node running");
    }

    fn act(&mut self, act: &Act) -> Result<(), String> {
        match act {
            Act::Given => Ok(()),
            Act::Type {
                lines,
                code,
                again,
                expected,
            } => self.compare(lines, *code, *again, expected.as_deref()),
            Act::Up { lines, expected } => self.up(lines, expected.as_deref()),
            Act::CtrlC => self.ctrl_c(),
            Act::Open(url) => {
                let printed = self.run(&format!("curl -sf -o /dev/null -w '%{{content_type}}\\n' {url}"));
                let is_page = printed.code == Some(0) && printed.text.starts_with("text/html");
                is_page
                    .then_some(())
                    .ok_or(format!("{url} is no page: {}", printed.text))
            }
            Act::Edit { file, edit } => change(&self.at.join(file), edit),
            Act::Find { file, text } => {
                let found = fs::read_to_string(self.at.join(file)).map_err(|error| format!("{file}: {error}"))?;
                found
                    .contains(text)
                    .then_some(())
                    .ok_or(format!("{file} does not hold\n{text}"))
            }
        }
    }

    fn compare(&mut self, lines: &str, code: i32, again: bool, expected: Option<&str>) -> Result<(), String> {
        let until = Instant::now() + UNTIL;
        loop {
            let printed = self.run(lines);
            let missing = expected.and_then(|expected| wildcard::missing(expected, &printed.text));
            match missing {
                None if printed.code == Some(code) => return Ok(()),
                _ if again && Instant::now() < until => {}
                Some(missing) => return Err(format!("expected {missing:?} among\n{}", printed.text)),
                None => {
                    return Err(format!(
                        "expected exit code {code}, not {:?}\n{}",
                        printed.code, printed.text
                    ));
                }
            }
        }
    }

    /// Starts a node and waits until it is ready.
    fn up(&mut self, lines: &str, expected: Option<&str>) -> Result<(), String> {
        if self.node.is_some() {
            return Err("a node runs in the first terminal already".to_owned());
        }
        let log = fs::File::create(self.log_path()).expect("a file");
        let mut command = Command::new("bash");
        command.args(["-c", lines]).stderr(log);
        self.surround(&mut command);
        let node = Terminal::start(command)?;
        let with_log = |problem: String| format!("{problem}\n{}", self.log());
        let line = node.line("ready ", PATIENCE).map_err(with_log)?;
        self.node = Some(node);
        match expected.and_then(|expected| wildcard::missing(expected, &line)) {
            None => Ok(()),
            Some(missing) => Err(format!("expected {missing:?}, not {line:?}")),
        }
    }

    fn ctrl_c(&mut self) -> Result<(), String> {
        let node = self.node.take().ok_or("nothing runs in the first terminal")?;
        match node.ctrl_c(UNTIL)? {
            Some(0) => Ok(()),
            code => Err(format!("the node ended with {code:?}\n{}", self.log())),
        }
    }

    fn log_path(&self) -> PathBuf {
        self.home.path().join("first-terminal.log")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Types lines in the second terminal, and notes where they lead. The shell stops at the first line that fails.
    fn run(&mut self, lines: &str) -> Printed {
        let place = self.home.path().join(".at");
        let lines = format!("exec 2>&1\n{lines}\npwd > {}", place.display());
        let patience = format!("{}", PATIENCE.as_secs());
        let mut command = Command::new("timeout");
        command.args(["--kill-after=10", &patience, "bash", "-euo", "pipefail", "-c", &lines]);
        self.surround(&mut command);
        let output = command.output().expect("bash runs");
        if let Ok(at) = fs::read_to_string(&place) {
            self.at = PathBuf::from(at.trim_end());
        }
        Printed {
            text: String::from_utf8_lossy(&output.stdout).into_owned(),
            code: output.status.code(),
        }
    }

    /// Puts a program where the second terminal stands, with the environment of a reader.
    fn surround(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            if is_of_this_test(&name.to_string_lossy()) {
                command.env_remove(name);
            }
        }
        let mut path = OsString::from(self.home.path().join(".bin"));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        command
            .env("PATH", path)
            .env("CARGO_TARGET_DIR", target())
            .env("CARGO_NET_OFFLINE", "true")
            .env("CARGO_TERM_COLOR", "never")
            .current_dir(&self.at)
            .stdin(Stdio::null());
    }
}

/// What cargo and the test runner tell this test, which is nothing to the project's cargo.
fn is_of_this_test(variable: &str) -> bool {
    let ours = [
        "CARGO_MANIFEST",
        "CARGO_PKG_",
        "CARGO_BIN_",
        "CARGO_CRATE_",
        "CARGO_PRIMARY_",
    ];
    let others = ["NEXTEST", "ROADSHOW_", "TEST_"];
    ours.iter().chain(&others).any(|prefix| variable.starts_with(prefix))
}

/// The target folder of this workspace.
fn target() -> &'static Path {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    temporary.parent().expect("it lies in the target folder")
}

fn change(path: &Path, edit: &Edit) -> Result<(), String> {
    let old = fs::read_to_string(path);
    if let Edit::New(block) = edit {
        return match old {
            Ok(_) => Err(format!("{} is there already", path.display())),
            Err(_) => fs::write(path, block).map_err(|error| error.to_string()),
        };
    }
    let old = old.map_err(|error| format!("{}: {error}", path.display()))?;
    let new = match edit {
        Edit::New(block) => block.clone(),
        Edit::Append(block) => format!("{old}\n{block}"),
        Edit::Before { text, block } => around(&old, text, |line| format!("{block}{line}\n"))?,
        Edit::Replace { text, block } => around(&old, text, |_| block.clone())?,
        Edit::Remove { text } => around(&old, text, |_| String::new())?,
    };
    fs::write(path, new).map_err(|error| error.to_string())
}

/// Puts something else where the one line stands that holds `text`.
fn around(old: &str, text: &str, put: impl Fn(&str) -> String) -> Result<String, String> {
    let count = old.lines().filter(|line| line.contains(text)).count();
    if count != 1 {
        return Err(format!("{count} lines hold {text:?}, not one"));
    }
    let lines = old.lines().map(|line| {
        if line.contains(text) {
            put(line)
        } else {
            format!("{line}\n")
        }
    });
    Ok(lines.collect())
}

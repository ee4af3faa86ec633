//! How a command ends: its exit code and what is said about it.
//!
//! Writing can fail when nobody reads any more (`roadshow tree | head -1`); that is not worth a panic or another code.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use roadshow_gateway::{ClientError, Problem};
use roadshow_services::{Executed, Failure};
use serde::Serialize;
use serde_json::Value;

use crate::harmless::with_spaces;
use crate::style::Style;

/// The end of a command.
#[derive(Debug)]
pub(crate) enum End {
    /// It did what was asked.
    Done,
    /// The call failed, or a node could not be reached, started or kept up.
    Failed,
    /// Arguments, settings or definitions are wrong.
    WrongUsage,
    /// The node stopped, but something had to be killed or abandoned.
    Abandoned,
    /// As somebody else decided.
    Code(ExitCode),
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        match end {
            End::Done => ExitCode::SUCCESS,
            End::Failed => ExitCode::from(1),
            End::WrongUsage => ExitCode::from(2),
            End::Abandoned => ExitCode::from(3),
            End::Code(code) => code,
        }
    }
}

/// Writes lines for programs, and says how that ended: that nobody reads any more is a good end too, that they cannot be
/// written is not.
pub(crate) fn print(line: &str) -> End {
    let mut out = io::stdout().lock();
    written(writeln!(out, "{line}").and_then(|()| out.flush()))
}

fn written(result: io::Result<()>) -> End {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            tell(&format!("error: cannot write to stdout: {error}"));
            End::Failed
        }
        _ => End::Done,
    }
}

/// Writes lines for people; what begins with `error:` says so in colour too.
pub(crate) fn tell(text: &str) {
    let text = match text.strip_prefix("error:") {
        Some(rest) => Style::for_stderr().bad("error:") + rest,
        None => text.to_owned(),
    };
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Ends because of arguments or settings.
pub(crate) fn wrong_usage(problem: &str) -> End {
    tell(&format!("error: {problem}"));
    End::WrongUsage
}

/// Ends with a problem as JSON on stderr; where a person reads it, with a line for people too.
pub(crate) fn failed(problem: &impl Serialize) -> End {
    match serde_json::to_string(problem) {
        Ok(text) if io::stderr().is_terminal() => {
            tell(&Style::for_stderr().faint(with_spaces(&text)));
            tell(&in_words(&serde_json::from_str(&text).unwrap_or_default()));
        }
        Ok(text) => tell(&text),
        Err(error) => tell(&format!("error: the problem cannot be written as JSON: {error}")),
    }
    End::Failed
}

/// A problem for people: what, why, whether anything happened, and what to do where that is known.
fn in_words(problem: &Value) -> String {
    let text = |key: &str| problem.get(key).and_then(Value::as_str).unwrap_or("unknown");
    let executed = match text("executed") {
        "no" => "nothing was done",
        "yes" => "the handler answered so",
        _ => "it may have been done all the same",
    };
    let todo = match text("code") {
        "unauthenticated" => "\n  ROADSHOW_HTTP_TOKEN holds the token that is presented",
        _ => "",
    };
    let words = format!("error: {}: {} ({executed})", text("code"), text("message"));
    with_spaces(&words) + todo
}

/// Ends with a failure that a system answered, told as a node would tell it.
pub(crate) fn refused(failure: Failure) -> End {
    failed(&Problem::from(failure))
}

/// Ends because a node did not answer as asked: with its own problem, or with one that says what stood between.
pub(crate) fn unanswered(error: &ClientError) -> End {
    if let Some(problem) = error.problem() {
        return failed(problem);
    }
    let text = error.to_string();
    match error {
        ClientError::Url { .. } => wrong_usage(&text),
        ClientError::Unreachable { source, .. } => {
            // Who is there and cannot be trusted, or speaks no TLS, is told apart by a kind that the system never gives.
            let is_nobody = source.downcast_ref::<io::Error>();
            let text = match is_nobody.is_some_and(|error| error.kind() != io::ErrorKind::Other) {
                true => format!("{text}; is a node up there? `up` starts one, --node URL names another"),
                false => text,
            };
            failed(&Failure::unavailable(text).with_executed(Executed::No))
        }
        ClientError::Late { .. } => failed(&Failure::timeout(text).with_executed(Executed::Unknown)),
        _ => failed(&Failure::unavailable(text).with_executed(Executed::Unknown)),
    }
}

/// Ends as clap says: help and version on stdout, everything else on stderr.
pub(crate) fn of_clap(error: &clap::Error) -> End {
    let text = error.render();
    if error.use_stderr() {
        let _ = write!(io::stderr().lock(), "{}", Style::for_stderr().of_clap(&text));
        return End::WrongUsage;
    }
    let mut out = io::stdout().lock();
    written(write!(out, "{}", Style::for_stdout().of_clap(&text)).and_then(|()| out.flush()))
}

/// Ends with a chain of causes, outermost first: one a line, each further in than what it caused.
pub(crate) fn gave_up(what: &str, causes: &[String]) -> End {
    tell(&chain(what, causes));
    End::Failed
}

fn chain(what: &str, causes: &[String]) -> String {
    let mut text = format!("error: {what}");
    for (depth, cause) in causes.iter().enumerate() {
        let indent = "  ".repeat(depth + 1);
        // A cause may bring lines of its own, which would look like further causes.
        text.push_str(&format!("\n{indent}{}", cause.trim().replace('\n', " | ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_in_words_that_say_whether_anything_happened() {
        let problem = serde_json::json!({
            "code": "unavailable", "message": "cannot reach\u{1b} the node at h:1", "executed": "no"
        });
        assert_eq!(
            in_words(&problem),
            "error: unavailable: cannot reach  the node at h:1 (nothing was done)"
        );
        let closed = serde_json::json!({ "code": "unauthenticated", "message": "no", "executed": "no" });
        assert!(in_words(&closed).contains("ROADSHOW_HTTP_TOKEN"));
    }

    #[test]
    fn every_cause_stands_on_a_line_of_its_own_below_what_it_caused() {
        let causes = ["user.1 gave up".to_owned(), "no route\nto host".to_owned()];
        assert_eq!(
            chain("the node gave up", &causes),
            "error: the node gave up\n  user.1 gave up\n    no route | to host"
        );
    }
}

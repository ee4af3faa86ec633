//! A page of the guide as steps: what to type, what to write, and what to see.
//!
//! A comment `<!-- guide: … -->` stands before its block, or alone:
//!
//! | comment | meaning |
//! | --- | --- |
//! | none, before `sh` | type it; it ends with 0 |
//! | none, before `text` or `json` | what the block before it printed: these lines in this order, `…` for anything |
//! | `given` | not typed: the test has provided for it |
//! | `up` | typed in the first terminal, where it runs until `ctrl-c` |
//! | `ctrl-c` | alone: pressed in the first terminal; the exit code is 0 |
//! | `exit N` | typed; it ends with N |
//! | `until` | typed again until it prints what stands below |
//! | `page URL` | alone: a browser shows this page |
//! | `new FILE`, `append FILE` | the block is a new file, or goes to the end of one |
//! | `before FILE TEXT`, `replace FILE TEXT` | the block goes above, or in place of, the one line that holds the text |
//! | `remove FILE TEXT` | alone: the line is taken out |
//! | `shown FILE` | the file holds the block, word for word |

use std::fs;
use std::path::Path;

/// A page.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) path: String,
    pub(crate) steps: Vec<Step>,
}

/// One step, and the line of the page where it stands.
#[derive(Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) act: Act,
}

/// What a reader does.
#[derive(Debug, PartialEq)]
pub(crate) enum Act {
    /// Nothing: it has been provided for.
    Given,
    /// Types lines and compares what they print.
    Type {
        lines: String,
        code: i32,
        again: bool,
        expected: Option<String>,
    },
    /// Starts a node in the first terminal.
    Up { lines: String, expected: Option<String> },
    /// Stops it.
    CtrlC,
    /// Opens a page in a browser.
    Open(String),
    /// Changes a file.
    Edit { file: String, edit: Edit },
    /// Finds a text in a file.
    Find { file: String, text: String },
}

/// How a file is changed.
#[derive(Debug, PartialEq)]
pub(crate) enum Edit {
    New(String),
    Append(String),
    Before { text: String, block: String },
    Replace { text: String, block: String },
    Remove { text: String },
}

impl Page {
    /// Reads a page of this repository.
    pub(crate) fn read(path: &str) -> Self {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a page");
        let steps = steps(&text).unwrap_or_else(|problem| panic!("{path}:{problem}"));
        assert!(steps.len() > 1, "{path} has steps");
        Self {
            path: path.to_owned(),
            steps,
        }
    }
}

/// A block in fences.
struct Block {
    language: String,
    text: String,
}

/// The steps of a page, or the line that is not understood and why.
fn steps(text: &str) -> Result<Vec<Step>, String> {
    let mut steps: Vec<Step> = Vec::new();
    let mut said: Option<(usize, String)> = None;
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let number = index + 1;
        if let Some(comment) = line.strip_prefix("<!-- guide: ") {
            let comment = comment
                .strip_suffix(" -->")
                .ok_or(format!("{number}: the comment has no end"))?;
            match alone(comment) {
                Some(act) => steps.push(Step { line: number, act }),
                None if said.is_none() => said = Some((number, comment.to_owned())),
                None => return Err(format!("{number}: two comments before one block")),
            }
        } else if let Some(language) = line.strip_prefix("```") {
            let body: Vec<&str> = lines
                .by_ref()
                .map(|(_, line)| line)
                .take_while(|line| *line != "```")
                .collect();
            let block = Block {
                language: language.to_owned(),
                text: body.join("\n") + "\n",
            };
            let comment = said.take().map(|(_, comment)| comment);
            block_step(&mut steps, number, comment.as_deref(), block)?;
        } else if let Some((at, comment)) = said.as_ref().filter(|_| !line.is_empty()) {
            return Err(format!("{at}: `{comment}` is followed by no block"));
        }
    }
    Ok(steps)
}

/// What a comment means that needs no block.
fn alone(comment: &str) -> Option<Act> {
    if comment == "ctrl-c" {
        return Some(Act::CtrlC);
    }
    if let Some(url) = comment.strip_prefix("page ") {
        return Some(Act::Open(url.to_owned()));
    }
    let (file, text) = comment.strip_prefix("remove ")?.split_once(' ')?;
    Some(Act::Edit {
        file: file.to_owned(),
        edit: Edit::Remove { text: text.to_owned() },
    })
}

fn block_step(steps: &mut Vec<Step>, line: usize, comment: Option<&str>, block: Block) -> Result<(), String> {
    let Block { language, text } = block;
    let act = match (language.as_str(), comment) {
        ("sh", Some("given")) => Act::Given,
        ("sh", Some("up")) => Act::Up {
            lines: text,
            expected: None,
        },
        ("sh", comment) => {
            let code = match comment {
                None | Some("until") => 0,
                Some(other) => exit_code(other).ok_or(format!("{line}: `{other}` means nothing before sh"))?,
            };
            Act::Type {
                lines: text,
                code,
                again: comment == Some("until"),
                expected: None,
            }
        }
        ("text" | "json", None) => return expect(steps, line, text),
        ("rust" | "toml", Some(comment)) => {
            file_act(comment, text).ok_or(format!("{line}: `{comment}` means nothing"))?
        }
        (language, _) => return Err(format!("{line}: nobody knows what this block of {language:?} is for")),
    };
    steps.push(Step { line, act });
    Ok(())
}

/// Notes what the step before prints.
fn expect(steps: &mut [Step], line: usize, text: String) -> Result<(), String> {
    match steps.last_mut().map(|step| &mut step.act) {
        Some(Act::Type { expected, .. } | Act::Up { expected, .. }) if expected.is_none() => {
            *expected = Some(text);
            Ok(())
        }
        _ => Err(format!("{line}: nothing was typed that prints this")),
    }
}

fn exit_code(comment: &str) -> Option<i32> {
    comment.strip_prefix("exit ")?.parse().ok()
}

fn file_act(comment: &str, block: String) -> Option<Act> {
    let (verb, rest) = comment.split_once(' ')?;
    let (file, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let text = text.to_owned();
    let edit = match (verb, text.is_empty()) {
        ("shown", true) => {
            return Some(Act::Find {
                file: file.to_owned(),
                text: block,
            });
        }
        ("new", true) => Edit::New(block),
        ("append", true) => Edit::Append(block),
        ("before", false) => Edit::Before { text, block },
        ("replace", false) => Edit::Replace { text, block },
        _ => return None,
    };
    let file = file.to_owned();
    Some(Act::Edit { file, edit })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(lines: &str, expected: Option<&str>) -> Act {
        Act::Type {
            lines: lines.to_owned(),
            code: 0,
            again: false,
            expected: expected.map(str::to_owned),
        }
    }

    #[test]
    fn blocks_become_steps_with_what_they_print() {
        let page = "# A\n```sh\none\ntwo\n```\n\n```text\nprinted\n```\n<!-- guide: append a.rs -->\n\n```rust\nfn a() {}\n```\n\
                    <!-- guide: ctrl-c -->\n";
        let steps = steps(page).expect("steps");
        let acts: Vec<_> = steps.into_iter().map(|step| (step.line, step.act)).collect();
        let edit = Edit::Append("fn a() {}\n".to_owned());
        let expected = [
            (2, typed("one\ntwo\n", Some("printed\n"))),
            (
                12,
                Act::Edit {
                    file: "a.rs".to_owned(),
                    edit,
                },
            ),
            (15, Act::CtrlC),
        ];
        assert_eq!(acts, expected);
    }

    #[test]
    fn what_means_nothing_is_refused_with_its_line() {
        let table = [
            ("```rust\nfn a() {}\n```\n", "1: nobody knows"),
            ("```\nx\n```\n", "1: nobody knows"),
            ("```text\nx\n```\n", "1: nothing was typed"),
            ("<!-- guide: up -->\nprose\n", "1: `up` is followed by no block"),
            ("<!-- guide: up -->\n<!-- guide: given -->\n", "2: two comments"),
            (
                "\n<!-- guide: sideways -->\n```sh\nx\n```\n",
                "3: `sideways` means nothing",
            ),
            (
                "<!-- guide: before a.rs -->\n```rust\nx\n```\n",
                "2: `before a.rs` means nothing",
            ),
            ("<!-- guide: up\n", "1: the comment has no end"),
        ];
        for (page, expected) in table {
            let problem = steps(page).expect_err(page);
            assert!(problem.starts_with(expected), "{problem}");
        }
    }
}

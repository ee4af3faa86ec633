//! `tree --watch`: the tree again and again, until somebody ends it.
//!
//! On a terminal the picture is redrawn in place, with a mark on what has just changed. Elsewhere there is one picture,
//! or one JSON document, per change, so that it can be piped. A node that goes away is said to have gone, and asked
//! again at the same pace until it is back: a watch is for the minutes in which that happens.
//!
//! Deliberately not here: how a picture looks, which is the picture's.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use roadshow_gateway::{ClientError, NodeClient};
use roadshow_services::Code;
use serde_json::Value;
use tokio::time::timeout;

use crate::end::{self, End};
use crate::picture::{self, Paper, TreeNode};
use crate::screen::{self, Screen};
use crate::signals::Signals;
use crate::style::Style;

/// How long a watch waits for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// What stands between two pictures where they are not drawn over each other.
const SEPARATOR: &str = "---";

/// What is watched, and how.
pub(crate) struct Watch {
    client: NodeClient,
    interval: Duration,
    is_json: bool,
    screen: Option<Screen>,
    last: Option<Value>,
    facts: BTreeMap<String, String>,
    /// Since when the node does not answer, and why.
    lost: Option<(Instant, String)>,
}

/// Why a watch ends.
enum Stop {
    /// Nobody reads any more, or the terminal is gone.
    Unread,
    /// The node will not answer this client, however often it is asked.
    Refused(ClientError),
}

impl From<io::Error> for Stop {
    fn from(_gone: io::Error) -> Self {
        Stop::Unread
    }
}

/// Watches until a signal, or until nobody reads any more.
pub(crate) async fn run(client: NodeClient, interval: Duration, is_json: bool) -> End {
    let mut signals = match Signals::take() {
        Ok(signals) => signals,
        Err(error) => return end::gave_up("signals cannot be taken", &[error.to_string()]),
    };
    let screen = match if is_json { Ok(None) } else { Screen::take() } {
        Ok(screen) => screen,
        Err(_gone) => return End::Done,
    };
    let mut watch = Watch {
        client,
        interval,
        is_json,
        screen,
        last: None,
        facts: BTreeMap::new(),
        lost: None,
    };
    let end = tokio::select! {
        stop = watch.go_on() => match stop {
            Stop::Unread => End::Done,
            Stop::Refused(error) => {
                watch.close();
                return end::unanswered(&error);
            }
        },
        signal = signals.first() => End::Code(ExitCode::from(signal.exit_code())),
    };
    watch.close();
    end
}

impl Watch {
    async fn go_on(&mut self) -> Stop {
        loop {
            let begun = Instant::now();
            if let Err(stop) = self.look().await {
                return stop;
            }
            tokio::time::sleep_until((begun + self.interval).into()).await;
        }
    }

    /// Asks once, and shows what there is to see.
    async fn look(&mut self) -> Result<(), Stop> {
        let problem = match timeout(ANSWER_MAX, self.client.tree()).await {
            Ok(Ok(tree)) => return self.see(tree),
            Ok(Err(error)) if !may_pass(&error) => return Err(Stop::Refused(error)),
            Ok(Err(error)) => error.to_string(),
            Err(_late) => format!("the node at {} did not answer within {ANSWER_MAX:?}", self.client.at()),
        };
        self.miss(problem)
    }

    fn see(&mut self, tree: Value) -> Result<(), Stop> {
        if self.lost.take().is_some() && self.screen.is_none() {
            end::tell(&format!("the node at {} answers again", self.client.at()));
        }
        let drawn: TreeNode = serde_json::from_value(tree.clone()).unwrap_or_default();
        let facts = drawn.facts();
        let changed = changes(&self.facts, &facts);
        let is_first = self.last.is_none();
        let is_new = is_first || facts != self.facts;
        if let Some(screen) = &self.screen {
            let none = BTreeSet::new();
            let lines = picture(&drawn, Some(if is_first { &none } else { &changed }));
            screen.show(&self.with_footer(lines))?;
        } else if self.is_json && is_new {
            put(&tree.to_string())?;
        } else if is_new {
            if !is_first {
                put(SEPARATOR)?;
            }
            put(&picture(&drawn, None).join("\n"))?;
        }
        self.facts = facts;
        self.last = Some(tree);
        Ok(())
    }

    /// Says that the node does not answer: on the screen every time, elsewhere once.
    fn miss(&mut self, problem: String) -> Result<(), Stop> {
        let is_news = self.lost.is_none();
        let since = self.lost.take().map_or_else(Instant::now, |(since, _)| since);
        if let Some(screen) = &self.screen {
            let style = Style::for_stdout();
            let seconds = since.elapsed().as_secs();
            let mut lines = vec![style.bad(format!("✗ {problem}"))];
            lines.push(format!(
                "  asked every {:?}, for {seconds}s so far; what follows is how it was",
                self.interval
            ));
            lines.push(String::new());
            let last = self
                .last
                .clone()
                .and_then(|tree| serde_json::from_value::<TreeNode>(tree).ok());
            match last {
                Some(tree) => {
                    let none = BTreeSet::new();
                    let paper = Paper {
                        style: Style::plain(),
                        width: screen::columns(),
                        changed: Some(&none),
                    };
                    lines.extend(picture::draw(&tree, &paper).iter().map(|line| style.faint(line)));
                }
                None => lines[1] = format!("  asked every {:?}, for {seconds}s so far", self.interval),
            }
            screen.show(&self.with_footer(lines))?;
        } else if is_news {
            end::tell(&format!("{problem}; asked again every {:?}", self.interval));
        }
        self.lost = Some((since, problem));
        Ok(())
    }

    fn with_footer(&self, mut lines: Vec<String>) -> Vec<String> {
        let footer = format!("{}  every {:?}  ctrl-c ends", self.client.at(), self.interval);
        lines.extend([String::new(), Style::for_stdout().faint(footer)]);
        lines
    }

    /// Gives the terminal back, and leaves on it what was seen last.
    fn close(self) {
        if self.screen.is_none() {
            return;
        }
        drop(self.screen);
        if let Some(tree) = self.last.and_then(|tree| serde_json::from_value::<TreeNode>(tree).ok()) {
            let _unread = put(&picture(&tree, None).join("\n"));
        }
        if let Some((_, problem)) = self.lost {
            end::tell(&problem);
        }
    }
}

fn picture(tree: &TreeNode, changed: Option<&BTreeSet<String>>) -> Vec<String> {
    let paper = Paper {
        style: Style::for_stdout(),
        width: screen::columns(),
        changed,
    };
    picture::draw(tree, &paper)
}

/// The paths whose facts are not what they were.
fn changes(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> BTreeSet<String> {
    let changed = now.iter().filter(|(path, facts)| before.get(*path) != Some(facts));
    changed.map(|(path, _)| path.clone()).collect()
}

/// Whether a node that answered like this, or not at all, may answer otherwise in a moment.
fn may_pass(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } | ClientError::Lost { .. } | ClientError::Late { .. } => true,
        ClientError::Problem(problem) => matches!(
            problem.failure.code,
            Code::Exhausted | Code::Timeout | Code::Unavailable | Code::Internal
        ),
        _ => false,
    }
}

fn put(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_or_other_than_before_has_changed() {
        let facts = |pairs: &[(&str, &str)]| {
            let owned = pairs
                .iter()
                .map(|(path, facts)| ((*path).to_owned(), (*facts).to_owned()));
            owned.collect::<BTreeMap<_, _>>()
        };
        let before = facts(&[("/node", "ready"), ("/node/a", "ready"), ("/node/gone", "ready")]);
        let now = facts(&[("/node", "ready"), ("/node/a", "failed"), ("/node/new", "ready")]);
        let changed: Vec<String> = changes(&before, &now).into_iter().collect();
        assert_eq!(changed, ["/node/a", "/node/new"]);
    }
}

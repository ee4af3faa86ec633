//! One connection of the fuzzer: what is sent on it, and what must hold for whatever comes back.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::dice::Dice;
use super::{frames, request};
use crate::http::wire::{Wire, take_answer};

/// How long an answer, or the end of a connection, may take.
const DEADLINE: Duration = Duration::from_secs(20);
/// How long a client waits for an answer to something that may deserve none.
const HESITATION: Duration = Duration::from_millis(8);

/// What was sent, for the report, and how many requests it was.
pub(crate) struct Session {
    pub(crate) bytes: Vec<u8>,
    pub(crate) requests: u64,
    plan: Plan,
}

enum Plan {
    /// Right requests: what each is answered with, and whether it is a HEAD.
    Right(Vec<(&'static [u16], bool)>),
    /// Anything.
    Wrong { has_head: bool },
    /// Right requests over HTTP/2.
    RightFrames(u32),
    /// Anything that begins like HTTP/2.
    WrongFrames,
}

impl Session {
    pub(crate) fn new(dice: &mut Dice) -> Session {
        match dice.below(100) {
            0..=29 => Session::right(dice),
            30..=79 => Session::wrong(dice),
            80..=87 => {
                let (bytes, requests) = frames::right(dice);
                let plan = Plan::RightFrames(requests);
                Session {
                    bytes,
                    requests: requests.into(),
                    plan,
                }
            }
            _ => {
                let (bytes, requests) = frames::wrong(dice);
                let plan = Plan::WrongFrames;
                Session {
                    bytes,
                    requests: requests.into(),
                    plan,
                }
            }
        }
    }

    fn right(dice: &mut Dice) -> Session {
        let requests = 1 + dice.below(12);
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for number in 1..=requests {
            let (mut request, statuses, is_head) = request::right(dice);
            if number == requests {
                request.last();
            }
            bytes.extend(request.bytes(dice));
            expected.push((statuses, is_head));
        }
        Session {
            bytes,
            requests: requests as u64,
            plan: Plan::Right(expected),
        }
    }

    fn wrong(dice: &mut Dice) -> Session {
        let requests = 1 + dice.below(5);
        let mut bytes = Vec::new();
        for _ in 0..requests {
            let (mut request, _, _) = request::right(dice);
            for _ in 0..dice.below(4) {
                request.mutate(dice);
            }
            bytes.extend(request.bytes(dice));
        }
        if dice.percent(30) {
            request::scramble(&mut bytes, dice);
        }
        let has_head = crate::http::wire::find(&bytes, b"HEAD").is_some();
        Session {
            bytes,
            requests: requests as u64,
            plan: Plan::Wrong { has_head },
        }
    }

    /// Plays the session.
    ///
    /// # Errors
    /// What is wrong with how it went.
    pub(crate) async fn play(&self, at: SocketAddr, dice: &mut Dice) -> Result<(), String> {
        let mut wire = Wire::connect(at).await?;
        let ends_early = dice.percent(8);
        let until = if ends_early {
            dice.below(self.bytes.len() + 1)
        } else {
            self.bytes.len()
        };
        self.send(&mut wire, &self.bytes[..until], dice).await;
        if ends_early {
            return Ok(());
        }
        match &self.plan {
            Plan::Right(expected) => right_answers(&mut wire, expected).await,
            Plan::Wrong { has_head } => {
                self.end(&mut wire, dice).await?;
                any_answers(wire.read, *has_head)
            }
            Plan::RightFrames(requests) => right_frames(&mut wire, *requests).await,
            Plan::WrongFrames => {
                self.end(&mut wire, dice).await?;
                sane(&frames::hear(&wire.read)?)
            }
        }
    }

    /// Sends the bytes in some pieces.
    async fn send(&self, wire: &mut Wire, bytes: &[u8], dice: &mut Dice) {
        let mut rest = bytes;
        for _ in 0..dice.pick(&[0, 0, 0, 1, 3]) {
            let (piece, more) = rest.split_at(dice.below(rest.len() + 1));
            wire.send(piece).await;
            tokio::task::yield_now().await;
            rest = more;
        }
        wire.send(rest).await;
    }

    /// Ends sending, at once or after some hesitation, and waits for the other side to end too.
    async fn end(&self, wire: &mut Wire, dice: &mut Dice) -> Result<(), String> {
        if dice.percent(50) {
            // Whether something came is all the same.
            let _ = timeout(HESITATION, wire.fill()).await;
        }
        wire.finish_sending().await;
        if wire.closes_within(DEADLINE).await {
            return Ok(());
        }
        Err(format!(
            "not closed within {DEADLINE:?}; it had sent {:?}",
            String::from_utf8_lossy(&wire.read)
        ))
    }
}

async fn right_answers(wire: &mut Wire, expected: &[(&'static [u16], bool)]) -> Result<(), String> {
    let until = Instant::now() + DEADLINE;
    for (number, (statuses, is_head)) in expected.iter().enumerate() {
        let answer = wire.answer_until(*is_head, until).await;
        let answer = answer.map_err(|error| format!("answer {number} of {}: {error}", expected.len()))?;
        let answer = answer.ok_or_else(|| format!("closed before answer {number} of {}", expected.len()))?;
        if !statuses.contains(&answer.status) {
            return Err(format!(
                "answer {number} is no {statuses:?}: {} {}",
                answer.status,
                answer.text()
            ));
        }
        if answer.closes() {
            // A refusal may come before the whole body does; then the connection ends, and says so.
            let is_early = number + 1 < expected.len();
            let may_be = !is_early || matches!(answer.status, 400 | 401 | 404 | 405 | 503);
            return if may_be {
                ends(wire).await
            } else {
                Err(format!("answer {number} ends it: {}", answer.status))
            };
        }
    }
    Err("the last answer does not end it".to_owned())
}

/// The other side has said that it ends the connection.
async fn ends(wire: &mut Wire) -> Result<(), String> {
    let closed = wire.closes_within(DEADLINE).await;
    (closed && wire.read.is_empty())
        .then_some(())
        .ok_or_else(|| "it goes on after its last answer".to_owned())
}

/// Whatever was sent: every answer is whole, and none says that the server failed.
fn any_answers(mut read: Vec<u8>, has_head: bool) -> Result<(), String> {
    while !read.is_empty() {
        let first = String::from_utf8_lossy(&read[..read.len().min(300)]).into_owned();
        // Behind a HEAD nobody can tell where an answer ends without knowing which request it answers.
        let answer = take_answer(&mut read, has_head).map_err(|error| format!("{error}: {first:?}"))?;
        let Some(answer) = answer else {
            return Err(format!("half an answer: {first:?}"));
        };
        if answer.status == 500 || answer.status == 502 {
            return Err(format!("status {}: {first:?}", answer.status));
        }
        if has_head {
            return Ok(());
        }
    }
    Ok(())
}

async fn right_frames(wire: &mut Wire, requests: u32) -> Result<(), String> {
    let until = Instant::now() + DEADLINE;
    loop {
        let heard = frames::hear(&wire.read)?;
        sane(&heard)?;
        if heard.ended == requests as usize {
            return Ok(());
        }
        match timeout_at(until, wire.fill()).await {
            Ok(true) => {}
            Ok(false) => return Err(format!("closed after {heard:?}, of {requests} requests")),
            Err(_) => return Err(format!("only {heard:?} came in time, of {requests} requests")),
        }
    }
}

fn sane(heard: &frames::Heard) -> Result<(), String> {
    let failed = heard
        .answered
        .iter()
        .find(|(_, status)| matches!(status, Some(500 | 502)));
    failed.map_or(Ok(()), |(stream, status)| {
        Err(format!("stream {stream} is answered {status:?}"))
    })
}

//! A service with a stream to experiment on, and the ledger of what its handler did.

use std::sync::Arc;
use std::time::Duration;

use roadshow::prelude::*;
use roadshow::{NodeBuilder, StreamOptions, StreamReader};
use serde::{Deserialize, Serialize};

use crate::lab::{LIMIT, Ledger, builder};

/// What the issue allows a cancellation to take.
const CANCEL_MAX: Duration = Duration::from_millis(100);
/// How often it is measured.
const ROUNDS: usize = 5;

pub(crate) const TAPE: ServiceId = ServiceId::new("tape", 1);

/// What the stream is to do, in this order: fail at once, send, wait, end.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Play {
    pub id: u64,
    /// How many numbers to send, from 0.
    pub n: u64,
    /// How many bytes each item has beside its number.
    pub bytes: usize,
    pub refuse: bool,
    /// Waits until the ledger is released or the stream cancelled.
    pub hold: bool,
    /// Goes on for ever, whoever has gone.
    pub deaf: bool,
    pub fail: bool,
    pub panic: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Note {
    pub number: u64,
    pub filling: String,
}

impl Play {
    /// So many numbers.
    pub(crate) fn numbers(n: u64) -> Self {
        Self { n, ..Self::default() }
    }

    /// Nothing, until the ledger is released or the stream cancelled.
    pub(crate) fn held() -> Self {
        Self {
            hold: true,
            ..Self::default()
        }
    }

    /// More numbers than anybody reads.
    pub(crate) fn endless() -> Self {
        Self::numbers(1 << 30)
    }
}

impl Stream for Play {
    const ADDRESS: Address = TAPE.command("play");
    type Item = Note;
}

impl Validate for Play {
    fn validate(&self, violations: &mut Violations) {
        violations.check("n", self.n < 1 << 40, "must be a number that can be reached");
    }
}

/// The same stream, by other types.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Narrow {
    pub n: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Number {
    pub number: u64,
}

impl Stream for Narrow {
    const ADDRESS: Address = TAPE.command("play");
    type Item = Number;
}

/// A stream that nobody serves.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Nobodys;

impl Stream for Nobodys {
    const ADDRESS: Address = ServiceId::new("nobody", 1).command("play");
    type Item = Note;
}

/// Reads the stream and answers how many items it had.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Listen(pub Play);

impl Command for Listen {
    const ADDRESS: Address = TAPE.command("listen");
    type Reply = u64;
}

pub(crate) struct Tape(pub(crate) Arc<Ledger>);

/// Says when a handler is gone, also when it is dropped.
struct AtWork<'a>(&'a Ledger, u64);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.note(self.1, "gone");
    }
}

impl StreamHandler<Play> for Tape {
    async fn open(&self, play: Play, items: Items<Note>, ctx: &Context) -> Result<(), Failure> {
        let ledger = &self.0;
        ledger.note(play.id, "start");
        let _at_work = AtWork(ledger, play.id);
        if play.refuse {
            return Err(Failure::not_found("there is no such tape"));
        }
        for number in 0..play.n {
            let filling = "x".repeat(play.bytes);
            items
                .send(Note { number, filling })
                .await
                .inspect_err(|_| ledger.note(play.id, "unsent"))?;
            ledger.note(play.id, "sent");
        }
        if play.hold {
            tokio::select! {
                () = ledger.held() => {}
                () = ctx.cancelled() => ledger.note(play.id, "cancelled"),
            }
        }
        if play.deaf {
            std::future::pending::<()>().await;
        }
        assert!(!play.panic, "told to panic");
        if play.fail {
            return Err(Failure::conflict("told to fail"));
        }
        ledger.note(play.id, "end");
        Ok(())
    }
}

impl CommandHandler<Listen> for Tape {
    async fn handle(&self, Listen(play): Listen, ctx: &Context) -> Result<u64, Failure> {
        let mut reader = ctx.open(play).await?;
        let mut items = 0;
        while let Some(item) = reader.next().await {
            item?;
            items += 1;
        }
        Ok(items)
    }
}

pub(crate) type Options = StreamOptions<Play>;

pub(crate) fn tape(ledger: &Arc<Ledger>, options: impl FnOnce(Options) -> Options) -> Service<Tape> {
    let ledger = Arc::clone(ledger);
    Service::new(TAPE, move || {
        let ledger = Arc::clone(&ledger);
        async move { Ok::<_, std::convert::Infallible>(Tape(ledger)) }
    })
    .stream::<Play>(options)
    .command::<Listen>(|c| c)
}

/// A node with a tape, typed or encoded.
pub(crate) fn stage(ledger: &Arc<Ledger>, codec: bool) -> NodeBuilder {
    builder().codec_always(codec).service(tape(ledger, |s| s))
}

pub(crate) fn note(number: u64) -> Note {
    let filling = String::new();
    Note { number, filling }
}

/// Opens the stream as a caller on this node.
pub(crate) async fn opened(node: &Node, play: Play) -> StreamReader<Note> {
    within(node.client().open(play)).await.unwrap()
}

/// Waits for what a stream says next, with a limit.
pub(crate) async fn next<T: serde::de::DeserializeOwned>(reader: &mut StreamReader<T>) -> Option<Result<T, Failure>> {
    within(reader.next()).await
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.expect("in time")
}

/// How long it takes until `done`, on tokio's clock.
pub(crate) async fn took(done: impl Future<Output = ()>) -> Duration {
    let started = tokio::time::Instant::now();
    done.await;
    started.elapsed()
}

/// Fails unless what each round measures, counted from 1, is as short as the issue allows a cancellation to be. The best one
/// counts: tests share their processors.
pub(crate) async fn cancels_in_time(mut round: impl AsyncFnMut(usize) -> Duration) {
    let mut best = Duration::MAX;
    for number in 1..=ROUNDS {
        best = best.min(round(number).await);
    }
    assert!(best < CANCEL_MAX, "{best:?}");
}

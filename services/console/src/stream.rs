//! `stream`: one stream, an item a line, until it ends, nobody reads any more, or somebody presses ctrl-c.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use roadshow_services::{AddressBuf, Connectors};
use tokio::sync::mpsc;

use crate::call::{WhoArgs, duration};
use crate::end::{self, End};
use crate::payload;
use crate::signals::Signals;
use crate::target::{Items, ReachArgs};

/// The arguments of `stream`.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub(crate) struct StreamArgs {
    /// The stream, as SERVICE.VERSION.STREAM
    address: AddressBuf,
    /// Its input: JSON, or @FILE, or - for stdin; left out, stdin if that is no terminal, and null if it is empty
    #[arg(allow_negative_numbers = true)]
    json: Option<String>,
    /// How long there is time to open it; the node's default otherwise
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    #[command(flatten)]
    who: WhoArgs,
    #[command(flatten)]
    reach: ReachArgs,
}

/// Opens the stream and prints what it says.
pub(crate) async fn run(args: StreamArgs, connectors: &Connectors) -> End {
    let target = match args.reach.target(connectors) {
        Ok(target) => target,
        Err(problem) => return end::wrong_usage(&problem),
    };
    let payload = match payload::read(args.json).await {
        Ok(payload) => payload.unwrap_or_else(|| b"null".to_vec()),
        Err(problem) => return end::wrong_usage(&problem),
    };
    let mut options = args.who.options();
    options.timeout = args.timeout;
    let mut signals = match Signals::take() {
        Ok(signals) => signals,
        Err(error) => return end::gave_up("signals cannot be taken", &[error.to_string()]),
    };
    let mut opened = None;
    let ended = tokio::select! {
        ended = async {
            let items = opened.insert(target.open(&args.address, payload.into(), options).await?);
            Ok(print(items).await)
        } => ended.unwrap_or_else(|end| end),
        signal = signals.first() => End::Code(ExitCode::from(signal.exit_code())),
    };
    if let Some(items) = opened {
        items.close().await;
    }
    ended
}

/// Prints item by item. What was printed has left before the next one is asked for, so that a slow reader holds the
/// producer back, and one that goes away ends it.
async fn print(items: &mut Items) -> End {
    let mut out = match Printer::start() {
        Ok(out) => out,
        Err(error) => return end::gave_up("stdout gets no thread of its own", &[error.to_string()]),
    };
    loop {
        match items.next().await {
            Some(Ok(item)) => match out.print(item).await {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return End::Done,
                Err(error) => {
                    end::tell(&format!("error: cannot write to stdout: {error}"));
                    return End::Failed;
                }
            },
            Some(Err(end)) => return end,
            None => return End::Done,
        }
    }
}

/// Writes lines on a thread of its own. A write that finds no reader stands still, and nothing can call it off: the runtime
/// would wait for it before the program could end, a thread is left behind.
#[derive(Debug)]
struct Printer {
    items: mpsc::Sender<Bytes>,
    written: mpsc::Receiver<io::Result<()>>,
}

impl Printer {
    /// Starts the thread, which ends with the printer, or with the process if it cannot write any more.
    fn start() -> io::Result<Self> {
        let (items, mut next) = mpsc::channel::<Bytes>(1);
        let (tell, written) = mpsc::channel(1);
        thread::Builder::new().name("stdout".to_owned()).spawn(move || {
            while let Some(item) = next.blocking_recv() {
                if tell.blocking_send(write(&item)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { items, written })
    }

    /// Prints one item, and waits until it has left.
    ///
    /// # Cancel safety
    ///
    /// Not safe: the item is written all the same, and the next one would take its answer.
    async fn print(&mut self, item: Bytes) -> io::Result<()> {
        let gone = || io::Error::other("its thread has ended");
        self.items.send(item).await.map_err(|_| gone())?;
        self.written.recv().await.ok_or_else(gone)?
    }
}

/// Writes one line. Breaks, which only a foreign producer has in its JSON, become spaces.
fn write(item: &[u8]) -> io::Result<()> {
    let mut line: Vec<u8> = item
        .iter()
        .map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte })
        .collect();
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

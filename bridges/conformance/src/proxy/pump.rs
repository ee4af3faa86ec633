//! One way of one connection: a reader, a bounded queue of chunks with the time at which each is due, and a writer.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Conditions, Counts, Direction};

const CHUNK_BYTES: usize = 16 * 1024;
/// The most chunks on their way: 1 MiB for each way of a connection.
const CHUNKS_MAX: usize = 64;
/// How much a limited way carries at once, as a share of a second.
const SLICES_A_SECOND: u32 = 50;

/// Carries bytes until their source ends.
///
/// # Errors
///
/// The connection broke, or is to be reset here.
pub(super) async fn run(
    reader: ReadHalf<'_>,
    writer: WriteHalf<'_>,
    told: watch::Receiver<Conditions>,
    counts: &Counts,
    direction: Direction,
) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
    let delays = told.clone();
    let reading = read(reader, sender, delays, direction);
    let writing = Writing {
        writer,
        told,
        counts,
        direction,
    };
    tokio::try_join!(reading, writing.run(receiver)).map(|_| ())
}

async fn read(
    mut reader: ReadHalf<'_>,
    sender: mpsc::Sender<(Instant, Bytes)>,
    told: watch::Receiver<Conditions>,
    direction: Direction,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let count = reader.read(&mut buffer).await?;
        let due = Instant::now() + told.borrow().way(direction).delay;
        if count == 0
            || sender
                .send((due, Bytes::copy_from_slice(&buffer[..count])))
                .await
                .is_err()
        {
            return Ok(());
        }
    }
}

struct Writing<'a> {
    writer: WriteHalf<'a>,
    told: watch::Receiver<Conditions>,
    counts: &'a Counts,
    direction: Direction,
}

impl Writing<'_> {
    async fn run(mut self, mut receiver: mpsc::Receiver<(Instant, Bytes)>) -> io::Result<()> {
        while let Some((due, mut chunk)) = receiver.recv().await {
            sleep_until(due).await;
            while !chunk.is_empty() {
                let piece = self.next_piece(&mut chunk).await?;
                self.writer.write_all(&piece).await?;
                let written = u64::try_from(piece.len()).unwrap_or(u64::MAX);
                let carried = self.counts.way(self.direction);
                carried.bytes.fetch_add(written, Ordering::SeqCst);
            }
        }
        // A stalled way does not tell its end either.
        self.flowing().await?;
        self.writer.shutdown().await
    }

    async fn flowing(&mut self) -> io::Result<()> {
        let direction = self.direction;
        let flowing = self
            .told
            .wait_for(|conditions| !conditions.way(direction).stalled)
            .await;
        flowing.map(|_| ()).map_err(|_| gone())
    }

    /// Waits until something may be written, and says what: less than the chunk where the way is limited or to be cut.
    async fn next_piece(&mut self, chunk: &mut Bytes) -> io::Result<Bytes> {
        self.flowing().await?;
        let way = *self.told.borrow().way(self.direction);
        let mut count = chunk.len();
        if let Some(rate) = way.bytes_per_second {
            let slice = (rate.get() / SLICES_A_SECOND).max(1);
            count = count.min(usize::try_from(slice).unwrap_or(usize::MAX));
            let share = f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / f64::from(rate.get());
            sleep(Duration::from_secs_f64(share)).await;
        }
        if let Some(left) = self.counts.way(self.direction).left() {
            if left == 0 {
                return Err(gone());
            }
            count = count.min(usize::try_from(left).unwrap_or(usize::MAX));
        }
        Ok(chunk.split_to(count))
    }
}

fn gone() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionReset)
}

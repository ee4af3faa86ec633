//! HTTP/2 from peers that no library would be: frames by hand, and what becomes of who sends them.

use std::num::NonZeroUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http2::Http2;
use crate::stage::Staged;
use crate::wire::{PATIENCE, get};

const SHORT: Duration = Duration::from_secs(1);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame is small").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

const GET: u8 = 0x82;
const POST: u8 = 0x83;

/// The head of a request in HPACK, with or without `:authority`.
fn head_of(method: u8, path: &str, authority: bool) -> Vec<u8> {
    let mut head = vec![method, 0x86, 0x04];
    head.push(u8::try_from(path.len()).expect("a short path"));
    head.extend(path.as_bytes());
    if authority {
        head.extend(b"\x41\x01h");
    }
    head
}

fn head(path: &str, authority: bool) -> Vec<u8> {
    head_of(GET, path, authority)
}

/// A connection of frames.
struct Frames {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Frames {
    async fn connect(staged: &Staged, settings: &[u8]) -> Frames {
        let stream = TcpStream::connect(staged.at).await.expect("it listens");
        let mut frames = Frames {
            stream,
            read: Vec::new(),
        };
        frames.send(PREFACE).await;
        frames.send(&frame(SETTINGS, 0, 0, settings)).await;
        frames
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("it is open");
    }

    /// The next frame of a kind; none if the connection ends first.
    async fn next(&mut self, wanted: u8) -> Option<Vec<u8>> {
        let reading = async {
            loop {
                while self.read.len() >= 9 {
                    let length = u32::from_be_bytes([0, self.read[0], self.read[1], self.read[2]]) as usize;
                    if self.read.len() < 9 + length {
                        break;
                    }
                    let frame: Vec<u8> = self.read.drain(..9 + length).collect();
                    if frame[3] == wanted {
                        return Some(frame[9..].to_vec());
                    }
                }
                if self.stream.read_buf(&mut self.read).await.unwrap_or(0) == 0 {
                    return None;
                }
            }
        };
        timeout(PATIENCE, reading)
            .await
            .expect("a frame or the end comes in time")
    }

    async fn closed(&mut self) {
        assert_eq!(self.next(u8::MAX).await, None);
    }
}

#[tokio::test]
async fn a_peer_learns_the_limits_first() {
    let staged = Staged::start().await;
    let mut frames = Frames::connect(&staged, &[]).await;
    let settings = frames.next(SETTINGS).await.expect("settings come first");
    let told: Vec<(u8, u32)> = settings
        .chunks(6)
        .map(|one| (one[1], u32::from_be_bytes([one[2], one[3], one[4], one[5]])))
        .collect();
    assert!(told.contains(&(3, 100)), "streams: {told:?}");
    assert!(told.contains(&(4, 64 << 10)), "window: {told:?}");
    assert!(told.contains(&(6, 16 << 10)), "head: {told:?}");
    frames
        .send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &head("/healthz", true)))
        .await;
    assert_eq!(frames.next(HEADERS).await.expect("an answer")[0], 0x88, "200");
    frames
        .send(&frame(HEADERS, END_STREAM | END_HEADERS, 3, &head("/healthz", false)))
        .await;
    assert_eq!(frames.next(HEADERS).await.expect("an answer")[0], 0x8c, "400");
    drop(frames);
    staged.end().await;
}

#[tokio::test]
async fn who_says_too_little_is_let_go_and_holds_no_slot() {
    let one = NonZeroUsize::MIN;
    let staged = Staged::with(|gateway| gateway.header_timeout(SHORT).connections(one)).await;
    let mut half_a_head = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    half_a_head.extend(frame(HEADERS, END_STREAM, 1, &head("/healthz", true)));
    let table: [&[u8]; 6] = [
        b"",
        b"P",
        b"PRI * HTTP/2.0\r\n\r\n",
        PREFACE,
        &half_a_head,
        b"GET / HTTP/1.1\r\nho",
    ];
    for said in table {
        let mut stream = TcpStream::connect(staged.at).await.expect("it listens");
        stream.write_all(said).await.expect("it is open");
        // There is one slot: that this is answered shows that it came free.
        assert_eq!(
            get(staged.at, "/healthz").await.status,
            200,
            "{:?}",
            String::from_utf8_lossy(said)
        );
        let mut rest = Vec::new();
        let closed = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        let _how = closed.expect("it is closed in time");
    }
    staged.end().await;
}

#[tokio::test]
async fn a_connection_that_rests_is_let_go_with_a_goodbye() {
    let staged = Staged::with(|gateway| gateway.header_timeout(SHORT)).await;
    let http2 = Http2::connect(&staged).await;
    assert_eq!(http2.get("/healthz").await.status, 200);
    http2.ended().await;
    let mut frames = Frames::connect(&staged, &[]).await;
    assert!(frames.next(GOAWAY).await.is_some());
    frames.closed().await;
    staged.end().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let staged = Staged::start().await;
    let http2 = Http2::connect(&staged).await;
    let mut many = Http2::request(Method::GET, "http://h/healthz", "");
    for number in 0..101 {
        let name = http::HeaderName::try_from(format!("x-{number}")).expect("a name");
        many.headers_mut().insert(name, "1".parse().expect("a value"));
    }
    let answer = http2.ask(many).await;
    assert_eq!(answer.status, 431, "{}", answer.text());
    assert_eq!(answer.json()["code"], "invalid");
    assert_eq!(http2.get("/healthz").await.status, 200);

    // A head that never ends.
    let mut frames = Frames::connect(&staged, &[]).await;
    frames
        .send(&frame(HEADERS, END_STREAM, 1, &head("/healthz", true)))
        .await;
    let more = [b"\x00\x01a\x7f\x81\x7e".as_slice(), &[b'x'; 255 + 127]].concat();
    for _ in 0..2_000 {
        if frames
            .stream
            .write_all(&frame(CONTINUATION, 0, 1, &more))
            .await
            .is_err()
        {
            break;
        }
    }
    frames.closed().await;
    staged.end().await;
}

#[tokio::test]
async fn who_opens_and_resets_streams_rapidly_is_cut_while_others_are_served() {
    let staged = Staged::start().await;
    let http2 = Http2::connect(&staged).await;
    let mut frames = Frames::connect(&staged, &[]).await;
    for number in 0..5_000 {
        let stream = number * 2 + 1;
        let open = frame(HEADERS, END_STREAM | END_HEADERS, stream, &head("/healthz", true));
        let reset = frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
        if frames.stream.write_all(&[open, reset].concat()).await.is_err() {
            break;
        }
    }
    let goodbye = frames.next(GOAWAY).await;
    if let Some(goodbye) = goodbye {
        assert_eq!(goodbye[4..8], 11_u32.to_be_bytes(), "enhance your calm");
    }
    frames.closed().await;
    assert_eq!(http2.get("/healthz").await.status, 200);
    staged.end().await;
}

#[tokio::test]
async fn who_grants_no_window_is_cut() {
    let staged = Staged::with(|gateway| gateway.write_timeout(SHORT)).await;
    let no_window = [0, 4, 0, 0, 0, 0];
    let mut frames = Frames::connect(&staged, &no_window).await;
    let greedy = head("/api/v1/blob?bytes=2000", true);
    frames.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &greedy)).await;
    assert!(
        frames.next(HEADERS).await.is_some(),
        "the head of an answer takes no window"
    );
    assert_eq!(frames.next(DATA).await, None, "and the rest is not waited for");
    assert_eq!(get(staged.at, "/healthz").await.status, 200);
    staged.end().await;
}

#[tokio::test]
async fn a_client_that_hangs_up_cancels_its_calls() {
    let staged = Staged::start().await;
    let props = &staged.props;
    let mut frames = Frames::connect(&staged, &[]).await;
    let call = head_of(POST, "/api/v1/linger", true);
    frames.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &call)).await;
    props.until("it starts", |props| props.started.load(SeqCst) == 1).await;
    drop(frames);
    props
        .until("it learns that nobody waits", |props| props.cancelled.load(SeqCst) == 1)
        .await;
    props.release.add_permits(1);
    props
        .until("it finishes", |props| props.finished.load(SeqCst) == 1)
        .await;
    staged.end().await;
}

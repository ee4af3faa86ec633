//! HTTP/2 as bare frames: right ones, and the ways in which they can be made wrong.
//!
//! Headers are written without compression, which every peer must read. Of what comes back only the frames and the
//! statuses are read.

use super::dice::Dice;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A frame on its way out.
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Frame {
        Frame {
            kind,
            flags,
            stream,
            payload: payload.into(),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let length = u32::try_from(self.payload.len()).expect("a small frame");
        out.extend(&length.to_be_bytes()[1..]);
        out.extend([self.kind, self.flags]);
        out.extend(self.stream.to_be_bytes());
        out.extend(&self.payload);
    }
}

/// A session of right requests: its bytes, and how many there are.
pub(crate) fn right(dice: &mut Dice) -> (Vec<u8>, u32) {
    let requests = 1 + u32::try_from(dice.below(6)).expect("a small number");
    let mut out = PREFACE.to_vec();
    Frame::new(SETTINGS, 0, 0, []).write(&mut out);
    for request in 0..requests {
        for frame in request_frames(dice, 1 + 2 * request) {
            frame.write(&mut out);
        }
    }
    (out, requests)
}

/// A session in which frames are wrong: its bytes, and how many requests it has.
pub(crate) fn wrong(dice: &mut Dice) -> (Vec<u8>, u32) {
    let mut frames = Vec::new();
    if dice.percent(90) {
        frames.push(Frame::new(SETTINGS, 0, 0, settings(dice)));
    }
    let requests = 1 + u32::try_from(dice.below(8)).expect("a small number");
    for request in 0..requests {
        frames.extend(request_frames(dice, 1 + 2 * request));
        if dice.percent(40) {
            frames.push(stray(dice, requests));
        }
    }
    for _ in 0..=dice.below(3) {
        bend(&mut frames, dice);
    }
    let mut out = PREFACE.to_vec();
    frames.iter().for_each(|frame| frame.write(&mut out));
    if dice.percent(30) {
        let mut tail = out.split_off(PREFACE.len());
        super::request::scramble(&mut tail, dice);
        out.extend(tail);
    }
    (out, requests)
}

fn request_frames(dice: &mut Dice, stream: u32) -> Vec<Frame> {
    let table: &[(&str, &str, &str)] = &[
        ("GET", "/healthz", ""),
        ("HEAD", "/readyz", ""),
        ("GET", "/api/v1/users/nobody", ""),
        ("GET", "/_node/tree", ""),
        ("POST", "/api/v1/users", r#"{"name":"Eve","email":"eve7@example.org"}"#),
        ("POST", "/api/v1/users", r#"{"name":""}"#),
        ("OPTIONS", "/api/v1/users", ""),
    ];
    let (method, path, body) = dice.pick(table);
    let mut block = Vec::new();
    for (name, value) in [
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
    ] {
        field(&mut block, name.as_bytes(), value.as_bytes());
    }
    if !body.is_empty() {
        field(&mut block, b"content-type", b"application/json");
    }
    let end = if body.is_empty() { END_STREAM } else { 0 };
    let mut frames = Vec::new();
    if dice.percent(20) {
        let rest = block.split_off(dice.below(block.len()));
        frames.push(Frame::new(HEADERS, end, stream, block));
        frames.push(Frame::new(CONTINUATION, END_HEADERS, stream, rest));
    } else {
        frames.push(Frame::new(HEADERS, end | END_HEADERS, stream, block));
    }
    if !body.is_empty() {
        let (one, other) = body.as_bytes().split_at(dice.below(body.len()));
        frames.push(Frame::new(DATA, 0, stream, one));
        frames.push(Frame::new(DATA, END_STREAM, stream, other));
    }
    frames
}

/// A header field without compression and without a place in any table.
fn field(block: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    block.push(0);
    for text in [name, value] {
        let length = u8::try_from(text.len()).ok().filter(|length| *length < 127);
        block.push(length.expect("a short text"));
        block.extend(text);
    }
}

fn settings(dice: &mut Dice) -> Vec<u8> {
    let mut payload = Vec::new();
    for _ in 0..dice.below(4) {
        let name = u16::try_from(dice.below(9)).expect("a small number");
        let value = dice.pick(&[0, 1, 2, 100, 16_383, 16_384, 65_535, 16_777_215, 0x7fff_ffff, u32::MAX]);
        payload.extend(name.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    payload
}

/// A frame that belongs to no request, or not here.
fn stray(dice: &mut Dice, requests: u32) -> Frame {
    let stream = dice.pick(&[0, 1, 2, 3, 2 * requests + 1, 0x7fff_ffff]);
    match dice.below(9) {
        0 => Frame::new(
            2,
            0,
            stream,
            dice.pick::<[u8; 5]>(&[[0; 5], [0xff; 5], [0, 0, 0, 1, 7]]),
        ),
        1 => Frame::new(3, 0, stream, [0, 0, 0, 8]),
        2 => Frame::new(SETTINGS, dice.pick(&[0, 1]), 0, settings(dice)),
        3 => Frame::new(6, dice.pick(&[0, 1]), 0, [7; 8]),
        4 => Frame::new(7, 0, 0, [0; 8]),
        5 => Frame::new(
            8,
            0,
            stream,
            dice.pick::<[u8; 4]>(&[[0; 4], [0, 0, 0, 1], [0x7f, 0xff, 0xff, 0xff]]),
        ),
        6 => Frame::new(5, END_HEADERS, stream, [0, 0, 0, 2, 0x82]),
        7 => Frame::new(CONTINUATION, END_HEADERS, stream, dice.bytes(20)),
        _ => Frame::new(dice.byte(), dice.byte(), stream, dice.bytes(40)),
    }
}

fn bend(frames: &mut Vec<Frame>, dice: &mut Dice) {
    if frames.is_empty() {
        return;
    }
    let at = dice.below(frames.len());
    let frame = &mut frames[at];
    match dice.below(9) {
        0 => frame.flags ^= 1 << dice.below(8),
        1 => frame.stream = dice.pick(&[0, 1, 2, 5, 0x7fff_ffff, 0xffff_ffff]),
        2 => frame.kind = dice.byte() % 12,
        3 => super::request::scramble(&mut frame.payload, dice),
        4 => frame.payload.truncate(dice.below(frame.payload.len() + 1)),
        5 => frame.payload.extend(dice.bytes(3000)),
        6 => frame.payload.extend(std::iter::repeat_n(0x82, dice.below(9000))),
        7 => drop(frames.remove(at)),
        _ => {
            let other = dice.below(frames.len());
            frames.swap(at, other);
        }
    }
}

/// What came back.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// The streams whose answers have begun, with the status where it could be read.
    pub(crate) answered: Vec<(u32, Option<u16>)>,
    /// The streams whose answers have ended.
    pub(crate) ended: usize,
}

/// Reads frames as far as they have come.
///
/// # Errors
/// What no careful peer would accept.
pub(crate) fn hear(mut bytes: &[u8]) -> Result<Heard, String> {
    let mut heard = Heard::default();
    while bytes.len() >= 9 {
        let length = usize::from(bytes[0]) << 16 | usize::from(bytes[1]) << 8 | usize::from(bytes[2]);
        if length > 16_384 {
            return Err(format!("a frame of {length} bytes: {:?}", &bytes[..9]));
        }
        let (kind, flags) = (bytes[3], bytes[4]);
        let stream = u32::from_be_bytes([bytes[5], bytes[6], bytes[7], bytes[8]]);
        if bytes.len() < 9 + length {
            break;
        }
        let payload = &bytes[9..9 + length];
        if kind == HEADERS {
            heard.answered.push((stream, status(payload)));
        }
        if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
            heard.ended += 1;
        }
        bytes = &bytes[9 + length..];
    }
    Ok(heard)
}

/// The status at the beginning of a block of headers, where it stands there in full.
fn status(block: &[u8]) -> Option<u16> {
    const INDEXED: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    let (first, rest) = block.split_first()?;
    match *first {
        index @ 0x88..=0x8e => Some(INDEXED[usize::from(index - 0x88)]),
        0x48 | 0x08 | 0x18 => {
            let (length, text) = rest.split_first()?;
            let text = text.get(..usize::from(length & 0x7f))?;
            let digits = if length & 0x80 == 0 {
                String::from_utf8(text.to_vec()).ok()?
            } else {
                digits(text)
            };
            digits.parse().ok()
        }
        _ => None,
    }
}

/// Three digits in the code of HPACK: five bits for 0 to 2, six for the others.
fn digits(text: &[u8]) -> String {
    let bits: Vec<u8> = text
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
        .collect();
    let mut rest = &*bits;
    let mut out = String::new();
    while out.len() < 3 {
        let value = |many: usize| {
            rest.get(..many)
                .map(|bits| bits.iter().fold(0, |sum, bit| sum << 1 | *bit))
        };
        let (digit, many) = match (value(5), value(6)) {
            (Some(five @ 0..=2), _) => (five, 5),
            (_, Some(six @ 0b01_1001..=0b01_1111)) => (six - 0b01_1001 + 3, 6),
            _ => break,
        };
        out.push(char::from(b'0' + digit));
        rest = &rest[many..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_from_headers() {
        let table: &[(&[u8], Option<u16>)] = &[
            (&[0x88], Some(200)),
            (&[0x8e], Some(500)),
            (&[0x48, 3, b'4', b'0', b'5'], Some(405)),
            // 503 as RFC 7541 compresses it: 011011 00000 011001, filled with ones.
            (&[0x48, 0x83, 0b0110_1100, 0b0000_1100, 0b1111_1111], Some(503)),
            (&[0xbe], None),
            (&[], None),
        ];
        for (block, expected) in table {
            assert_eq!(status(block), *expected, "{block:x?}");
        }
    }
}

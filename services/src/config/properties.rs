//! Property tests of the configuration: no input breaks it.
//!
//! Inputs are made of bytes by a function of our own: strategies for strings would take most of the time.

use std::path::Path;

use proptest::prelude::*;

use super::*;

/// Pieces of configurations, separated by bars.
const PIECES: &str = "[|]|[[|]]|{|}|=| = |\n|,|.|\"|'|\"\"\"|'''|#|\\|\0|é|-|1|9e999|0x|1979-05-27|true|call|[call]\n|service|\
    [service.a]\n|service.a.b = |node_id|http_token|\"5s\"|\"1MiB\"|log = |event_bridge|\"nats://a:b@c\"|payload_limit = |\r\n";

/// Cheap cases, so many of them; `PROPTEST_CASES` asks for more.
fn many() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    ProptestConfig::with_cases(asked.unwrap_or(100_000))
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..most)
}

/// Makes a text that is often nearly a configuration.
fn nearly(bytes: &[u8]) -> String {
    let pieces: Vec<&str> = PIECES.split('|').collect();
    let mut text = String::new();
    for byte in bytes.iter().map(|byte| usize::from(*byte)) {
        match pieces.get(byte) {
            Some(piece) => text += piece,
            None => text.push(char::from_u32(byte as u32 * if byte > 200 { 97 } else { 1 }).unwrap_or('?')),
        }
    }
    text
}

/// Makes a variable whose name is often nearly one of ours.
fn variable(bytes: &[u8]) -> (String, String) {
    let (name, value) = bytes.split_at(bytes.len() / 2);
    let known = bytes
        .first()
        .and_then(|byte| settings().get(usize::from(*byte) % 24))
        .map(Setting::variable);
    let name = known.unwrap_or_else(|| {
        let letters: String = name
            .iter()
            .map(|byte| char::from(b"AZaz__09"[usize::from(*byte) % 8]))
            .collect();
        let begin = ["ROADSHOW_", "ROADSHOW_SERVICE__", "ROADSHOW_SERVICE", ""][name.len() % 4];
        format!("{begin}{letters}")
    });
    (name, nearly(value))
}

proptest! {
    #![proptest_config(many())]

    #[test]
    fn no_text_and_no_environment_breaks_it(
        file in bytes(16),
        one in bytes(16),
        other in bytes(16),
        flag in bytes(8),
        host in bytes(4),
    ) {
        let file = nearly(&file);
        let env = [variable(&one), variable(&other)];
        let (variable, value) = variable(&flag);
        let flags = [(variable.trim_start_matches("ROADSHOW_").to_ascii_lowercase().replace("__", "."), value)];
        let host = nearly(&host);
        match Settings::resolve(Some((Path::new("f"), &file)), env.into_iter(), &flags, Some(&host)) {
            Ok(resolved) => prop_assert_eq!(resolved.effective().count(), settings().len()),
            Err(errors) => prop_assert!(!errors.to_string().is_empty()),
        }
    }

    #[test]
    fn no_bytes_break_it(bytes in bytes(64)) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = Settings::resolve(Some((Path::new("f"), &text)), std::iter::empty(), &[], None);
    }
}

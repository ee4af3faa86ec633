//! When a certificate ends: one date out of it, so that an operator hears of it before the callers do.
//!
//! Only the way to that date is read, element by element; anything unexpected on the way means that nothing is said.

use std::time::{Duration, SystemTime};

const DAY_SECONDS: i64 = 24 * 60 * 60;
/// From when on the end of a certificate is worth a warning.
const NOTICE: Duration = Duration::from_secs(14 * DAY_SECONDS.unsigned_abs());

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// How long a certificate is still good for, where an operator should hear of it: soon to end, or zero, for it has ended.
pub(crate) fn soon(certificate: &[u8], now: SystemTime) -> Option<Duration> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let left = end_of(certificate)? - i64::try_from(now.as_secs()).ok()?;
    // It holds for all of its last second.
    let left = Duration::from_secs(u64::try_from(left + 1).unwrap_or(0));
    (left <= NOTICE).then_some(left)
}

/// The last moment of a certificate, in seconds since 1970 (RFC 5280, section 4.1).
fn end_of(certificate: &[u8]) -> Option<i64> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (signed, _) = element(certificate, SEQUENCE)?;
    let rest = element(signed, VERSION).map_or(signed, |(_, rest)| rest);
    let (_, rest) = element(rest, INTEGER)?;
    let (_, rest) = element(rest, SEQUENCE)?;
    let (_, rest) = element(rest, SEQUENCE)?;
    let (validity, _) = element(rest, SEQUENCE)?;
    let from = element(validity, UTC_TIME).or_else(|| element(validity, GENERALIZED_TIME));
    let (_, until) = from?;
    match element(until, UTC_TIME) {
        Some((text, _)) => {
            let year = number(text.get(..2)?)?;
            // Two digits mean 1950 to 2049.
            seconds(if year < 50 { 2000 + year } else { 1900 + year }, text.get(2..)?)
        }
        None => {
            let (text, _) = element(until, GENERALIZED_TIME)?;
            seconds(number(text.get(..4)?)?, text.get(4..)?)
        }
    }
}

/// The content of the first element, which must have a tag, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let [found, length, rest @ ..] = bytes else {
        return None;
    };
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length - 0x80))?;
            let length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
            (length, rest)
        }
        _ => return None,
    };
    (*found == tag).then(|| rest.split_at_checked(length))?
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'))
    })
}

/// The time `MMDDHHMMSSZ` of a year, in seconds since 1970.
fn seconds(year: i64, text: &[u8]) -> Option<i64> {
    if text.len() != 11 || text[10] != b'Z' {
        return None;
    }
    let two = |at: usize| number(&text[at..at + 2]);
    let (month, day) = (two(0)?, two(2)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // The year begins in March, so that the odd day is its last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(days * DAY_SECONDS + two(4)? * 3_600 + two(6)? * 60 + two(8)?)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn until(year: i32, month: u8, day: u8) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("names");
        params.not_after = date_time_ymd(year, month, day);
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").der().to_vec()
    }

    #[test]
    fn dates_are_read_as_they_were_written() {
        // `date -u -d 2026-11-21 +%s` and the like.
        let table = [
            ((2026, 11, 21), 1_795_219_200),
            ((2024, 2, 29), 1_709_164_800),
            ((2049, 12, 31), 2_524_521_600),
            ((2050, 1, 1), 2_524_608_000),
            ((2100, 3, 1), 4_107_542_400),
        ];
        for ((year, month, day), expected) in table {
            assert_eq!(end_of(&until(year, month, day)), Some(expected), "{year}-{month}-{day}");
        }
    }

    #[test]
    fn an_operator_hears_of_the_end_two_weeks_before() {
        let certificate = until(2026, 11, 21);
        let days_before = |days: u64| {
            let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_219_200);
            soon(&certificate, end - Duration::from_secs(days * 24 * 60 * 60))
        };
        let days = |days: u64| Duration::from_secs(days * 24 * 60 * 60 + 1);
        assert_eq!(days_before(14), None);
        assert_eq!(days_before(13), Some(days(13)));
        assert_eq!(days_before(0), Some(Duration::from_secs(1)), "in its last second");
        let late = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_219_201);
        assert_eq!(soon(&certificate, late), Some(Duration::ZERO));
    }

    #[test]
    fn what_is_no_certificate_says_nothing() {
        let certificate = until(2026, 11, 21);
        assert_eq!(end_of(&[]), None);
        for length in 0..certificate.len().min(400) {
            let _read = end_of(&certificate[..length]);
        }
        assert_eq!(end_of(b"\x30\x84\xff\xff\xff\xff"), None);
        assert_eq!(end_of(b"\x30\x80\x00\x00"), None);
    }
}

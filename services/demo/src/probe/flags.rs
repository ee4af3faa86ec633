//! The flags that the probe brings to `up`.

use std::time::Duration;

use super::ledger::Ledger;

/// `--probe LEDGER` and what goes with it.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
#[non_exhaustive]
pub struct ProbeFlags {
    /// Serve the test service `probe` and append a line to this file for every start and end of a handler
    #[arg(long, value_name = "LEDGER", value_parser = open, help_heading = "Probe")]
    pub probe: Option<Ledger>,
    /// How many handlers of the probe may be at work: of the command, of the stream and of the subscription each
    #[arg(
        long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..),
        requires = "probe", help_heading = "Probe"
    )]
    pub probe_concurrency: u32,
    /// How many callers of the probe may wait for their turn
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1_024,
        requires = "probe",
        help_heading = "Probe"
    )]
    pub probe_waiting: u32,
    /// How long a broker waits for the probe's acknowledgement; the memory bridge never gives up waiting
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "probe", help_heading = "Probe")]
    pub probe_lease: Option<Duration>,
}

/// Opens the ledger while the flags are read, so that a wrong path is a wrong flag and not a failing service.
fn open(path: &str) -> Result<Ledger, String> {
    Ledger::open(path.as_ref()).map_err(|error| format!("cannot open it for appending: {error}"))
}

/// Reads a whole number and its unit, as in `3s` or `500ms`.
fn duration(text: &str) -> Result<Duration, String> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000)];
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let factor = units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    let number: Option<u64> = number.parse().ok();
    number
        .zip(factor)
        .and_then(|(number, factor): (u64, u64)| number.checked_mul(factor))
        .filter(|millis| *millis > 0)
        .map(Duration::from_millis)
        .ok_or_else(|| "expected a whole number above 0 with a unit (ms, s, m), as in 3s".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        flags: ProbeFlags,
    }

    #[test]
    fn without_a_ledger_there_is_no_probe_and_nothing_that_belongs_to_it() {
        let line = Line::try_parse_from(["up"]).expect("no flags");
        assert!(crate::probe::probe(line.flags).is_none());
        assert!(Line::try_parse_from(["up", "--probe-waiting", "3"]).is_err());
    }

    #[test]
    fn limits_and_durations_are_read_with_their_bounds() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = folder.path().join("ledger");
        let ledger = ledger.to_str().expect("a path in UTF-8");
        let with = |more: &[&str]| Line::try_parse_from([&["up", "--probe", ledger], more].concat());
        let flags = with(&["--probe-concurrency", "4", "--probe-waiting=0", "--probe-lease", "3s"])
            .expect("flags")
            .flags;
        assert_eq!((flags.probe_concurrency, flags.probe_waiting), (4, 0));
        assert_eq!(flags.probe_lease, Some(Duration::from_secs(3)));
        for wrong in [
            ["--probe-concurrency", "0"],
            ["--probe-lease", "3"],
            ["--probe-lease", "0s"],
            ["--probe-waiting", "-1"],
        ] {
            assert!(with(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_ledger_in_a_folder_that_is_not_there_is_a_wrong_flag() {
        let error = Line::try_parse_from(["up", "--probe", "/no/such/folder/ledger"]).expect_err("no folder");
        assert!(error.to_string().contains("cannot open it for appending"), "{error}");
    }
}

//! `call`: one call of a command, JSON in and JSON out.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use roadshow_services::{AddressBuf, Connectors};

use crate::end::{self, End};
use crate::payload;
use crate::reply;
use crate::style::Style;
use crate::target::ReachArgs;

/// The arguments of `call`.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub(crate) struct CallArgs {
    /// The command, as SERVICE.VERSION.COMMAND
    address: AddressBuf,
    /// Its input: JSON, or @FILE, or - for stdin; left out, stdin if that is no terminal, and null if it is empty
    #[arg(allow_negative_numbers = true)]
    json: Option<String>,
    /// How long there is time; the node's default otherwise
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    #[command(flatten)]
    who: WhoArgs,
    #[command(flatten)]
    reach: ReachArgs,
}

/// On whose behalf a message is sent.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub(crate) struct WhoArgs {
    /// Who acts
    #[arg(long, value_name = "NAME", value_parser = short_text)]
    principal: Option<String>,
    /// For which tenant
    #[arg(long, value_name = "NAME", value_parser = short_text)]
    tenant: Option<String>,
    /// An idempotency key: two messages with one key mean one effect
    #[arg(long, value_name = "KEY", value_parser = short_text)]
    key: Option<String>,
}

impl WhoArgs {
    pub(crate) fn options(&self) -> roadshow_services::CallOptions {
        let mut options = roadshow_services::CallOptions::default();
        options.principal = self.principal.clone().map(Into::into);
        options.tenant = self.tenant.clone().map(Into::into);
        options.key = self.key.clone().map(Into::into);
        options
    }
}

/// Calls and prints the reply.
pub(crate) async fn run(args: CallArgs, connectors: &Connectors) -> End {
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
    match target.call(&args.address, payload.into(), options).await {
        // For programs as it came, byte by byte; for people laid out.
        Ok(reply) if io::stdout().is_terminal() => end::print(&reply::laid_out(&reply, Style::for_stdout())),
        Ok(reply) => end::print(&String::from_utf8_lossy(&reply)),
        Err(end) => end,
    }
}

/// Reads a text that crosses the wire unshortened.
fn short_text(text: &str) -> Result<String, &'static str> {
    let fits = (1..=128).contains(&text.trim().len());
    (fits && !text.chars().any(char::is_control))
        .then(|| text.to_owned())
        .ok_or("expected 1 to 128 bytes without control characters")
}

/// Reads a whole number and its unit, as in `5s`.
pub(crate) fn duration(text: &str) -> Result<Duration, &'static str> {
    const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    let millis = number.parse::<u64>().ok().zip(factor);
    millis
        .and_then(|(number, factor)| number.checked_mul(factor))
        .filter(|millis| *millis > 0)
        .map(Duration::from_millis)
        .ok_or("expected a whole number above 0 with a unit of time (ms, s, m, h), as in 5s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_a_header() {
        assert_eq!(short_text("Zoë"), Ok("Zoë".to_owned()));
        for wrong in ["", " ", "a\nb", &"x".repeat(129)] {
            assert!(short_text(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_time_needs_a_number_and_a_unit() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in [
            "",
            "5",
            "s",
            "0s",
            "-1s",
            "1.5s",
            "5 s",
            "5d",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}

//! Log lines and panics of the process: written to stderr, as text for people or as JSON for collectors.
//!
//! A JSON line bears the event's fields at the top, and under `span` those of the handler it was written in: service,
//! message, correlation and trace ids. Deliberately not here: export over OTLP.

mod fields;

use std::io;
use std::panic::{self, PanicHookInfo};

use roadshow_services::config::{LogFormat, Resolved};
use tracing::error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::style::Style;
use fields::Fields;

/// What the brokers' client libraries say of themselves is left out unless the settings ask for it: adapters tell what
/// matters in words of their own, and a queue that is not there yet is no error.
const CLIENT_LIBRARIES: &str = "lapin=off,async_nats=off";

/// Installs the subscriber and the panic hook of this process. A subscriber that is there already is kept.
///
/// # Errors
///
/// Filter directives that cannot be read.
pub(crate) fn install(resolved: &Resolved) -> Result<(), String> {
    let settings = resolved.settings();
    let filter = EnvFilter::builder()
        .parse(format!("{CLIENT_LIBRARIES},{}", settings.log_filter))
        .map_err(|error| format!("cannot use log_filter from {}: {error}", resolved.origin("log_filter")))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Lossy)
        .log_internal_errors(false)
        .with_span_events(FmtSpan::NONE);
    let _kept = match settings.log {
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init(),
        _ => lines
            .with_ansi(Style::for_stderr().is_coloured())
            .fmt_fields(Fields)
            .finish()
            .try_init(),
    };
    panic::set_hook(Box::new(note_panic));
    Ok(())
}

/// Writes to stderr what stderr takes. A full disk or a collector that is gone costs lines, never the node: whoever reports
/// there that a line could not be written panics, and the hook below would log that.
struct Lossy;

impl io::Write for Lossy {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _lost = io::stderr().write_all(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One line for every panic, wherever it is caught.
fn note_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let message = panic.payload_as_str().unwrap_or("a panic without a message");
    error!(target: "roadshow::panic", location, panic = message, "panicked");
}

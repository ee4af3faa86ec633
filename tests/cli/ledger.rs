//! The ledger of the probe, read from outside: what ran, whoever says otherwise.

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A ledger of a test's own.
pub(crate) struct Ledger(PathBuf);

impl Ledger {
    /// A file of its own for each test.
    pub(crate) fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("roadshow-cli-{name}-{}", std::process::id())))
    }

    /// What `--probe` takes.
    pub(crate) fn path(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }

    /// Waits until the ledger has a line with this text.
    pub(crate) fn shows(&self, text: &str) {
        let until = Instant::now() + Duration::from_secs(30);
        while !std::fs::read_to_string(&self.0).is_ok_and(|lines| lines.contains(text)) {
            assert!(Instant::now() < until, "{text} in the ledger");
            std::thread::yield_now();
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

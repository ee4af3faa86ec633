//! What the operating system says of this process: resident memory, threads, open files.
//!
//! Read from `/proc` when the page is rendered, two small reads from memory; elsewhere than on Linux nothing is shown.
//! Resident memory is taken from `status`, which is in kibibytes, and not from `statm`, which counts pages of a size that
//! only a system call would tell.

use std::fs;

use super::exposition::Exposition;

/// What `/proc` said at one moment; what could not be read is left out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Process {
    /// Resident memory in bytes.
    pub resident_bytes: Option<u64>,
    /// Threads of this process.
    pub threads: Option<u64>,
    /// Open file descriptors.
    pub open_fds: Option<u64>,
}

impl Process {
    /// Reads the numbers of the calling process.
    #[must_use]
    pub fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        // The directory that is being listed is open itself.
        let open_fds = fs::read_dir("/proc/self/fd")
            .ok()
            .map(|entries| (entries.count() as u64).saturating_sub(1));
        Self {
            resident_bytes: field(&status, "VmRSS:").map(|kibibytes| kibibytes * 1024),
            threads: field(&status, "Threads:"),
            open_fds,
        }
    }

    /// Adds the numbers to a page.
    pub(crate) fn expose(self, page: &mut Exposition) {
        let rows = [
            (
                "roadshow_process_resident_memory_bytes",
                "Resident memory of this process.",
                self.resident_bytes,
            ),
            ("roadshow_process_threads", "Threads of this process.", self.threads),
            (
                "roadshow_process_open_fds",
                "Open file descriptors of this process.",
                self.open_fds,
            ),
        ];
        for (name, help, value) in rows {
            if let Some(value) = value {
                page.gauge(name, help, &[], value as f64);
            }
        }
    }
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name_and_nonsense_is_left_out() {
        let status = "Name:\tx\nVmRSS:\t    1234 kB\nThreads:\tmany\n";
        assert_eq!(field(status, "VmRSS:"), Some(1234));
        assert_eq!(field(status, "Threads:"), None);
        assert_eq!(field("", "VmRSS:"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_uses_memory_threads_and_files() {
        let process = Process::read();
        assert!(process.resident_bytes.is_some_and(|bytes| bytes > 100 * 1024));
        assert!(process.threads.is_some_and(|threads| threads >= 1));
        assert!(process.open_fds.is_some_and(|fds| fds >= 1));
    }
}

//! A network of its own for a test, so that port 8080 is nobody else's.

use std::net::TcpListener;
use std::process::Command;

/// Set where the test runs in the network that it made.
const INSIDE: &str = "TEST_GUIDE_NETWORK";

/// Whether the test may go on here. If not, it has run, and passed, in a network of its own.
pub(crate) fn is_own(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    // Also says whether this system has the programs and lets us.
    let up = "ip link set lo up && exec \"$0\" \"$@\"";
    let unshare = |program: &str, args: &[&str]| {
        let mut command = Command::new("unshare");
        command
            .args(["--map-root-user", "--net", "sh", "-c", up, program])
            .args(args);
        command.env(INSIDE, "1");
        command.status().is_ok_and(|status| status.success())
    };
    if unshare("true", &[]) {
        let this = std::env::current_exe().expect("the test's own program");
        let this = this.to_str().expect("a path in UTF-8");
        assert!(unshare(this, &["--exact", test, "--nocapture"]), "see above");
        return false;
    }
    let free = TcpListener::bind("127.0.0.1:8080");
    assert!(
        free.is_ok(),
        "port 8080 is taken, and this system allows no network of one's own: {free:?}"
    );
    true
}

//! Free ports, below those that the system gives to outgoing connections: a broker that is started again finds its own.

use std::io;
use std::net::TcpListener;

use rand::RngExt;

/// Linux gives 32768 and above to whoever connects without a port of its own.
const PORTS: std::ops::Range<u16> = 15_000..32_000;
const TRIES_MAX: usize = 200;

/// A port of the loopback that nobody listens on now.
///
/// # Errors
///
/// None of 200 random ones was free.
pub fn free_port() -> io::Result<u16> {
    let mut random = rand::rng();
    for _ in 0..TRIES_MAX {
        let port = random.random_range(PORTS);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::other(
        "cannot find a free port: none of 200 random ones was free",
    ))
}

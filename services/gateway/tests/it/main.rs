//! The gateway from outside: real nodes, real sockets.

mod admin;
mod calls;
mod client;
mod cors;
mod drain;
mod hang_up;
mod http2;
mod http2_limits;
mod noise;
mod readyz;
mod routes;
mod slow;
mod stage;
mod start;
mod streams;
mod table;
mod tls;
mod told;
mod wire;

//! The gateway from outside: real nodes, real sockets.

mod admin;
mod calls;
mod client;
mod drain;
mod hang_up;
mod noise;
mod routes;
mod slow;
mod stage;
mod start;
mod table;
mod wire;

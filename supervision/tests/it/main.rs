//! How supervisors behave, from outside: the cases by which OTP tests its own, and those that are ours.
//!
//! All of it runs on tokio's paused time, so that a delay of half a minute costs nothing and bounds can be exact.

mod admin;
mod auto_shutdown;
mod chaos;
mod escalation;
mod instances;
mod limits;
mod obeying;
mod observer;
mod restart_types;
mod snapshots;
mod stage;
mod starting;
mod stopping;
mod strategies;

//! The service `{{name}}` 1: greets people, and counts how often it did.

pub mod contract;
mod service;

pub use service::{Greeter, service};

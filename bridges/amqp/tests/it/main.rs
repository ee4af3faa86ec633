//! The adapter against a real RabbitMQ, each test in a namespace of its own.

mod blocked;
mod cut;
mod delivering;
mod differing;
mod giving_back;
mod harness;
mod hostile;
mod leftovers;
mod publishing;
mod raw;

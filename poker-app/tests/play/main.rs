//! Real sockets against the whole app: standalone, and a gateway over two shards.

// Helpers outside of test functions are test code too.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod client;
mod persistence;
mod process;
mod several_shards;
mod standalone;

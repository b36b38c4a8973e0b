//! Real sockets against the whole program: everything in one process, and a gateway over two shards.

// Helpers outside of test functions are test code too.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod alone;
mod client;
mod kept;
mod many;
mod process;

//! Real sockets against the whole program: everything in one process, and a gateway over two shards.

mod alone;
mod client;
mod many;
mod process;

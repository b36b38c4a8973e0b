//! Tests of the room as a whole.
#![allow(clippy::unwrap_used, clippy::panic)]

#[cfg(feature = "typescript")]
mod bindings;
mod properties;
mod scenarios;
mod support;

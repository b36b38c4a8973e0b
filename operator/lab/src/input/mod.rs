//! Reads series and texts from files.

pub mod series;
pub mod text;

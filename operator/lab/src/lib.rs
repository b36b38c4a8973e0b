//! Offline tools: nothing here runs in the controller. They replay its decisions (`poker-operator-core`) on recorded
//! data.

pub mod cli;
mod forecasting;
mod hpa_vectors;
mod input;
mod plot;
mod simulate;
mod verdicts;

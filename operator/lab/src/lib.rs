//! Offline tools beside the operator: nothing here runs in the controller.
//!
//! They replay the controller's own decisions (`poker-operator-core`) against recorded data.

pub mod cli;
mod forecasting;
mod hpa_vectors;
mod input;
mod plot;
mod simulate;
mod verdicts;

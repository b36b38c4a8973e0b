//! The horizontal pod autoscaler of Kubernetes as pure functions: same input, same count.
//!
//! [`controller::Pass`] is one whole pass with conditions and events. The operator's own decision
//! uses the parts below it: [`metric`] → [`combine`] → [`normalize`]. Values are thousandths,
//! time is a parameter.

pub mod behavior;
pub mod calculator;
pub mod combine;
pub mod condition;
pub mod controller;
pub mod error;
pub mod history;
pub mod metric;
pub mod normalize;
pub mod pods;
pub mod quantity;
pub mod rate;
pub mod ratio;
pub mod requests;
pub mod selector;
pub mod stabilize;
pub mod tolerance;

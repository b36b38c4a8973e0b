//! The horizontal pod autoscaler of Kubernetes as pure functions: same input, same count.
//!
//! [`controller::Pass`] is one whole pass with conditions and events. The operator's own decision
//! uses the parts below it: [`metric`] → [`combine`] → [`normalize`]. Values are thousandths,
//! time is a parameter.
//!
//! The formulas are those of Kubernetes, `pkg/controller/podautoscaler` (`replica_calculator.go`,
//! `metrics/utilization.go`, `horizontal.go`), n the current count:
//!
//! - ratio r = use ÷ target. For utilization, use is Σ use ÷ Σ request in whole percent; for averages, Σ use ÷ pods.
//! - 1 − tolerance down ≤ r ≤ 1 + tolerance up: n stays. Else ⌈r · ready pods⌉.
//! - Pods without a sample: r < 1 counts them at the target (utilization: at 100 % or the target, whichever is
//!   more), r > 1 at 0, and pods not ready at 0 too. When that turns r to the other side of 1, or into the
//!   tolerance, n stays.
//! - One total: ⌈r · ready pods⌉; one total with a target per pod: ⌈total ÷ target⌉.
//! - Several metrics: the largest count; where one is missing, no fewer than n.
//! - Stabilization: max over the scale-down window ≥ count ≥ min over the scale-up window of recent wishes.
//! - Rate: from s, the count at the start of a policy's period, at most s + pods or ⌈s · (1 + percent ÷ 100)⌉, at
//!   least s − pods or ⌊s · (1 − percent ÷ 100)⌋; `selectPolicy` takes the one that changes most, or least.

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

//! The horizontal pod autoscaler of Kubernetes as pure functions: same input, same count.
//!
//! [`controller::Reconcile`] is a complete reconcile with conditions and events. The operator's own decision
//! uses the parts below it: [`metric`] → [`combine`] → [`normalize`]. Values are in thousandths, and time is a
//! parameter.
//!
//! The formulas are those of Kubernetes, `pkg/controller/podautoscaler` (`replica_calculator.go`,
//! `metrics/utilization.go`, `horizontal.go`), where n is the current count:
//!
//! - ratio r = use ÷ target. For utilization, use is Σ use ÷ Σ request in whole percent; for averages, Σ use ÷ pods.
//! - 1 − tolerance down ≤ r ≤ 1 + tolerance up: n stays. Else ⌈r · ready pods⌉.
//! - Pods without a sample: if r < 1 they count at the target (utilization: at 100 % or the target, whichever is
//!   more); if r > 1 they count at 0, as do pods that are not ready. If this moves r across 1 or into the
//!   tolerance, n stays.
//! - One total: ⌈r · ready pods⌉; one total with a target per pod: ⌈total ÷ target⌉.
//! - Several metrics: the largest count; where one is missing, no fewer than n.
//! - Stabilization: max over the scale-down window ≥ count ≥ min over the scale-up window of recent recommendations.
//! - Rate: with s as the count at the start of a policy's period, at most s + pods or ⌈s · (1 + percent ÷ 100)⌉, and at
//!   least s − pods or ⌊s · (1 − percent ÷ 100)⌋. `selectPolicy` selects the largest or the smallest change.

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

//! Gaps: while a metric has no samples, and for some time afterwards, nothing is scaled in.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::limits::RENEWED_WITHIN;
use super::sample_change::fault_window;
use super::{Cause, Sample, ScaleInput, ScaleMemory};

/// Records whether a sample or a forecast is missing now. A gap holds scale-in for its own length after its end. One that
/// is as long as the stabilization window leaves no sample in it: then one window of samples must justify a scale-in, and
/// a second one the forecast, which starts over.
pub fn record(is_gap: bool, memory: &mut ScaleMemory, window: SignedDuration, now: Timestamp) {
    if is_gap {
        memory.gap_since.get_or_insert(now);
    } else if let Some(since) = memory.gap_since.take() {
        let length = now.duration_since(since);
        let held_for = if length < window {
            length
        } else {
            window * 2 + fault_window(window)
        };
        memory.held_until = memory.held_until.max(Some(now + held_for));
    }
}

/// Records the metrics that may have no value because nothing happens, as a quantile of no requests: Prometheus answers
/// their queries, and a built-in metric shows that it scrapes the pods.
pub fn record_no_value(input: &ScaleInput, memory: &mut ScaleMemory) {
    let metrics = &input.block.metrics;
    let sample = |name: &str| input.samples.get(name);
    let is_scraped = metrics.iter().any(|metric| {
        metric.builtin.is_some() && matches!(sample(metric.name()), Some(Sample::Fresh { .. }))
    });
    let has_no_value = |name: &str| {
        matches!(
            sample(name),
            Some(Sample::Missing {
                cause: Cause::NoValue,
                ..
            })
        )
    };
    let custom = metrics.iter().filter(|metric| metric.promql.is_some());
    let names = custom.map(|metric| metric.name());
    let empty: BTreeSet<&str> = names.filter(|name| is_scraped && has_no_value(name)).collect();
    let since = &mut memory.no_value_since;
    since.retain(|name, _| empty.contains(name.as_str()));
    for name in empty {
        since.entry(name.to_owned()).or_insert(input.now);
    }
}

/// Whether a metric has had no value for less than a window: it may be a short fault.
pub fn waits_for_values(memory: &ScaleMemory, window: SignedDuration, now: Timestamp) -> bool {
    let window = window.max(RENEWED_WITHIN);
    let mut since = memory.no_value_since.values();
    since.any(|since| now.duration_since(*since) < window)
}

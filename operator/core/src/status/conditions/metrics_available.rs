//! MetricsAvailable: whether Prometheus has the metrics that autoscaling needs.

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use poker_operator_api::Component;
use poker_operator_api::conditions::{reasons, types};

use super::{ConditionDraft, ConditionInput, draft};
use crate::limits::METRICS_UNAVAILABLE_AFTER_SECONDS;
use crate::scale::metric_keys::autoscaling_specs;
use crate::scale::{Cause, Sample};

impl ConditionInput<'_> {
    /// False once a metric has had no complete sample for a while: a single lost answer is not reported. `None` if nothing
    /// was decided.
    pub(super) fn metrics_available(&self) -> Option<ConditionDraft> {
        let decisions = &self.outcome.scale;
        if decisions.is_empty() {
            return None;
        }
        let after = SignedDuration::from_secs(METRICS_UNAVAILABLE_AFTER_SECONDS);
        let gaps = decisions.iter().filter_map(|decision| decision.memory.gap_since);
        let longest = gaps.map(|since| self.observed.now.duration_since(since)).max();
        // A restart forgets since when the gap lasts.
        let is_reported = |longest| longest >= after || self.was_reported();
        let problem = longest
            .filter(|longest| is_reported(*longest))
            .and_then(|_| self.first_problem());
        Some(match problem {
            Some((reason, message)) => draft(false, reason, message),
            None => draft(true, reasons::AS_EXPECTED, "every metric has samples"),
        })
    }

    fn was_reported(&self) -> bool {
        let is_it = |condition: &Condition| {
            condition.type_ == types::METRICS_AVAILABLE && condition.status == "False"
        };
        self.status.conditions.iter().any(is_it)
    }

    /// The first metric without a complete sample: a fixed reason and what is known.
    fn first_problem(&self) -> Option<(&'static str, String)> {
        let specs = autoscaling_specs(&self.observed.cluster);
        let mut metrics = specs.iter().flat_map(|(component, spec)| {
            let samples = self.observed.metrics.get(component);
            let metrics = spec.metrics.iter().map(|metric| metric.name());
            metrics.map(move |name| (*component, name, samples.and_then(|of| of.get(name))))
        });
        metrics.find_map(|(component, name, sample)| {
            let (reason, why) = match sample {
                _ if self.has_nothing_to_measure(component, name) => return None,
                Some(Sample::Fresh { .. }) => return None,
                Some(Sample::Partial { why, .. }) => (reasons::METRICS_PARTIAL, why.clone()),
                Some(Sample::Stale { at }) => {
                    (reasons::METRICS_STALE, format!("the last sample is from {at}"))
                }
                Some(Sample::Missing { cause, why }) => (reason(*cause), why.clone()),
                None => (reasons::METRICS_PENDING, "no sample yet".to_owned()),
            };
            let message = format!("{name} of {component}: {why}; until then the operator does not scale in");
            Some((reason, message))
        })
    }

    fn has_nothing_to_measure(&self, component: Component, metric: &str) -> bool {
        let mut decisions = self.outcome.scale.iter();
        let of = decisions.find(|decision| decision.component == component);
        of.is_some_and(|decision| decision.memory.no_value_since.contains_key(metric))
    }
}

fn reason(cause: Cause) -> &'static str {
    match cause {
        Cause::Pending => reasons::METRICS_PENDING,
        Cause::NoValue => reasons::METRICS_NO_VALUE,
        Cause::QueryFailed => reasons::METRICS_QUERY_FAILED,
        Cause::TooManySeries => reasons::METRICS_TOO_MANY_SERIES,
    }
}

//! The number of connected people in the status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use poker_operator_api::Component;
use poker_operator_api::status::Participants;

use crate::limits::{PARTICIPANTS_EXPIRY_SECONDS, PARTICIPANTS_SECONDS};
use crate::observed::Observed;
use crate::scale::Sample;

/// The number to report if nothing else changes: updated at most once a minute, because each update costs a write.
pub(super) fn counted(state: &Observed, old: Option<&Participants>) -> Option<Participants> {
    let latest = latest(state, old)?;
    let recent = old.filter(|old| age_seconds(state, old) < PARTICIPANTS_SECONDS);
    Some(recent.cloned().unwrap_or(latest))
}

/// The number from the last sample. `None` without Prometheus or without a sample for long.
pub(super) fn latest(state: &Observed, old: Option<&Participants>) -> Option<Participants> {
    state.cluster.spec.prometheus.as_ref()?;
    let sample = state
        .metrics
        .get(&Component::Shard)
        .and_then(|samples| samples.get("participants"));
    let Some(Sample::Fresh { value, at, .. }) = sample else {
        return old
            .filter(|old| age_seconds(state, old) < PARTICIPANTS_EXPIRY_SECONDS)
            .cloned();
    };
    #[allow(clippy::cast_possible_truncation)] // a count of people; saturates
    let count = value.round() as i64;
    Some(Participants {
        count,
        time: Time(*at),
    })
}

fn age_seconds(state: &Observed, old: &Participants) -> i64 {
    state.now.duration_since(old.time.0).as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::observed;
    use jiff::SignedDuration;
    use std::collections::BTreeMap;

    fn people(state: &mut Observed, value: f64) {
        let sample = Sample::fresh(value, state.now);
        let samples = BTreeMap::from([("participants".to_owned(), sample)]);
        state.metrics.insert(Component::Shard, samples);
    }

    fn count(participants: Option<Participants>) -> Option<i64> {
        participants.map(|participants| participants.count)
    }

    #[test]
    fn participants_are_updated_once_a_minute_or_with_any_other_change() {
        let mut state = observed("demo", "{version: v1, prometheus: {url: 'http://p'}}");
        people(&mut state, 3.0);
        let first = counted(&state, None);
        assert_eq!(count(first.clone()), Some(3));
        state.now += SignedDuration::from_secs(PARTICIPANTS_SECONDS - 1);
        people(&mut state, 5.0);
        assert_eq!(count(counted(&state, first.as_ref())), Some(3));
        assert_eq!(count(latest(&state, first.as_ref())), Some(5));
        state.now += SignedDuration::from_secs(1);
        assert_eq!(count(counted(&state, first.as_ref())), Some(5));
    }

    #[test]
    fn participants_without_samples_expire() {
        let mut state = observed("demo", "{version: v1, prometheus: {url: 'http://p'}}");
        people(&mut state, 3.0);
        let first = counted(&state, None);
        state.metrics.clear();
        state.now += SignedDuration::from_secs(PARTICIPANTS_EXPIRY_SECONDS - 1);
        assert_eq!(count(counted(&state, first.as_ref())), Some(3));
        state.now += SignedDuration::from_secs(1);
        assert_eq!(counted(&state, first.as_ref()), None);
        state.cluster.spec.prometheus = None;
        assert_eq!(latest(&state, first.as_ref()), None);
    }
}

//! How many people are connected, as the status shows it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use poker_operator_api::Component;
use poker_operator_api::status::Participants;

use crate::limits::{PARTICIPANTS_KEPT_SECONDS, PARTICIPANTS_SECONDS};
use crate::observed::Observed;
use crate::scale::Sample;

/// The number to show when nothing else changes: at most one a minute, as each costs a write.
pub(super) fn counted(seen: &Observed, old: Option<&Participants>) -> Option<Participants> {
    let latest = latest(seen, old)?;
    let recent = old.filter(|old| age_seconds(seen, old) < PARTICIPANTS_SECONDS);
    Some(recent.cloned().unwrap_or(latest))
}

/// That of the last sample; none without Prometheus, or when there has been no sample for long.
pub(super) fn latest(seen: &Observed, old: Option<&Participants>) -> Option<Participants> {
    seen.cluster.spec.prometheus.as_ref()?;
    let sample = seen
        .metrics
        .get(&Component::Shard)
        .and_then(|samples| samples.get("participants"));
    let Some(Sample::Fresh { value, at, .. }) = sample else {
        return old
            .filter(|old| age_seconds(seen, old) < PARTICIPANTS_KEPT_SECONDS)
            .cloned();
    };
    #[allow(clippy::cast_possible_truncation)] // a count of people; saturates
    let count = value.round() as i64;
    Some(Participants {
        count,
        time: Time(*at),
    })
}

fn age_seconds(seen: &Observed, old: &Participants) -> i64 {
    seen.now.duration_since(old.time.0).as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::observed;
    use jiff::SignedDuration;
    use std::collections::BTreeMap;

    fn people(seen: &mut Observed, value: f64) {
        let sample = Sample::fresh(value, seen.now);
        let samples = BTreeMap::from([("participants".to_owned(), sample)]);
        seen.metrics.insert(Component::Shard, samples);
    }

    fn count(participants: Option<Participants>) -> Option<i64> {
        participants.map(|participants| participants.count)
    }

    #[test]
    fn they_are_renewed_once_a_minute_and_with_whatever_else_is_written() {
        let mut seen = observed("demo", "{version: v1, prometheus: {url: 'http://p'}}");
        people(&mut seen, 3.0);
        let first = counted(&seen, None);
        assert_eq!(count(first.clone()), Some(3));
        seen.now += SignedDuration::from_secs(PARTICIPANTS_SECONDS - 1);
        people(&mut seen, 5.0);
        assert_eq!(count(counted(&seen, first.as_ref())), Some(3));
        assert_eq!(count(latest(&seen, first.as_ref())), Some(5));
        seen.now += SignedDuration::from_secs(1);
        assert_eq!(count(counted(&seen, first.as_ref())), Some(5));
    }

    #[test]
    fn without_samples_they_are_kept_for_a_while() {
        let mut seen = observed("demo", "{version: v1, prometheus: {url: 'http://p'}}");
        people(&mut seen, 3.0);
        let first = counted(&seen, None);
        seen.metrics.clear();
        seen.now += SignedDuration::from_secs(PARTICIPANTS_KEPT_SECONDS - 1);
        assert_eq!(count(counted(&seen, first.as_ref())), Some(3));
        seen.now += SignedDuration::from_secs(1);
        assert_eq!(counted(&seen, first.as_ref()), None);
        seen.cluster.spec.prometheus = None;
        assert_eq!(latest(&seen, first.as_ref()), None);
    }
}

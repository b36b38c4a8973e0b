//! Counts with known answers, and random moves, restarts and scrapes.

use proptest::prelude::*;
use proptest::{collection, prop_assert, prop_assert_eq};

use super::*;

const STALE_AFTER: Duration = Duration::from_secs(75);

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn shard(id: u32, value: f64, at: i64) -> PodValue {
    PodValue {
        deployment: format!("shard-{id}"),
        pod: format!("shard-{id}-pod"),
        value,
        at: second(at),
    }
}

fn shards(ids: std::ops::Range<u32>) -> ReadyPods {
    ids.map(|id| (format!("shard-{id}"), 1)).collect()
}

fn fresh(value: f64, at: i64, series: u64) -> Sample {
    Sample::Fresh {
        value,
        at: second(at),
        series: Some(series),
    }
}

/// The value of a lower bound.
fn bound(sample: Sample) -> f64 {
    match sample {
        Sample::Partial { value, .. } => value,
        sample => panic!("{sample:?} is no lower bound"),
    }
}

#[test]
fn the_people_of_a_shard_that_leaves_count_at_their_new_shards_alone() {
    let mut sum = PodSum::default();
    sum.expect(shards(0..4), None);
    sum.insert(
        (0..4).map(|id| shard(id, 72.0, 10 + i64::from(id))).collect(),
        second(15),
    );
    assert_eq!(sum.sample(STALE_AFTER), fresh(288.0, 10, 4));
    sum.expect(shards(0..3), Some(second(16)));
    assert_eq!(bound(sum.sample(STALE_AFTER)), 216.0);
    // Two of the three have been scraped since; the sample of shard 3 is still there.
    let values = [(0, 96.0, 25), (1, 96.0, 26), (2, 72.0, 12), (3, 72.0, 13)];
    sum.insert(
        values.map(|(id, people, at)| shard(id, people, at)).to_vec(),
        second(26),
    );
    assert_eq!(bound(sum.sample(STALE_AFTER)), 216.0);
    let values = [(0, 96.0, 25), (1, 96.0, 26), (2, 96.0, 27), (3, 72.0, 13)];
    sum.insert(
        values.map(|(id, people, at)| shard(id, people, at)).to_vec(),
        second(30),
    );
    assert_eq!(sum.sample(STALE_AFTER), fresh(288.0, 25, 3));
}

#[test]
fn rooms_that_move_to_a_new_shard_count_once() {
    let mut sum = PodSum::default();
    sum.expect(shards(0..2), None);
    sum.insert(vec![shard(0, 60.0, 10), shard(1, 60.0, 14)], second(15));
    sum.expect(shards(0..3), Some(second(16)));
    assert_eq!(
        bound(sum.sample(STALE_AFTER)),
        120.0,
        "the new shard is not scraped yet"
    );
    // It is scraped before the shards that it got its rooms from.
    sum.insert(
        vec![shard(0, 60.0, 10), shard(1, 60.0, 14), shard(2, 40.0, 20)],
        second(20),
    );
    assert_eq!(bound(sum.sample(STALE_AFTER)), 120.0);
    sum.insert(
        vec![shard(0, 40.0, 25), shard(1, 40.0, 29), shard(2, 40.0, 20)],
        second(30),
    );
    assert_eq!(sum.sample(STALE_AFTER), fresh(120.0, 20, 3));
}

#[test]
fn a_pod_that_is_not_scraped_any_more_holds_up_nobody() {
    let mut sum = PodSum::default();
    sum.expect(shards(0..2), None);
    for at in [10, 25, 40, 55, 70] {
        sum.insert(vec![shard(0, at as f64, at), shard(1, 7.0, 12)], second(at + 1));
    }
    let missed = Sample::Partial {
        value: 70.0,
        at: second(70),
        why: "only 1 of 2 pods are scraped".to_owned(),
    };
    assert_eq!(sum.sample(STALE_AFTER), missed);
    sum.insert(vec![], second(90));
    assert!(matches!(sum.sample(STALE_AFTER), Sample::Missing { .. }));
}

#[test]
fn a_sum_without_new_samples_is_stale() {
    let mut sum = PodSum::default();
    sum.expect(shards(0..1), None);
    sum.insert(vec![shard(0, 5.0, 10)], second(85));
    assert_eq!(sum.sample(STALE_AFTER), fresh(5.0, 10, 1));
    sum.insert(vec![shard(0, 5.0, 10)], second(86));
    assert_eq!(sum.sample(STALE_AFTER), Sample::Stale { at: second(10) });
}

#[test]
fn only_as_many_pods_as_are_ready_count() {
    let mut sum = PodSum::default();
    let pod = |pod: &str, value, at| PodValue {
        deployment: "gateway".to_owned(),
        pod: pod.to_owned(),
        value,
        at: second(at),
    };
    sum.expect(BTreeMap::from([("gateway".to_owned(), 2)]), None);
    let ended = pod("a", 30.0, 10);
    sum.insert(
        vec![ended.clone(), pod("b", 30.0, 20), pod("c", 30.0, 21)],
        second(22),
    );
    assert_eq!(sum.sample(STALE_AFTER), fresh(60.0, 20, 2));
    sum.expect(BTreeMap::new(), None);
    assert_eq!(sum.sample(STALE_AFTER), Sample::no_value("no pod is ready"));
}

fn names(ids: std::ops::Range<u32>) -> BTreeSet<String> {
    ids.map(|id| format!("shard-{id}-pod")).collect()
}

/// The same shard in another Kubernetes cluster.
fn other(id: u32, value: f64, at: i64) -> PodValue {
    PodValue {
        pod: format!("other-{id}-pod"),
        ..shard(id, value, at)
    }
}

#[test]
fn the_series_of_two_kubernetes_clusters_have_no_sum() {
    let mut sum = PodSum::default();
    sum.expect(shards(0..3), None);
    sum.set_existing(names(0..3));
    let both = |at| {
        (0..3)
            .flat_map(move |id| [shard(id, 60.0, at), other(id, 70.0, at + 1)])
            .collect()
    };
    sum.insert(both(10), second(12));
    // The others may be pods that have just ended.
    assert!(matches!(sum.sample(STALE_AFTER), Sample::Fresh { .. }));
    sum.insert(both(25), second(27));
    let Sample::Missing { cause, why } = sum.sample(STALE_AFTER) else {
        panic!("a sum of two clusters");
    };
    assert_eq!(cause, Cause::TooManySeries);
    assert!(
        why.contains("scrapes 6 pods") && why.contains("only 3 exist"),
        "{why}"
    );
    assert!(why.contains("spec.prometheus.matchers"), "{why}");
    // A change of the pods does not hide it until all have been scraped again.
    sum.set_existing(names(0..4));
    sum.insert(both(40), second(42));
    assert!(matches!(sum.sample(STALE_AFTER), Sample::Missing { .. }));
    for at in [60, 90, 120] {
        sum.insert((0..3).map(|id| shard(id, 60.0, at)).collect(), second(at + 1));
    }
    assert_eq!(sum.sample(STALE_AFTER), fresh(180.0, 120, 3));
}

#[test]
fn pods_that_ended_or_are_not_ready_are_not_too_many() {
    let mut sum = PodSum::default();
    sum.expect(shards(0..2), None);
    sum.set_existing(names(0..2));
    let ended = PodValue {
        pod: "ended".to_owned(),
        ..shard(0, 60.0, 9)
    };
    for at in [10, 25, 40, 55] {
        let values = vec![shard(0, 60.0, at), shard(1, 60.0, at), ended.clone()];
        sum.insert(values, second(at + 1));
        assert_eq!(sum.sample(STALE_AFTER), fresh(120.0, at, 2));
    }
    // It is not ready, or it drains.
    sum.set_existing(names(0..3));
    for at in [70, 85, 100] {
        let values = (0..3).map(|id| shard(id, 60.0, at)).collect();
        sum.insert(values, second(at + 1));
        assert_eq!(sum.sample(STALE_AFTER), fresh(120.0, at, 2));
    }
}

/// A pod of a simulated cluster.
#[derive(Clone)]
struct SimPod {
    slot: u32,
    revision: u32,
    number: u32,
    /// Milliseconds from one multiple of the scrape interval.
    phase: i64,
    people: f64,
    /// Scraped value and time, which show at the third.
    samples: Vec<(f64, i64, i64)>,
    ended_at: Option<i64>,
}

/// A cluster with a constant number of people, and its Prometheus. Times in milliseconds.
struct Sim {
    interval: i64,
    draws: Vec<u32>,
    next: usize,
    pods: Vec<SimPod>,
    /// Slots in the table, with revisions.
    table: BTreeMap<u32, u32>,
    down: Option<u32>,
    now: i64,
}

impl Sim {
    fn draw(&mut self, below: i64) -> i64 {
        self.next += 1;
        i64::from(self.draws[self.next % self.draws.len()].wrapping_add(self.next as u32 * 7_919))
            % below.max(1)
    }

    fn start(&mut self, slot: u32, revision: u32) {
        let phase = self.draw(self.interval);
        let number = self.next as u32;
        self.pods.push(SimPod {
            slot,
            revision,
            number,
            phase,
            people: 0.0,
            samples: Vec::new(),
            ended_at: None,
        });
    }

    fn serving(&self, slot: u32) -> usize {
        let revision = self.table[&slot];
        let is_it = |pod: &SimPod| pod.slot == slot && pod.revision == revision && pod.ended_at.is_none();
        self.pods.iter().position(is_it).unwrap()
    }

    /// Spreads everybody over the shards of the table that serve.
    fn spread(&mut self, people: f64) {
        for pod in &mut self.pods {
            pod.people = 0.0;
        }
        let slots: Vec<u32> = self
            .table
            .keys()
            .copied()
            .filter(|slot| Some(*slot) != self.down)
            .collect();
        let share = (people / slots.len() as f64).floor();
        for (i, slot) in slots.iter().enumerate() {
            let rest = if i == 0 {
                people - share * slots.len() as f64
            } else {
                0.0
            };
            let pod = self.serving(*slot);
            self.pods[pod].people = share + rest;
        }
    }

    /// Scrapes what is due in this tenth of a second.
    fn scrape(&mut self) {
        let (now, interval) = (self.now, self.interval);
        let delays: Vec<i64> = (0..self.pods.len())
            .map(|_| self.draw(interval.min(2_000)))
            .collect();
        for (pod, delay) in self.pods.iter_mut().zip(delays) {
            let is_due = (now - pod.phase).rem_euclid(interval) < 100;
            if is_due && pod.ended_at.is_none() {
                pod.samples.push((pod.people, now, now + delay));
            }
        }
    }

    /// The newest samples that show. Those of an ended pod stay for a while.
    fn answer(&self, lingers: i64) -> Vec<PodValue> {
        let shown = self
            .pods
            .iter()
            .filter(|pod| pod.ended_at.is_none_or(|at| self.now < at + lingers));
        let newest = shown.filter_map(|pod| {
            let (value, at, _) = pod
                .samples
                .iter()
                .rev()
                .find(|(_, _, shows)| *shows <= self.now)?;
            Some(PodValue {
                deployment: format!("shard-{}-{}", pod.slot, pod.revision),
                pod: pod.number.to_string(),
                value: *value,
                at: Timestamp::from_millisecond(*at).unwrap(),
            })
        });
        newest.collect()
    }

    fn ready(&self) -> ReadyPods {
        let up = self.table.iter().filter(|(slot, _)| Some(**slot) != self.down);
        up.map(|(slot, revision)| (format!("shard-{slot}-{revision}"), 1))
            .collect()
    }

    fn existing(&self) -> BTreeSet<String> {
        let pods = self.pods.iter().filter(|pod| pod.ended_at.is_none());
        pods.map(|pod| pod.number.to_string()).collect()
    }

    fn end(&mut self, is_it: impl Fn(&SimPod) -> bool) {
        for pod in self
            .pods
            .iter_mut()
            .filter(|pod| pod.ended_at.is_none() && is_it(pod))
        {
            (pod.ended_at, pod.people) = (Some(self.now), 0.0);
        }
    }

    /// One operation: a scale-out or scale-in by some shards, a version change, a crash or its end.
    fn change(&mut self, kind: u32, people: f64) {
        if let Some(slot) = self.down.take() {
            let revision = self.table[&slot];
            self.start(slot, revision);
        }
        let count = self.table.len() as u32;
        match kind % 4 {
            0 if count < 6 => {
                let more = 1 + kind % 3;
                let revision = self.table[&0];
                for slot in count..(count + more).min(6) {
                    self.start(slot, revision);
                    self.table.insert(slot, revision);
                }
            }
            1 if count > 1 => {
                self.table.remove(&(count - 1));
            }
            2 => {
                let revision = self.table[&0] + 1;
                for slot in 0..count {
                    self.start(slot, revision);
                    self.table.insert(slot, revision);
                }
            }
            _ if count > 1 => {
                let slot = kind % count;
                self.end(|pod| pod.slot == slot);
                self.down = Some(slot);
            }
            _ => {}
        }
        self.spread(people);
        let table = self.table.clone();
        self.end(|pod| table.get(&pod.slot) != Some(&pod.revision));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// A constant number of people is never counted too high, and exactly once nothing has moved for a while.
    #[test]
    fn a_constant_number_of_people_never_counts_too_high(
        interval in 1_i64..60, poll in 1_i64..20, lingers in 0_i64..60, notices in 1_i64..2_000, people in 50_u32..500,
        kinds in collection::vec(0_u32..60, 1..6), draws in collection::vec(0_u32..1_000_000, 16..64),
    ) {
        let people = f64::from(people);
        let mut sim = Sim {
            interval: interval * 1_000, draws, next: 0, pods: Vec::new(),
            table: BTreeMap::from([(0, 0), (1, 0)]), down: None, now: 0,
        };
        sim.start(0, 0);
        sim.start(1, 0);
        sim.spread(people);
        let mut sum = PodSum::default();
        sum.expect(sim.ready(), None);
        // The rooms of a shard move at most once between two of its samples.
        let settled = 4 * interval.max(poll) * 1_000 + lingers * 1_000 + 10_000;
        let (mut ready, mut noticed_at) = (sim.ready(), 0);
        for kind in std::iter::once(None).chain(kinds.into_iter().map(Some)) {
            if let Some(kind) = kind {
                let before = sim.existing();
                sim.change(kind, people);
                // A pod exists before it is scraped; its end may be noticed later.
                sum.set_existing(sim.existing().union(&before).cloned().collect());
                (ready, noticed_at) = (sim.ready(), sim.now + notices);
            }
            let until = sim.now + settled;
            while sim.now < until {
                sim.now += 100;
                sim.scrape();
                let (now, is_noticed) = (Timestamp::from_millisecond(sim.now).unwrap(), sim.now - noticed_at < 100);
                if is_noticed {
                    sum.expect(ready.clone(), Some(now));
                    sum.set_existing(sim.existing());
                }
                if sim.now % (poll * 1_000) == 0 {
                    sum.insert(sim.answer(lingers * 1_000), now);
                } else if !is_noticed {
                    continue;
                }
                if let Sample::Fresh { value, .. } | Sample::Partial { value, .. } = sum.sample(STALE_AFTER) {
                    prop_assert!(value <= people + 1e-9, "{value} of {people} at {} ms, {kind:?}", sim.now);
                }
            }
            let sample = sum.sample(STALE_AFTER);
            let is_exact = matches!(sample, Sample::Fresh { value, .. } if value == people);
            prop_assert!(is_exact, "{sample:?} instead of {people} after {kind:?}");
        }
        prop_assert_eq!(sim.pods.iter().map(|pod| pod.people).sum::<f64>(), people);
    }
}

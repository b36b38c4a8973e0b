//! Properties of plans for any input.

use jiff::{SignedDuration, Timestamp};
use proptest::option::weighted;
use proptest::prelude::*;

use super::limits::SAVING_SHARE_MIN;
use super::*;
use crate::scale::vertical::Estimate;

const MIB: f64 = 1024.0 * 1024.0;

fn second(n: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(n)
}

fn size(cores: std::ops::Range<f64>, mib: std::ops::Range<f64>) -> impl Strategy<Value = Resources> {
    (cores, mib).prop_map(|(cores, mib)| Resources {
        cores,
        bytes: mib * MIB,
    })
}

fn usage() -> impl Strategy<Value = UsageModel> {
    let per_unit = prop_oneof![
        (0.0005..0.02_f64).prop_map(|cores| Resources { cores, bytes: 0.0 }),
        size(0.0005..0.02, 0.05..2.0),
    ];
    (size(0.0..0.3, 0.0..128.0), per_unit, 0.5..1.0_f64).prop_map(|(base, per_unit, utilization)| {
        UsageModel {
            base,
            per_unit,
            utilization,
        }
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    let quota = weighted(0.5, size(0.5..60.0, 512.0..100_000.0));
    let node = weighted(0.5, size(0.5..16.0, 512.0..32_000.0));
    let sizes = (size(0.01..0.5, 16.0..256.0), size(0.0..8.0, 0.0..8000.0));
    (1_i32..4, 0_i32..40, sizes, quota, node).prop_map(|(min_count, more, (min_size, above), quota, node)| {
        Limits {
            min_count,
            max_count: min_count + more,
            min_size,
            max_size: min_size.join(above, |min, above| min + above),
            quota,
            node,
        }
    })
}

fn prices() -> impl Strategy<Value = Prices> {
    let random = (0.0..0.5_f64, 0.0..0.01_f64, 0.0..0.1_f64, 0.0..0.1_f64);
    prop_oneof![
        Just(Prices::default()),
        random.prop_map(|(gib, room_moved, resize, start)| Prices {
            gib,
            room_moved,
            resize,
            start
        }),
    ]
}

fn current() -> impl Strategy<Value = Current> {
    let state = prop_oneof![
        6 => Just(ResizeState::Done),
        1 => Just(ResizeState::InProgress),
        1 => size(0.05..4.0, 32.0..4000.0).prop_map(|in_force| ResizeState::Deferred { in_force }),
        1 => size(0.05..4.0, 32.0..4000.0).prop_map(|in_force| ResizeState::Infeasible { in_force }),
    ];
    (1_i32..45, size(0.05..8.0, 32.0..8000.0), state).prop_map(|(count, size, resize)| Current {
        count,
        size,
        resize,
    })
}

fn resizing() -> impl Strategy<Value = Resizing> {
    prop_oneof![5 => Just(Resizing::InPlace), 1 => Just(Resizing::StaticPolicy)]
}

fn demand() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), (0.0..5.0_f64).prop_map(|log| 10_f64.powf(log))]
}

fn estimate() -> impl Strategy<Value = Option<Estimate>> {
    let bytes = (16.0..2000.0_f64, 0.5..1.0_f64).prop_map(|(mib, share)| Estimate {
        target: mib * MIB,
        lower: mib * share * MIB,
        upper: None,
    });
    weighted(0.4, bytes)
}

/// The memory of an earlier plan.
fn memory() -> impl Strategy<Value = JointMemory> {
    let window = weighted(0.6, (-600_i64..0, 0.0..1.3_f64));
    (weighted(0.7, demand()), window).prop_map(|(planned, window)| JointMemory {
        planned,
        window: window.map(|(at, share)| Window {
            since: second(at),
            peak: planned.unwrap_or(100.0) * share,
        }),
        refused: None,
    })
}

prop_compose! {
    /// Everything but demand and memory.
    fn situation()(
        current in current(),
        usage in usage(),
        memory_estimate in estimate(),
        limits in limits(),
        resizing in resizing(),
        prices in prices(),
        rooms in 0.0..5000.0_f64,
    ) -> Situation {
        Situation { current, usage, memory_estimate, limits, resizing, prices, rooms }
    }
}

#[derive(Clone, Copy, Debug)]
struct Situation {
    current: Current,
    usage: UsageModel,
    memory_estimate: Option<Estimate>,
    limits: Limits,
    resizing: Resizing,
    prices: Prices,
    rooms: f64,
}

impl Situation {
    fn input<'a>(&self, demand: f64, memory: &'a JointMemory, now: Timestamp) -> JointInput<'a> {
        JointInput {
            demand: Some(demand),
            rooms: self.rooms,
            current: self.current,
            usage: self.usage,
            memory_estimate: self.memory_estimate,
            limits: self.limits,
            resizing: self.resizing,
            prices: self.prices,
            tuning: Tuning::default(),
            memory,
            now,
        }
    }

    fn plan(&self, demand: f64, memory: &JointMemory, now: Timestamp) -> JointPlan {
        plan(&self.input(demand, memory, now)).unwrap()
    }

    /// Applies every plan at once and returns the plans.
    fn run(&self, demands: impl Iterator<Item = (i64, f64)>, memory: &mut JointMemory) -> Vec<JointPlan> {
        let mut here = *self;
        let step = |(at, demand): (i64, f64)| {
            let plan = here.plan(demand, memory, second(at));
            let waits = matches!(here.current.resize, ResizeState::Deferred { .. });
            here.current.count = plan.shape.count;
            here.current.size = plan.shape.size;
            if !waits {
                here.current.resize = ResizeState::Done;
            }
            *memory = plan.memory.clone();
            plan
        };
        demands.map(step).collect()
    }
}

/// How often a series of values changes its direction.
fn reversals(values: impl Iterator<Item = f64>) -> usize {
    let values: Vec<f64> = values.collect();
    let steps = values
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).signum() * f64::from(u8::from(pair[0] != pair[1])));
    let steps: Vec<f64> = steps.filter(|step| *step != 0.0).collect();
    steps.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

fn within(value: Resources, bound: Resources) -> bool {
    value.cores <= bound.cores * (1.0 + 1e-6) && value.bytes <= bound.bytes * (1.0 + 1e-6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn capacity_covers_demand_or_the_limit_is_reported(
        situation in situation(), demand in demand(), memory in memory(),
    ) {
        let plan = situation.plan(demand, &memory, second(0));
        prop_assert!(plan.planned >= demand);
        let served = plan.capacity >= plan.planned * (1.0 - 1e-6);
        prop_assert!(served || !plan.limited_by.is_empty(), "{}", plan.message);
        prop_assert_eq!(plan.limited_by.is_empty(), plan.reason != Reason::LimitReached);
        for limit in &plan.limited_by {
            let name = format!("{limit:?}");
            prop_assert!(plan.message.contains(&name), "{}", plan.message);
        }
    }

    #[test]
    fn a_change_respects_every_limit(situation in situation(), demand in demand(), memory in memory()) {
        let plan = situation.plan(demand, &memory, second(0));
        let (limits, now) = (situation.limits, situation.current);
        let from = Shape { count: now.count, size: now.size };
        prop_assert_eq!(plan.actions.is_empty(), plan.shape == from);
        let kept = matches!(now.resize, ResizeState::Infeasible { in_force } if in_force == plan.shape.size);
        if plan.shape != from && !kept {
            let Shape { count, size } = plan.shape;
            prop_assert!((limits.min_count..=limits.max_count).contains(&count));
            let whole = size.times(f64::from(count));
            prop_assert!(limits.quota.is_none_or(|quota| within(whole, quota)), "{}", plan.message);
            if situation.resizing == Resizing::InPlace && size != now.size {
                let most = limits.node.map_or(limits.max_size, |node| limits.max_size.min(node));
                prop_assert!(within(size, most));
                let target = situation.memory_estimate.map_or(0.0, |estimate| estimate.target);
                let refused = matches!(now.resize, ResizeState::Infeasible { .. });
                let least = limits.min_size.max(Resources { cores: 0.0, bytes: target });
                prop_assert!(refused || within(least.min(most), size));
            }
        }
        if situation.resizing != Resizing::InPlace || matches!(now.resize, ResizeState::Deferred { .. }) {
            let resized = |action: &Action| matches!(action, Action::Resize { .. });
            prop_assert!(kept || !plan.actions.iter().any(resized));
        }
    }

    #[test]
    fn intermediate_steps_keep_the_quota_or_the_capacity(
        situation in situation(), demand in demand(), memory in memory(),
    ) {
        let situation = Situation { current: Current { resize: ResizeState::Done, ..situation.current }, ..situation };
        let plan = situation.plan(demand, &memory, second(0));
        let from = Shape { count: situation.current.count, size: situation.current.size };
        let capacity = |shape| situation.usage.capacity(shape);
        let least = capacity(from).min(capacity(plan.shape));
        let (mut here, mut whole) = (from, from.size.times(f64::from(from.count)));
        let legal = situation.limits.quota.is_none_or(|quota| within(whole, quota));
        for action in &plan.actions {
            match *action {
                Action::Start { shards } => {
                    here.count += shards;
                    whole = whole.join(plan.shape.size, |whole, one| whole + one * f64::from(shards));
                }
                Action::Drain { shards } => here.count -= shards,
                Action::Resize { to, .. } => {
                    here.size = to;
                    whole = to.times(f64::from(here.count));
                }
            }
            let roomy = situation.limits.quota.is_none();
            prop_assert!(!roomy || capacity(here) >= least * (1.0 - 1e-6));
            let fits = situation.limits.quota.is_none_or(|quota| within(whole, quota));
            prop_assert!(!legal || fits, "{}", plan.message);
        }
        prop_assert_eq!(here, plan.shape);
    }

    #[test]
    fn more_demand_never_gives_less_capacity(
        situation in situation(), demand in demand(), factor in 1.0..3.0_f64, memory in memory(),
    ) {
        let less = situation.plan(demand, &memory, second(0));
        let more = situation.plan(demand * factor, &memory, second(0));
        prop_assert!(
            more.capacity >= less.capacity * (1.0 - 1e-6),
            "{}\n{}", less.message, more.message
        );
    }

    #[test]
    fn a_plan_costs_no_more_than_staying_or_any_neighbour(
        situation in situation(), demand in demand(),
    ) {
        let situation = Situation { current: Current { resize: ResizeState::Done, ..situation.current }, ..situation };
        let memory = JointMemory { planned: Some(demand * 1.1), ..JointMemory::default() };
        let plan = situation.plan(demand, &memory, second(0));
        prop_assume!(plan.limited_by.is_empty());
        let mine = plan.running + plan.change.core_hours;
        let from = Shape { count: situation.current.count, size: situation.current.size };
        let worth = SAVING_SHARE_MIN * situation.prices.running(from);
        if plan.shape != from && plan.reason == Reason::CheaperShape {
            prop_assert!(mine + worth <= situation.prices.running(from) * (1.0 + 1e-9));
        }
        // Against a search over all counts with the size the demand needs.
        if plan.shape != from && situation.limits.quota.is_none() && situation.resizing == Resizing::InPlace {
            let top = situation.limits.node.map_or(situation.limits.max_size, |node| {
                situation.limits.max_size.min(node)
            });
            for count in situation.limits.min_count..=situation.limits.max_count {
                let need = situation.usage.size_for(plan.planned / f64::from(count));
                let target = situation.memory_estimate.map_or(0.0, |estimate| estimate.target);
                let floor = situation.limits.min_size.max(Resources { cores: 0.0, bytes: target });
                let step = Resources { cores: 0.01, bytes: 4.0 * MIB };
                let size = need.join(step, |need, step| need + step).max(floor).min(top);
                if within(need, top) {
                    let other = Shape { count, size };
                    let price = situation.prices.running(other)
                        + situation.prices.change(from, other, situation.rooms).core_hours;
                    prop_assert!(mine <= price * (1.0 + 1e-6), "{} against {other:?}", plan.message);
                }
            }
        }
    }

    #[test]
    fn constant_demand_settles_in_three_actions_with_at_most_one_reversal(
        situation in situation(), demand in demand(), memory in memory(),
    ) {
        // The demand is constant, so it was not higher before.
        let mut memory = JointMemory { window: None, ..memory };
        let plans = situation.run((0..24).map(|n| (n * 60, demand)), &mut memory);
        let actions: usize = plans.iter().map(|plan| plan.actions.len()).sum();
        let story: Vec<&str> = plans.iter().filter(|plan| !plan.actions.is_empty()).map(|plan| plan.message.as_str()).collect();
        prop_assert!(actions <= 3, "{story:#?}");
        let start = situation.current;
        let counts = std::iter::once(start.count).chain(plans.iter().map(|plan| plan.shape.count));
        let cores = std::iter::once(start.size.cores).chain(plans.iter().map(|plan| plan.shape.size.cores));
        let bytes = std::iter::once(start.size.bytes).chain(plans.iter().map(|plan| plan.shape.size.bytes));
        for turns in [reversals(counts.map(f64::from)), reversals(cores), reversals(bytes)] {
            prop_assert!(turns <= 1, "{story:#?}");
        }
    }

    #[test]
    fn noise_within_the_band_changes_nothing(
        situation in situation(),
        demand in 1.0..10_000.0_f64,
        noise in proptest::collection::vec(0.92..1.09_f64, 20),
    ) {
        let mut memory = JointMemory::default();
        let settled = situation.run((0..15).map(|n| (n * 120, demand)), &mut memory);
        let last = settled.last().unwrap();
        // After an hour at this demand the plan is the former capacity, or the demand with its margin.
        prop_assume!(last.planned <= demand * 1.1 * (1.0 + 1e-9) && last.planned >= demand * 1.1 * (1.0 - 1e-9));
        let mut here = situation;
        here.current = Current {
            count: last.shape.count,
            size: last.shape.size,
            resize: match here.current.resize {
                ResizeState::Deferred { in_force } => ResizeState::Deferred { in_force },
                _ => ResizeState::Done,
            },
        };
        let noisy = (1_i64..).zip(&noise).map(|(n, share)| (1800 + 60 * n, demand * share));
        for plan in here.run(noisy, &mut memory) {
            prop_assert!(plan.actions.is_empty(), "{}", plan.message);
        }
    }

    #[test]
    fn unknown_demand_changes_nothing(
        situation in situation(),
        memory in memory(),
        demand in prop_oneof![Just(None), Just(Some(f64::NAN)), Just(Some(f64::INFINITY)), Just(Some(-1.0))],
    ) {
        let situation = Situation { current: Current { resize: ResizeState::Done, ..situation.current }, ..situation };
        let input = JointInput { demand, ..situation.input(0.0, &memory, second(0)) };
        let plan = plan(&input).unwrap();
        prop_assert_eq!(plan.reason, Reason::DemandUnknown);
        prop_assert!(plan.actions.is_empty());
        prop_assert_eq!(plan.memory, memory);
    }
}

//! Plans with known answers.

use jiff::{SignedDuration, Timestamp};

use super::super::vertical::{Estimate, Usage};
use super::*;

const MIB: f64 = 1024.0 * 1024.0;

/// A shard has a base of 0.05 cores and 40 MiB. 100 participants use 0.4 cores and 50 MiB.
const USAGE: UsageModel = UsageModel {
    base: Resources {
        cores: 0.05,
        bytes: 40.0 * MIB,
    },
    per_unit: Resources {
        cores: 0.004,
        bytes: 0.5 * MIB,
    },
    utilization: 0.8,
};

const LIMITS: Limits = Limits {
    min_count: 2,
    max_count: 16,
    min_size: Resources {
        cores: 0.1,
        bytes: 64.0 * MIB,
    },
    max_size: Resources {
        cores: 2.0,
        bytes: 2048.0 * MIB,
    },
    quota: None,
    node: None,
};

fn current(count: i32, cores: f64, mib: f64) -> Current {
    let bytes = mib * MIB;
    Current {
        count,
        size: Resources { cores, bytes },
        resize: ResizeState::Done,
    }
}

pub(super) fn input(demand: f64, memory: &JointMemory) -> JointInput<'_> {
    JointInput {
        demand: Some(demand),
        rooms: 200.0,
        current: current(2, 0.5, 128.0),
        usage: USAGE,
        memory_estimate: None,
        limits: LIMITS,
        resizing: Resizing::InPlace,
        prices: Prices::default(),
        tuning: Tuning::default(),
        memory,
        now: Timestamp::UNIX_EPOCH,
    }
}

/// A memory whose window has ended.
fn after_a_window(planned: f64, peak: f64) -> JointMemory {
    let window = Window {
        since: Timestamp::UNIX_EPOCH - SignedDuration::from_mins(5),
        peak,
    };
    JointMemory {
        planned: Some(planned),
        window: Some(window),
        refused: None,
    }
}

fn shape(plan: &JointPlan) -> (i32, f64, f64) {
    let Shape { count, size } = plan.shape;
    (count, (size.cores * 100.0).round() / 100.0, size.bytes / MIB)
}

#[test]
fn more_demand_first_raises_the_size_then_the_count() {
    let memory = JointMemory::default();
    // 220 on one shard: (0.05 + 0.88) / 0.8 cores, (40 + 110) / 0.8 MiB, rounded up to a step.
    let grown = plan(&input(400.0, &memory)).unwrap();
    assert_eq!(shape(&grown), (2, 1.17, 188.0));
    assert_eq!(grown.reason, Reason::DemandAboveCapacity);
    assert!(matches!(
        grown.actions[..],
        [Action::Resize {
            shards: 2,
            best_effort: false,
            ..
        }]
    ));
    assert_eq!(grown.change.rooms_moved, 0.0);
    // Two of the largest serve 775.
    let many = plan(&input(1500.0, &memory)).unwrap();
    assert_eq!(many.shape.count, 5);
    assert!(matches!(
        many.actions[..],
        [Action::Start { shards: 3 }, Action::Resize { shards: 2, .. }]
    ));
}

#[test]
fn without_resizing_only_the_count_changes() {
    let memory = JointMemory::default();
    for (resizing, count) in [
        (Resizing::InPlace, 2),
        (Resizing::StaticPolicy, 6),
        (Resizing::NotServed, 6),
    ] {
        let plan = plan(&JointInput {
            resizing,
            ..input(400.0, &memory)
        })
        .unwrap();
        assert_eq!(plan.shape.count, count, "{resizing:?}");
        assert_eq!(plan.counterfactual.count_only.unwrap().shape.count, 6);
        assert_eq!(
            plan.counterfactual.unrestrained.unwrap().shape.count,
            if count == 2 { 2 } else { 6 }
        );
    }
}

#[test]
fn lower_demand_counts_after_the_window() {
    let resting = JointMemory {
        planned: Some(440.0),
        ..JointMemory::default()
    };
    let now = current(2, 1.17, 188.0);
    let waits = plan(&JointInput {
        current: now,
        ..input(100.0, &resting)
    })
    .unwrap();
    assert_eq!((waits.reason, waits.actions.len()), (Reason::OnTarget, 0));
    let memory = after_a_window(440.0, 120.0);
    let shrinks = plan(&JointInput {
        current: now,
        ..input(100.0, &memory)
    })
    .unwrap();
    assert_eq!(
        (shrinks.reason, shape(&shrinks)),
        (Reason::DemandBelowCapacity, (2, 0.40, 92.0))
    );
    assert_eq!(shrinks.planned, 132.0);
    assert!(matches!(
        shrinks.actions[..],
        [Action::Resize {
            best_effort: true,
            ..
        }]
    ));
}

#[test]
fn fewer_and_larger_shards_are_cheaper_but_not_fewer_than_the_minimum() {
    let memory = after_a_window(440.0, 400.0);
    for (min_count, count) in [(1, 2), (2, 2), (4, 4), (8, 8)] {
        let limits = Limits { min_count, ..LIMITS };
        let now = current(8, 0.35, 88.0);
        let plan = plan(&JointInput {
            limits,
            current: now,
            ..input(400.0, &memory)
        })
        .unwrap();
        assert_eq!(plan.shape.count, count, "{}", plan.message);
    }
    // If moving rooms is expensive, they stay.
    let prices = Prices {
        room_moved: 0.05,
        ..Prices::default()
    };
    let now = current(8, 0.35, 88.0);
    let stays = plan(&JointInput {
        prices,
        current: now,
        ..input(400.0, &memory)
    })
    .unwrap();
    assert_eq!((stays.reason, stays.shape.count), (Reason::OnTarget, 8));
}

#[test]
fn binding_limits_are_reported() {
    let memory = JointMemory::default();
    let gib = |cores: f64, gib: f64| {
        Some(Resources {
            cores,
            bytes: gib * 1024.0 * MIB,
        })
    };
    let quota = Limits {
        quota: gib(4.0, 64.0),
        ..LIMITS
    };
    // A shard of 48 MiB has no room beyond its base.
    let small = Resources {
        cores: 2.0,
        bytes: 48.0 * MIB,
    };
    let sizes = Limits {
        min_size: small.times(0.5),
        max_size: small,
        ..LIMITS
    };
    let node = Limits {
        node: Some(small),
        ..LIMITS
    };
    let table = [
        (LIMITS, Resizing::InPlace, 5000.0, vec![]),
        (LIMITS, Resizing::InPlace, 9000.0, vec![Limit::MaxCount]),
        (LIMITS, Resizing::Swap, 5000.0, vec![Limit::MaxCount]),
        (quota, Resizing::InPlace, 5000.0, vec![Limit::Quota]),
        (
            quota,
            Resizing::InPlace,
            9000.0,
            vec![Limit::Quota, Limit::MaxCount],
        ),
        (sizes, Resizing::InPlace, 100.0, vec![Limit::MaxSize]),
        (node, Resizing::InPlace, 100.0, vec![Limit::Node]),
        (
            Limits {
                node: Some(small),
                ..sizes
            },
            Resizing::InPlace,
            100.0,
            vec![Limit::Node, Limit::MaxSize],
        ),
    ];
    for (limits, resizing, demand, expected) in table {
        let plan = plan(&JointInput {
            limits,
            resizing,
            ..input(demand, &memory)
        })
        .unwrap();
        assert_eq!(plan.limited_by, expected, "{}", plan.message);
    }
    let useless = JointInput {
        current: current(2, 0.06, 128.0),
        resizing: Resizing::Swap,
        ..input(9.0, &memory)
    };
    assert_eq!(plan(&useless).unwrap().limited_by, [Limit::Resize]);
}

#[test]
fn shards_start_before_the_others_shrink_unless_the_quota_has_no_room() {
    let memory = JointMemory::default();
    let now = current(2, 2.0, 128.0);
    for (quota, starts_first) in [(4.2, false), (40.0, true)] {
        let bytes = 64.0 * 1024.0 * MIB;
        let limits = Limits {
            min_count: 4,
            quota: Some(Resources { cores: quota, bytes }),
            ..LIMITS
        };
        let plan = plan(&JointInput {
            limits,
            current: now,
            ..input(300.0, &memory)
        })
        .unwrap();
        assert_eq!(plan.shape.count, 4);
        assert_eq!(
            matches!(plan.actions[0], Action::Start { .. }),
            starts_first,
            "{:?}",
            plan.actions
        );
    }
}

#[test]
fn during_a_deferred_resize_only_the_count_changes() {
    let memory = JointMemory::default();
    let in_force = Resources {
        cores: 0.5,
        bytes: 128.0 * MIB,
    };
    let waits = Current {
        resize: ResizeState::Deferred { in_force },
        ..current(2, 1.17, 188.0)
    };
    let plan = plan(&JointInput {
        current: waits,
        ..input(400.0, &memory)
    })
    .unwrap();
    assert_eq!(shape(&plan), (6, 1.17, 188.0));
    assert!(matches!(plan.actions[..], [Action::Start { shards: 4 }]));
}

#[test]
fn an_infeasible_resize_is_reverted_and_not_requested_again() {
    let memory = JointMemory::default();
    let in_force = Resources {
        cores: 0.5,
        bytes: 128.0 * MIB,
    };
    let refused = Current {
        resize: ResizeState::Infeasible { in_force },
        ..current(2, 1.17, 128.0)
    };
    let first = plan(&JointInput {
        current: refused,
        ..input(400.0, &memory)
    })
    .unwrap();
    assert!(first.shape.size.cores < 1.17, "{}", first.message);
    assert!(
        first
            .actions
            .iter()
            .any(|action| matches!(action, Action::Resize { .. }))
    );
    assert!(first.capacity >= 440.0);
    // The refusal counts for nodes like these, and not for others.
    let more = plan(&JointInput {
        current: current(2, 0.5, 128.0),
        ..input(400.0, &first.memory)
    })
    .unwrap();
    assert!(more.shape.size.cores < 1.17);
    let node = Some(Resources {
        cores: 64.0,
        bytes: 1e12,
    });
    let limits = Limits { node, ..LIMITS };
    let other = JointInput {
        limits,
        current: current(2, 0.5, 128.0),
        ..input(400.0, &first.memory)
    };
    assert_eq!(shape(&plan(&other).unwrap()), (2, 1.17, 188.0));
}

#[test]
fn the_size_is_never_below_the_memory_estimate() {
    let memory = after_a_window(440.0, 100.0);
    let estimate = Estimate {
        target: 300.0 * MIB,
        lower: 250.0 * MIB,
        upper: None,
    };
    let needs = |mib: f64| JointInput {
        memory_estimate: Some(estimate),
        current: current(2, 0.35, mib),
        ..input(100.0, &memory)
    };
    assert_eq!(
        shape(&plan(&needs(400.0)).unwrap()).2,
        400.0,
        "what it would save is too little"
    );
    assert_eq!(shape(&plan(&needs(1000.0)).unwrap()).2, 300.0);
    assert_eq!(
        shape(&plan(&needs(260.0)).unwrap()).2,
        260.0,
        "above the lower bound"
    );
    let below = plan(&needs(200.0)).unwrap();
    assert_eq!((below.reason, shape(&below).2), (Reason::OutsideLimits, 300.0));
}

#[test]
fn invalid_input_is_rejected() {
    let memory = JointMemory::default();
    let good = input(100.0, &memory);
    let free = UsageModel {
        per_unit: Resources::NONE,
        ..USAGE
    };
    assert_eq!(plan(&JointInput { usage: free, ..good }), Err(JointError::Usage));
    let limits = Limits {
        min_count: 4,
        max_count: 3,
        ..LIMITS
    };
    assert_eq!(plan(&JointInput { limits, ..good }), Err(JointError::Limits));
    assert_eq!(
        plan(&JointInput {
            rooms: f64::NAN,
            ..good
        }),
        Err(JointError::Prices)
    );
}

/// One metric drives count and size. The use of each shard gives the memory estimate. Resizes take one tick. Starts with
/// many small shards, few large ones, and the best shape.
#[test]
fn a_day_of_constant_load_never_reverses_a_change() {
    for (count, cores, mib) in [(16, 0.1, 64.0), (2, 2.0, 2048.0), (2, 0.5, 128.0), (9, 1.0, 64.0)] {
        let (mut here, mut memory) = (current(count, cores, mib), JointMemory::default());
        let (mut shard, mut changes) = (Usage::default(), Vec::new());
        for tick in 0..4 * 60 * 24 {
            let now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(15 * tick);
            let used = USAGE
                .size_for(600.0 / f64::from(here.count))
                .times(USAGE.utilization);
            shard.record(used.cores, used.bytes, now);
            let memory_estimate = shard.size().map(|size| size.bytes);
            let plan = plan(&JointInput {
                current: here,
                memory_estimate,
                now,
                ..input(600.0, &memory)
            })
            .unwrap();
            let is_resized = plan.shape.size != here.size;
            let resize = if is_resized {
                ResizeState::InProgress
            } else {
                ResizeState::Done
            };
            here = Current {
                count: plan.shape.count,
                size: plan.shape.size,
                resize,
            };
            if !plan.actions.is_empty() {
                changes.push(plan.message);
            }
            memory = plan.memory;
        }
        assert!(changes.len() <= 1, "{changes:#?}");
        assert!(
            USAGE.capacity(Shape {
                count: here.count,
                size: here.size
            }) >= 600.0
        );
    }
}

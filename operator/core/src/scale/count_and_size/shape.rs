//! The number and size of shards, and the demand they serve.

use serde::{Deserialize, Serialize};

/// Cores and bytes: of one shard, of all shards, or per unit of demand.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    pub cores: f64,
    pub bytes: f64,
}

impl Resources {
    pub const NONE: Self = Self {
        cores: 0.0,
        bytes: 0.0,
    };
    pub const UNBOUNDED: Self = Self {
        cores: f64::INFINITY,
        bytes: f64::INFINITY,
    };

    pub(super) fn join(self, other: Self, with: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            cores: with(self.cores, other.cores),
            bytes: with(self.bytes, other.bytes),
        }
    }

    pub(super) fn min(self, other: Self) -> Self {
        self.join(other, f64::min)
    }

    pub(super) fn max(self, other: Self) -> Self {
        self.join(other, f64::max)
    }

    pub(super) fn times(self, factor: f64) -> Self {
        self.join(Self::NONE, |value, _| value * factor)
    }

    /// Whether both fit, apart from rounding.
    pub(super) fn fits(self, bound: Self) -> bool {
        let fits = |value: f64, bound: f64| value <= bound * (1.0 + ROUNDING) + f64::MIN_POSITIVE;
        fits(self.cores, bound.cores) && fits(self.bytes, bound.bytes)
    }

    pub(super) fn is_usable(self) -> bool {
        let usable = |value: f64| value >= 0.0;
        usable(self.cores) && usable(self.bytes)
    }
}

/// The rounding error of these computations, as a share.
pub(super) const ROUNDING: f64 = 1e-9;

/// The number of shards and the size of each.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    pub count: i32,
    pub size: Resources,
}

/// The use of a shard: with the demand `d` it uses `base + per_unit · d`, and may use `utilization` of its size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageModel {
    /// The use of a shard without demand: the fixed cost of one more shard.
    pub base: Resources,
    /// At least one of both is greater than zero.
    pub per_unit: Resources,
    /// Greater than 0, at most 1. The rest covers what the model ignores: the uneven spread of rooms, and short peaks.
    pub utilization: f64,
}

impl UsageModel {
    /// The demand that one shard of this size serves.
    pub fn capacity_of_one(&self, size: Resources) -> f64 {
        let of = |size: f64, base: f64, per_unit: f64| {
            let free = size * self.utilization - base;
            match (free >= 0.0, per_unit > 0.0) {
                (false, _) => 0.0,
                (true, false) => f64::INFINITY,
                (true, true) => free / per_unit,
            }
        };
        let cores = of(size.cores, self.base.cores, self.per_unit.cores);
        cores.min(of(size.bytes, self.base.bytes, self.per_unit.bytes))
    }

    pub fn capacity(&self, shape: Shape) -> f64 {
        f64::from(shape.count) * self.capacity_of_one(shape.size)
    }

    /// The smallest size for this demand on one shard.
    pub fn size_for(&self, demand: f64) -> Resources {
        self.base.join(self.per_unit.times(demand), |base, load| {
            (base + load) / self.utilization
        })
    }

    pub(super) fn is_usable(&self) -> bool {
        self.base.is_usable()
            && self.per_unit.is_usable()
            && (self.per_unit.cores > 0.0 || self.per_unit.bytes > 0.0)
            && self.utilization > 0.0
            && self.utilization <= 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: UsageModel = UsageModel {
        base: Resources {
            cores: 0.1,
            bytes: 64.0,
        },
        per_unit: Resources {
            cores: 0.01,
            bytes: 1.0,
        },
        utilization: 0.5,
    };

    #[test]
    fn the_scarcer_resource_limits_the_capacity() {
        let table = [
            (2.2, 1000.0, 100.0),
            (2.2, 148.0, 10.0),
            (0.1, 1000.0, 0.0),
            (1000.0, 100.0, 0.0),
        ];
        for (cores, bytes, capacity) in table {
            let found = MODEL.capacity_of_one(Resources { cores, bytes });
            assert!((found - capacity).abs() < 1e-9, "{cores} {bytes}: {found}");
        }
        let no_memory = UsageModel {
            per_unit: Resources {
                cores: 0.01,
                bytes: 0.0,
            },
            ..MODEL
        };
        let size = Resources {
            cores: 2.2,
            bytes: 128.0,
        };
        assert_eq!(no_memory.capacity_of_one(size), 100.0);
        let shape = Shape { count: 3, size };
        assert_eq!(no_memory.capacity(shape), 300.0);
    }

    #[test]
    fn the_size_for_a_demand_serves_it() {
        for demand in [0.0, 1.0, 77.0, 1e6] {
            let served = MODEL.capacity_of_one(MODEL.size_for(demand));
            assert!((served - demand).abs() <= 1e-6, "{demand} {served}");
        }
    }
}

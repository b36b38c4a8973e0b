//! The cost of running a shape, and of changing to it. The unit is the core-hour.

use serde::{Deserialize, Serialize};

use super::limits::{GIB_CORE_HOURS, RESIZE_CORE_HOURS, ROOM_MOVED_CORE_HOURS, START_CORE_HOURS};
use super::shape::Shape;

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// Prices in core-hours.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Prices {
    /// A GiB for an hour. A core for an hour is 1.
    pub gib: f64,
    /// Moving a room to another shard.
    pub room_moved: f64,
    /// Resizing a shard in place.
    pub resize: f64,
    /// Starting a shard. Counts at least as much as a resize.
    pub start: f64,
}

impl Default for Prices {
    fn default() -> Self {
        Self {
            gib: GIB_CORE_HOURS,
            room_moved: ROOM_MOVED_CORE_HOURS,
            resize: RESIZE_CORE_HOURS,
            start: START_CORE_HOURS,
        }
    }
}

/// The effects of a change, and its price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The rooms that move by the hash.
    pub rooms_moved: f64,
    pub resizes: i32,
    pub starts: i32,
    /// The one-time cost in core-hours.
    pub core_hours: f64,
}

impl Prices {
    /// The running cost in core-hours per hour.
    pub fn running(&self, shape: Shape) -> f64 {
        f64::from(shape.count) * (shape.size.cores + self.gib * shape.size.bytes / GIB)
    }

    /// The cost of a change. Each part obeys the triangle inequality: a detour is never cheaper than the direct change. So
    /// the best shape seen from the current one is still the best once it is reached, and one change settles.
    pub fn change(&self, from: Shape, to: Shape, rooms: f64) -> Change {
        let (few, many) = (from.count.min(to.count), from.count.max(to.count));
        // Rendezvous hashing moves only rooms to a new shard or from a removed one.
        let rooms_moved = rooms * (1.0 - f64::from(few) / f64::from(many.max(1)));
        let resizes = if from.size == to.size { 0 } else { few };
        let starts = (to.count - from.count).max(0);
        let core_hours = rooms_moved * self.room_moved
            + f64::from(resizes) * self.resize
            + f64::from(starts) * self.start.max(self.resize);
        Change {
            rooms_moved,
            resizes,
            starts,
            core_hours,
        }
    }

    pub(super) fn is_usable(&self) -> bool {
        let prices = [self.gib, self.room_moved, self.resize, self.start];
        prices.iter().all(|price| price.is_finite() && *price >= 0.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::shape::Resources;
    use super::*;

    fn shape(count: i32, cores: f64) -> Shape {
        let bytes = 2.0 * GIB;
        Shape {
            count,
            size: Resources { cores, bytes },
        }
    }

    #[test]
    fn a_change_counts_rooms_resizes_and_starts() {
        let prices = Prices::default();
        let table = [
            (shape(4, 1.0), shape(4, 1.0), (0.0, 0, 0)),
            (shape(4, 1.0), shape(4, 2.0), (0.0, 4, 0)),
            (shape(4, 1.0), shape(5, 1.0), (20.0, 0, 1)),
            (shape(5, 1.0), shape(4, 2.0), (20.0, 4, 0)),
            (shape(1, 1.0), shape(4, 2.0), (75.0, 1, 3)),
        ];
        for (from, to, (rooms, resizes, starts)) in table {
            let change = prices.change(from, to, 100.0);
            assert!((change.rooms_moved - rooms).abs() < 1e-9, "{change:?}");
            assert_eq!((change.resizes, change.starts), (resizes, starts));
        }
        assert_eq!(prices.running(shape(3, 1.0)), 3.0 * (1.0 + 2.0 * GIB_CORE_HOURS));
    }

    proptest! {
        #[test]
        fn a_detour_is_never_cheaper(
            counts in [1_i32..60, 1_i32..60, 1_i32..60],
            sizes in [0_u8..3, 0_u8..3, 0_u8..3],
            prices in [0.0..1.0_f64, 0.0..1.0_f64, 0.0..1.0_f64],
            rooms in 0.0..10_000.0_f64,
        ) {
            let [room_moved, resize, start] = prices;
            let prices = Prices { room_moved, resize, start, ..Prices::default() };
            let at = |n: usize| shape(counts[n], f64::from(sizes[n]));
            let way = |from, to| prices.change(at(from), at(to), rooms).core_hours;
            prop_assert!(way(0, 2) <= (way(0, 1) + way(1, 2)) * (1.0 + 1e-9));
        }
    }
}

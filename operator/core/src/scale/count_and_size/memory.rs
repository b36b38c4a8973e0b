//! The memory between two plans, and the planned demand.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::shape::Resources;
use super::tuning::Tuning;

/// The default after a restart takes the current capacity as planned, so that no capacity is removed at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JointMemory {
    /// The planned demand: the actual demand plus the margin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planned: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
}

/// The peak demand since a time. At the end of the window the current shape is compared with all others.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    pub since: Timestamp,
    pub peak: f64,
}

/// The smallest sizes that nodes like this one refused as infeasible. Infinite for a resource that was not raised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    #[serde(with = "bounds")]
    pub size: Resources,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<Resources>,
}

impl JointMemory {
    /// The demand to plan for, and whether the window ended, so that capacity may be removed or the cost optimized. With
    /// `forced` it ends at once.
    ///
    /// The plan is a band. Demand above the band raises it at once. Demand below the band for a whole window lowers it to
    /// the peak of that window. A higher demand never gives a lower result.
    pub(super) fn follow(
        &mut self,
        demand: f64,
        capacity: f64,
        forced: bool,
        tuning: &Tuning,
        now: Timestamp,
    ) -> (f64, bool) {
        let margin = 1.0 + tuning.margin;
        let fresh = Window {
            since: now,
            peak: demand,
        };
        let window = self.window.unwrap_or(fresh);
        let is_over = forced || now.duration_since(window.since) >= tuning.window;
        let peak = window.peak.max(demand);
        let high = self.planned.unwrap_or(capacity);
        let is_low = |demand: f64| demand * margin * margin < high;
        let planned = match (demand > high, is_over && is_low(peak)) {
            (true, _) => demand * margin,
            (_, true) => peak * margin,
            _ => high,
        };
        let begins = is_over || demand > high || (is_low(demand) && !is_low(peak));
        let goes_on = Window {
            since: window.since,
            peak,
        };
        self.window = Some(if begins { fresh } else { goes_on });
        self.planned = Some(planned);
        // Past demand keeps the current capacity, but does not increase it.
        let past = if is_low(demand) {
            capacity.max(demand * margin)
        } else {
            planned
        };
        (planned.min(past), is_over)
    }

    /// Stores the size that a node refused, until the nodes change.
    pub(super) fn refuse(&mut self, asked: Resources, in_force: Resources, node: Option<Resources>) {
        let raised = asked.join(
            in_force,
            |asked, had| if asked > had { asked } else { f64::INFINITY },
        );
        let known = self.refused.filter(|refused| refused.node == node);
        let size = known.map_or(raised, |known| known.size.min(raised));
        self.refused = Some(Refused { size, node });
    }
}

/// Serializes infinite values as null, because JSON has no such number.
mod bounds {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Resources;

    type Written = (Option<f64>, Option<f64>);

    pub fn serialize<S: Serializer>(size: &Resources, out: S) -> Result<S::Ok, S::Error> {
        let write = |value: f64| value.is_finite().then_some(value);
        (write(size.cores), write(size.bytes)).serialize(out)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Resources, D::Error> {
        let (cores, bytes) = Written::deserialize(from)?;
        let read = |value: Option<f64>| value.unwrap_or(f64::INFINITY);
        Ok(Resources {
            cores: read(cores),
            bytes: read(bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn minute(n: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(n)
    }

    #[test]
    fn the_band_rises_at_once_and_falls_to_the_peak_of_its_window() {
        // (minute, demand) -> planned; the window is five minutes, the margin 10 %.
        let steady = [
            (0, 100.0, 110.0),
            (1, 110.0, 110.0),
            (2, 91.0, 110.0),
            (9, 91.0, 110.0),
        ];
        let rising = [(0, 100.0, 110.0), (1, 120.0, 132.0)];
        let falling = [
            (0, 100.0, 110.0),
            (1, 50.0, 110.0),
            (4, 60.0, 110.0),
            (5, 40.0, 110.0),
            (6, 40.0, 66.0),
            (7, 40.0, 66.0),
            (11, 40.0, 44.0),
        ];
        let back = [
            (0, 100.0, 110.0),
            (1, 50.0, 110.0),
            (3, 100.0, 110.0),
            (8, 50.0, 110.0),
        ];
        for story in [&steady[..], &rising, &falling, &back] {
            let mut memory = JointMemory {
                planned: Some(0.0),
                ..JointMemory::default()
            };
            for (at, demand, planned) in story {
                let (found, _) = follow(&mut memory, *at, *demand, 150.0);
                assert!((found - planned).abs() < 1e-9, "{story:?}: {found} at {at}");
            }
        }
    }

    #[test]
    fn an_empty_memory_plans_for_the_current_capacity() {
        let mut memory = JointMemory::default();
        assert_eq!(follow(&mut memory, 0, 9.0, 100.0), (100.0, false));
        assert_eq!(follow(&mut memory, 4, 9.0, 100.0), (100.0, false));
        assert_eq!(follow(&mut memory, 5, 10.0, 100.0), (11.0, true));
    }

    #[test]
    fn past_demand_does_not_increase_capacity() {
        let mut memory = JointMemory {
            planned: Some(500.0),
            ..JointMemory::default()
        };
        assert_eq!(follow(&mut memory, 0, 480.0, 100.0), (500.0, false));
        assert_eq!(follow(&mut memory, 1, 50.0, 100.0), (100.0, false));
    }

    fn follow(memory: &mut JointMemory, at: i64, demand: f64, capacity: f64) -> (f64, bool) {
        memory.follow(demand, capacity, false, &Tuning::default(), minute(at))
    }

    #[test]
    fn refusals_accumulate_until_the_nodes_change() {
        let size = |cores: f64, bytes: f64| Resources { cores, bytes };
        let mut memory = JointMemory::default();
        let node = Some(size(4.0, 100.0));
        memory.refuse(size(3.0, 50.0), size(2.0, 50.0), node);
        assert_eq!(memory.refused.unwrap().size, size(3.0, f64::INFINITY));
        memory.refuse(size(2.0, 80.0), size(2.0, 50.0), node);
        assert_eq!(memory.refused.unwrap().size, size(3.0, 80.0));
        let text = serde_json::to_string(&memory).unwrap();
        assert_eq!(serde_json::from_str::<JointMemory>(&text).unwrap(), memory);
        memory.refuse(size(2.0, 90.0), size(2.0, 50.0), Some(size(8.0, 200.0)));
        assert_eq!(memory.refused.unwrap().size, size(f64::INFINITY, 90.0));
    }
}

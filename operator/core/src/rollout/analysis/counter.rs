//! Increments of counters that may reset.

use super::increment::Arm;

/// The increment between two readings of the counters of one process. If either counter fell, the process restarted, and
/// the whole reading is new. Do not use it for a sum over pods: if one pod restarts, the sum falls and hides the increments
/// of the others. Add up the increments of each pod instead.
pub fn since(previous: Arm, current: Arm) -> Arm {
    if current.exposure < previous.exposure || current.bad < previous.bad {
        return current;
    }
    Arm {
        exposure: current.exposure - previous.exposure,
        bad: current.bad - previous.bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(exposure: f64, bad: u64) -> Arm {
        Arm { exposure, bad }
    }

    #[test]
    fn counters_that_fell_were_reset() {
        let cases = [
            (arm(10.0, 2), arm(12.5, 3), arm(2.5, 1)),
            (arm(10.0, 2), arm(10.0, 2), arm(0.0, 0)),
            (arm(10.0, 2), arm(3.0, 0), arm(3.0, 0)),
            (arm(10.0, 2), arm(3.0, 5), arm(3.0, 5)),
            (arm(10.0, 2), arm(11.0, 1), arm(11.0, 1)),
        ];
        for (previous, current, grown) in cases {
            assert_eq!(since(previous, current), grown, "{previous:?} → {current:?}");
        }
    }
}

//! Totals that start again.

use super::Arm;

/// What totals grew by between two readings. When either fell the process was started anew, and all
/// that it shows is new. For the totals of one process: a sum over pods falls when one of them
/// restarts and then says nothing about the others, so take increments by pod and add those.
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
    fn totals_that_fell_started_anew() {
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

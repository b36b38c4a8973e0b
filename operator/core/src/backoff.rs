//! How long an object waits after failures: exponential and capped, for each object alone.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const CAP: Duration = Duration::from_secs(120);

/// The wait after so many failures in a row. `jitter` in 0..=1 takes up to a half off, so that
/// many objects that failed together do not come back together.
pub fn delay(failures: u32, jitter: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let full = FIRST.saturating_mul(1 << doublings).min(CAP);
    full.mul_f64(1.0 - 0.5 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_cap() {
        let table = [
            (0, 500),
            (1, 500),
            (2, 1_000),
            (3, 2_000),
            (8, 64_000),
            (9, 120_000),
            (u32::MAX, 120_000),
        ];
        for (failures, ms) in table {
            assert_eq!(
                delay(failures, 0.0),
                Duration::from_millis(ms),
                "{failures} failures"
            );
        }
        assert_eq!(delay(3, 1.0), Duration::from_secs(1));
        assert_eq!(delay(3, f64::INFINITY), Duration::from_secs(1));
    }
}

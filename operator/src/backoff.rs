//! How long to wait before a retry.

use backon::{BackoffBuilder, ExponentialBuilder};
use std::time::Duration;

/// The number of failures after which no wait grows further: every backoff here has reached its maximum by then.
const FAILURES_MAX: usize = 16;

/// The wait after so many failures in a row.
pub fn delay(backoff: ExponentialBuilder, failures: u32) -> Duration {
    let failures = usize::try_from(failures)
        .unwrap_or(usize::MAX)
        .clamp(1, FAILURES_MAX);
    let mut delays = backoff.without_max_times().build();
    delays.nth(failures - 1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_maximum_and_jitter_adds_up_to_the_wait_itself() {
        let exact = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(250))
            .with_max_delay(Duration::from_secs(60));
        let table = [
            (0, 250),
            (1, 250),
            (2, 500),
            (3, 1_000),
            (8, 32_000),
            (9, 60_000),
            (u32::MAX, 60_000),
        ];
        for (failures, milliseconds) in table {
            let expected = Duration::from_millis(milliseconds);
            assert_eq!(delay(exact, failures), expected, "{failures} failures");
            let varied = delay(exact.with_jitter(), failures);
            assert!(
                (expected..=expected * 2).contains(&varied),
                "{failures} failures: {varied:?}"
            );
        }
    }
}

//! Stabilizes a recommendation with recent ones.

use jiff::{SignedDuration, Timestamp};

use super::history::History;

/// Raises the current count to the smallest recent recommendation and lowers it to the largest, each over its own
/// window. Then stores the recommendation.
pub fn with_windows(
    history: &mut History,
    current: i32,
    recommended: i32,
    up: SignedDuration,
    down: SignedDuration,
    now: Timestamp,
) -> i32 {
    let (mut low, mut high) = (recommended, recommended);
    for recent in history.recommendations.iter().flatten() {
        let age = now.duration_since(recent.at);
        if age < up {
            low = low.min(recent.replicas);
        }
        if age < down {
            high = high.max(recent.replicas);
        }
    }
    history.recommend(recommended, now, |age| age > up && age > down);
    current.max(low).min(high)
}

/// Returns the largest recommendation within the window (scale-down only), then stores the recommendation.
pub fn with_downscale_window(
    history: &mut History,
    recommended: i32,
    window: SignedDuration,
    now: Timestamp,
) -> i32 {
    let recent = history.recommendations.iter().flatten();
    let highest = recent
        .filter(|r| now.duration_since(r.at) <= window)
        .map(|r| r.replicas)
        .max();
    history.recommend(recommended, now, |age| age > window);
    highest.map_or(recommended, |h| h.max(recommended))
}

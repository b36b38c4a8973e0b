//! Smoothing over recent recommendations.

use jiff::{SignedDuration, Timestamp};

use super::history::History;

/// Raises the current count to the smallest recent wish and cuts it to the largest, each over its
/// own window, then stores the wish.
pub fn with_windows(
    history: &mut History,
    current: i32,
    wish: i32,
    up: SignedDuration,
    down: SignedDuration,
    now: Timestamp,
) -> i32 {
    let (mut low, mut high) = (wish, wish);
    for recent in history.recommendations.iter().flatten() {
        let age = now.duration_since(recent.at);
        if age < up {
            low = low.min(recent.replicas);
        }
        if age < down {
            high = high.max(recent.replicas);
        }
    }
    history.recommend(wish, now, |age| age > up && age > down);
    current.max(low).min(high)
}

/// The largest wish not older than the window (scale-down only), then stores the wish.
pub fn with_downscale_window(
    history: &mut History,
    wish: i32,
    window: SignedDuration,
    now: Timestamp,
) -> i32 {
    let recent = history.recommendations.iter().flatten();
    let highest = recent
        .filter(|r| now.duration_since(r.at) <= window)
        .map(|r| r.replicas)
        .max();
    history.recommend(wish, now, |age| age > window);
    highest.map_or(wish, |h| h.max(wish))
}

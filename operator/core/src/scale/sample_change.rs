//! Compares two samples of a metric.

use jiff::{SignedDuration, Timestamp};

use super::limits::{FAULT_WINDOW_MAX, RENEWED_WITHIN, SUDDEN_FALL_SHARE};

/// Whether the source's clock went back from `newest` to `at`. A sample that is only a little older just
/// arrived late.
pub fn clock_went_back(newest: Timestamp, at: Timestamp) -> bool {
    newest.duration_since(at) > RENEWED_WITHIN
}

/// Whether a metric fell suddenly from `before` to `value`.
pub fn is_sudden_fall(before: f64, value: f64) -> bool {
    value < before * (1.0 - SUDDEN_FALL_SHARE)
}

/// How long a fault of the metrics source still shows in a metric after its end. It is never longer than the
/// stabilization window, so a short window shortens it too.
pub fn fault_window(window: SignedDuration) -> SignedDuration {
    window.min(FAULT_WINDOW_MAX)
}

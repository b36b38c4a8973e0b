//! A token bucket. Pure: time is a parameter.

use std::time::Instant;

use super::limits::{FRAMES_BURST, FRAMES_PER_SECOND};

/// Frames a client may send now.
pub struct Allowance {
    frames: f32,
    at: Instant,
}

impl Allowance {
    pub fn new(now: Instant) -> Self {
        Self {
            frames: FRAMES_BURST as f32,
            at: now,
        }
    }

    /// Takes one frame from the allowance; false when there is none.
    pub fn take(&mut self, now: Instant) -> bool {
        let grown = now.duration_since(self.at).as_secs_f32() * FRAMES_PER_SECOND as f32;
        self.frames = (self.frames + grown).min(FRAMES_BURST as f32);
        self.at = now;
        let allowed = self.frames >= 1.0;
        if allowed {
            self.frames -= 1.0;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let now = Instant::now();
        let mut allowance = Allowance::new(now);
        assert!((0..FRAMES_BURST).all(|_| allowance.take(now)));
        assert!(!allowance.take(now));
        let later = now + Duration::from_secs(1);
        let granted = (0..FRAMES_BURST).filter(|_| allowance.take(later)).count();
        assert_eq!(granted, FRAMES_PER_SECOND as usize);
    }
}

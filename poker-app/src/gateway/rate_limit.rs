//! The rate limit of a socket, a token bucket. Pure: time is a parameter.

use std::time::Instant;

use super::limits::{FRAMES_BURST, FRAMES_PER_SECOND};

/// The frames that a client may send now.
pub struct TokenBucket {
    frames: f32,
    at: Instant,
}

impl TokenBucket {
    pub fn new(now: Instant) -> Self {
        Self {
            frames: FRAMES_BURST as f32,
            at: now,
        }
    }

    /// Takes one frame from the bucket; false if it is empty.
    pub fn take(&mut self, now: Instant) -> bool {
        let refilled = now.duration_since(self.at).as_secs_f32() * FRAMES_PER_SECOND as f32;
        self.frames = (self.frames + refilled).min(FRAMES_BURST as f32);
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
    fn a_burst_is_followed_by_the_rate() {
        let now = Instant::now();
        let mut bucket = TokenBucket::new(now);
        assert!((0..FRAMES_BURST).all(|_| bucket.take(now)));
        assert!(!bucket.take(now));
        let later = now + Duration::from_secs(1);
        let granted = (0..FRAMES_BURST).filter(|_| bucket.take(later)).count();
        assert_eq!(granted, FRAMES_PER_SECOND as usize);
    }
}

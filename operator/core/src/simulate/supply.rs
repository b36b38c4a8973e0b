//! Replicas that start, serve and drain.

use super::Setup;

/// Counts by state. Drains and starts end in the order in which they began.
pub struct Supply {
    ready: i32,
    /// When they serve, and how many.
    starting: Vec<(i64, i32)>,
    /// When they are gone, and how many.
    draining: Vec<(i64, i32)>,
}

impl Supply {
    pub fn new(ready: i32) -> Supply {
        Supply {
            ready,
            starting: Vec::new(),
            draining: Vec::new(),
        }
    }

    /// Replicas that serve.
    pub fn ready(&self) -> i32 {
        self.ready
    }

    /// Replicas that are paid for.
    pub fn paid(&self) -> i32 {
        let count = |states: &[(i64, i32)]| states.iter().map(|(_, n)| n).sum::<i32>();
        self.ready + count(&self.starting) + count(&self.draining)
    }

    /// Lets starts and drains end.
    pub fn pass(&mut self, second: i64) {
        let started: i32 = self
            .starting
            .iter()
            .filter(|(at, _)| *at <= second)
            .map(|(_, n)| n)
            .sum();
        self.ready += started;
        self.starting.retain(|(at, _)| *at > second);
        self.draining.retain(|(at, _)| *at > second);
    }

    /// Changes the count asked for: the last to start go first, and need no drain.
    pub fn change(&mut self, second: i64, from: i32, to: i32, setup: &Setup) {
        if to > from {
            self.starting.push((second + setup.start_seconds, to - from));
            return;
        }
        let mut surplus = from - to;
        while let Some((_, starting)) = self.starting.last_mut().filter(|_| surplus > 0) {
            let gone = surplus.min(*starting);
            *starting -= gone;
            surplus -= gone;
            if *starting == 0 {
                self.starting.pop();
            }
        }
        if surplus > 0 {
            self.ready -= surplus;
            if setup.drain_seconds > 0 {
                self.draining.push((second + setup.drain_seconds, surplus));
            }
        }
    }
}

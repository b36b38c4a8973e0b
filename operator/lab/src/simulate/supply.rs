//! The replicas over time: they start, serve, are resized and drain.

use super::Setup;
use super::sizing::Replicas;

/// Replicas by state. Drains, starts and resizes end in the order in which they began.
pub struct Supply {
    ready: i32,
    /// From which second on they serve, and their count.
    starting: Vec<(i64, i32)>,
    /// The second at which they start to drain, once the others are resized up, and their count.
    leaving: Vec<(i64, i32)>,
    /// The second at which they end, and their count.
    draining: Vec<(i64, i32)>,
    /// The current size of every replica.
    size: f64,
    /// The second at which a resize takes effect, and the new size.
    resizing: Option<(i64, f64)>,
}

impl Supply {
    pub fn new(replicas: Replicas) -> Supply {
        Supply {
            ready: replicas.count,
            starting: Vec::new(),
            leaving: Vec::new(),
            draining: Vec::new(),
            size: replicas.size,
            resizing: None,
        }
    }

    /// The count of ready replicas.
    pub fn ready(&self) -> i32 {
        self.ready
    }

    /// Their capacity, in replicas of the standard size.
    pub fn serving(&self) -> f64 {
        f64::from(self.ready) * self.size
    }

    /// The replicas that cost, in the standard size. A resize up costs from its decision on, as a start does.
    pub fn paid(&self) -> f64 {
        let count = |states: &[(i64, i32)]| states.iter().map(|(_, n)| n).sum::<i32>();
        let size = self.resizing.map_or(self.size, |(_, size)| size.max(self.size));
        f64::from(self.ready + count(&self.starting) + count(&self.draining)) * size
    }

    /// Completes the starts, resizes and drains that are due.
    pub fn advance(&mut self, second: i64, setup: &Setup) {
        self.ready += due(&mut self.starting, second);
        if let Some((_, size)) = self.resizing.take_if(|(at, _)| *at <= second) {
            self.size = size;
        }
        let left = due(&mut self.leaving, second);
        self.drain(left, second, setup);
        due(&mut self.draining, second);
    }

    fn drain(&mut self, count: i32, second: i64, setup: &Setup) {
        self.ready -= count;
        if count > 0 && setup.drain_seconds > 0 {
            self.draining.push((second + setup.drain_seconds, count));
        }
    }

    /// Changes the desired replicas in the order of the joint plan: replicas are resized down once the new ones serve,
    /// and removed once the others are resized up. The last ones that start are removed first, without a drain.
    pub fn change(&mut self, second: i64, from: Replicas, to: Replicas, setup: &Setup) {
        let resize_seconds = setup.resize_seconds.unwrap_or_default();
        let (is_larger, is_more) = (to.size > from.size, to.count > from.count);
        if to.size != from.size {
            let wait = if is_more && !is_larger {
                setup.start_seconds
            } else {
                resize_seconds
            };
            self.resizing = Some((second + wait, to.size));
        }
        if is_more {
            self.starting
                .push((second + setup.start_seconds, to.count - from.count));
            return;
        }
        let mut surplus = from.count - to.count;
        while let Some((_, starting)) = self.starting.last_mut().filter(|_| surplus > 0) {
            let removed = surplus.min(*starting);
            *starting -= removed;
            surplus -= removed;
            if *starting == 0 {
                self.starting.pop();
            }
        }
        if is_larger && surplus > 0 {
            self.leaving.push((second + resize_seconds, surplus));
        } else {
            self.drain(surplus, second, setup);
        }
    }
}

/// Removes the states that are due and returns their count of replicas.
fn due(states: &mut Vec<(i64, i32)>, second: i64) -> i32 {
    let count = states
        .iter()
        .filter(|(at, _)| *at <= second)
        .map(|(_, n)| n)
        .sum();
    states.retain(|(at, _)| *at > second);
    count
}

//! Replicas that start, serve, are resized and drain.

use super::Setup;
use super::sizing::Replicas;

/// Counts by state. Drains, starts and resizes end in the order in which they began.
pub struct Supply {
    ready: i32,
    /// When they serve, and how many.
    starting: Vec<(i64, i32)>,
    /// When they no longer serve, and how many: they wait until the others are larger.
    leaving: Vec<(i64, i32)>,
    /// When they are gone, and how many.
    draining: Vec<(i64, i32)>,
    /// Of every replica, in force.
    size: f64,
    /// When another size is in force.
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

    /// Replicas that serve.
    pub fn ready(&self) -> i32 {
        self.ready
    }

    /// What they serve, in replicas of the usual size.
    pub fn serving(&self) -> f64 {
        f64::from(self.ready) * self.size
    }

    /// What is paid for, in replicas of the usual size: a resize up from its decision on, as a start.
    pub fn paid(&self) -> f64 {
        let count = |states: &[(i64, i32)]| states.iter().map(|(_, n)| n).sum::<i32>();
        let size = self.resizing.map_or(self.size, |(_, size)| size.max(self.size));
        f64::from(self.ready + count(&self.starting) + count(&self.draining)) * size
    }

    /// Lets starts, resizes and drains end.
    pub fn pass(&mut self, second: i64, setup: &Setup) {
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

    /// Changes what is asked for, in the order of the joint plan: replicas become smaller once more of them
    /// serve, and go once the others are larger. The last to start go first, and need no drain.
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
            let gone = surplus.min(*starting);
            *starting -= gone;
            surplus -= gone;
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

/// Takes what is due, and how many that is.
fn due(states: &mut Vec<(i64, i32)>, second: i64) -> i32 {
    let count = states
        .iter()
        .filter(|(at, _)| *at <= second)
        .map(|(_, n)| n)
        .sum();
    states.retain(|(at, _)| *at > second);
    count
}

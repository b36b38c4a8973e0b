//! Holds outputs back until what they rest on is durable, without ever changing their order.

use std::collections::VecDeque;

/// Outputs of one room on their way out. A change gets a ticket; outputs leave once every change made before them is
/// confirmed.
pub struct Gate<T> {
    made: u64,
    confirmed: u64,
    waiting: VecDeque<(u64, T)>,
}

impl<T> Default for Gate<T> {
    fn default() -> Self {
        Gate {
            made: 0,
            confirmed: 0,
            waiting: VecDeque::new(),
        }
    }
}

impl<T> Gate<T> {
    /// Adds the outputs of one input; `durable` when it made a change. Returns what may leave at once.
    pub fn push(&mut self, durable: bool, outputs: Vec<T>) -> Vec<T> {
        if durable {
            self.made += 1;
        }
        if self.is_settled() {
            return outputs;
        }
        let ticket = self.made;
        self.waiting
            .extend(outputs.into_iter().map(|output| (ticket, output)));
        Vec::new()
    }

    /// A change without outputs.
    pub fn touch(&mut self) {
        self.made += 1;
    }

    /// The newest change; a write of the state as it is now confirms it.
    pub fn ticket(&self) -> u64 {
        self.made
    }

    /// The newest change that is durable.
    pub fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// Everything up to `ticket` is durable. Returns what may leave now, in order.
    pub fn confirm(&mut self, ticket: u64) -> Vec<T> {
        self.confirmed = self.confirmed.max(ticket);
        let held = self
            .waiting
            .iter()
            .position(|(ticket, _)| *ticket > self.confirmed);
        let free = held.unwrap_or(self.waiting.len());
        self.waiting.drain(..free).map(|(_, output)| output).collect()
    }

    /// Whether every change is durable.
    pub fn is_settled(&self) -> bool {
        self.confirmed >= self.made
    }

    /// Outputs held back.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Push {
            durable: bool,
            outputs: usize,
        },
        /// A write starts; only one is under way at a time.
        Begin,
        Confirm,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (any::<bool>(), 0..4usize).prop_map(|(durable, outputs)| Step::Push { durable, outputs }),
            Just(Step::Begin),
            Just(Step::Confirm),
        ];
        proptest::collection::vec(step, 0..60)
    }

    proptest! {
        #[test]
        fn outputs_leave_in_order_and_never_before_their_change_is_durable(steps in steps()) {
            let mut gate = Gate::default();
            let (mut pushed, mut left, mut changes, mut durable_changes) = (0u32, 0u32, 0u64, 0u64);
            let mut rests_on = Vec::new();
            let mut under_way = None;
            for step in steps {
                let leaving = match step {
                    Step::Push { durable, outputs } => {
                        changes += u64::from(durable);
                        let first = pushed;
                        pushed += outputs as u32;
                        rests_on.resize(pushed as usize, changes);
                        gate.push(durable, (first..pushed).collect())
                    }
                    Step::Begin => {
                        under_way.get_or_insert(gate.ticket());
                        Vec::new()
                    }
                    Step::Confirm => match under_way.take() {
                        Some(ticket) => {
                            durable_changes = durable_changes.max(ticket);
                            gate.confirm(ticket)
                        }
                        None => Vec::new(),
                    },
                };
                for output in leaving {
                    prop_assert_eq!(output, left);
                    prop_assert!(rests_on[output as usize] <= durable_changes);
                    left += 1;
                }
                prop_assert_eq!(gate.waiting() as u32, pushed - left);
            }
            let rest = gate.confirm(gate.ticket());
            prop_assert_eq!(rest.len() as u32, pushed - left);
            prop_assert!(gate.is_settled());
        }
    }
}

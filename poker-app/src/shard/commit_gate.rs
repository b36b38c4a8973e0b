//! Holds outputs back until the changes they depend on are durable, without changing their order.

use std::collections::VecDeque;

/// The outputs of one room on their way out. Changes are numbered; an output leaves once every change made before it is
/// confirmed.
pub struct CommitGate<T> {
    newest: u64,
    confirmed: u64,
    /// Each with the change that must be confirmed first.
    waiting: VecDeque<(u64, T)>,
}

impl<T> Default for CommitGate<T> {
    fn default() -> Self {
        CommitGate {
            newest: 0,
            confirmed: 0,
            waiting: VecDeque::new(),
        }
    }
}

impl<T> CommitGate<T> {
    /// Adds the outputs of one input; `durable`: it made a change. Returns the outputs that may leave at once.
    pub fn push(&mut self, durable: bool, outputs: Vec<T>) -> Vec<T> {
        if durable {
            self.newest += 1;
        }
        if self.is_settled() {
            return outputs;
        }
        let change = self.newest;
        self.waiting
            .extend(outputs.into_iter().map(|output| (change, output)));
        Vec::new()
    }

    /// Records a change without outputs.
    pub fn touch(&mut self) {
        self.newest += 1;
    }

    /// The newest change. A write of the current state confirms it.
    pub fn change(&self) -> u64 {
        self.newest
    }

    /// The newest durable change.
    pub fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// Every change up to this one is durable. Returns the outputs that may leave now, in order.
    pub fn confirm(&mut self, change: u64) -> Vec<T> {
        self.confirmed = self.confirmed.max(change);
        let held = self
            .waiting
            .iter()
            .position(|(change, _)| *change > self.confirmed);
        let free = held.unwrap_or(self.waiting.len());
        self.waiting.drain(..free).map(|(_, output)| output).collect()
    }

    /// Whether every change is durable.
    pub fn is_settled(&self) -> bool {
        self.confirmed >= self.newest
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
        /// A write starts; only one is in flight at a time.
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
            let mut gate = CommitGate::default();
            let (mut pushed, mut left, mut changes, mut durable_changes) = (0u32, 0u32, 0u64, 0u64);
            let mut depends_on = Vec::new();
            let mut in_flight = None;
            for step in steps {
                let leaving = match step {
                    Step::Push { durable, outputs } => {
                        changes += u64::from(durable);
                        let first = pushed;
                        pushed += outputs as u32;
                        depends_on.resize(pushed as usize, changes);
                        gate.push(durable, (first..pushed).collect())
                    }
                    Step::Begin => {
                        in_flight.get_or_insert(gate.change());
                        Vec::new()
                    }
                    Step::Confirm => match in_flight.take() {
                        Some(change) => {
                            durable_changes = durable_changes.max(change);
                            gate.confirm(change)
                        }
                        None => Vec::new(),
                    },
                };
                for output in leaving {
                    prop_assert_eq!(output, left);
                    prop_assert!(depends_on[output as usize] <= durable_changes);
                    left += 1;
                }
                prop_assert_eq!(gate.waiting() as u32, pushed - left);
            }
            let rest = gate.confirm(gate.change());
            prop_assert_eq!(rest.len() as u32, pushed - left);
            prop_assert!(gate.is_settled());
        }
    }
}

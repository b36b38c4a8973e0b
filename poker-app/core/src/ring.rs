//! The last published events, for clients that resume.

use std::collections::VecDeque;

use crate::limits::{RING_BYTES_MAX, RING_EVENTS_MAX};

/// Texts with consecutive sequence numbers, the newest last; bounded in number and bytes.
#[derive(Debug, Default)]
pub struct Ring {
    events: VecDeque<(u64, String)>,
    bytes: usize,
}

impl Ring {
    pub fn push(&mut self, seq: u64, text: String) {
        self.bytes += text.len();
        self.events.push_back((seq, text));
        while self.events.len() > RING_EVENTS_MAX || self.bytes > RING_BYTES_MAX {
            let Some((_, oldest)) = self.events.pop_front() else {
                break;
            };
            self.bytes -= oldest.len();
        }
    }

    /// All events after `seq` up to `newest`; `None` if one of them is missing.
    pub fn after(&self, seq: u64, newest: u64) -> Option<Vec<String>> {
        let missing = usize::try_from(newest.checked_sub(seq)?).ok()?;
        let first = self.events.len().checked_sub(missing)?;
        Some(self.events.range(first..).map(|(_, text)| text.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_events_are_replayed_completely_or_not_at_all() {
        let mut ring = Ring::default();
        let newest = RING_EVENTS_MAX as u64 + 10;
        for seq in 1..=newest {
            ring.push(seq, seq.to_string());
        }
        assert_eq!(ring.after(newest, newest).unwrap(), Vec::<String>::new());
        assert_eq!(
            ring.after(newest - 2, newest).unwrap(),
            [(newest - 1).to_string(), newest.to_string()]
        );
        assert_eq!(ring.after(10, newest).unwrap().len(), RING_EVENTS_MAX);
        assert_eq!(ring.after(9, newest), None, "one is missing");
        assert_eq!(ring.after(newest + 1, newest), None, "from the future");
        assert_eq!(ring.after(0, u64::MAX), None);
    }

    #[test]
    fn bytes_are_bounded() {
        let mut ring = Ring::default();
        for seq in 1..=5 {
            ring.push(seq, "x".repeat(RING_BYTES_MAX / 2));
        }
        assert_eq!(ring.after(3, 5).unwrap().len(), 2);
        assert_eq!(ring.after(2, 5), None);
        ring.push(6, "x".repeat(RING_BYTES_MAX + 1));
        assert_eq!(
            ring.after(5, 6),
            None,
            "an event larger than the ring is never replayed"
        );
        assert_eq!(ring.after(6, 6).unwrap(), Vec::<String>::new());
    }
}

//! Messages waiting for one socket, bounded in bytes.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use axum::extract::ws::Utf8Bytes;
use tokio::sync::Notify;

use super::limits::{OUTBOX_BYTES_MAX, OVERFLOW_REPEAT};

/// Close code and reason.
pub type Closing = (u16, String);

#[derive(Debug, PartialEq, Eq)]
pub enum Pushed {
    Queued,
    /// The queue was full and is now empty: the session needs a snapshot.
    Overflowed,
    /// It overflowed again too soon: close the socket.
    OverflowedAgain,
}

/// Written to by the team, read by the socket's task.
#[derive(Default)]
pub struct Outbox {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Utf8Bytes>,
    bytes: usize,
    closing: Option<Closing>,
    overflowed_at: Option<Instant>,
    /// Overflowed: until the state comes, nothing that follows the gap may be sent.
    awaits_state: bool,
}

impl Outbox {
    /// What is pushed between an overflow and the state is left out: the state holds it.
    pub fn push(&self, text: Utf8Bytes, now: Instant) -> Pushed {
        let mut state = self.lock();
        if state.closing.is_some() || state.awaits_state {
            return Pushed::Queued;
        }
        if state.bytes + text.len() > OUTBOX_BYTES_MAX {
            state.clear();
            state.awaits_state = true;
            let before = state.overflowed_at.replace(now);
            return match before.is_some_and(|at| now.duration_since(at) < OVERFLOW_REPEAT) {
                true => Pushed::OverflowedAgain,
                false => Pushed::Overflowed,
            };
        }
        state.bytes += text.len();
        state.add(text);
        drop(state);
        self.wake.notify_one();
        Pushed::Queued
    }

    /// Replaces everything queued by the room's state. It does not count: there is one at a time.
    pub fn push_state(&self, texts: Vec<String>) {
        let mut state = self.lock();
        if state.closing.is_some() {
            return;
        }
        state.clear();
        state.awaits_state = false;
        for text in texts {
            state.add(text.into());
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Closes the socket after what is queued. The first reason given stays.
    pub fn close(&self, code: u16, reason: String) {
        self.lock().closing.get_or_insert((code, reason));
        self.wake.notify_one();
    }

    /// Takes what is queued, and how to close the socket after it.
    pub fn take(&self) -> (VecDeque<Utf8Bytes>, Option<Closing>) {
        let mut state = self.lock();
        state.bytes = 0;
        (std::mem::take(&mut state.queue), state.closing.clone())
    }

    /// Returns once there may be something to take.
    pub async fn changed(&self) {
        self.wake.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, text: Utf8Bytes) {
        self.queue.push_back(text);
    }

    fn clear(&mut self) {
        self.queue = VecDeque::new();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: usize) -> Utf8Bytes {
        "x".repeat(bytes).into()
    }

    #[test]
    fn what_is_pushed_is_taken_in_order() {
        let (outbox, now) = (Outbox::default(), Instant::now());
        for word in ["a", "b", "c"] {
            assert_eq!(outbox.push(word.into(), now), Pushed::Queued);
        }
        let (queue, closing) = outbox.take();
        assert_eq!(queue, ["a", "b", "c"].map(Utf8Bytes::from));
        assert_eq!(closing, None);
        assert!(outbox.take().0.is_empty());
    }

    #[test]
    fn an_overflow_drops_the_queue_and_a_second_one_soon_closes() {
        let (outbox, now) = (Outbox::default(), Instant::now());
        assert_eq!(outbox.push(text(OUTBOX_BYTES_MAX), now), Pushed::Queued);
        assert_eq!(outbox.push(text(1), now), Pushed::Overflowed);
        assert!(outbox.take().0.is_empty());
        outbox.push_state(Vec::new());
        outbox.push(text(OUTBOX_BYTES_MAX), now);
        assert_eq!(outbox.push(text(1), now), Pushed::OverflowedAgain);
        outbox.push_state(Vec::new());
        outbox.push(text(OUTBOX_BYTES_MAX), now);
        assert_eq!(outbox.push(text(1), now + OVERFLOW_REPEAT), Pushed::Overflowed);
    }

    #[test]
    fn after_an_overflow_nothing_leaves_before_the_state() {
        let (outbox, now) = (Outbox::default(), Instant::now());
        outbox.push(text(OUTBOX_BYTES_MAX), now);
        outbox.push("one too many".into(), now);
        assert_eq!(outbox.push("beyond the gap".into(), now), Pushed::Queued);
        assert!(outbox.take().0.is_empty());
        outbox.push_state(vec!["state".into()]);
        outbox.push("next".into(), now);
        assert_eq!(outbox.take().0, ["state", "next"].map(Utf8Bytes::from));
    }

    #[test]
    fn a_state_of_any_size_replaces_what_waits_and_leaves_the_whole_allowance() {
        let (outbox, now) = (Outbox::default(), Instant::now());
        outbox.push(text(10), now);
        outbox.push_state(vec!["x".repeat(4 * OUTBOX_BYTES_MAX)]);
        assert_eq!(outbox.push(text(OUTBOX_BYTES_MAX), now), Pushed::Queued);
        assert_eq!(outbox.take().0.len(), 2);
    }

    #[test]
    fn nothing_follows_a_close() {
        let outbox = Outbox::default();
        outbox.push("before".into(), Instant::now());
        outbox.close(4002, "removed".into());
        outbox.close(1012, "late".into());
        outbox.push("after".into(), Instant::now());
        let (queue, closing) = outbox.take();
        assert_eq!(queue.len(), 1);
        assert_eq!(closing, Some((4002, "removed".into())));
    }
}

//! The send queue of a socket, bounded in bytes.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use axum::extract::ws::Utf8Bytes;
use tokio::sync::Notify;

use super::limits::{OVERFLOW_REPEAT, SEND_QUEUE_BYTES_MAX};

/// Close code and reason.
pub type Closing = (u16, String);

#[derive(Debug, PartialEq, Eq)]
pub enum Pushed {
    Queued,
    /// The queue was full and has been cleared: the session needs a snapshot.
    Overflowed,
    /// It overflowed again within `OVERFLOW_REPEAT`: close the socket.
    OverflowedAgain,
}

/// Filled by the team, emptied by the socket's task.
#[derive(Default)]
pub struct SendQueue {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Utf8Bytes>,
    bytes: usize,
    closing: Option<Closing>,
    overflowed_at: Option<Instant>,
    /// Set by an overflow: nothing may follow the gap until the state arrives.
    awaits_state: bool,
}

impl SendQueue {
    /// Messages between an overflow and the state are dropped: the state includes them.
    pub fn push(&self, text: Utf8Bytes, now: Instant) -> Pushed {
        let mut state = self.lock();
        if state.closing.is_some() || state.awaits_state {
            return Pushed::Queued;
        }
        if state.bytes + text.len() > SEND_QUEUE_BYTES_MAX {
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

    /// Replaces the queue by the room's state, which does not count towards the limit: there is one at a time.
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

    /// Closes the socket after the queued messages. The first reason wins.
    pub fn close(&self, code: u16, reason: String) {
        self.lock().closing.get_or_insert((code, reason));
        self.wake.notify_one();
    }

    /// Takes the queued messages, and how to close the socket after them.
    pub fn take(&self) -> (VecDeque<Utf8Bytes>, Option<Closing>) {
        let mut state = self.lock();
        state.bytes = 0;
        (std::mem::take(&mut state.queue), state.closing.clone())
    }

    /// Completes once there may be something to take.
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
    fn messages_are_taken_in_order() {
        let (queue, now) = (SendQueue::default(), Instant::now());
        for word in ["a", "b", "c"] {
            assert_eq!(queue.push(word.into(), now), Pushed::Queued);
        }
        let (texts, closing) = queue.take();
        assert_eq!(texts, ["a", "b", "c"].map(Utf8Bytes::from));
        assert_eq!(closing, None);
        assert!(queue.take().0.is_empty());
    }

    #[test]
    fn an_overflow_clears_the_queue_and_a_second_one_soon_closes() {
        let (queue, now) = (SendQueue::default(), Instant::now());
        assert_eq!(queue.push(text(SEND_QUEUE_BYTES_MAX), now), Pushed::Queued);
        assert_eq!(queue.push(text(1), now), Pushed::Overflowed);
        assert!(queue.take().0.is_empty());
        queue.push_state(Vec::new());
        queue.push(text(SEND_QUEUE_BYTES_MAX), now);
        assert_eq!(queue.push(text(1), now), Pushed::OverflowedAgain);
        queue.push_state(Vec::new());
        queue.push(text(SEND_QUEUE_BYTES_MAX), now);
        assert_eq!(queue.push(text(1), now + OVERFLOW_REPEAT), Pushed::Overflowed);
    }

    #[test]
    fn after_an_overflow_the_state_comes_first() {
        let (queue, now) = (SendQueue::default(), Instant::now());
        queue.push(text(SEND_QUEUE_BYTES_MAX), now);
        queue.push("one too many".into(), now);
        assert_eq!(queue.push("beyond the gap".into(), now), Pushed::Queued);
        assert!(queue.take().0.is_empty());
        queue.push_state(vec!["state".into()]);
        queue.push("next".into(), now);
        assert_eq!(queue.take().0, ["state", "next"].map(Utf8Bytes::from));
    }

    #[test]
    fn a_state_of_any_size_replaces_the_queue_and_does_not_count() {
        let (queue, now) = (SendQueue::default(), Instant::now());
        queue.push(text(10), now);
        queue.push_state(vec!["x".repeat(4 * SEND_QUEUE_BYTES_MAX)]);
        assert_eq!(queue.push(text(SEND_QUEUE_BYTES_MAX), now), Pushed::Queued);
        assert_eq!(queue.take().0.len(), 2);
    }

    #[test]
    fn a_closed_queue_takes_no_more_messages() {
        let queue = SendQueue::default();
        queue.push("before".into(), Instant::now());
        queue.close(4002, "removed".into());
        queue.close(1012, "late".into());
        queue.push("after".into(), Instant::now());
        let (texts, closing) = queue.take();
        assert_eq!(texts.len(), 1);
        assert_eq!(closing, Some((4002, "removed".into())));
    }
}

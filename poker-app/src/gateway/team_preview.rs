//! Reads a team's name without joining: no session, no claim, nothing written.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::oneshot;

/// Requests without an answer.
#[derive(Default)]
pub struct Previews {
    next_request: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Option<String>>>>,
}

/// One request; dropping it cancels it.
pub struct Preview<'a> {
    pub request: u64,
    previews: &'a Previews,
    answer: oneshot::Receiver<Option<String>>,
}

impl Previews {
    pub fn start(&self) -> Preview<'_> {
        let request = self.next_request.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.lock().insert(request, sender);
        Preview {
            request,
            previews: self,
            answer,
        }
    }

    /// A shard has answered; `None`: there is no such team.
    pub fn finish(&self, request: u64, name: Option<String>) {
        if let Some(waiting) = self.lock().remove(&request) {
            let _ = waiting.send(name);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Option<String>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Preview<'_> {
    /// The team's name, `None` if there is no such team.
    pub async fn answer(&mut self) -> Option<String> {
        match (&mut self.answer).await {
            Ok(name) => name,
            // The sender lives until the answer arrives or this request is dropped.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Preview<'_> {
    fn drop(&mut self) {
        self.previews.lock().remove(&self.request);
    }
}

//! What a process still waits for before it can serve.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The parts of a process that are not ready yet, each with a reason. A process is ready when none is left.
/// Clones share their state.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    pending: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Readiness {
    /// Marks `part` as not ready; `why` is shown by `/ready`. Returns whether the part or its reason is new.
    pub fn wait_for(&self, part: &str, why: &str) -> bool {
        self.lock().insert(part.to_owned(), why.to_owned()).as_deref() != Some(why)
    }

    /// Marks `part` as ready.
    pub fn done(&self, part: &str) {
        self.lock().remove(part);
    }

    pub fn is_pending(&self, part: &str) -> bool {
        self.lock().contains_key(part)
    }

    /// The reason of each part that is not ready, in the order of the parts' names.
    pub fn pending(&self) -> Vec<String> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_when_nothing_is_pending() {
        let readiness = Readiness::default();
        assert!(readiness.wait_for("crd", "install the CRD"));
        assert!(!readiness.wait_for("crd", "install the CRD"), "not new");
        assert!(readiness.wait_for("crd", "upgrade the CRD"), "a new reason");
        readiness.wait_for("cache", "the first list is not complete");
        assert_eq!(
            readiness.pending(),
            ["the first list is not complete", "upgrade the CRD"]
        );
        assert!(readiness.is_pending("crd"));
        readiness.done("crd");
        readiness.clone().done("cache");
        assert!(readiness.pending().is_empty());
    }
}

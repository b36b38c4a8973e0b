//! Corrections: writes that undo what another client or an admission webhook made of one object.
//!
//! A single change is corrected at once. An object that is changed again after each correction costs a bounded number of
//! writes: each further correction waits longer, and the object is reported meanwhile.

use std::time::Duration;

use jiff::Timestamp;

use crate::limits::{CORRECTION_WAIT_MAX, CORRECTION_WAIT_MIN, CORRECTION_WINDOW, CORRECTIONS_AT_ONCE_MAX};

/// The corrections of one object by one field manager.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corrections {
    /// Identifies what was written last.
    content: String,
    /// Corrections in a row, each within a window after the one before.
    count: u32,
    last: Option<Correction>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Correction {
    at: Timestamp,
    /// What differed.
    overridden: String,
    /// The answer to the write differed already: it cannot help until the webhook is changed.
    on_admission: bool,
}

impl Corrections {
    /// Records an accepted write. `before`: what it corrected. `answer`: what the API server answered otherwise than it
    /// was written.
    pub fn record(&mut self, content: &str, before: Option<String>, answer: Option<String>, now: Timestamp) {
        // Otherwise the plan has changed, and the object was never as it is planned now.
        let is_repeated = self.content == content;
        content.clone_into(&mut self.content);
        if let Some(overridden) = answer {
            self.count = self.count.max(CORRECTIONS_AT_ONCE_MAX).saturating_add(1);
            self.last = Some(Correction {
                at: now,
                overridden,
                on_admission: true,
            });
        } else if self.is_overridden_on_admission() {
            self.forget();
        } else if let (Some(overridden), true) = (before, is_repeated) {
            let is_recent = self
                .last
                .as_ref()
                .is_some_and(|last| now < last.at + CORRECTION_WINDOW);
            self.count = if is_recent {
                self.count.saturating_add(1)
            } else {
                1
            };
            self.last = Some(Correction {
                at: now,
                overridden,
                on_admission: false,
            });
        }
    }

    /// The object is as planned without a write.
    pub fn record_up_to_date(&mut self) {
        if self.is_overridden_on_admission() {
            self.forget();
        }
    }

    pub fn has_any(&self) -> bool {
        self.count > 0
    }

    /// Whether the same content waits for its next attempt. Other content is written at once.
    pub fn is_waiting(&self, content: &str, now: Timestamp) -> bool {
        // A clock that went back must not make it wait for longer.
        let begun = self.last.as_ref().is_some_and(|last| last.at <= now);
        self.content == content && begun && self.retry_at().is_some_and(|at| now < at)
    }

    /// What to report.
    pub fn overridden(&self, now: Timestamp) -> Option<&str> {
        let last = self.last.as_ref().filter(|_| self.is_contested())?;
        let is_current = last.on_admission || now < last.at + CORRECTION_WINDOW;
        is_current.then_some(&last.overridden)
    }

    /// How long until the next attempt or until nothing is reported any more. `None` if nothing is reported.
    pub fn due_after(&self, now: Timestamp) -> Option<Duration> {
        self.overridden(now)?;
        let until = |at: Timestamp| {
            Duration::try_from(at.duration_since(now))
                .ok()
                .filter(|d| !d.is_zero())
        };
        let last = self.last.as_ref()?;
        until(self.retry_at()?).or_else(|| until(last.at + CORRECTION_WINDOW))
    }

    fn is_contested(&self) -> bool {
        self.count > CORRECTIONS_AT_ONCE_MAX
    }

    fn retry_at(&self) -> Option<Timestamp> {
        let attempts = self.count.checked_sub(CORRECTIONS_AT_ONCE_MAX + 1)?;
        let wait =
            CORRECTION_WAIT_MIN.saturating_mul(1_i32.checked_shl(attempts.min(16)).unwrap_or(i32::MAX));
        Some(self.last.as_ref()?.at + wait.min(CORRECTION_WAIT_MAX))
    }

    fn is_overridden_on_admission(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last.on_admission)
    }

    fn forget(&mut self) {
        self.count = 0;
        self.last = None;
    }
}

//! Writes that undo what another client or an admission webhook changed. An object that is changed again and again waits
//! longer before each write, so that the operator and the other client do not overwrite each other without end.

use super::{
    child::{Child, value_of},
    rejected_writes::Write,
};
use crate::error::Error;
use jiff::Timestamp;
use kube::ResourceExt;
use poker_operator_core::{
    drift::{Corrections, differences, overridden},
    hash::fingerprint,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The corrections of one cluster.
#[derive(Default)]
pub struct CorrectedWrites {
    corrections: BTreeMap<Write, Corrections>,
    /// The writes of the current reconcile.
    current: BTreeSet<Write>,
}

impl CorrectedWrites {
    pub fn record_up_to_date(&mut self, write: &Write) {
        self.current(write).record_up_to_date();
    }

    /// Whether the same content waits for its next attempt.
    pub fn is_waiting(&mut self, write: &Write, content: &str, now: Timestamp) -> bool {
        self.current(write)
            .is_waiting(&fingerprint(content.as_bytes()), now)
    }

    /// Whether the object was corrected a short while ago.
    pub fn was_corrected(&self, write: &Write) -> bool {
        self.corrections.get(write).is_some_and(Corrections::has_any)
    }

    /// Compares an accepted write with the object before it and with the answer of the API server.
    pub fn record<K: Child>(
        &mut self,
        write: &Write,
        planned: &Value,
        live: Option<&K>,
        answer: &K,
        now: Timestamp,
    ) -> Result<(), Error> {
        let describe = |object: &K| -> Result<Option<String>, Error> {
            let value = value_of(object)?;
            let found = differences(&value, planned);
            Ok(overridden(
                write.kind,
                &write.name,
                &found,
                object.managed_fields(),
            ))
        };
        let before = match live {
            Some(live) => describe(live)?,
            None => Some(format!("{} {} was deleted", write.kind, write.name)),
        };
        let answer = describe(answer)?;
        let content = fingerprint(planned.to_string().as_bytes());
        self.current(write).record(&content, before, answer, now);
        Ok(())
    }

    /// Ends a reconcile: forgets the writes that are no longer planned. Returns what is overridden and the time to the
    /// next attempt.
    pub fn finish(&mut self, now: Timestamp) -> (Vec<String>, Option<Duration>) {
        let current = std::mem::take(&mut self.current);
        self.corrections.retain(|write, _| current.contains(write));
        let all = || self.corrections.values();
        let overridden = all().filter_map(|of| of.overridden(now)).map(str::to_owned);
        (
            overridden.collect(),
            all().filter_map(|of| of.due_after(now)).min(),
        )
    }

    fn current(&mut self, write: &Write) -> &mut Corrections {
        self.current.insert(write.clone());
        self.corrections.entry(write.clone()).or_default()
    }
}

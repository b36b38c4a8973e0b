//! Leader election with a Lease: only the leader writes. A leader that could not renew its Lease ends the process; the
//! decision itself is in `poker_operator_core::lease`.

use crate::{
    error::{is_conflict, is_not_found},
    metrics::Metrics,
    options::Options,
};
use anyhow::{Result, bail};
use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, ResourceExt, api::PostParams};
use poker_operator_core::lease::{self, Decision, Election, LeaseObservation};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

/// How long the Lease promises leadership after its last change. A leader renews at a third of it, and one that
/// could not renew ends at two thirds.
const LEASE_SECONDS: u32 = 20;
const LEASE_DURATION: Duration = Duration::from_secs(LEASE_SECONDS as u64);
/// A request for the Lease that failed is repeated after this time.
const LEASE_RETRY: Duration = Duration::from_secs(1);
/// A write is given up after this time: begun just before the end of leadership, it has ended before another
/// process can become leader.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(WRITE_TIMEOUT_SECONDS);
const WRITE_TIMEOUT_SECONDS: u64 = 6;

const _: () = assert!(
    LEASE_SECONDS as u64 * 2 + WRITE_TIMEOUT_SECONDS * 3 < LEASE_SECONDS as u64 * 3,
    "the last write of an old leader ends before a new one starts"
);

/// Whether this process may write.
#[derive(Debug, Default)]
pub struct Leadership {
    until: Mutex<Option<Instant>>,
    leading: watch::Sender<bool>,
}

impl Leadership {
    /// True only while the Lease is certainly ours, however late the election loop is.
    pub fn may_write(&self) -> bool {
        self.until().is_some_and(|until| Instant::now() < until)
    }

    /// Changes when this process becomes leader.
    pub fn subscribe(&self) -> watch::Receiver<bool> {
        self.leading.subscribe()
    }

    fn extend(&self, until: Instant) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        self.leading
            .send_if_modified(|leading| !std::mem::replace(leading, true));
    }

    fn end(&self) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.leading.send_replace(false);
    }

    fn until(&self) -> Option<Instant> {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads and writes the Lease for one process.
pub struct Elector {
    api: Api<Lease>,
    name: String,
    identity: String,
    metrics: Arc<Metrics>,
    /// Times are measured since then.
    epoch: Instant,
    lease: Option<Lease>,
    observation: Option<LeaseObservation>,
    renewed_at: Option<Duration>,
}

/// Takes part in the election until `stop`, then releases the Lease.
///
/// # Errors
/// When leadership was lost: the process must end.
pub async fn run(mut elector: Elector, leadership: Arc<Leadership>, stop: CancellationToken) -> Result<()> {
    loop {
        let pause = tokio::select! {
            () = stop.cancelled() => return elector.release(&leadership).await,
            pause = elector.step(&leadership) => pause?,
        };
        tokio::select! {
            () = stop.cancelled() => return elector.release(&leadership).await,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Elector {
    pub fn new(client: Client, options: &Options, metrics: Arc<Metrics>) -> Self {
        Self {
            api: Api::namespaced(client, &options.namespace),
            name: options.lease.clone(),
            identity: options.identity.clone(),
            metrics,
            epoch: Instant::now(),
            lease: None,
            observation: None,
            renewed_at: None,
        }
    }

    /// Reads, decides and acts once. Returns when to do so again.
    async fn step(&mut self, leadership: &Leadership) -> Result<Duration> {
        if self.renewed_at.is_none()
            && let Err(error) = self.read().await
        {
            tracing::warn!(lease = self.name, %error, "the lease cannot be read");
            return Ok(LEASE_RETRY);
        }
        let write = match self.decide() {
            Decision::Hold(pause) | Decision::Wait(pause) => return Ok(pause),
            Decision::Lost => {
                return self.lose(
                    leadership,
                    "it was not renewed in time, or another process took it",
                );
            }
            Decision::Create => self.write(None).await,
            Decision::Take | Decision::Renew => self.write(self.lease.clone()).await,
        };
        match write {
            Ok(()) => {
                self.extend(leadership);
                Ok(Duration::ZERO)
            }
            Err(kube::Error::Api(status)) if is_not_found(&status) && self.renewed_at.is_some() => {
                self.lose(leadership, "it was deleted")
            }
            Err(kube::Error::Api(status)) if is_conflict(&status) => {
                // Another process wrote it: its current content decides.
                let _ = self.read().await;
                Ok(if self.renewed_at.is_some() {
                    Duration::ZERO
                } else {
                    LEASE_RETRY
                })
            }
            Err(error) => {
                tracing::warn!(lease = self.name, %error, "the lease cannot be written");
                Ok(LEASE_RETRY)
            }
        }
    }

    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    fn decide(&mut self) -> Decision {
        let seen = match &self.lease {
            Some(lease) => Some(view(lease)),
            // Its holder may not know yet that it was deleted: that counts as a change of the Lease.
            None => self.observation.is_some().then(deleted),
        };
        let now = self.now();
        self.observation = seen
            .as_ref()
            .map(|seen| lease::observe(self.observation.take(), seen, now));
        lease::evaluate(&Election {
            me: &self.identity,
            lease: seen.as_ref(),
            observation: self.observation.as_ref(),
            renewed_at: self.renewed_at,
            duration: LEASE_DURATION,
            now,
        })
    }

    async fn read(&mut self) -> kube::Result<()> {
        self.lease = in_time(self.api.get_opt(&self.name)).await?;
        Ok(())
    }

    /// Writes ourselves as holder: creates the Lease, or replaces exactly the version given.
    async fn write(&mut self, current: Option<Lease>) -> kube::Result<()> {
        let begun = self.now();
        let next = self.next(current.as_ref());
        let written = match current {
            None => in_time(self.api.create(&PostParams::default(), &next)).await?,
            Some(_) => in_time(self.api.replace(&self.name, &PostParams::default(), &next)).await?,
        };
        self.lease = Some(written);
        self.renewed_at = Some(begun);
        Ok(())
    }

    fn next(&self, current: Option<&Lease>) -> Lease {
        let now = MicroTime(Timestamp::now());
        let before = current.and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let mine = before.holder_identity.as_deref() == Some(&self.identity);
        let spec = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(LEASE_SECONDS).ok(),
            acquire_time: if mine {
                before.acquire_time
            } else {
                Some(now.clone())
            },
            lease_transitions: Some(before.lease_transitions.unwrap_or_default() + i32::from(!mine)),
            renew_time: Some(now),
            ..LeaseSpec::default()
        };
        let metadata = match current {
            Some(lease) => lease.metadata.clone(),
            None => ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
        };
        Lease {
            metadata,
            spec: Some(spec),
        }
    }

    fn extend(&self, leadership: &Leadership) {
        if let Some(renewed_at) = self.renewed_at {
            if !leadership.may_write() {
                tracing::info!(identity = self.identity, "leading");
            }
            self.metrics.leader.set(1);
            leadership.extend(self.epoch + renewed_at + LEASE_DURATION / 3 * 2);
        }
    }

    fn lose(&self, leadership: &Leadership, why: &str) -> Result<Duration> {
        leadership.end();
        self.metrics.leader.set(0);
        bail!("leadership is lost: lease {}: {why}", self.name)
    }

    /// Lets another process lead at once. Failing to do so only makes it wait for the lease to expire.
    async fn release(&mut self, leadership: &Leadership) -> Result<()> {
        let leading = leadership.may_write();
        leadership.end();
        self.metrics.leader.set(0);
        let Some(mut lease) = self.lease.take().filter(|_| leading) else {
            return Ok(());
        };
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
        }
        match in_time(self.api.replace(&self.name, &PostParams::default(), &lease)).await {
            Ok(_) => tracing::info!(lease = self.name, "lease released"),
            Err(error) => tracing::warn!(lease = self.name, %error, "the lease was not released: it expires"),
        }
        Ok(())
    }
}

/// A request that does not answer in time counts as failed.
async fn in_time<T>(request: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    match tokio::time::timeout(WRITE_TIMEOUT, request).await {
        Ok(result) => result,
        Err(elapsed) => Err(kube::Error::Service(elapsed.into())),
    }
}

fn deleted() -> lease::Lease {
    let holder = Some("the holder of the deleted lease".to_owned());
    lease::Lease {
        holder,
        duration: LEASE_DURATION,
        resource_version: "deleted".to_owned(),
    }
}

fn view(lease: &Lease) -> lease::Lease {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec
        .lease_duration_seconds
        .and_then(|seconds| u64::try_from(seconds).ok());
    lease::Lease {
        holder: spec.holder_identity,
        duration: seconds.map_or(LEASE_DURATION, Duration::from_secs),
        resource_version: lease.resource_version().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leadership_ends_by_itself() {
        let leadership = Leadership::default();
        let mut leading = leadership.subscribe();
        assert!(!leadership.may_write());
        leadership.extend(Instant::now() + LEASE_DURATION);
        assert!(leadership.may_write() && leading.has_changed().unwrap());
        leading.mark_unchanged();
        leadership.extend(Instant::now() + LEASE_DURATION);
        assert!(!leading.has_changed().unwrap(), "renewing changes nothing");
        leadership.extend(Instant::now());
        assert!(!leadership.may_write());
    }
}

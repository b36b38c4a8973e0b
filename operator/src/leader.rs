//! Leader election with a Lease: only the leader writes. A process that was leader and is not sure any more
//! ends; the decision itself is in `poker_operator_core::lease`.

use crate::{limits, metrics::Metrics, options::Options};
use anyhow::{Result, bail};
use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, ResourceExt, api::PostParams};
use poker_operator_core::lease::{self, Decision, Election, Sighting};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

const DURATION: Duration = Duration::from_secs(limits::LEASE_SECONDS as u64);

/// Whether this process may write, for everybody who does.
#[derive(Debug, Default)]
pub struct Leadership {
    until: Mutex<Option<Instant>>,
    leading: watch::Sender<bool>,
}

impl Leadership {
    /// True only while the lease is surely ours, however late the election loop is.
    pub fn may_write(&self) -> bool {
        self.until().is_some_and(|until| Instant::now() < until)
    }

    /// Told when this process becomes leader.
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
    me: String,
    metrics: Arc<Metrics>,
    /// Times are told since then.
    epoch: Instant,
    lease: Option<Lease>,
    sighting: Option<Sighting>,
    renewed_at: Option<Duration>,
}

/// Takes part in the election until `stop`, then gives leadership up.
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
            me: options.identity.clone(),
            metrics,
            epoch: Instant::now(),
            lease: None,
            sighting: None,
            renewed_at: None,
        }
    }

    /// Looks, decides and acts once. Returns when to do so again.
    async fn step(&mut self, leadership: &Leadership) -> Result<Duration> {
        let retry = Duration::from_millis(limits::LEASE_RETRY_MILLISECONDS);
        if self.renewed_at.is_none()
            && let Err(error) = self.read().await
        {
            tracing::warn!(lease = self.name, %error, "the lease cannot be read");
            return Ok(retry);
        }
        let write = match self.decide() {
            Decision::Hold(pause) | Decision::Wait(pause) => return Ok(pause),
            Decision::Lost => {
                return self.lose(leadership, "it could not be renewed in time, or somebody took it");
            }
            Decision::Create => self.write(None).await,
            Decision::Take | Decision::Renew => self.write(self.lease.clone()).await,
        };
        match write {
            Ok(()) => {
                self.extend(leadership);
                Ok(Duration::ZERO)
            }
            Err(kube::Error::Api(status)) if status.code == 404 && self.renewed_at.is_some() => {
                self.lose(leadership, "it was deleted")
            }
            Err(kube::Error::Api(status)) if status.code == 409 => {
                // Somebody wrote it: what stands there now decides.
                let _ = self.read().await;
                Ok(if self.renewed_at.is_some() {
                    Duration::ZERO
                } else {
                    retry
                })
            }
            Err(error) => {
                tracing::warn!(lease = self.name, %error, "the lease cannot be written");
                Ok(retry)
            }
        }
    }

    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    fn decide(&mut self) -> Decision {
        let seen = match &self.lease {
            Some(lease) => Some(view(lease)),
            // Its holder may not know yet that it was deleted: that counts as a change of the lease.
            None => self.sighting.is_some().then(vanished),
        };
        let now = self.now();
        self.sighting = seen
            .as_ref()
            .map(|seen| lease::sight(self.sighting.take(), seen, now));
        lease::evaluate(&Election {
            me: &self.me,
            lease: seen.as_ref(),
            sighting: self.sighting.as_ref(),
            renewed_at: self.renewed_at,
            duration: DURATION,
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
        let mine = before.holder_identity.as_deref() == Some(&self.me);
        let spec = LeaseSpec {
            holder_identity: Some(self.me.clone()),
            lease_duration_seconds: i32::try_from(limits::LEASE_SECONDS).ok(),
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
                tracing::info!(identity = self.me, "leading");
            }
            self.metrics.leader.set(1);
            leadership.extend(self.epoch + renewed_at + DURATION / 3 * 2);
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
            Ok(_) => tracing::info!(lease = self.name, "leadership given up"),
            Err(error) => tracing::warn!(lease = self.name, %error, "the lease was not given up: it expires"),
        }
        Ok(())
    }
}

/// A request that does not answer in time counts as failed.
async fn in_time<T>(request: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    match tokio::time::timeout(limits::WRITE_TIMEOUT, request).await {
        Ok(result) => result,
        Err(elapsed) => Err(kube::Error::Service(elapsed.into())),
    }
}

fn vanished() -> lease::Lease {
    let holder = Some("whoever held the deleted lease".to_owned());
    lease::Lease {
        holder,
        duration: DURATION,
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
        duration: seconds.map_or(DURATION, Duration::from_secs),
        resource_version: lease.resource_version().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leadership_ends_by_itself() {
        let leadership = Leadership::default();
        let mut told = leadership.subscribe();
        assert!(!leadership.may_write());
        leadership.extend(Instant::now() + DURATION);
        assert!(leadership.may_write() && told.has_changed().unwrap());
        told.mark_unchanged();
        leadership.extend(Instant::now() + DURATION);
        assert!(!told.has_changed().unwrap(), "renewing is no news");
        leadership.extend(Instant::now());
        assert!(!leadership.may_write());
    }
}

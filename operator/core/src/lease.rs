//! Leader election: evaluates the lease without relying on the wall clock of any process.

use std::time::Duration;

/// The lease as last read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Empty or absent if the lease is released.
    pub holder: Option<String>,
    pub duration: Duration,
    /// Changes with each write to the lease.
    pub resource_version: String,
}

/// When this process first observed the current resource version of the lease, in local monotonic time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseObservation {
    pub resource_version: String,
    pub at: Duration,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// There is no lease: create it with this process as the holder.
    Create,
    /// The lease is released or expired: acquire it, with the observed resource version as a precondition.
    Take,
    /// This process holds the lease: renew it now.
    Renew,
    /// This process holds the lease: check again after this time.
    Hold(Duration),
    /// Another process holds the lease: check again after this time.
    Wait(Duration),
    /// This process held the lease but did not renew it in time: stop writing and exit.
    Lost,
}

/// The inputs of a decision. Times are local and monotonic, relative to any fixed moment.
#[derive(Clone, Copy, Debug)]
pub struct Election<'a> {
    pub me: &'a str,
    pub lease: Option<&'a Lease>,
    /// The observation of the lease as last read.
    pub observation: Option<&'a LeaseObservation>,
    /// The start of the last successful write of the lease by this process. `None` unless it is the leader.
    pub renewed_at: Option<Duration>,
    pub duration: Duration,
    pub now: Duration,
}

/// The observation to store: a new one after each write of the lease.
pub fn observe(known: Option<LeaseObservation>, lease: &Lease, now: Duration) -> LeaseObservation {
    match known {
        Some(known) if known.resource_version == lease.resource_version => known,
        _ => LeaseObservation {
            resource_version: lease.resource_version.clone(),
            at: now,
        },
    }
}

/// Decides what to do with the lease. A holder gives up two thirds of the duration after its last renewal. Another
/// process takes over a full duration after the last change it observed. So two processes never write at the same time
/// as long as their clocks run at the same speed.
pub fn evaluate(election: &Election) -> Decision {
    let renew_every = election.duration / 3;
    if let Some(renewed_at) = election.renewed_at {
        let age = election.now.saturating_sub(renewed_at);
        let is_mine = election
            .lease
            .is_none_or(|l| l.holder.as_deref() == Some(election.me));
        return if !is_mine || age >= renew_every * 2 {
            Decision::Lost
        } else if age >= renew_every {
            Decision::Renew
        } else {
            Decision::Hold(renew_every - age)
        };
    }
    let Some(lease) = election.lease else {
        return Decision::Create;
    };
    match lease.holder.as_deref() {
        // This process held the lease before it restarted in place and may acquire it at once.
        None | Some("") => return Decision::Take,
        Some(holder) if holder == election.me => return Decision::Take,
        Some(_) => {}
    }
    let Some(observation) = election.observation else {
        return Decision::Wait(renew_every);
    };
    let free_at = observation.at + lease.duration.max(election.duration);
    match free_at.checked_sub(election.now) {
        None | Some(Duration::ZERO) => Decision::Take,
        Some(left) => Decision::Wait(left.min(renew_every)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn lease(holder: &str) -> Lease {
        Lease {
            holder: (!holder.is_empty()).then(|| holder.to_owned()),
            duration: S(15),
            resource_version: "7".into(),
        }
    }

    fn decide(
        lease: Option<&Lease>,
        observed_at: Option<u64>,
        renewed_at: Option<u64>,
        now: u64,
    ) -> Decision {
        let observation = observed_at.map(|at| LeaseObservation {
            resource_version: "7".into(),
            at: S(at),
        });
        let renewed_at = renewed_at.map(S);
        let election = Election {
            me: "a",
            lease,
            observation: observation.as_ref(),
            renewed_at,
            duration: S(15),
            now: S(now),
        };
        evaluate(&election)
    }

    #[test]
    fn a_standby_waits_a_full_duration_by_its_own_clock() {
        let other = lease("b");
        let table = [
            (None, None, 0, Decision::Create),
            (Some(lease("")), Some(0), 0, Decision::Take),
            (Some(lease("a")), Some(0), 0, Decision::Take),
            (Some(other.clone()), None, 100, Decision::Wait(S(5))),
            (Some(other.clone()), Some(100), 100, Decision::Wait(S(5))),
            (Some(other.clone()), Some(100), 112, Decision::Wait(S(3))),
            (Some(other.clone()), Some(100), 115, Decision::Take),
            (Some(other), Some(100), 900, Decision::Take),
        ];
        for (lease, observed_at, now, expected) in table {
            assert_eq!(
                decide(lease.as_ref(), observed_at, None, now),
                expected,
                "{lease:?} at {now}"
            );
        }
    }

    #[test]
    fn a_leader_renews_at_a_third_and_gives_up_at_two_thirds() {
        let mine = lease("a");
        let table = [
            (0, Decision::Hold(S(5))),
            (4, Decision::Hold(S(1))),
            (5, Decision::Renew),
            (9, Decision::Renew),
            (10, Decision::Lost),
            (60, Decision::Lost),
        ];
        for (now, expected) in table {
            assert_eq!(decide(Some(&mine), Some(0), Some(0), now), expected, "at {now}");
        }
        assert_eq!(decide(Some(&lease("b")), Some(0), Some(0), 1), Decision::Lost);
    }

    #[test]
    fn any_write_by_the_holder_restarts_the_wait() {
        let first = observe(None, &lease("b"), S(1));
        assert_eq!(observe(Some(first.clone()), &lease("b"), S(9)), first);
        let renewed = Lease {
            resource_version: "8".into(),
            ..lease("b")
        };
        assert_eq!(observe(Some(first), &renewed, S(9)).at, S(9));
    }
}

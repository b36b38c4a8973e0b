//! Who may write: the leader's lease, judged without trusting anybody's wall clock.

use std::time::Duration;

/// A lease as last read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Empty or absent: released.
    pub holder: Option<String>,
    pub duration: Duration,
    /// Changes with each write to the lease.
    pub resource_version: String,
}

/// When this process first saw the lease in its present state, in local monotonic time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    pub resource_version: String,
    pub at: Duration,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// There is none: create it with ourselves as holder.
    Create,
    /// It is free or expired: take it, with the resource version read as precondition.
    Take,
    /// We hold it and it is time to renew.
    Renew,
    /// We hold it; nothing to do for that long.
    Hold(Duration),
    /// Somebody else holds it; look again after that long.
    Wait(Duration),
    /// We held it but could not renew it in time: stop writing and end.
    Lost,
}

/// Everything the decision looks at. Times are local and monotonic, since any fixed moment.
#[derive(Clone, Copy, Debug)]
pub struct Election<'a> {
    pub me: &'a str,
    pub lease: Option<&'a Lease>,
    /// The sighting of the lease as read.
    pub sighting: Option<&'a Sighting>,
    /// When our last successful write of the lease was begun; `None` when we are no leader.
    pub renewed_at: Option<Duration>,
    pub duration: Duration,
    pub now: Duration,
}

/// The sighting to remember: a new one whenever the lease was written.
pub fn sight(known: Option<Sighting>, lease: &Lease, now: Duration) -> Sighting {
    match known {
        Some(known) if known.resource_version == lease.resource_version => known,
        _ => Sighting {
            resource_version: lease.resource_version.clone(),
            at: now,
        },
    }
}

/// What to do about the lease. A holder ends at two thirds of the duration after its last renewal,
/// others take over a whole duration after the last change they saw: two never write at once as
/// long as clocks run at the same speed.
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
        // Left by this very process before it restarted in place: free to take at once.
        None | Some("") => return Decision::Take,
        Some(holder) if holder == election.me => return Decision::Take,
        Some(_) => {}
    }
    let Some(sighting) = election.sighting else {
        return Decision::Wait(renew_every);
    };
    let free_at = sighting.at + lease.duration.max(election.duration);
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

    fn decide(lease: Option<&Lease>, seen_at: Option<u64>, renewed_at: Option<u64>, now: u64) -> Decision {
        let sighting = seen_at.map(|at| Sighting {
            resource_version: "7".into(),
            at: S(at),
        });
        let renewed_at = renewed_at.map(S);
        let election = Election {
            me: "a",
            lease,
            sighting: sighting.as_ref(),
            renewed_at,
            duration: S(15),
            now: S(now),
        };
        evaluate(&election)
    }

    #[test]
    fn a_standby_waits_a_whole_duration_of_its_own_clock() {
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
        for (lease, seen_at, now, expected) in table {
            assert_eq!(
                decide(lease.as_ref(), seen_at, None, now),
                expected,
                "{lease:?} at {now}"
            );
        }
    }

    #[test]
    fn a_leader_renews_at_a_third_and_ends_at_two_thirds() {
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
    fn any_write_by_the_holder_starts_the_wait_anew() {
        let first = sight(None, &lease("b"), S(1));
        assert_eq!(sight(Some(first.clone()), &lease("b"), S(9)), first);
        let renewed = Lease {
            resource_version: "8".into(),
            ..lease("b")
        };
        assert_eq!(sight(Some(first), &renewed, S(9)).at, S(9));
    }
}

//! Which version serves a team: monotone cohorts. The operator does not use this module yet.
//!
//! The bucket of a team is a hash of the rollout's salt and the team. The canary serves the buckets below its weight. So
//! raising the weight from w1 to w2 moves exactly the teams with buckets in `w1..w2` and none back. Every rollout has new
//! cohorts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::limits::WEIGHT_BASIS_POINTS_MAX;

/// The version that serves a team.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Side {
    Stable,
    Canary,
}

/// The teams that the canary serves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cohort {
    /// Different for each rollout.
    pub salt: String,
    /// The share of the canary in basis points. More than 10,000 is all.
    pub weight: u16,
    /// Teams with a fixed version at every weight.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pins: BTreeMap<String, Side>,
}

impl Cohort {
    /// The version that serves `team`.
    pub fn side(&self, team: &str) -> Side {
        if let Some(pinned) = self.pins.get(team) {
            *pinned
        } else if bucket(&self.salt, team) < self.weight {
            Side::Canary
        } else {
            Side::Stable
        }
    }
}

/// The salt of one run of a rollout. A retry is a new run.
pub fn salt(cluster_uid: &str, revision: &str, run: u64) -> String {
    format!("{cluster_uid}/{revision}/{run}")
}

/// The bucket of a team: 0 to 9,999, uniform over teams, and independent of the shard that owns the team.
pub fn bucket(salt: &str, team: &str) -> u16 {
    let hash = Sha256::new()
        .chain_update("cohort")
        .chain_update((salt.len() as u64).to_be_bytes())
        .chain_update(salt)
        .chain_update(team)
        .finalize();
    let mut head = [0; 8];
    head.copy_from_slice(&hash[..8]);
    // The high half of the product, which has no modulo bias.
    ((u128::from(u64::from_be_bytes(head)) * u128::from(WEIGHT_BASIS_POINTS_MAX)) >> 64) as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cohort(salt: &str, weight: u16) -> Cohort {
        Cohort {
            salt: salt.to_owned(),
            weight,
            pins: BTreeMap::new(),
        }
    }

    fn teams() -> impl Iterator<Item = String> {
        (0..20_000).map(|n| format!("team-{n}"))
    }

    #[test]
    fn golden_buckets_never_change() {
        let golden = [
            ("", "", 5420),
            ("uid/r2/1", "blue-team", 8137),
            ("uid/r2/2", "blue-team", 8214),
            ("uid/r2/1", "payments-3f9qzt", 7913),
            ("uid/r2/1", "größe", 4928),
        ];
        let got = golden.map(|(salt, team, _)| (salt, team, bucket(salt, team)));
        assert_eq!(got, golden);
    }

    #[test]
    fn the_share_of_teams_is_the_weight() {
        for weight in [0, 100, 500, 2_500, 5_000, 9_900, 10_000] {
            let cohort = cohort("uid/r2/1", weight);
            let share = teams().filter(|team| cohort.side(team) == Side::Canary).count() as f64 / 20_000.0;
            let expected = f64::from(weight) / 10_000.0;
            let deviation = (expected * (1.0 - expected) / 20_000.0).sqrt();
            assert!((share - expected).abs() <= 4.0 * deviation, "{weight}: {share}");
        }
    }

    #[test]
    fn buckets_are_uniform() {
        let mut counts = [0_f64; 100];
        for team in teams() {
            counts[usize::from(bucket("uid/r2/1", &team) / 100)] += 1.0;
        }
        let chi_square: f64 = counts.iter().map(|n| (n - 200.0).powi(2) / 200.0).sum();
        // 99 degrees of freedom: 99.99 % are below 161.3.
        assert!(chi_square < 161.3, "{chi_square}");
    }

    #[test]
    fn another_salt_gives_other_cohorts() {
        let (one, two) = (cohort("uid/r2/1", 5_000), cohort("uid/r2/2", 5_000));
        let same = teams().filter(|team| one.side(team) == two.side(team)).count();
        assert!((9_700..10_300).contains(&same), "{same}");
    }

    #[test]
    fn salt_and_team_are_separated() {
        assert_ne!(bucket("ab", "c"), bucket("a", "bc"));
    }

    proptest! {
        #[test]
        fn raising_the_weight_moves_exactly_the_teams_between(
            salt in ".{0,20}", team in "[a-z0-9-]{3,48}", a in 0..=10_000_u16, b in 0..=10_000_u16,
        ) {
            let (low, high) = (a.min(b), a.max(b));
            let (before, after) = (cohort(&salt, low).side(&team), cohort(&salt, high).side(&team));
            let is_between = (low..high).contains(&bucket(&salt, &team));
            prop_assert_eq!(before != after, is_between);
            prop_assert!(!(before == Side::Canary && after == Side::Stable));
        }

        #[test]
        fn weight_zero_is_no_team_and_full_weight_is_all(salt in ".{0,20}", team in ".{0,60}") {
            prop_assert_eq!(cohort(&salt, 0).side(&team), Side::Stable);
            prop_assert_eq!(cohort(&salt, 10_000).side(&team), Side::Canary);
        }

        #[test]
        fn pins_override_the_weight(team in "[a-z0-9-]{3,48}", weight in 0..=10_000_u16, to_canary in any::<bool>()) {
            let side = if to_canary { Side::Canary } else { Side::Stable };
            let mut cohort = cohort("s", weight);
            cohort.pins.insert(team.clone(), side);
            prop_assert_eq!(cohort.side(&team), side);
        }
    }
}

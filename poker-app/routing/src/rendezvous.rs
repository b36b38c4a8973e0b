//! Weighted rendezvous hashing.
//!
//! Every shard gets a number for the team, computed from (team, shard id), and the shard with the smallest number owns the
//! team. The numbers are exponentially distributed with the shard's weight as the rate, so a shard wins in proportion to
//! its weight, and a new shard moves only the teams that it wins. Revision and address are not part of the hash: a new
//! revision of a shard owns the same teams as the old one.

use sha2::{Digest, Sha256};

use crate::table::{RoutingTable, ShardRoute, ShardState};

/// Smaller is preferred. No two shards of a table are equal.
type Rank = (bool, bool, u64, u32);

impl RoutingTable {
    /// All shards in order of preference: the pinned one, then by the hash; draining ones last.
    pub fn route(&self, team: &str) -> Vec<&ShardRoute> {
        let mut ranked: Vec<(Rank, &ShardRoute)> = self
            .shards
            .iter()
            .map(|shard| (self.rank(team, shard), shard))
            .collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, shard)| shard).collect()
    }

    /// The first of [`route`](Self::route).
    pub fn first(&self, team: &str) -> Option<&ShardRoute> {
        self.shards.iter().min_by_key(|shard| self.rank(team, shard))
    }

    /// Whether the team prefers one of these shards to `shard`.
    pub fn any_preferred(&self, team: &str, rivals: &[ShardRoute], shard: &ShardRoute) -> bool {
        let rank = self.rank(team, shard);
        rivals.iter().any(|rival| self.rank(team, rival) < rank)
    }

    fn rank(&self, team: &str, shard: &ShardRoute) -> Rank {
        let draining = shard.state == ShardState::Draining;
        let unpinned = self.pins.get(team) != Some(&shard.id);
        (draining, unpinned, distance(team, shard), shard.id)
    }
}

/// Smaller is preferred; `u64::MAX` for a weight of 0.
fn distance(team: &str, shard: &ShardRoute) -> u64 {
    if shard.weight == 0 {
        return u64::MAX;
    }
    let hash = Sha256::new()
        .chain_update(team)
        .chain_update([0])
        .chain_update(shard.id.to_be_bytes())
        .finalize();
    let mut head = [0; 8];
    head.copy_from_slice(&hash[..8]);
    neg_log2(u64::from_be_bytes(head)) / u64::from(shard.weight)
}

/// -log2((hash + 1) / 2^64) in units of 2^-56, in integer arithmetic: floating-point logarithms may differ in the last bit
/// between platforms, and all processes must agree on every team.
fn neg_log2(hash: u64) -> u64 {
    const FRACTION_BITS: u32 = 56;
    let value = u128::from(hash) + 1;
    if value == 1 << 64 {
        return 0;
    }
    let whole = value.ilog2();
    // Mantissa in [1, 2) with 63 fractional bits; each squaring yields one bit of the logarithm.
    let mut mantissa = value << (63 - whole);
    let mut fraction: u64 = 0;
    for _ in 0..FRACTION_BITS {
        mantissa = (mantissa * mantissa) >> 63;
        fraction <<= 1;
        if mantissa >= 1 << 64 {
            mantissa >>= 1;
            fraction |= 1;
        }
    }
    (64 << FRACTION_BITS) - ((u64::from(whole) << FRACTION_BITS) + fraction)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn shard(id: u32, weight: u32) -> ShardRoute {
        let address = format!("shard-{id}:7000");
        ShardRoute {
            id,
            revision: String::from("r1"),
            address,
            state: ShardState::Active,
            weight,
        }
    }

    fn table(shards: impl IntoIterator<Item = ShardRoute>) -> RoutingTable {
        RoutingTable {
            version: 1,
            shards: shards.into_iter().collect(),
            ..RoutingTable::default()
        }
    }

    fn order(table: &RoutingTable, team: &str) -> Vec<u32> {
        table.route(team).iter().map(|shard| shard.id).collect()
    }

    fn owners(table: &RoutingTable, teams: u32) -> BTreeMap<u32, u32> {
        let mut count = BTreeMap::new();
        for team in 0..teams {
            *count.entry(order(table, &format!("team-{team}"))[0]).or_default() += 1;
        }
        count
    }

    #[test]
    fn the_integer_logarithm_matches_floating_point() {
        for hash in [
            0,
            1,
            2,
            3,
            1 << 20,
            1 << 40,
            0x1234_5678_9abc_def0,
            1 << 63,
            u64::MAX - 1,
            u64::MAX,
        ] {
            let expected = 64.0 - (hash as f64 + 1.0).log2();
            let got = neg_log2(hash) as f64 / (1u64 << 56) as f64;
            assert!((got - expected).abs() < 1e-9, "{hash}: {got} and not {expected}");
        }
    }

    #[test]
    fn pins_come_first_and_draining_shards_last() {
        let mut table = table((0..4).map(|id| shard(id, 1)));
        let plain = order(&table, "blue-team");
        let last = plain[3];
        table.pins.insert(String::from("blue-team"), last);
        assert_eq!(order(&table, "blue-team"), [last, plain[0], plain[1], plain[2]]);
        table
            .shards
            .iter_mut()
            .find(|shard| shard.id == last)
            .unwrap()
            .state = ShardState::Draining;
        assert_eq!(
            order(&table, "blue-team"),
            plain,
            "a pin does not prefer a draining shard"
        );
        table
            .shards
            .iter_mut()
            .find(|shard| shard.id == plain[0])
            .unwrap()
            .state = ShardState::Draining;
        assert_eq!(order(&table, "blue-team"), [plain[1], plain[2], last, plain[0]]);
        table.pins.insert(String::from("blue-team"), 99);
        assert_eq!(order(&table, "blue-team"), [plain[1], plain[2], plain[0], last]);
    }

    #[test]
    fn weight_zero_owns_nothing_unless_pinned() {
        let mut table = table([shard(0, 0), shard(1, 1)]);
        assert_eq!(owners(&table, 1000), BTreeMap::from([(1, 1000)]));
        table.pins.insert(String::from("team-1"), 0);
        assert_eq!(order(&table, "team-1"), [0, 1]);
    }

    #[test]
    fn teams_spread_evenly_and_by_weight() {
        let even = owners(&table((0..8).map(|id| shard(id, 1))), 10_000);
        assert!(
            even.values().all(|&count| (1_100..1_400).contains(&count)),
            "{even:?}"
        );
        let weighted = owners(&table([shard(0, 1), shard(1, 2), shard(2, 5)]), 10_000);
        for (id, expected) in [(0, 1250), (1, 2500), (2, 6250)] {
            assert!(weighted[&id].abs_diff(expected) < 200, "shard {id}: {weighted:?}");
        }
    }

    #[test]
    fn golden_vectors_never_change() {
        let table = table([shard(0, 1), shard(1, 1), shard(2, 2), shard(7, 3), shard(40, 1)]);
        let golden: [(&str, [u32; 5]); 6] = [
            ("abc", [2, 7, 0, 1, 40]),
            ("blue-team", [40, 2, 7, 0, 1]),
            ("a-team-x7k2p9", [2, 0, 40, 7, 1]),
            ("größe", [7, 2, 0, 1, 40]),
            ("", [2, 0, 40, 7, 1]),
            ("payments-3f9qzt", [0, 7, 1, 2, 40]),
        ];
        for (team, expected) in golden {
            assert_eq!(order(&table, team), expected, "{team}");
        }
    }

    proptest! {
        #[test]
        fn adding_a_shard_moves_only_teams_that_go_to_it(
            weights in prop::collection::vec(1u32..10, 1..8), new in 1u32..10, teams in prop::collection::vec("[a-z0-9-]{3,48}", 1..50),
        ) {
            let before = table(weights.iter().enumerate().map(|(id, &weight)| shard(id as u32, weight)));
            let mut after = before.clone();
            after.shards.push(shard(99, new));
            for team in &teams {
                prop_assert_eq!(after.first(team), after.route(team).first().copied());
                let former = before.first(team).unwrap();
                let moves = after.first(team) != Some(former);
                prop_assert_eq!(after.any_preferred(team, &[shard(99, new)], former), moves);
                let mut with = order(&after, team);
                with.retain(|&id| id != 99);
                prop_assert_eq!(with, order(&before, team));
            }
        }

        #[test]
        fn raising_a_weight_moves_teams_only_to_that_shard(
            weights in prop::collection::vec(1u32..10, 2..8), team in "[a-z0-9-]{3,48}",
        ) {
            let before = table(weights.iter().enumerate().map(|(id, &weight)| shard(id as u32, weight)));
            let mut after = before.clone();
            after.shards[0].weight += 5;
            let (old, new) = (order(&before, &team)[0], order(&after, &team)[0]);
            prop_assert!(new == old || new == 0);
        }

        #[test]
        fn order_in_the_table_revision_and_address_do_not_matter(
            weights in prop::collection::vec(0u32..10, 1..8), team in ".{0,60}",
        ) {
            let one = table(weights.iter().enumerate().map(|(id, &weight)| shard(id as u32, weight)));
            let mut other = one.clone();
            other.shards.reverse();
            for shard in &mut other.shards {
                shard.revision = String::from("r2");
                shard.address = format!("elsewhere-{}:1", shard.id);
            }
            prop_assert_eq!(order(&one, &team), order(&other, &team));
        }
    }
}

//! What holds on every walk.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use poker_routing::ShardState;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};

use super::Key;
use super::world::{REVISIONS, World};

#[derive(Clone, Debug)]
enum Step {
    Desired(u32),
    Revision(usize),
    Ready(usize),
    Dies(usize),
    Follow(usize),
    Wait(i64),
    LoseTable,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (1u32..6).prop_map(Step::Desired),
        2 => (0usize..REVISIONS.len()).prop_map(Step::Revision),
        8 => (0usize..16).prop_map(Step::Ready),
        2 => (0usize..16).prop_map(Step::Dies),
        8 => (0usize..16).prop_map(Step::Follow),
        2 => (1i64..90).prop_map(Step::Wait),
        1 => Just(Step::LoseTable),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_walk_is_safe_and_converges(start in 1u32..5, steps in prop::collection::vec(step(), 0..80)) {
        let mut world = World::new(start);
        world.pass();
        for step in steps {
            match step {
                Step::Desired(count) => world.desired = count,
                Step::Revision(index) => world.revision = REVISIONS[index],
                Step::Ready(index) => {
                    let now = world.now;
                    if let Some((_, p)) = world.process(index) { p.become_ready(now); }
                },
                Step::Dies(index) => if let Some((_, p)) = world.process(index) { p.die(); },
                Step::Follow(index) => world.follow(index),
                Step::Wait(seconds) => world.now += SignedDuration::from_secs(seconds),
                Step::LoseTable => world.table = None,
            }
            world.pass();
        }
        world.settle();
        let table = world.table.clone().unwrap();
        let expected: BTreeSet<Key> = (0..world.desired).map(|id| (id, world.revision.to_owned())).collect();
        prop_assert!(table.shards.iter().all(|e| e.state == ShardState::Active));
        prop_assert_eq!(table.shards.iter().map(|e| (e.id, e.revision.clone())).collect::<BTreeSet<_>>(), expected.clone());
        prop_assert_eq!(world.processes.keys().cloned().collect::<BTreeSet<_>>(), expected);
        prop_assert_eq!(world.next().table, table, "and then rests");
    }

    #[test]
    fn scaling_out_and_in_again_ends_where_it_began(low in 1u32..4, more in 1u32..4) {
        let mut world = World::new(low);
        world.pass();
        world.settle();
        let before = world.table.clone().unwrap();
        world.desired = low + more;
        world.settle();
        world.desired = low;
        world.settle();
        let after = world.table.clone().unwrap();
        prop_assert_eq!(before.shards, after.shards);
        prop_assert!(after.version > before.version);
    }
}

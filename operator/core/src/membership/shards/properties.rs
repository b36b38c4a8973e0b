//! Properties of any sequence of changes.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use poker_routing::ShardState;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};

use super::ShardKey;
use super::simulation::{REVISIONS, Simulation};

#[derive(Clone, Debug)]
enum Step {
    Desired(u32),
    Revision(usize),
    Ready(usize),
    Crash(usize),
    UpdateTable(usize),
    Wait(i64),
    DeleteTable,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (1u32..6).prop_map(Step::Desired),
        2 => (0usize..REVISIONS.len()).prop_map(Step::Revision),
        8 => (0usize..16).prop_map(Step::Ready),
        2 => (0usize..16).prop_map(Step::Crash),
        8 => (0usize..16).prop_map(Step::UpdateTable),
        2 => (1i64..90).prop_map(Step::Wait),
        1 => Just(Step::DeleteTable),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_changes_is_safe_and_converges(start in 1u32..5, steps in prop::collection::vec(step(), 0..80)) {
        let mut simulation = Simulation::new(start);
        simulation.reconcile();
        for step in steps {
            match step {
                Step::Desired(count) => simulation.desired = count,
                Step::Revision(index) => simulation.revision = REVISIONS[index],
                Step::Ready(index) => {
                    let now = simulation.now;
                    if let Some((_, p)) = simulation.process(index) { p.become_ready(now); }
                },
                Step::Crash(index) => if let Some((_, p)) = simulation.process(index) { p.crash(); },
                Step::UpdateTable(index) => simulation.update_table(index),
                Step::Wait(seconds) => simulation.now += SignedDuration::from_secs(seconds),
                Step::DeleteTable => simulation.table = None,
            }
            simulation.reconcile();
        }
        simulation.settle();
        let table = simulation.table.clone().unwrap();
        let expected: BTreeSet<ShardKey> = (0..simulation.desired).map(|id| (id, simulation.revision.to_owned())).collect();
        prop_assert!(table.shards.iter().all(|e| e.state == ShardState::Active));
        prop_assert_eq!(table.shards.iter().map(|e| (e.id, e.revision.clone())).collect::<BTreeSet<_>>(), expected.clone());
        prop_assert_eq!(simulation.processes.keys().cloned().collect::<BTreeSet<_>>(), expected);
        prop_assert_eq!(simulation.next().table, table, "a settled table does not change");
    }

    #[test]
    fn scale_out_and_back_in_restores_the_table(low in 1u32..4, more in 1u32..4) {
        let mut simulation = Simulation::new(low);
        simulation.reconcile();
        simulation.settle();
        let before = simulation.table.clone().unwrap();
        simulation.desired = low + more;
        simulation.settle();
        simulation.desired = low;
        simulation.settle();
        let after = simulation.table.clone().unwrap();
        prop_assert_eq!(before.shards, after.shards);
        prop_assert!(after.version > before.version);
    }
}

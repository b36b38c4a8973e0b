use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use poker_routing::ShardState;

use super::simulation::{DEADLINE_SECONDS, REVISIONS, Simulation, connect, running, set_ready, state};
use super::*;

#[test]
fn a_new_shard_joins_once_it_is_ready_and_all_gateways_are_connected() {
    let mut simulation = running(2);
    simulation.desired = 3;
    simulation.reconcile();
    simulation.reconcile();
    assert_eq!(state(&simulation, 2), None);
    set_ready(&mut simulation, (2, REVISIONS[0]), true);
    simulation.reconcile();
    assert_eq!(state(&simulation, 2), None);
    let joining = simulation.table.as_ref().unwrap().joining.clone();
    assert_eq!(joining, [address(&simulation.names, 2, REVISIONS[0])]);
    connect(&mut simulation, (2, REVISIONS[0]));
    simulation.reconcile();
    assert_eq!(
        state(&simulation, 2),
        Some((REVISIONS[0].to_owned(), ShardState::Active))
    );
    assert!(simulation.table.unwrap().joining.is_empty());
}

#[test]
fn a_new_shard_joins_at_the_deadline_without_all_gateways() {
    let mut simulation = running(2);
    simulation.desired = 3;
    simulation.reconcile();
    set_ready(&mut simulation, (2, REVISIONS[0]), true);
    simulation.now += SignedDuration::from_secs(JOIN_DEADLINE_SECONDS - 1);
    simulation.reconcile();
    assert_eq!(state(&simulation, 2), None);
    simulation.now += SignedDuration::from_secs(1);
    simulation.reconcile();
    assert!(state(&simulation, 2).is_some());
}

#[test]
fn a_recreated_cluster_starts_with_a_higher_version() {
    let first = running(2).table.unwrap();
    let mut again = Simulation::new(2);
    again.now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1);
    again.reconcile();
    assert!(again.table.unwrap().version > first.version);
}

#[test]
fn a_crashed_shard_changes_nothing() {
    let mut simulation = running(3);
    let before = simulation.table.clone();
    set_ready(&mut simulation, (1, REVISIONS[0]), false);
    let (next, deleted) = simulation.reconcile();
    assert_eq!(simulation.table, before);
    assert!(deleted.is_empty() && next.draining.is_empty());
}

#[test]
fn a_surplus_shard_is_deleted_once_it_is_empty_and_uses_the_table_without_it() {
    let mut simulation = running(2);
    simulation.desired = 1;
    simulation.reconcile();
    assert_eq!(
        state(&simulation, 1),
        Some((REVISIONS[0].to_owned(), ShardState::Draining))
    );
    simulation
        .processes
        .get_mut(&(1, REVISIONS[0].to_owned()))
        .unwrap()
        .rooms = 0;
    simulation.reconcile();
    assert!(state(&simulation, 1).is_some(), "empty, but with an older table");
    simulation.update_table(1);
    simulation.reconcile();
    assert_eq!(state(&simulation, 1), None);
    assert_eq!(
        simulation.processes.len(),
        2,
        "not in the reconcile that changed the table"
    );
    simulation.update_table(1);
    let (_, deleted) = simulation.reconcile();
    assert_eq!((deleted.len(), simulation.processes.len()), (1, 1));
}

#[test]
fn a_shard_that_keeps_rooms_is_deleted_at_the_deadline() {
    let mut simulation = running(2);
    simulation.desired = 1;
    simulation.reconcile();
    simulation.now += SignedDuration::from_secs(DEADLINE_SECONDS - 1);
    simulation.reconcile();
    assert!(state(&simulation, 1).is_some());
    simulation.now += SignedDuration::from_secs(1);
    simulation.reconcile();
    let (_, deleted) = simulation.reconcile();
    assert_eq!(deleted.len(), 1);
}

#[test]
fn a_draining_shard_that_is_needed_again_stays() {
    let mut simulation = running(2);
    simulation.desired = 1;
    simulation.reconcile();
    simulation.desired = 2;
    let (next, _) = simulation.reconcile();
    assert_eq!(
        state(&simulation, 1),
        Some((REVISIONS[0].to_owned(), ShardState::Active))
    );
    assert!(next.draining.is_empty());
}

#[test]
fn a_rollout_replaces_one_shard_after_another() {
    let mut simulation = running(2);
    simulation.revision = REVISIONS[1];
    simulation.reconcile();
    assert_eq!(simulation.processes.len(), 3, "one new shard is started");
    set_ready(&mut simulation, (0, REVISIONS[1]), true);
    connect(&mut simulation, (0, REVISIONS[1]));
    simulation.reconcile();
    assert_eq!(state(&simulation, 0).unwrap().0, REVISIONS[1]);
    simulation.reconcile();
    assert_eq!(
        simulation.processes.len(),
        3,
        "the next one waits until the old one is drained"
    );
    simulation.update_table(0);
    simulation.update_table(0);
    simulation.reconcile();
    assert!(!simulation.processes.contains_key(&(0, REVISIONS[0].to_owned())));
    simulation.reconcile();
    assert!(
        simulation.processes.contains_key(&(1, REVISIONS[1].to_owned())),
        "then the next one is started"
    );
}

#[test]
fn a_reverted_rollout_deletes_shards_that_never_served() {
    let mut simulation = running(2);
    simulation.revision = REVISIONS[1];
    simulation.reconcile();
    simulation.revision = REVISIONS[0];
    let before = simulation.table.clone();
    let (_, deleted) = simulation.reconcile();
    assert_eq!(deleted, BTreeSet::from([(0, REVISIONS[1].to_owned())]));
    assert_eq!(simulation.table, before, "no team moves");
    simulation.settle();
    assert_eq!(simulation.processes.len(), 2);
}

#[test]
fn a_version_that_never_becomes_ready_gets_no_team() {
    let mut simulation = running(3);
    let before = simulation.table.clone();
    simulation.revision = REVISIONS[1];
    for _ in 0..10 {
        simulation.now += SignedDuration::from_secs(600);
        simulation.reconcile();
    }
    assert_eq!(simulation.table, before);
    assert_eq!(simulation.processes.len(), 4);
}

#[test]
fn an_edited_or_deleted_table_is_restored_with_a_higher_version() {
    let mut simulation = running(2);
    let before = simulation.table.clone().unwrap();
    simulation.table.as_mut().unwrap().shards[0].address = "elsewhere:7000".to_owned();
    simulation.reconcile();
    assert_eq!(simulation.table.as_ref().unwrap().shards, before.shards);
    simulation.table = None;
    simulation.reconcile();
    let table = simulation.table.clone().unwrap();
    assert_eq!(table.shards, before.shards);
    assert!(table.version > before.version + 1);
}

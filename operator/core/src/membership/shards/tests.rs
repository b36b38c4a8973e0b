use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use poker_routing::ShardState;

use super::world::{DEADLINE_SECONDS, REVISIONS, World, connect, running, set_ready, state};
use super::*;

#[test]
fn a_new_shard_gets_teams_when_it_is_ready_and_all_gateways_are_connected() {
    let mut world = running(2);
    world.desired = 3;
    world.pass();
    world.pass();
    assert_eq!(state(&world, 2), None);
    set_ready(&mut world, (2, REVISIONS[0]), true);
    world.pass();
    assert_eq!(state(&world, 2), None);
    let joining = world.table.as_ref().unwrap().joining.clone();
    assert_eq!(joining, [address(&world.names, 2, REVISIONS[0])]);
    connect(&mut world, (2, REVISIONS[0]));
    world.pass();
    assert_eq!(
        state(&world, 2),
        Some((REVISIONS[0].to_owned(), ShardState::Active))
    );
    assert!(world.table.unwrap().joining.is_empty());
}

#[test]
fn a_gateway_that_does_not_connect_delays_a_new_shard_only_for_some_time() {
    let mut world = running(2);
    world.desired = 3;
    world.pass();
    set_ready(&mut world, (2, REVISIONS[0]), true);
    world.now += SignedDuration::from_secs(JOIN_DEADLINE_SECONDS - 1);
    world.pass();
    assert_eq!(state(&world, 2), None);
    world.now += SignedDuration::from_secs(1);
    world.pass();
    assert!(state(&world, 2).is_some());
}

#[test]
fn a_cluster_made_anew_begins_with_a_later_version() {
    let first = running(2).table.unwrap();
    let mut again = World::new(2);
    again.now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1);
    again.pass();
    assert!(again.table.unwrap().version > first.version);
}

#[test]
fn a_shard_that_dies_changes_nothing() {
    let mut world = running(3);
    let before = world.table.clone();
    set_ready(&mut world, (1, REVISIONS[0]), false);
    let next = world.pass();
    assert_eq!(world.table, before);
    assert!(next.deleted.is_empty() && next.draining.is_empty());
}

#[test]
fn a_surplus_shard_is_deleted_when_it_is_empty_and_follows_the_table_without_it() {
    let mut world = running(2);
    world.desired = 1;
    world.pass();
    assert_eq!(
        state(&world, 1),
        Some((REVISIONS[0].to_owned(), ShardState::Draining))
    );
    world
        .processes
        .get_mut(&(1, REVISIONS[0].to_owned()))
        .unwrap()
        .rooms = 0;
    world.pass();
    assert!(
        state(&world, 1).is_some(),
        "empty, but it does not know the table yet"
    );
    world.follow(1);
    world.pass();
    assert_eq!(state(&world, 1), None);
    assert_eq!(world.processes.len(), 2, "not in the pass that changed the table");
    world.follow(1);
    let next = world.pass();
    assert_eq!((next.deleted.len(), world.processes.len()), (1, 1));
}

#[test]
fn a_shard_that_holds_on_is_deleted_at_the_deadline() {
    let mut world = running(2);
    world.desired = 1;
    world.pass();
    world.now += SignedDuration::from_secs(DEADLINE_SECONDS - 1);
    world.pass();
    assert!(state(&world, 1).is_some());
    world.now += SignedDuration::from_secs(1);
    world.pass();
    let next = world.pass();
    assert_eq!(next.deleted.len(), 1);
}

#[test]
fn a_draining_shard_that_is_wanted_again_stays() {
    let mut world = running(2);
    world.desired = 1;
    world.pass();
    world.desired = 2;
    let next = world.pass();
    assert_eq!(
        state(&world, 1),
        Some((REVISIONS[0].to_owned(), ShardState::Active))
    );
    assert!(next.draining.is_empty());
}

#[test]
fn a_new_version_replaces_shard_after_shard() {
    let mut world = running(2);
    world.revision = REVISIONS[1];
    world.pass();
    assert_eq!(world.processes.len(), 3, "one new shard is made");
    set_ready(&mut world, (0, REVISIONS[1]), true);
    connect(&mut world, (0, REVISIONS[1]));
    world.pass();
    assert_eq!(state(&world, 0).unwrap().0, REVISIONS[1]);
    world.pass();
    assert_eq!(
        world.processes.len(),
        3,
        "the next one waits until the old one handed over"
    );
    world.follow(0);
    world.follow(0);
    world.pass();
    assert!(!world.processes.contains_key(&(0, REVISIONS[0].to_owned())));
    world.pass();
    assert!(
        world.processes.contains_key(&(1, REVISIONS[1].to_owned())),
        "then the next one is made"
    );
}

#[test]
fn going_back_in_the_middle_deletes_what_never_served_and_replaces_what_did() {
    let mut world = running(2);
    world.revision = REVISIONS[1];
    world.pass();
    world.revision = REVISIONS[0];
    let before = world.table.clone();
    let next = world.pass();
    assert_eq!(next.deleted, BTreeSet::from([(0, REVISIONS[1].to_owned())]));
    assert_eq!(world.table, before, "nobody moved");
    world.settle();
    assert_eq!(world.processes.len(), 2);
}

#[test]
fn a_broken_version_never_gets_a_team() {
    let mut world = running(3);
    let before = world.table.clone();
    world.revision = REVISIONS[1];
    for _ in 0..10 {
        world.now += SignedDuration::from_secs(600);
        world.pass();
    }
    assert_eq!(world.table, before);
    assert_eq!(world.processes.len(), 4);
}

#[test]
fn an_edited_table_is_put_right_and_a_lost_one_made_anew_with_a_higher_version() {
    let mut world = running(2);
    let before = world.table.clone().unwrap();
    world.table.as_mut().unwrap().shards[0].address = "elsewhere:7000".to_owned();
    world.pass();
    assert_eq!(world.table.as_ref().unwrap().shards, before.shards);
    world.table = None;
    world.pass();
    let table = world.table.clone().unwrap();
    assert_eq!(table.shards, before.shards);
    assert!(table.version > before.version + 1);
}

//! Clients that resume, and rooms that are restored.

use crate::limits::RING_EVENTS_MAX;
use crate::protocol::{Command, DeckKind};
use crate::{Output, Room, TeamSlug};

use super::{vote, world};
use crate::tests::support::{deck, hello};

#[test]
fn resume_is_exact_or_a_snapshot() {
    let mut world = world(2);
    let old = world.detach(1).unwrap();
    world.vote(0, "5");
    world.resume(1, hello(1), old.clone());
    assert!(world.clients[&1].resumed);
    assert_eq!(world.clients[&1].room.as_ref().unwrap(), &world.room.view());
    for _ in 0..=RING_EVENTS_MAX {
        world.ok(0, Command::VoteAgain { round: world.round() });
    }
    world.resume(1, hello(1), old.clone());
    assert!(!world.clients[&1].resumed, "the gap is larger than the ring");
    let known = world.move_room();
    world.resume(1, hello(1), known[&1].clone());
    assert!(!world.clients[&1].resumed, "another epoch");
    assert_eq!(world.clients[&1].epoch, 2);
}

#[test]
fn commands_are_applied_once_across_sessions_and_restarts() {
    let mut world = world(2);
    world.command_as(1, "once", vote(1, "5"));
    world.ok(1, Command::ClearVote { round: 1 });
    world.move_room();
    world.attach(3, hello(1));
    let effects = world.command_as(3, "once", vote(1, "5"));
    assert!(!effects.durable && matches!(&effects.out[..], [Output::Ack { .. }]));
    assert!(world.room.view().round.voted.is_empty());
    assert_eq!(world.clients[&3].acks, ["once"]);
}

#[test]
fn stored_rooms_are_validated() {
    for (bytes, message) in [
        (&b""[..], "no valid state"),
        (b"{}", "no valid state"),
        (br#"{"version":1}"#, "no valid state"),
        (br#"{"version":99}"#, "state version 99"),
    ] {
        assert!(Room::decode(bytes).unwrap_err().to_string().contains(message));
    }
    assert!(
        Room::create(
            TeamSlug::parse("abc").unwrap(),
            "",
            &deck(DeckKind::TShirt, &[]),
            0
        )
        .is_err()
    );
}

//! Seats: joining, leaving, returning.

use crate::ErrorCode;
use crate::history::HistoryKind;
use crate::limits::{AWAY_GRACE_MS, PARTICIPANTS_MAX, SEAT_GRACE_MS, SESSIONS_PER_PARTICIPANT_MAX};
use crate::protocol::{Command, Hello, Role, close};

use super::world;
use crate::tests::support::{World, hello, person_id};

#[test]
fn a_seat_and_its_vote_survive_a_disconnect() {
    let mut world = world(2);
    world.vote(1, "8");
    world.detach(1);
    assert!(!world.room.view().participants[1].connected);
    world.wait_ms(SEAT_GRACE_MS - 1);
    world.attach(9, hello(1));
    assert_eq!(world.clients[&9].your_vote.as_deref(), Some("8"));
    world.detach(9);
    world.wait_ms(SEAT_GRACE_MS);
    let view = world.room.view();
    assert_eq!(
        (view.participants.len(), view.round.voted.len()),
        (1, 1),
        "the vote is kept without the seat"
    );
    let effects = world.command(0, Command::Reveal { round: 1 });
    let HistoryKind::RoundRevealed { votes, .. } = &effects.history[0].kind else {
        panic!()
    };
    assert_eq!(
        (votes[0].name.as_str(), votes[0].card.as_str()),
        ("Person 1", "8")
    );
    assert_eq!(world.room.next_deadline_ms(), None);
}

#[test]
fn a_new_page_sets_name_and_role_and_a_resumed_one_does_not() {
    let mut world = world(2);
    world.ok(
        1,
        Command::Rename {
            name: String::from("Bea"),
        },
    );
    let old = world.detach(1).unwrap();
    world.resume(1, hello(1), old);
    assert_eq!(world.room.view().participants[1].name, "Bea");
    world.vote(1, "8");
    world.detach(1);
    world.attach(
        1,
        Hello {
            name: String::from("Ben"),
            role: Role::Observer,
            ..hello(1)
        },
    );
    let view = world.room.view();
    assert_eq!(
        (view.participants[1].name.as_str(), view.participants[1].role),
        ("Ben", Role::Observer)
    );
    assert!(view.round.voted.is_empty());
}

#[test]
fn two_tabs_are_one_participant() {
    let mut world = world(1);
    world.attach(1, hello(1));
    world.attach(2, hello(1));
    assert_eq!((world.room.connected(), world.room.sessions.len()), (2, 3));
    world.vote(2, "8");
    assert_eq!(world.clients[&1].your_vote.as_deref(), Some("8"));
    assert_eq!(world.room.view().round.voted.len(), 1);
    world.detach(2);
    assert!(
        world.room.view().participants[1].connected,
        "the other tab is still connected"
    );
    for session in 3..2 + SESSIONS_PER_PARTICIPANT_MAX as u64 {
        world.attach(session, hello(1));
    }
    world.attach(99, hello(1));
    assert_eq!(
        world.kicked[&99],
        (close::TOO_MANY, String::from("too_many_sessions"))
    );
    world.ok(
        0,
        Command::RemoveParticipant {
            participant: person_id(1),
        },
    );
    assert_eq!(world.kicked[&1], (close::REMOVED, String::from("removed")));
    assert_eq!((world.room.connected(), world.room.sessions.len()), (1, 1));
}

#[test]
fn the_facilitator_is_replaced_by_a_connected_participant() {
    let mut world = world(3);
    let facilitator = |world: &World| {
        let facilitators: Vec<_> = world
            .room
            .view()
            .participants
            .into_iter()
            .filter(|seat| seat.facilitator)
            .collect();
        assert_eq!(facilitators.len(), 1);
        facilitators[0].id.clone()
    };
    assert_eq!(facilitator(&world), person_id(0));
    world.ok(
        0,
        Command::MakeFacilitator {
            participant: person_id(2),
        },
    );
    assert_eq!(
        world.refused(0, Command::NextStory { round: 1 }),
        ErrorCode::NotFacilitator
    );
    world.detach(2);
    assert_eq!(facilitator(&world), person_id(2), "kept while away");
    world.ok(1, Command::TakeFacilitator {});
    assert_eq!(facilitator(&world), person_id(1));
    world.detach(1);
    world.wait_ms(AWAY_GRACE_MS);
    world.wait_ms(SEAT_GRACE_MS);
    assert_eq!(
        facilitator(&world),
        person_id(0),
        "a connected participant replaces the one who left"
    );
    world.detach(0);
    world.wait_ms(SEAT_GRACE_MS);
    assert!(world.room.view().participants.is_empty());
    world.attach(7, hello(7));
    assert_eq!(facilitator(&world), person_id(7));
}

#[test]
fn a_full_room_reassigns_the_seat_of_the_longest_gone_participant() {
    let mut world = world(PARTICIPANTS_MAX as u64);
    world.attach(999, hello(999));
    assert_eq!(
        world.kicked[&999],
        (close::TOO_MANY, String::from("too_many_participants"))
    );
    world.detach(7);
    world.now_ms += 1;
    world.detach(5);
    world.attach(999, hello(999));
    assert!(
        world.kicked.contains_key(&999) && !world.clients.contains_key(&999),
        "both may come back soon"
    );
    world.wait_ms(AWAY_GRACE_MS);
    world.attach(999, hello(999));
    let view = world.room.view();
    assert_eq!(view.participants.len(), PARTICIPANTS_MAX);
    assert!(view.participants.iter().all(|seat| seat.id != person_id(7)));
    assert!(view.participants.iter().any(|seat| seat.id == person_id(5)));
}

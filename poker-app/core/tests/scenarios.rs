//! What people do in a room and what comes of it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use poker_core::history::HistoryKind;
use poker_core::limits::{
    AWAY_GRACE_MS, PARTICIPANTS_MAX, RING_EVENTS_MAX, SEAT_GRACE_MS, SESSIONS_PER_PARTICIPANT_MAX,
    STORIES_MAX, TIMER_SECONDS_MAX, VOTES_PER_ROUND_MAX,
};
use poker_core::protocol::{Command, DeckKind, Hello, Phase, Role, close};
use poker_core::{ErrorCode, Output, Room, TeamSlug};
use support::{World, deck, hello, parse_command as command, person_id};

fn world(people: u64) -> World {
    let mut world = World::new(&deck(DeckKind::Fibonacci, &[]));
    for person in 0..people {
        world.attach(person, hello(person));
    }
    world
}

fn vote(round: u64, card: &str) -> Command {
    Command::Vote {
        round,
        card: String::from(card),
    }
}

fn add(titles: &[&str]) -> Command {
    Command::AddStories {
        titles: titles.iter().map(|&title| String::from(title)).collect(),
    }
}

fn estimate(round: u64, card: &str) -> Command {
    Command::SaveEstimate {
        round,
        card: String::from(card),
    }
}

#[test]
fn a_whole_session() {
    let mut world = world(3);
    world.ok(0, add(&["Login", "Logout"]));
    let view = world.room.view();
    assert_eq!(
        (view.round.number, view.round.story),
        (2, Some(1)),
        "the first story is taken up"
    );
    world.vote(0, "13");
    world.vote(1, "3");
    let round = world.clients[&2].room.clone().unwrap().round;
    assert_eq!(
        (round.voted.len(), round.votes, round.phase),
        (2, None, Phase::Voting)
    );
    assert_eq!(world.clients[&0].your_vote.as_deref(), Some("13"));

    let effects = world.command(0, Command::Reveal { round: 2 });
    let round = world.clients[&2].room.clone().unwrap().round;
    assert_eq!(round.votes.unwrap().len(), 2);
    let stats = round.stats.unwrap();
    assert_eq!(
        stats.summary.as_deref(),
        Some("Person 0 13, Person 1 3: talk first")
    );
    let HistoryKind::RoundRevealed {
        round: 2,
        story: Some(story),
        votes,
        stats: recorded,
    } = &effects.history[0].kind
    else {
        panic!("{:?}", effects.history)
    };
    assert_eq!(
        (story.title.as_str(), votes[0].name.as_str(), recorded),
        ("Login", "Person 0", &stats)
    );

    world.ok(0, Command::VoteAgain { round: 2 });
    world.vote(0, "5");
    world.vote(1, "5");
    world.ok(0, Command::Reveal { round: 3 });
    let effects = world.command(0, estimate(3, "5"));
    assert!(
        matches!(&effects.history[0].kind, HistoryKind::EstimateSaved { round: 3, card, .. } if card == "5")
    );
    world.ok(0, Command::NextStory { round: 3 });
    let view = world.room.view();
    assert_eq!(
        (view.round.story, view.stories[0].estimate.as_deref()),
        (Some(2), Some("5"))
    );
    world.ok(0, Command::NextStory { round: 4 });
    assert_eq!(world.room.view().round.story, None, "no other story is open");
    for client in world.clients.values() {
        assert_eq!(client.room.as_ref().unwrap(), &world.room.view());
    }
}

#[test]
fn history_names_the_team_once_it_has_somebody() {
    let mut world = world(0);
    let effects = world.attach(0, hello(0));
    let named = &effects.history[0];
    assert_eq!((named.epoch, named.seq, &*named.team), (1, 1, "blue-team"));
    assert_eq!(
        named.kind,
        HistoryKind::TeamNamed {
            name: String::from("Blue")
        }
    );
    assert!(world.attach(1, hello(1)).history.is_empty());
    let effects = world.command(
        0,
        Command::RenameTeam {
            name: String::from(" Azure "),
        },
    );
    let json = serde_json::to_value(&effects.history[0]).unwrap();
    assert_eq!(json["kind"], "team_named");
    assert_eq!(json["name"], "Azure");
    assert_eq!(json["atMs"], world.now_ms);
}

#[test]
fn refusals_have_a_code_and_change_nothing() {
    use ErrorCode::*;
    let mut world = world(2);
    world.ok(0, add(&["a"]));
    let cases = [
        (1, Command::Reveal { round: 2 }, NotFacilitator),
        (1, add(&["b"]), NotFacilitator),
        (1, Command::TakeFacilitator {}, FacilitatorPresent),
        (1, vote(1, "5"), StaleRound),
        (1, vote(2, "4"), UnknownCard),
        (
            1,
            Command::Rename {
                name: String::from(" "),
            },
            InvalidName,
        ),
        (0, Command::Reveal { round: 2 }, NoVotes),
        (0, estimate(2, "5"), NotRevealed),
        (0, add(&[]), InvalidTitle),
        (0, add(&vec!["x"; STORIES_MAX]), TooManyStories),
        (
            0,
            Command::EditStory {
                story: 9,
                title: String::from("x"),
            },
            UnknownStory,
        ),
        (0, Command::SelectStory { story: 9 }, UnknownStory),
        (0, Command::RemoveStory { story: 9 }, UnknownStory),
        (
            0,
            Command::SetDeck {
                deck: deck(DeckKind::Custom, &["1"]),
            },
            InvalidDeck,
        ),
        (0, Command::StartTimer { seconds: 0 }, InvalidTimer),
        (
            0,
            Command::StartTimer {
                seconds: TIMER_SECONDS_MAX + 1,
            },
            InvalidTimer,
        ),
        (
            0,
            Command::MakeFacilitator {
                participant: String::from("x"),
            },
            UnknownParticipant,
        ),
        (
            0,
            Command::RemoveParticipant {
                participant: String::from("x"),
            },
            UnknownParticipant,
        ),
        (
            0,
            Command::RemoveParticipant {
                participant: person_id(0),
            },
            CannotRemoveSelf,
        ),
        (0, Command::RenameTeam { name: "x".repeat(81) }, InvalidName),
        (7, vote(2, "5"), NotJoined),
    ];
    for (session, command, code) in cases {
        assert_eq!(world.refused(session, command.clone()), code, "{command:?}");
    }
    world.vote(1, "5");
    world.ok(0, Command::Reveal { round: 2 });
    assert_eq!(world.refused(1, vote(2, "8")), AlreadyRevealed);
    assert_eq!(world.refused(0, Command::Reveal { round: 2 }), AlreadyRevealed);
    assert_eq!(world.refused(1, Command::ClearVote { round: 2 }), AlreadyRevealed);
    assert_eq!(world.refused(0, estimate(2, "4")), UnknownCard);
    world.ok(1, Command::SetRole { role: Role::Observer });
    world.ok(0, Command::SelectStory { story: 1 });
    assert_eq!(world.refused(1, vote(3, "5")), NotAVoter);
    world.ok(0, Command::RemoveStory { story: 1 });
    world.vote(0, "5");
    world.ok(0, Command::Reveal { round: 4 });
    assert_eq!(world.refused(0, estimate(4, "5")), NoStory);
}

#[test]
fn bad_command_ids_are_not_echoed() {
    let mut world = world(1);
    for id in ["", &"x".repeat(37), "a\u{0}"] {
        let effects = world.command_as(0, id, command(r#"{"type":"stop_timer"}"#));
        assert!(matches!(
            &effects.out[..],
            [Output::ToSession { command_id: None, .. }]
        ));
        assert_eq!(
            world.clients[&0].errors.last().unwrap().code,
            ErrorCode::InvalidId
        );
    }
}

#[test]
fn bad_hellos_are_refused_and_closed() {
    let mut world = world(0);
    let cases = [
        (
            Hello {
                protocol: 2,
                ..hello(1)
            },
            "unsupported_protocol",
        ),
        (
            Hello {
                key: String::from("x"),
                ..hello(1)
            },
            "bad_hello",
        ),
        (
            Hello {
                name: String::from(" "),
                ..hello(1)
            },
            "invalid_name",
        ),
    ];
    for (hello, reason) in cases {
        world.attach(5, hello);
        assert_eq!(world.kicked[&5], (close::BAD_HELLO, String::from(reason)));
        assert_eq!((world.room.seq(), world.room.sessions()), (0, 0));
    }
}

#[test]
fn auto_reveal_waits_for_everyone_who_may_still_vote() {
    let mut world = world(4);
    world.ok(3, Command::SetRole { role: Role::Observer });
    world.ok(0, Command::SetAutoReveal { on: true });
    world.vote(0, "5");
    world.vote(1, "5");
    assert_eq!(world.room.view().round.phase, Phase::Voting);
    world.detach(2);
    world.wait_ms(AWAY_GRACE_MS - 1);
    assert_eq!(
        world.room.view().round.phase,
        Phase::Voting,
        "the missing voter may come back"
    );
    assert_eq!(world.room.next_deadline_ms(), Some(world.now_ms + 1));
    let effects = world.wait_ms(1);
    assert_eq!(world.room.view().round.phase, Phase::Revealed);
    assert!(effects.durable && effects.history.len() == 1);

    world.ok(0, Command::VoteAgain { round: 1 });
    world.vote(0, "5");
    world.ok(1, Command::SetRole { role: Role::Observer });
    assert_eq!(
        world.room.view().round.phase,
        Phase::Revealed,
        "nobody else votes any more"
    );
    world.ok(0, Command::VoteAgain { round: 2 });
    world.attach(2, hello(2));
    world.vote(0, "5");
    assert_eq!(
        world.room.view().round.phase,
        Phase::Voting,
        "the returned voter counts again"
    );
    world.ok(
        0,
        Command::RemoveParticipant {
            participant: person_id(2),
        },
    );
    assert_eq!(world.room.view().round.phase, Phase::Revealed);
}

#[test]
fn auto_reveal_needs_a_vote() {
    let mut world = world(1);
    world.ok(0, Command::SetRole { role: Role::Observer });
    world.ok(0, Command::SetAutoReveal { on: true });
    world.detach(0);
    world.wait_ms(AWAY_GRACE_MS);
    assert_eq!(world.room.view().round.phase, Phase::Voting);
}

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
        "the vote outlives the seat"
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
fn an_observer_has_no_vote_left() {
    let mut world = world(2);
    world.vote(1, "8");
    world.ok(1, Command::SetRole { role: Role::Observer });
    assert_eq!(world.clients[&1].your_vote, None);
    assert!(world.room.view().round.voted.is_empty());
}

#[test]
fn a_fresh_page_brings_name_and_role_a_resuming_one_does_not() {
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
fn two_tabs_are_one_person() {
    let mut world = world(1);
    world.attach(1, hello(1));
    world.attach(2, hello(1));
    assert_eq!((world.room.connected(), world.room.sessions()), (2, 3));
    world.vote(2, "8");
    assert_eq!(world.clients[&1].your_vote.as_deref(), Some("8"));
    assert_eq!(world.room.view().round.voted.len(), 1);
    world.detach(2);
    assert!(
        world.room.view().participants[1].connected,
        "the other tab is still there"
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
    assert_eq!((world.room.connected(), world.room.sessions()), (1, 1));
}

#[test]
fn facilitation_passes_on() {
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
        "whoever is there takes over from whoever left"
    );
    world.detach(0);
    world.wait_ms(SEAT_GRACE_MS);
    assert!(world.room.view().participants.is_empty());
    world.attach(7, hello(7));
    assert_eq!(facilitator(&world), person_id(7));
}

#[test]
fn the_timer_informs_only() {
    let mut world = world(1);
    world.vote(0, "5");
    world.ok(0, Command::StartTimer { seconds: 30 });
    let timer = world.room.view().timer.unwrap();
    assert_eq!((timer.ends_at_ms, timer.seconds), (world.now_ms + 30_000, 30));
    assert_eq!(world.room.next_deadline_ms(), Some(timer.ends_at_ms));
    world.wait_ms(30_000);
    let view = world.room.view();
    assert_eq!((view.timer, view.round.phase), (None, Phase::Voting));
    world.ok(0, Command::StartTimer { seconds: 30 });
    world.ok(0, Command::Reveal { round: 1 });
    assert_eq!(world.room.view().timer, None, "there is nothing to wait for");
}

#[test]
fn another_deck_starts_the_round_anew() {
    let mut world = world(2);
    world.vote(1, "8");
    world.ok(
        0,
        Command::SetDeck {
            deck: deck(DeckKind::Fibonacci, &[]),
        },
    );
    assert_eq!(world.round(), 1, "the same deck changes nothing");
    world.ok(
        0,
        Command::SetDeck {
            deck: deck(DeckKind::TShirt, &[]),
        },
    );
    assert_eq!((world.round(), world.room.view().round.voted.len()), (2, 0));
    assert_eq!(world.clients[&1].your_vote, None);
    world.vote(1, "XL");
}

#[test]
fn selecting_the_story_at_hand_keeps_its_votes() {
    let mut world = world(1);
    world.ok(0, add(&["a", "b"]));
    world.vote(0, "5");
    world.ok(0, Command::SelectStory { story: 1 });
    assert_eq!(world.room.view().round.voted.len(), 1);
    world.ok(0, Command::SelectStory { story: 2 });
    world.ok(0, Command::RemoveStory { story: 2 });
    assert_eq!(world.room.view().round.story, Some(1), "goes on to the next one");
}

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
fn a_full_room_gives_the_seat_of_whoever_is_gone_longest() {
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

#[test]
fn votes_in_a_round_are_bounded() {
    let mut world = world(1);
    for person in 1..=VOTES_PER_ROUND_MAX as u64 {
        world.attach(1, hello(person));
        world.vote(1, "5");
        world.ok(
            0,
            Command::Rename {
                name: format!("Ada {person}"),
            },
        );
        world.detach(1);
        world.wait_ms(AWAY_GRACE_MS);
    }
    assert_eq!(world.refused(0, vote(1, "5")), ErrorCode::TooManyVotes);
}

#[test]
fn commands_are_applied_once_across_sessions_and_restarts() {
    let mut world = world(2);
    world.command_as(1, "once", vote(1, "5"));
    world.ok(1, Command::ClearVote { round: 1 });
    world.move_room();
    world.attach(3, hello(1));
    let effects = world.command_as(3, "once", vote(1, "5"));
    assert!(
        !effects.durable
            && matches!(
                &effects.out[..],
                [Output::ToSession {
                    command_id: Some(_),
                    ..
                }]
            )
    );
    assert!(world.room.view().round.voted.is_empty());
    assert_eq!(world.clients[&3].acks, ["once"]);
}

#[test]
fn stored_rooms_are_checked() {
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

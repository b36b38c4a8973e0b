//! Refusals and their codes.

use crate::limits::{STORIES_MAX, TIMER_SECONDS_MAX};
use crate::protocol::{Command, DeckKind, Hello, Role, close};
use crate::{ErrorCode, Output};

use super::{add, command, estimate, vote, world};
use crate::tests::support::{deck, hello, person_id};

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
fn invalid_command_ids_are_not_echoed() {
    let mut world = world(1);
    for id in ["", &"x".repeat(37), "a\u{0}"] {
        let effects = world.command_as(0, id, command(r#"{"type":"stop_timer"}"#));
        assert!(matches!(&effects.out[..], [Output::Private { .. }]));
        assert_eq!(
            world.clients[&0].errors.last().unwrap().code,
            ErrorCode::InvalidId
        );
    }
}

#[test]
fn invalid_hellos_are_refused_and_closed() {
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
        assert_eq!((world.room.state.seq, world.room.sessions.len()), (0, 0));
    }
}

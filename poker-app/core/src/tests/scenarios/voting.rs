//! Votes and their reveal.

use crate::limits::{AWAY_GRACE_MS, VOTES_PER_ROUND_MAX};
use crate::protocol::{Command, DeckKind, Phase, Role};
use crate::{Effects, ErrorCode, Output};

use super::{add, vote, world};
use crate::tests::support::{deck, hello, person_id};

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
        "the missing voter may return"
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
        "no other voter is awaited"
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
fn a_refused_command_triggers_a_due_auto_reveal() {
    let mut world = world(2);
    world.ok(0, Command::SetAutoReveal { on: true });
    world.vote(0, "5");
    world.detach(1);
    world.now_ms += AWAY_GRACE_MS;
    // The first input after the grace period; no tick has run.
    world.command(0, vote(7, "5"));
    assert_eq!(
        world.clients[&0].errors.last().unwrap().code,
        ErrorCode::StaleRound
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
fn a_voter_who_becomes_an_observer_loses_the_vote() {
    let mut world = world(2);
    world.vote(1, "8");
    world.ok(1, Command::SetRole { role: Role::Observer });
    assert_eq!(world.clients[&1].your_vote, None);
    assert!(world.room.view().round.voted.is_empty());
}

#[test]
fn another_deck_restarts_the_round() {
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
fn selecting_the_current_story_keeps_its_votes() {
    let mut world = world(1);
    world.ok(0, add(&["a", "b"]));
    world.vote(0, "5");
    world.ok(0, Command::SelectStory { story: 1 });
    assert_eq!(world.room.view().round.voted.len(), 1);
    world.ok(0, Command::SelectStory { story: 2 });
    world.ok(0, Command::RemoveStory { story: 2 });
    assert_eq!(
        world.room.view().round.story,
        Some(1),
        "the next story is selected"
    );
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
fn the_end_of_the_timer_reveals_nothing() {
    let mut world = world(1);
    world.vote(0, "5");
    world.ok(0, Command::StartTimer { seconds: 30 });
    let timer = world.room.view().timer.unwrap();
    assert_eq!((timer.ends_at_ms, timer.seconds), (world.now_ms + 30_000, 30));
    assert_eq!(world.room.next_deadline_ms(), Some(timer.ends_at_ms));
    let ended = world.wait_ms(30_000);
    assert!(publishes(&ended, r#""timer":null,"ranOut":true"#));
    let view = world.room.view();
    assert_eq!((view.timer, view.round.phase), (None, Phase::Voting));
    world.ok(0, Command::StartTimer { seconds: 30 });
    let stopped = world.command(0, Command::StopTimer {});
    assert!(publishes(&stopped, r#""timer":null,"ranOut":false"#));
    world.ok(0, Command::StartTimer { seconds: 30 });
    world.ok(0, Command::Reveal { round: 1 });
    assert_eq!(world.room.view().timer, None, "a revealed round has no timer");
}

fn publishes(effects: &Effects, part: &str) -> bool {
    effects
        .out
        .iter()
        .any(|output| matches!(output, Output::Publish { text, .. } if text.contains(part)))
}

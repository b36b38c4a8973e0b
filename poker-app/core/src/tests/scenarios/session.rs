//! A whole estimation session and its history.

use crate::history::HistoryKind;
use crate::protocol::{Command, Phase};

use super::{add, estimate, world};
use crate::tests::support::{World, hello};

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
    assert_eq!(stats.median.as_deref(), Some("13"));
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
    assert!(world.room.view().round.saved);
    clients_see_the_room(&world);
    world.ok(0, Command::NextStory { round: 3 });
    let view = world.room.view();
    assert!(!view.round.saved, "an estimate belongs to its round");
    assert_eq!(
        (view.round.story, view.stories[0].estimate.as_deref()),
        (Some(2), Some("5"))
    );
    world.ok(0, Command::NextStory { round: 4 });
    assert_eq!(world.room.view().round.story, None, "no other story is open");
    clients_see_the_room(&world);
}

fn clients_see_the_room(world: &World) {
    for client in world.clients.values() {
        assert_eq!(client.room.as_ref().unwrap(), &world.room.view());
    }
}

#[test]
fn history_records_the_team_name_with_the_first_participant() {
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

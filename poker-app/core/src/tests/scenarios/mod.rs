//! Scenarios of commands and their results.

mod recovery;
mod refusals;
mod seats;
mod session;
mod voting;

use crate::protocol::{Command, DeckKind};
use crate::tests::support::{World, deck, hello, parse_command as command};

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

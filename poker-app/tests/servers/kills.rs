//! A thousand killed shards lose no acknowledged vote.
//!
//! Two shards in this process serve the rooms. Repeatedly one of them is dropped during the voting, together with its
//! writes to the store, or keeps running without knowing that it was replaced. For every voter its successor must show the
//! last acknowledged vote or the one in flight; if the predecessor acknowledged the latter as well, exactly that one.

use std::time::Instant;

use poker_app::{link::ToGateway, store::Store};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use crate::support::{Link, Server, TestShard, answer_to, table, your_vote};

const SEED: u64 = 0x706f_6b65;
const KILLS: usize = 1_000;
const TEAMS: u64 = 6;
const VOTERS_PER_TEAM: u64 = 2;
const CARDS: [&str; 8] = ["1", "2", "3", "5", "8", "13", "21", "?"];

struct Voter {
    session: u64,
    team: String,
    votes: usize,
    acknowledged: Option<&'static str>,
    in_flight: Option<(String, &'static str)>,
}

struct Slot {
    id: u32,
    address: String,
    shard: TestShard,
    link: Link,
}

impl Slot {
    /// With its own connection to the store: the writes of a replaced shard are not ordered with its successor's claims.
    fn start(id: u32, generation: usize, store: Store, addresses: &[String; 2], version: u64) -> Slot {
        let address = addresses[id as usize].clone();
        let shards = [(0, addresses[0].as_str()), (1, addresses[1].as_str())];
        let shard = TestShard::start(id, &address, store, None, table(version, &shards));
        let link = shard.link();
        assert!(address.ends_with(&generation.to_string()));
        Slot {
            id,
            address,
            shard,
            link,
        }
    }
}

/// The address of the shard's `generation`th process.
fn address(id: u32, generation: usize) -> String {
    format!("shard-{id}-{generation}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_killed_shards_lose_no_acknowledged_vote() {
    let server = Server::redis().await;
    let mut random = StdRng::seed_from_u64(SEED);
    let mut addresses = [address(0, 0), address(1, 0)];
    let mut slots = [0, 1].map(|id| Slot::start(id, 0, server.store(), &addresses, 1));
    let mut voters = voters();
    for voter in &mut voters {
        let slot = &mut slots[home(&addresses, 1, &voter.team)];
        slot.link.enter(voter.session, &voter.team, 1).await;
    }
    let (mut pauses_ms, mut ghosts, begin) = (Vec::new(), 0, Instant::now());
    for kill in 1..=KILLS {
        let version = kill as u64 + 1;
        let victim = random.random_range(0..2);
        for voter in &mut voters {
            let slot = &mut slots[home(&addresses, version - 1, &voter.team)];
            vote(voter, &mut slot.link, &mut random).await;
        }
        let mut here: Vec<&mut Voter> = voters
            .iter_mut()
            .filter(|voter| home(&addresses, version - 1, &voter.team) == victim)
            .collect();
        let answers = random.random_range(0..=here.len());
        await_answers(&mut slots[victim].link, &mut here, answers).await;
        addresses[victim] = address(victim as u32, kill);
        let successor = Slot::start(victim as u32, kill, server.store(), &addresses, version);
        let Slot {
            id,
            address: former,
            shard,
            mut link,
        } = std::mem::replace(&mut slots[victim], successor);
        assert!(id as usize == victim && former != addresses[victim]);
        let is_ghost = random.random_bool(0.3);
        ghosts += usize::from(is_ghost);
        let died = Instant::now();
        let ghost = is_ghost.then_some(shard);
        let mut shown = Vec::new();
        for voter in &mut here {
            let (_, state) = slots[victim]
                .link
                .enter(voter.session, &voter.team, version)
                .await;
            shown.push(your_vote(&state));
        }
        drain_answers(&mut link, &mut here).await;
        for (voter, shown) in here.iter().zip(shown) {
            check(voter, shown.as_deref());
        }
        pauses_ms.push(died.elapsed().as_secs_f64() * 1e3);
        for voter in &mut here {
            resend(voter, &mut slots[victim].link).await;
        }
        drop(ghost);
        settle(&mut slots[1 - victim], &mut voters, &addresses, version).await;
    }
    let votes: usize = voters.iter().map(|voter| voter.votes).sum();
    pauses_ms.sort_by(f64::total_cmp);
    println!(
        "{KILLS} kills ({ghosts} of them alive but replaced), {votes} votes, 0 lost; rooms back after p50 {:.1} ms, \
         p99 {:.1} ms, max {:.1} ms; {:.1} s in all",
        pauses_ms[KILLS / 2],
        pauses_ms[KILLS * 99 / 100],
        pauses_ms[KILLS - 1],
        begin.elapsed().as_secs_f64()
    );
}

/// The surviving shard answers the votes of its teams, then gets the new table.
async fn settle(slot: &mut Slot, voters: &mut [Voter], addresses: &[String; 2], version: u64) {
    let mut here: Vec<&mut Voter> = voters
        .iter_mut()
        .filter(|voter| home(addresses, version, &voter.team) == slot.id as usize)
        .collect();
    let waiting = here.iter().filter(|voter| voter.in_flight.is_some()).count();
    await_answers(&mut slot.link, &mut here, waiting).await;
    let shards = [(0, addresses[0].as_str()), (1, addresses[1].as_str())];
    slot.shard.routes.send_replace(table(version, &shards).into());
}

fn voters() -> Vec<Voter> {
    let seats = (0..TEAMS).flat_map(|team| (0..VOTERS_PER_TEAM).map(move |seat| (team, seat)));
    seats
        .map(|(team, seat)| Voter {
            session: 1 + team * VOTERS_PER_TEAM + seat,
            team: format!("team-{team}"),
            votes: 0,
            acknowledged: None,
            in_flight: None,
        })
        .collect()
}

/// Index of the shard that the table routes the team to: the hash depends on ids, not on addresses.
fn home(addresses: &[String; 2], version: u64, team: &str) -> usize {
    let shards = [(0, addresses[0].as_str()), (1, addresses[1].as_str())];
    table(version, &shards).route(team)[0].id as usize
}

async fn vote(voter: &mut Voter, link: &mut Link, random: &mut StdRng) {
    let card = *CARDS.choose(random).unwrap();
    voter.votes += 1;
    let id = format!("{}-{}", voter.session, voter.votes);
    link.vote(voter.session, &id, card).await;
    voter.in_flight = Some((id, card));
}

/// Records an acknowledgement. Returns whether it was for one of these voters.
fn note(frame: &ToGateway, voters: &mut [&mut Voter]) -> bool {
    for voter in voters {
        let Some((id, card)) = &voter.in_flight else {
            continue;
        };
        if answer_to(frame, id) == Some(true) {
            voter.acknowledged = Some(card);
            voter.in_flight = None;
            return true;
        }
    }
    false
}

async fn await_answers(link: &mut Link, voters: &mut [&mut Voter], mut answers: usize) {
    while answers > 0 {
        let frame = link.try_next().await.expect("the link is open");
        answers -= usize::from(note(&frame, voters));
    }
}

/// Records what the predecessor acknowledged before it ended or was fenced.
async fn drain_answers(link: &mut Link, voters: &mut [&mut Voter]) {
    while let Some(frame) = link.try_now().await {
        note(&frame, voters);
    }
}

fn check(voter: &Voter, shown: Option<&str>) {
    let in_flight = voter.in_flight.as_ref().map(|(_, card)| *card);
    let is_known = shown == voter.acknowledged || (in_flight.is_some() && shown == in_flight);
    assert!(
        is_known,
        "vote {} of session {}: shown {shown:?}, acknowledged {:?}, in flight {in_flight:?}",
        voter.votes, voter.session, voter.acknowledged
    );
}

/// Resends the command with the same id, as a gateway does after a handoff.
async fn resend(voter: &mut Voter, link: &mut Link) {
    let Some((id, card)) = voter.in_flight.clone() else {
        return;
    };
    link.vote(voter.session, &id, card).await;
    assert!(link.answer(&id).await);
    voter.acknowledged = Some(card);
    voter.in_flight = None;
}

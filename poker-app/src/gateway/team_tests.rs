//! A team's sessions through handoffs, failovers and overflows.

use std::{collections::BTreeMap, sync::Arc};

use poker_core::{
    CatchUp, ErrorCode,
    protocol::{Hello, Resume, Role},
};
use poker_routing::RoutingTable;

use super::{
    action::Action,
    limits::{FAILOVER_HOLD_DOWN_MS, NO_SHARD_NOTICE_AFTER_MS, UNACKED_COMMANDS_MAX},
    links::LinkState,
    placement::{RoutingInput, tests::table},
    team::Team,
};
use crate::link::{ToGateway, ToShard};

/// A team with its inputs. Every call returns the team's actions.
struct Bench {
    team: Team,
    table: RoutingTable,
    links: BTreeMap<String, LinkState>,
    now_ms: u64,
}

impl Bench {
    fn new(shards: u32) -> Self {
        Self {
            team: Team::new(Arc::from("team")),
            table: table(1, shards),
            links: BTreeMap::new(),
            now_ms: 0,
        }
    }

    fn apply(&mut self, change: impl FnOnce(&mut Team, RoutingInput, &mut Vec<Action>)) -> Vec<Action> {
        let link = |address: &str| self.links.get(address).copied().unwrap_or(LinkState::Up);
        let input = RoutingInput {
            now_ms: self.now_ms,
            table: &self.table,
            link: &link,
        };
        let mut out = Vec::new();
        change(&mut self.team, input, &mut out);
        out
    }

    /// Address of the shard preferred at `rank`.
    fn shard(&self, rank: usize) -> String {
        self.table.route("team")[rank].address.clone()
    }

    fn at(&self) -> String {
        self.team.address().map(ToString::to_string).unwrap_or_default()
    }

    fn join(&mut self, session: u64) -> Vec<Action> {
        self.apply(|team, input, out| team.join(session, hello(), input, out))
    }

    fn command(&mut self, session: u64, id: &str) -> Vec<Action> {
        self.apply(|team, _, out| team.command(session, id, &command(id), out))
    }

    fn from(&mut self, shard: &str, frame: ToGateway) -> Vec<Action> {
        self.apply(|team, input, out| team.on_shard_frame(shard, frame, input, out))
    }

    fn settle(&mut self) -> Vec<Action> {
        self.apply(Team::settle)
    }

    fn attach(&mut self, session: u64, epoch: u64, seq: u64) -> Vec<Action> {
        let at = self.at();
        self.from(&at, attached(session, epoch, seq))
    }

    /// Adds an attached session.
    fn joined(&mut self, session: u64, epoch: u64, seq: u64) {
        self.join(session);
        self.attach(session, epoch, seq);
    }

    fn fail(&mut self, shard: &str) -> Vec<Action> {
        self.links.insert(shard.to_owned(), LinkState::Trying);
        let mut out = self.apply(|team, input, out| team.link_down(shard, input, out));
        self.now_ms += 1_000;
        self.links.insert(shard.to_owned(), LinkState::Down);
        out.extend(self.settle());
        out
    }
}

fn hello() -> Hello {
    Hello {
        protocol: 1,
        key: "0".repeat(32),
        name: "Ada".into(),
        role: Role::Voter,
        create: None,
        resume: None,
    }
}

fn command(id: &str) -> String {
    format!(r#"{{"type":"command","id":"{id}"}}"#)
}

fn attached(session: u64, epoch: u64, seq: u64) -> ToGateway {
    ToGateway::Attached {
        session,
        team: "team".into(),
        epoch,
        seq,
        welcome: "welcome".into(),
        catch_up: CatchUp::Snapshot("snapshot".into()),
    }
}

fn publish(epoch: u64, seq: u64) -> ToGateway {
    ToGateway::Publish {
        team: "team".into(),
        epoch,
        seq,
        text: format!("event {epoch}/{seq}"),
    }
}

fn ack(session: u64, id: &str) -> ToGateway {
    ToGateway::Ack {
        session,
        command_id: id.into(),
        text: format!("ack {id}"),
    }
}

fn moved(owner: Option<&str>) -> ToGateway {
    ToGateway::Moved {
        team: "team".into(),
        owner: owner.map(str::to_owned),
        table_version: 1,
    }
}

/// (address, session, resume) of the opens among `actions`.
fn opens(actions: &[Action]) -> Vec<(String, u64, Option<Resume>)> {
    let open = |action: &Action| match action {
        Action::Send {
            address,
            frame: ToShard::Open { session, hello, .. },
        } => Some((address.to_string(), *session, hello.resume)),
        _ => None,
    };
    actions.iter().filter_map(open).collect()
}

/// Ids of the commands sent among `actions`.
fn commands(actions: &[Action]) -> Vec<String> {
    let text = |action: &Action| match action {
        Action::Send {
            frame: ToShard::Command { text, .. },
            ..
        } => Some(text.clone()),
        _ => None,
    };
    actions.iter().filter_map(text).collect()
}

fn texts(actions: &[Action]) -> Vec<String> {
    let texts = |action: &Action| match action {
        Action::Deliver { text, .. } => vec![text.to_string()],
        Action::DeliverState { texts, .. } => texts.clone(),
        _ => Vec::new(),
    };
    actions.iter().flat_map(texts).collect()
}

fn is_closing(actions: &[Action]) -> bool {
    actions
        .iter()
        .any(|action| matches!(action, Action::Close { .. }))
}

#[test]
fn a_new_session_is_opened_at_the_preferred_shard_and_gets_the_room() {
    let mut bench = Bench::new(3);
    let opened = bench.join(1);
    assert_eq!(opens(&opened), [(bench.shard(0), 1, None)]);
    let state = bench.attach(1, 7, 3);
    assert_eq!(texts(&state), ["welcome", "snapshot"]);
}

#[test]
fn each_event_reaches_every_attached_session_once() {
    let mut bench = Bench::new(1);
    let at = bench.shard(0);
    bench.joined(1, 7, 3);
    bench.joined(2, 7, 4);
    bench.join(3);
    assert_eq!(texts(&bench.from(&at, publish(7, 4))), ["event 7/4"]);
    assert_eq!(texts(&bench.from(&at, publish(7, 5))).len(), 2);
    assert_eq!(texts(&bench.from(&at, publish(7, 5))).len(), 0);
    assert_eq!(
        texts(&bench.from(&at, publish(6, 9))).len(),
        0,
        "of an earlier owner"
    );
}

#[test]
fn a_handoff_resumes_sessions_at_the_new_owner_and_resends_unanswered_commands() {
    let mut bench = Bench::new(2);
    let (old, new) = (bench.shard(0), bench.shard(1));
    bench.joined(1, 7, 3);
    bench.command(1, "a");
    bench.command(1, "b");
    bench.from(&old, ack(1, "a"));
    let opened = bench.from(&old, moved(Some(&new)));
    let seen = Resume { epoch: 7, seq: 3 };
    assert_eq!(opens(&opened), [(new.clone(), 1, Some(seen))]);
    assert_eq!(commands(&bench.command(1, "c")), Vec::<String>::new());
    assert_eq!(
        texts(&bench.from(&old, ack(1, "b"))).len(),
        0,
        "frames of the old owner are dropped"
    );
    let state = bench.attach(1, 8, 3);
    assert_eq!(texts(&state), ["snapshot"], "no second welcome");
    assert_eq!(commands(&state), [command("b"), command("c")]);
}

#[test]
fn a_failover_after_a_second_disconnects_no_session() {
    let mut bench = Bench::new(2);
    let (dead, next) = (bench.shard(0), bench.shard(1));
    bench.joined(1, 7, 3);
    bench.command(1, "a");
    let actions = bench.fail(&dead);
    assert_eq!(opens(&actions).len(), 1);
    assert_eq!(bench.at(), next);
    assert!(!is_closing(&actions));
    assert_eq!(commands(&bench.attach(1, 8, 0)), [command("a")]);
}

#[test]
fn two_half_broken_links_do_not_move_a_team_back_and_forth() {
    let mut bench = Bench::new(2);
    let (first, second) = (bench.shard(0), bench.shard(1));
    bench.joined(1, 7, 3);
    bench.fail(&first);
    bench.attach(1, 8, 0);
    bench.links.insert(first.clone(), LinkState::Up);
    bench.links.insert(second.clone(), LinkState::Down);
    bench.apply(|team, input, out| team.link_down(&second, input, out));
    assert_eq!(bench.at(), second, "held down");
    bench.now_ms += FAILOVER_HOLD_DOWN_MS;
    bench.settle();
    assert_eq!(bench.at(), first);
}

#[test]
fn sessions_without_a_shard_are_notified_once_and_again_when_it_is_back() {
    let mut bench = Bench::new(1);
    let only = bench.shard(0);
    bench.joined(1, 7, 3);
    bench.links.insert(only.clone(), LinkState::Trying);
    bench.apply(|team, input, out| team.link_down(&only, input, out));
    let due = bench
        .apply(|team, input, _| assert_eq!(team.next_deadline_ms(input), Some(NO_SHARD_NOTICE_AFTER_MS)));
    assert!(due.is_empty());
    bench.now_ms = NO_SHARD_NOTICE_AFTER_MS;
    assert!(texts(&bench.settle())[0].contains("store_unavailable"));
    assert!(bench.settle().is_empty());
    bench.links.insert(only.clone(), LinkState::Up);
    assert_eq!(opens(&bench.settle()).len(), 1);
    let state = texts(&bench.attach(1, 7, 3));
    assert!(state[1].contains("store_available"), "{state:?}");
}

#[test]
fn a_temporary_refusal_is_retried_and_a_permanent_one_closes() {
    let mut bench = Bench::new(1);
    let at = bench.shard(0);
    let refused = |retry_after_ms| ToGateway::OpenRefused {
        session: 1,
        code: ErrorCode::TeamNotFound,
        message: "no such team".into(),
        retry_after_ms,
    };
    bench.join(1);
    assert!(bench.from(&at, refused(Some(100))).is_empty());
    bench.apply(|team, input, _| assert_eq!(team.next_deadline_ms(input), Some(100)));
    assert!(opens(&bench.settle()).is_empty());
    bench.now_ms = 100;
    assert_eq!(opens(&bench.settle()).len(), 1);
    let end = bench.from(&at, refused(None));
    assert!(texts(&end)[0].contains("team_not_found"));
    assert!(matches!(&end[1], Action::Close { code: 4001, .. }));
    bench.now_ms = 10_000;
    assert!(bench.settle().is_empty(), "it is not opened again");
}

#[test]
fn a_refused_hello_is_answered_before_the_socket_closes() {
    let mut bench = Bench::new(1);
    let at = bench.shard(0);
    bench.join(1);
    let error = ToGateway::Private {
        session: 1,
        text: "error".into(),
    };
    assert_eq!(texts(&bench.from(&at, error)), ["error"]);
    let kick = ToGateway::Kick {
        session: 1,
        code: 4000,
        reason: "bad_hello".into(),
    };
    assert!(is_closing(&bench.from(&at, kick)));
}

#[test]
fn an_overflowed_session_restarts_from_a_snapshot_without_another_hello() {
    let mut bench = Bench::new(1);
    let at = bench.shard(0);
    bench.joined(1, 7, 3);
    let opened = bench.apply(|team, input, out| team.overflowed(1, input, out));
    let resume = opens(&opened)[0].2.unwrap();
    assert_ne!(resume.epoch, 7);
    assert!(texts(&bench.from(&at, publish(7, 4))).is_empty());
    bench.attach(1, 7, 4);
    assert_eq!(texts(&bench.from(&at, publish(7, 5))), ["event 7/5"]);
}

#[test]
fn the_events_that_a_client_missed_are_its_first_state() {
    let mut bench = Bench::new(1);
    bench.join(1);
    let missed = ["event", "your_vote"].map(str::to_owned);
    let resumed = |session| ToGateway::Attached {
        session,
        team: "team".into(),
        epoch: 7,
        seq: 4,
        welcome: "welcome".into(),
        catch_up: CatchUp::Events(missed.to_vec()),
    };
    let at = bench.at();
    let state = bench.from(&at, resumed(1));
    assert!(matches!(&state[..], [Action::DeliverState { .. }]));
    assert_eq!(texts(&state), ["welcome", "event", "your_vote"]);
    bench.apply(|team, input, out| team.link_down(&at, input, out));
    let again = bench.from(&at, resumed(1));
    assert_eq!(
        texts(&again),
        missed,
        "later catch-ups count towards the send queue"
    );
    assert!(
        again
            .iter()
            .all(|action| matches!(action, Action::Deliver { .. }))
    );
}

#[test]
fn a_command_repeated_before_its_answer_reaches_the_shard_once() {
    let mut bench = Bench::new(1);
    bench.joined(1, 7, 3);
    assert_eq!(commands(&bench.command(1, "a")).len(), 1);
    assert!(bench.command(1, "a").is_empty());
    let at = bench.at();
    bench.from(&at, ack(1, "a"));
    assert_eq!(
        commands(&bench.command(1, "a")).len(),
        1,
        "its answer may have been lost"
    );
}

#[test]
fn unanswered_commands_are_bounded() {
    let mut bench = Bench::new(1);
    bench.joined(1, 7, 3);
    for n in 0..UNACKED_COMMANDS_MAX {
        assert_eq!(commands(&bench.command(1, &n.to_string())).len(), 1);
    }
    let refused = bench.command(1, "one more");
    assert!(commands(&refused).is_empty());
    assert!(texts(&refused)[0].contains(r#""id":"one more""#));
}

#[test]
fn a_session_that_leaves_is_closed_at_the_shard() {
    let mut bench = Bench::new(1);
    bench.joined(1, 7, 3);
    let left = bench.apply(|team, _, out| team.leave(1, out));
    let close = ToShard::Close { session: 1 };
    assert!(matches!(&left[..], [Action::Send { frame, .. }] if *frame == close));
}

use super::*;

const OLD: &str = "aaaaaaaa";
const NEW: &str = "bbbbbbbb";

fn seen(desired: i32, ready: i32) -> Seen {
    Seen {
        desired,
        ready,
        pods: desired,
        ever_ready: ready > 0,
    }
}

fn handover<'a>(serving: Option<&'a str>, deployments: &[(&str, Seen)]) -> GatewayRollout<'a> {
    GatewayRollout {
        serving,
        revision: NEW,
        deployments: deployments.iter().map(|(r, s)| ((*r).to_owned(), *s)).collect(),
        held: BTreeMap::new(),
        draining: BTreeMap::new(),
        deadline: SignedDuration::from_secs(600),
        now: Timestamp::from_second(1_000).unwrap(),
    }
}

#[test]
fn new_gateways_get_the_sockets_when_they_are_ready() {
    let table = [
        (None, vec![], NEW),
        (Some(OLD), vec![(OLD, seen(2, 2))], OLD),
        (Some(OLD), vec![(OLD, seen(2, 2)), (NEW, seen(2, 0))], OLD),
        (Some(OLD), vec![(OLD, seen(2, 2)), (NEW, seen(2, 1))], OLD),
        (Some(OLD), vec![(OLD, seen(2, 2)), (NEW, seen(2, 2))], NEW),
        (Some(OLD), vec![(OLD, seen(2, 0)), (NEW, seen(2, 1))], NEW),
        (Some(OLD), vec![(OLD, seen(2, 0)), (NEW, seen(2, 0))], OLD),
        (Some(OLD), vec![(NEW, seen(2, 0))], NEW),
        (Some(NEW), vec![(OLD, seen(2, 2)), (NEW, seen(2, 0))], NEW),
    ];
    for (serving, deployments, expected) in table {
        assert_eq!(
            next(&handover(serving, &deployments)).serving,
            expected,
            "{serving:?} {deployments:?}"
        );
    }
}

#[test]
fn old_gateways_stay_until_their_last_socket_or_the_deadline() {
    let both = [(OLD, seen(2, 2)), (NEW, seen(2, 2))];
    // (seconds since the handover, sockets held, deleted)
    let table = [
        (0, Some(0), false),
        (9, Some(0), false),
        (10, Some(0), true),
        (10, Some(1), false),
        (10, None, false),
        (599, Some(1), false),
        (600, Some(1), true),
        (600, None, true),
    ];
    for (age, held, deleted) in table {
        let mut handover = handover(Some(NEW), &both);
        handover
            .draining
            .insert(OLD.to_owned(), Timestamp::from_second(1_000 - age).unwrap());
        handover.held.extend(held.map(|held| (OLD.to_owned(), held)));
        let next = next(&handover);
        assert_eq!(next.deleted.contains(OLD), deleted, "{age} s, {held:?}");
        assert_eq!(next.kept.contains(OLD), !deleted);
    }
}

#[test]
fn the_drain_begins_when_the_service_turns() {
    let both = [(OLD, seen(2, 2)), (NEW, seen(2, 2))];
    let turning = next(&handover(Some(OLD), &both));
    assert_eq!(
        turning.draining.get(OLD),
        Some(&Timestamp::from_second(1_000).unwrap())
    );
    assert!(turning.deleted.is_empty());
}

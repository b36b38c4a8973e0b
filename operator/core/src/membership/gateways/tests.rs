use super::*;

const OLD: &str = "aaaaaaaa";
const NEW: &str = "bbbbbbbb";

fn deployment(desired: i32, ready: i32) -> GatewayDeployment {
    GatewayDeployment {
        desired,
        ready,
        pods: desired,
        ever_ready: ready > 0,
    }
}

fn rollout<'a>(serving: Option<&'a str>, deployments: &[(&str, GatewayDeployment)]) -> GatewayRollout<'a> {
    GatewayRollout {
        serving,
        is_restorable: false,
        revision: NEW,
        deployments: deployments.iter().map(|(r, s)| ((*r).to_owned(), *s)).collect(),
        sockets: BTreeMap::new(),
        draining: BTreeMap::new(),
        deadline: SignedDuration::from_secs(600),
        now: Timestamp::from_second(1_000).unwrap(),
    }
}

#[test]
fn new_gateways_receive_sockets_once_they_are_ready() {
    let table = [
        (None, vec![], NEW),
        (None, vec![(OLD, deployment(2, 2)), (NEW, deployment(2, 0))], OLD),
        (None, vec![(OLD, deployment(2, 2)), (NEW, deployment(2, 1))], NEW),
        (None, vec![(OLD, deployment(2, 0)), (NEW, deployment(2, 0))], NEW),
        (Some(OLD), vec![(OLD, deployment(2, 2))], OLD),
        (
            Some(OLD),
            vec![(OLD, deployment(2, 2)), (NEW, deployment(2, 0))],
            OLD,
        ),
        (
            Some(OLD),
            vec![(OLD, deployment(2, 2)), (NEW, deployment(2, 1))],
            OLD,
        ),
        (
            Some(OLD),
            vec![(OLD, deployment(2, 2)), (NEW, deployment(2, 2))],
            NEW,
        ),
        (
            Some(OLD),
            vec![(OLD, deployment(2, 0)), (NEW, deployment(2, 1))],
            NEW,
        ),
        (
            Some(OLD),
            vec![(OLD, deployment(2, 0)), (NEW, deployment(2, 0))],
            OLD,
        ),
        (Some(OLD), vec![(NEW, deployment(2, 0))], NEW),
        (
            Some(NEW),
            vec![(OLD, deployment(2, 2)), (NEW, deployment(2, 0))],
            NEW,
        ),
    ];
    for (serving, deployments, expected) in table {
        assert_eq!(
            next(&rollout(serving, &deployments)).serving,
            expected,
            "{serving:?} {deployments:?}"
        );
    }
}

#[test]
fn old_gateways_stay_until_their_last_socket_closes_or_the_deadline() {
    let both = [(OLD, deployment(2, 2)), (NEW, deployment(2, 2))];
    // (seconds since the Service changed, open sockets, deleted)
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
    for (age, sockets, deleted) in table {
        let mut rollout = rollout(Some(NEW), &both);
        rollout
            .draining
            .insert(OLD.to_owned(), Timestamp::from_second(1_000 - age).unwrap());
        rollout
            .sockets
            .extend(sockets.map(|sockets| (OLD.to_owned(), sockets)));
        assert_eq!(
            next(&rollout).kept.contains(OLD),
            !deleted,
            "{age} s, {sockets:?}"
        );
    }
}

#[test]
fn draining_starts_when_the_service_changes() {
    let both = [(OLD, deployment(2, 2)), (NEW, deployment(2, 2))];
    let changing = next(&rollout(Some(OLD), &both));
    assert_eq!(
        changing.draining.get(OLD),
        Some(&Timestamp::from_second(1_000).unwrap())
    );
    assert!(changing.kept.contains(OLD));
}

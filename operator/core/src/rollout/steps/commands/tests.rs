use super::super::cluster::{Cluster, at, at_three_quarters, canary};
use super::*;

/// A phase, and the result of each command in it.
type Row<'a> = (&'a Cluster, [(Verb, Option<Refusal>); 7]);

/// Every command in every phase.
#[test]
fn commands_are_rejected_where_they_are_not_possible() {
    use Refusal::{Aborted, Aborting, NoGate, NotAborted, NotInProgress, Paused, Promoting, UnknownRevision};
    let stable = Cluster::on(canary());
    let mut progressing = Cluster::wants(canary(), "r2");
    progressing.turn();
    let paused = at_three_quarters();
    let mut promoting = at_three_quarters();
    promoting.ask(Verb::PromoteFull).unwrap();
    let mut aborting = at_three_quarters();
    aborting.ask(Verb::Abort).unwrap();
    let mut aborted = at_three_quarters();
    aborted.ask(Verb::Abort).unwrap();
    aborted.until(Phase::Aborted);
    let undo = Verb::Undo { to: None };
    let table: [Row; 6] = [
        (
            &stable,
            [
                (Verb::Promote, Some(NotInProgress)),
                (Verb::PromoteFull, Some(NotInProgress)),
                (Verb::Abort, Some(NotInProgress)),
                (Verb::Retry, Some(NotAborted)),
                (undo.clone(), Some(UnknownRevision)),
                (Verb::Pause, Some(NotInProgress)),
                (Verb::Skip, Some(NotInProgress)),
            ],
        ),
        (
            &progressing,
            [
                (Verb::Promote, Some(NoGate)),
                (Verb::PromoteFull, None),
                (Verb::Abort, None),
                (Verb::Retry, Some(NotAborted)),
                (undo.clone(), None),
                (Verb::Pause, None),
                (Verb::Skip, None),
            ],
        ),
        (
            &paused,
            [
                (Verb::Promote, None),
                (Verb::PromoteFull, None),
                (Verb::Abort, None),
                (Verb::Retry, Some(NotAborted)),
                (undo.clone(), None),
                (Verb::Pause, Some(Paused)),
                (Verb::Skip, None),
            ],
        ),
        (
            &promoting,
            [
                (Verb::Promote, Some(Promoting)),
                (Verb::PromoteFull, Some(Promoting)),
                (Verb::Abort, None),
                (Verb::Retry, Some(NotAborted)),
                (undo.clone(), None),
                (Verb::Pause, Some(Promoting)),
                (Verb::Skip, Some(Promoting)),
            ],
        ),
        (
            &aborting,
            [
                (Verb::Promote, Some(Aborting)),
                (Verb::PromoteFull, None),
                (Verb::Abort, Some(Aborting)),
                (Verb::Retry, Some(Aborting)),
                (undo.clone(), None),
                (Verb::Pause, Some(Aborting)),
                (Verb::Skip, Some(Aborting)),
            ],
        ),
        (
            &aborted,
            [
                (Verb::Promote, Some(Aborted)),
                (Verb::PromoteFull, None),
                (Verb::Abort, Some(Aborted)),
                (Verb::Retry, None),
                (undo, None),
                (Verb::Pause, Some(Aborted)),
                (Verb::Skip, Some(Aborted)),
            ],
        ),
    ];
    for (cluster, verbs) in table {
        for (verb, refusal) in verbs {
            let result = command(&cluster.plan, &cluster.rollout, &verb, at(cluster.second));
            assert_eq!(result.err(), refusal, "{verb:?} in {:?}", cluster.rollout.phase);
        }
    }
}

use super::super::cluster::{Cluster, at, at_three_quarters, canary};
use super::*;

/// Where a rollout stands, and what each verb leads to there.
type Row<'a> = (&'a Cluster, [(Verb, Option<Refusal>); 7]);

/// Every verb in every phase.
#[test]
fn verbs_that_make_no_sense_are_refused() {
    use Refusal::{
        Aborted, Aborting, NoGate, NotAborted, NothingUnderWay, Paused, Promoting, UnknownRevision,
    };
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
                (Verb::Promote, Some(NothingUnderWay)),
                (Verb::PromoteFull, Some(NothingUnderWay)),
                (Verb::Abort, Some(NothingUnderWay)),
                (Verb::Retry, Some(NotAborted)),
                (undo.clone(), Some(UnknownRevision)),
                (Verb::Pause, Some(NothingUnderWay)),
                (Verb::Skip, Some(NothingUnderWay)),
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

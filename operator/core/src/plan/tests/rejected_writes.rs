//! A rejected write costs only its own object.

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::*;
use crate::for_each_kind;

fn kinds() -> Vec<&'static str> {
    macro_rules! names {
        ($($kind:ident: $type:ident,)*) => { vec![$(stringify!($type)),*] };
    }
    for_each_kind!(names)
}

/// The kinds that depend on each other: no shard joins without the routing table, old gateways stay until the Service
/// selects the new ones, and each revision that runs has its PodDisruptionBudgets.
const DEPENDENT: [&str; 4] = ["ConfigMap", "Deployment", "PodDisruptionBudget", "Service"];

/// All objects as kind and name, without the history of revisions.
fn objects(cluster: &TestCluster) -> BTreeSet<(&'static str, String)> {
    let mut objects = BTreeSet::new();
    macro_rules! collect {
        ($($kind:ident: $type:ident,)*) => {
            $(objects.extend(cluster.observed.live.$kind.iter().map(|o| (stringify!($type), o.name_any())));)*
        };
    }
    for_each_kind!(collect);
    objects.retain(|(kind, _)| *kind != "ControllerRevision");
    objects
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A rejected write costs only its own object.
    #[test]
    fn any_set_of_rejected_kinds_leaves_the_other_kinds_as_without_rejections(
        rejected in subsequence(kinds(), 0..kinds().len()),
        is_new in any::<bool>(),
        shards in 1..5_i32,
    ) {
        let change = |cluster: &mut TestCluster| {
            cluster.observed.cluster.spec.version = "2.0.0".to_owned();
            cluster.observed.cluster.spec.shards.replicas = shards;
            cluster.observed.cluster.spec.database = serde_saphyr::from_str("{none: {}}").unwrap();
        };
        let mut expected = TestCluster::new(observed("demo", MINIMAL));
        let mut cluster = TestCluster::new(observed("demo", MINIMAL));
        expected.settle();
        if !is_new {
            cluster.settle();
        }
        cluster.rejected_kinds = rejected.iter().copied().collect();
        for cluster in [&mut expected, &mut cluster] {
            change(cluster);
            cluster.settle();
        }
        let expected = objects(&expected);
        let depends = |kind: &str| {
            DEPENDENT.contains(&kind) && DEPENDENT.iter().any(|kind| rejected.contains(kind))
        };
        let is_decided = |kind: &str| !rejected.contains(&kind) && !depends(kind);
        let decided = |objects: &BTreeSet<(&'static str, String)>| -> BTreeSet<(&'static str, String)> {
            objects.iter().filter(|(kind, _)| is_decided(kind)).cloned().collect()
        };
        prop_assert_eq!(decided(&objects(&cluster)), decided(&expected));
        cluster.rejected_kinds.clear();
        cluster.settle();
        prop_assert_eq!(objects(&cluster), expected, "once the writes are allowed");
    }
}

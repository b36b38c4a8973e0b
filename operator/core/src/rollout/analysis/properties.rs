//! Properties of any sequence of looks.

use proptest::prelude::*;
use proptest::{collection, option, prop_assert, prop_assert_eq};

use super::*;

fn arms() -> impl Strategy<Value = Arm> {
    (0.0..100.0_f64, 0..6_u64).prop_map(|(exposure, bad)| Arm { exposure, bad })
}

fn looks() -> impl Strategy<Value = Vec<Look>> {
    let increment = (arms(), arms()).prop_map(|(canary, stable)| Increment { canary, stable });
    let sample = option::weighted(0.9, increment);
    let samples = collection::btree_map("[a-c]", sample, 0..=3);
    collection::vec(
        samples.prop_map(|samples| Look {
            samples,
            guards: Guards::default(),
        }),
        1..60,
    )
}

fn judge() -> Judge {
    Judge::new(Policy::new(["a", "b", "c"].map(String::from))).unwrap()
}

fn at(n: usize) -> Timestamp {
    Timestamp::from_second(15 * n as i64).unwrap()
}

fn states(looks: &[Look]) -> Vec<Analysis> {
    let judge = judge();
    let mut states = vec![Analysis::begin(at(0))];
    for (n, look) in looks.iter().enumerate() {
        let next = judge.look(&states[n], at(n + 1), look);
        states.push(next);
    }
    states
}

proptest! {
    #[test]
    fn a_restart_changes_nothing(looks in looks(), cut in 0..60_usize) {
        let states = states(&looks);
        let cut = cut.min(looks.len());
        let stored = serde_json::to_string(&states[cut]).unwrap();
        let mut analysis: Analysis = serde_json::from_str(&stored).unwrap();
        prop_assert_eq!(&analysis, &states[cut]);
        for (n, look) in looks.iter().enumerate().skip(cut.saturating_sub(1)) {
            // Repeats the last look before the restart: the write succeeded and its response was lost.
            analysis = judge().look(&analysis, at(n + 1), look);
        }
        prop_assert_eq!(Some(&analysis), states.last());
        let e = |a: &Analysis| judge().combined(a).to_bits();
        prop_assert_eq!(e(&analysis), e(&states[looks.len()]));
    }

    #[test]
    fn verdicts_change_only_in_the_allowed_ways(looks in looks()) {
        for pair in states(&looks).windows(2) {
            let (from, to) = (pair[0].verdict, pair[1].verdict);
            match from {
                Verdict::Rollback => prop_assert_eq!(to, Verdict::Rollback),
                Verdict::Promote | Verdict::Inconclusive => {
                    prop_assert!(to == from || to == Verdict::Rollback);
                }
                Verdict::Continue | Verdict::Hold => {}
            }
            prop_assert_eq!(from == to, pair[0].since == pair[1].since);
        }
    }

    #[test]
    fn missing_data_never_decides(looks in looks()) {
        for (n, pair) in states(&looks).windows(2).enumerate() {
            let is_blind = looks[n].samples.values().all(Option::is_none);
            if is_blind && pair[0].verdict != pair[1].verdict {
                prop_assert!(matches!(pair[1].verdict, Verdict::Hold | Verdict::Inconclusive | Verdict::Continue));
            }
        }
    }

    #[test]
    fn an_incident_of_the_canary_is_never_evidence_for_it(looks in looks(), extra in 1..5_u64) {
        for look in looks {
            let increment = look.samples.values().flatten().find(|i| i.is_usable());
            let Some(increment) = increment.filter(|i| i.canary.exposure > 0.0) else { continue };
            let mut worse = *increment;
            worse.canary.bad += extra;
            let of = |i: &Increment| {
                let mut evidence = Evidence::default();
                Tests::new(1.0).add(&mut evidence, i);
                evidence
            };
            // If the canary has all the exposure, an incident is no evidence.
            prop_assert!(of(&worse).against() >= of(increment).against() - 1e-9);
            prop_assert!(of(&worse).clearing() <= of(increment).clearing() + 1e-9);
        }
    }

    /// Bonferroni's correction never rejects before the mean does.
    #[test]
    fn the_mean_rejects_whenever_bonferroni_does(looks in looks()) {
        for analysis in states(&looks) {
            let bonferroni = analysis.metrics.values().any(|m| m.evidence.against() >= 3.0 * judge().threshold());
            prop_assert!(!bonferroni || judge().combined(&analysis) >= judge().threshold());
        }
    }

    /// Under the null, the expected likelihood ratio of one incident is 1; for lower rates it is at most 1.
    #[test]
    fn e_values_are_fair_under_the_null(share in 0.001..0.999_f64, r in 0.1..=1.0_f64) {
        let of = |canary: u64| {
            let mut evidence = Evidence::default();
            let arm = |exposure, bad| Arm { exposure, bad };
            let increment = Increment { canary: arm(share, canary), stable: arm(1.0 - share, 1 - canary) };
            Tests::new(1.0).add(&mut evidence, &increment);
            evidence.against()
        };
        let q = r * share / (r * share + 1.0 - share);
        let mean = q * of(1) + (1.0 - q) * of(0);
        prop_assert!(mean <= 1.0 + 1e-7, "{}", mean);
        if r == 1.0 {
            prop_assert!((mean - 1.0).abs() < 1e-7, "{}", mean);
        }
    }
}

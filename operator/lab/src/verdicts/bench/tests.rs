use super::random::Random;
use super::*;

fn scenario(name: &str) -> Scenario {
    scenarios().into_iter().find(|s| s.name() == name).unwrap()
}

fn rows(name: &str, runs: u64) -> Vec<RuleScore> {
    let scenario = scenario(name);
    let all = |s: &Scenario| (0..runs).map(|n| simulate(s, 3, n).unwrap()).collect::<Vec<_>>();
    score(&scenario, &all(&scenario), &all(&scenario.identical()))
}

#[test]
fn names_are_unique_and_every_worse_version_has_an_identical_twin() {
    let names: Vec<String> = scenarios().iter().map(Scenario::name).collect();
    let unique: std::collections::BTreeSet<&String> = names.iter().collect();
    assert_eq!(unique.len(), names.len());
    assert!(scenarios().iter().all(|s| s.identical().is_identical()));
}

#[test]
fn random_numbers_have_their_means() {
    let mut random = Random::new(1, "means", 0);
    for mean in [0.0, 0.3, 4.0, 60.0, 400.0] {
        let sum: u64 = (0..20_000).map(|_| random.poisson(mean)).sum();
        let found = sum as f64 / 20_000.0;
        assert!(
            (found - mean).abs() <= 4.0 * (mean / 20_000.0).sqrt(),
            "Poisson {mean}: {found}"
        );
    }
    for mean in [1.0, 20.0] {
        let sum: u64 = (0..20_000).map(|_| random.geometric(mean)).sum();
        let found = sum as f64 / 20_000.0;
        assert!(
            (found - mean).abs() <= 4.0 * mean / 20_000.0_f64.sqrt(),
            "geometric {mean}: {found}"
        );
    }
    let mut counts = [0; 7];
    (0..70_000).for_each(|_| counts[random.below(7)] += 1);
    assert!(counts.iter().all(|n| (9_600..10_400).contains(n)), "{counts:?}");
}

#[test]
fn a_run_is_a_function_of_its_number() {
    let scenario = scenario("A/B 10x at 5 %, 200 req/s");
    let runs: Vec<Run> = (0..20).map(|n| simulate(&scenario, 1, n).unwrap()).collect();
    let again: Vec<Run> = (0..20).map(|n| simulate(&scenario, 1, n).unwrap()).collect();
    assert_eq!(runs, again);
    let other: Vec<Run> = (0..20).map(|n| simulate(&scenario, 2, n).unwrap()).collect();
    assert_ne!(runs, other);
}

/// The claims of the tables with few runs; the bounds are far beyond chance.
#[test]
fn our_judge_rolls_back_worse_versions_and_no_others() {
    let worse = &rows("A/B 50x at 5 %, 200 req/s", 60)[0];
    assert_eq!(worse.detected, 1.0);
    assert!(
        worse.median_seconds.unwrap() <= 30.0 && worse.false_rollback <= 0.05,
        "{worse:?}"
    );
    let bursts = rows("A/A at 10 %, 200 req/s, bursts", 60);
    assert!(bursts[0].false_rollback <= 0.05, "{bursts:?}");
    assert!(
        bursts[1].false_rollback >= 0.2,
        "the requests of a team are not independent"
    );
    let cold = rows("A/A at 10 %, 200 req/s, cold start", 60);
    assert!(
        cold[0].false_rollback <= 0.05 && cold[1].false_rollback >= 0.5,
        "{cold:?}"
    );
}

#[test]
fn the_baselines_have_their_known_weaknesses() {
    let of = |name: &str, rule: usize| rows(name, 60)[rule].false_rollback;
    assert!(
        of("A/A at 10 %, 10 req/s", 2) > 0.5,
        "one error a minute is more than 1 %"
    );
    assert_eq!(of("A/A at 10 %, 200 req/s, outage", 2), 1.0);
    assert!(of("A/A at 10 %, 200 req/s", 3) > 0.5);
    assert!(of("A/A at 10 %, 200 req/s", 5) > 0.2, "peeking");
}

#[test]
fn the_median_counts_missed_versions() {
    let run = |second: Option<i64>| Run {
        results: [RuleResult {
            second,
            canary_errors: 3,
        }; RULES.len()],
        promoted: None,
    };
    let worse = scenario("A/B 10x at 5 %, 200 req/s");
    let runs = [run(Some(15)), run(Some(30)), run(None)];
    let row = &score(&worse, &runs, &runs[1..])[0];
    assert_eq!((row.median_seconds, row.false_rollback), (Some(30.0), 0.5));
    let row = &score(&worse, &[run(Some(15)), run(None), run(None)], &runs)[0];
    assert_eq!((row.median_seconds, row.median_canary_errors), (None, Some(3.0)));
    let identical = &score(&worse.identical(), &runs, &runs)[0];
    assert_eq!((identical.detected, identical.median_seconds), (0.0, None));
}

#[test]
fn mann_whitney_needs_a_clear_shift() {
    let y: Vec<f64> = (1..=12).map(f64::from).collect();
    let shifted = |by: f64| y.iter().map(|v| v + by).collect::<Vec<f64>>();
    assert!(mann_whitney::is_high(&shifted(10.0), &y));
    assert!(!mann_whitney::is_high(&shifted(1.0), &y));
    assert!(!mann_whitney::is_high(&y, &shifted(10.0)));
    assert!(!mann_whitney::is_high(&[0.0; 12], &[0.0; 12]));
}

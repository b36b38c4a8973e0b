use super::*;

const ERRORS: &str = "errors";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn increment(canary: (f64, u64), stable: (f64, u64)) -> Increment {
    let arm = |(exposure, bad)| Arm { exposure, bad };
    Increment {
        canary: arm(canary),
        stable: arm(stable),
    }
}

/// Counts with 10 % of the teams on the canary.
fn counts(canary: u64, stable: u64) -> Option<Increment> {
    Some(increment((10.0, canary), (90.0, stable)))
}

fn look<const N: usize>(samples: [(&str, Option<Increment>); N]) -> Look {
    Look {
        samples: samples
            .into_iter()
            .map(|(name, s)| (name.to_owned(), s))
            .collect(),
        guards: Guards::default(),
    }
}

fn judge<const N: usize>(metrics: [&str; N]) -> Judge {
    Judge::new(Policy::new(metrics.map(String::from))).unwrap()
}

/// Looks every 15 s at one metric.
fn run(samples: impl IntoIterator<Item = Option<Increment>>) -> Analysis {
    let judge = judge([ERRORS]);
    let mut analysis = Analysis::begin(at(0));
    for (n, sample) in samples.into_iter().enumerate() {
        analysis = judge.look(&analysis, at(15 * (n as i64 + 1)), &look([(ERRORS, sample)]));
    }
    analysis
}

/// The formula, without precautions against overflow.
fn naive(increments: &[Increment], null: f64, ratios: &[f64]) -> f64 {
    let mut sums = vec![0.0; ratios.len()];
    for i in increments {
        let q = |r: f64| r * i.canary.exposure / (r * i.canary.exposure + i.stable.exposure);
        for (sum, r) in sums.iter_mut().zip(ratios) {
            *sum += i.canary.bad as f64 * (q(*r) / q(null)).ln()
                + i.stable.bad as f64 * ((1.0 - q(*r)) / (1.0 - q(null))).ln();
        }
    }
    sums.iter().map(|s: &f64| s.exp()).sum::<f64>() / ratios.len() as f64
}

#[test]
fn e_values_match_the_formula() {
    let increments = [
        increment((10.0, 1), (90.0, 2)),
        increment((50.0, 3), (50.0, 0)),
        increment((0.25, 0), (99.75, 5)),
    ];
    for r0 in [1.0, 1.25] {
        let tests = Tests::new(r0);
        let mut evidence = Evidence::default();
        for i in &increments {
            tests.add(&mut evidence, i);
        }
        let harm: Vec<f64> = (0..16)
            .map(|k| r0 * 1.3 * (100.0_f64 / 1.3).powf(f64::from(k) / 15.0))
            .collect();
        let expected = naive(&increments, r0, &harm);
        assert!((evidence.against() / expected - 1.0).abs() < 1e-7, "{expected}");
        let expected = naive(&increments, 2.0, &[0.25, 0.5, 0.7, 0.8, 0.9, 1.0]);
        assert!((evidence.clearing() / expected - 1.0).abs() < 1e-7, "{expected}");
    }
}

#[test]
fn no_incidents_are_no_evidence() {
    let cases = [
        increment((10.0, 0), (90.0, 0)),
        increment((0.0, 0), (90.0, 7)),
        increment((10.0, 7), (0.0, 0)),
        increment((0.0, 0), (0.0, 0)),
    ];
    for case in cases {
        let mut evidence = Evidence::default();
        Tests::new(1.0).add(&mut evidence, &case);
        assert_eq!((evidence.against(), evidence.clearing()), (1.0, 1.0), "{case:?}");
    }
}

#[test]
fn huge_counts_stay_finite() {
    let mut analysis = run([counts(u64::MAX, 0)]);
    assert_eq!(analysis.verdict, Verdict::Rollback);
    assert_eq!(analysis.metrics[ERRORS].evidence.against(), f64::MAX);
    analysis = run(vec![counts(0, u64::MAX); 3]);
    assert_eq!(analysis.metrics[ERRORS].evidence.against(), 0.0);
    let tiny = increment((f64::MIN_POSITIVE, 1), (f64::MAX, 1));
    assert!(run([Some(tiny)]).metrics[ERRORS].evidence.against().is_finite());
}

#[test]
fn each_verdict_has_its_cause() {
    let long = 1800 / 15;
    let cases: [(&str, Vec<Option<Increment>>, Verdict, i64); 7] = [
        ("worse", vec![counts(2, 0); 9], Verdict::Rollback, 30),
        ("equally good", vec![counts(1, 9); long], Verdict::Promote, 210),
        ("nothing known", vec![counts(0, 0); 5], Verdict::Continue, 0),
        (
            "nothing known for long",
            vec![counts(0, 0); long],
            Verdict::Inconclusive,
            1800,
        ),
        ("no data", vec![None; 5], Verdict::Hold, 15),
        ("no data for long", vec![None; 240], Verdict::Inconclusive, 3600),
        (
            "an impossible number of incidents",
            vec![Some(increment((0.0, 9), (90.0, 0))); 9],
            Verdict::Hold,
            15,
        ),
    ];
    for (name, samples, verdict, since) in cases {
        let analysis = run(samples);
        assert_eq!((analysis.verdict, analysis.since), (verdict, at(since)), "{name}");
    }
}

#[test]
fn an_outage_of_the_metrics_only_delays_the_verdict() {
    let no_data = vec![None; 120];
    let good = vec![counts(1, 9); 4];
    let analysis = run(good.iter().chain(&no_data).copied());
    assert_eq!(analysis.verdict, Verdict::Hold);
    assert_eq!(analysis.measured, SignedDuration::from_secs(60));
    let seen = run(vec![counts(1, 9); 20]);
    let resumed = run([good, no_data, vec![counts(1, 9); 16]].concat());
    assert_eq!(resumed.verdict, Verdict::Promote);
    assert_eq!(resumed.metrics[ERRORS].evidence, seen.metrics[ERRORS].evidence);
}

#[test]
fn rollback_is_final_and_overrides_all() {
    let (good, bad) = (vec![counts(1, 9); 120], vec![counts(9, 1); 20]);
    let after_promotion = run([good.clone(), bad.clone()].concat());
    assert_eq!(after_promotion.verdict, Verdict::Rollback);
    let inconclusive = run([vec![counts(0, 0); 120], bad.clone()].concat());
    assert_eq!(inconclusive.verdict, Verdict::Rollback);
    let rolled_back = run([bad, vec![None; 3], good].concat());
    assert_eq!(
        (rolled_back.verdict, rolled_back.since),
        (Verdict::Rollback, at(15))
    );
}

#[test]
fn promotion_waits_for_every_metric_and_for_data() {
    let judge = judge([ERRORS, "latency"]);
    let mut analysis = Analysis::begin(at(0));
    for n in 1..=20 {
        analysis = judge.look(
            &analysis,
            at(15 * n),
            &look([(ERRORS, counts(1, 9)), ("latency", counts(0, 0))]),
        );
    }
    assert_eq!(analysis.verdict, Verdict::Continue, "latency is not cleared");
    for n in 21..=60 {
        analysis = judge.look(
            &analysis,
            at(15 * n),
            &look([(ERRORS, None), ("latency", counts(1, 9))]),
        );
    }
    assert_eq!(
        analysis.verdict,
        Verdict::Hold,
        "both are cleared, errors are unknown"
    );
    analysis = judge.look(
        &analysis,
        at(915),
        &look([(ERRORS, counts(0, 0)), ("latency", counts(0, 0))]),
    );
    assert_eq!(analysis.verdict, Verdict::Promote);
}

#[test]
fn metrics_may_alternate_and_one_without_samples_is_missing() {
    let judge = judge([ERRORS, "latency"]);
    let mut analysis = judge.look(&Analysis::begin(at(0)), at(5), &look([(ERRORS, counts(0, 0))]));
    assert_eq!(analysis.verdict, Verdict::Hold);
    analysis = judge.look(&analysis, at(10), &look([("latency", counts(0, 0))]));
    assert_eq!(analysis.verdict, Verdict::Continue);
    analysis = judge.look(&analysis, at(60), &look([("latency", counts(0, 0))]));
    assert_eq!(analysis.verdict, Verdict::Continue);
    analysis = judge.look(&analysis, at(66), &look([("latency", counts(0, 0))]));
    assert_eq!(analysis.verdict, Verdict::Hold);
}

#[test]
fn the_error_probability_holds_over_all_metrics() {
    let bad = counts(4, 0);
    let quiet = counts(0, 0);
    let e = run([bad]).metrics[ERRORS].evidence.against();
    assert!(e > 200.0 && e < 16.0 * 200.0, "{e}");
    let names: Vec<String> = (0..16).map(|n| format!("m{n}")).collect();
    let one_of = |count: usize| {
        let judge = Judge::new(Policy::new(names[..count].to_vec())).unwrap();
        let samples = names[..count].iter().enumerate();
        let samples = samples.map(|(n, name)| (name.clone(), if n == 0 { bad } else { quiet }));
        let look = Look {
            samples: samples.collect(),
            guards: Guards::default(),
        };
        judge.look(&Analysis::begin(at(0)), at(15), &look).verdict
    };
    assert_eq!(one_of(1), Verdict::Rollback);
    assert_eq!(one_of(16), Verdict::Continue);
}

#[test]
fn guards_roll_back_at_once_even_without_data_or_time() {
    for (guards, guard) in each_tripped() {
        let look = Look {
            guards,
            ..Look::default()
        };
        for time in [0, 15] {
            let analysis = judge([ERRORS]).look(&Analysis::begin(at(0)), at(time), &look);
            assert_eq!(
                (analysis.verdict, analysis.guard),
                (Verdict::Rollback, Some(guard))
            );
        }
    }
}

#[test]
fn an_extended_analysis_keeps_its_data() {
    let inconclusive = run(vec![counts(0, 1); 1].into_iter().chain(vec![counts(0, 0); 119]));
    assert_eq!(inconclusive.verdict, Verdict::Inconclusive);
    let extended = inconclusive.extended(at(1900));
    assert_eq!(extended.verdict, Verdict::Continue);
    assert_eq!(extended.metrics, inconclusive.metrics);
    let bad = run([counts(9, 0)]);
    assert_eq!(bad.extended(at(1900)), bad);
}

#[test]
fn policies_out_of_range_are_rejected() {
    let with = |change: fn(&mut Policy)| {
        let mut policy = Policy::new([String::from(ERRORS)]);
        change(&mut policy);
        Judge::new(policy).is_err()
    };
    assert!(!with(|_| {}));
    assert!(with(|p| p.metrics.clear()));
    assert!(with(
        |p| p.metrics = (0..17).map(|n| (n.to_string(), 1.0)).collect()
    ));
    assert!(with(|p| p.metrics = [(String::from(ERRORS), 0.5)].into()));
    assert!(with(|p| p.metrics = [(String::from(ERRORS), f64::NAN)].into()));
    assert!(with(|p| p.false_rollback = 0.0));
    assert!(with(|p| p.longest_seconds = 0));
    assert!(with(|p| p.longest_hold_seconds = -1));
}

#[test]
fn an_outage_of_the_operator_does_not_count_as_missing_data() {
    let judge = judge([ERRORS]);
    let mut analysis = run([counts(0, 0), counts(0, 0)]);
    analysis = judge.look(&analysis, at(4_000), &look([(ERRORS, None)]));
    assert_eq!(analysis.verdict, Verdict::Hold);
}

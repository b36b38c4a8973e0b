use proptest::prelude::*;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const STATE_BYTES_MAX: usize = 64 * 1024;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Feeds one value a step and returns the state.
fn fed(step: i64, values: impl IntoIterator<Item = f64>) -> Forecaster {
    let mut forecaster = Forecaster::new(Duration::from_secs(step.unsigned_abs()));
    for (i, value) in values.into_iter().enumerate() {
        forecaster.observe(at(1_700_000_000 + step * i as i64), value);
    }
    forecaster
}

/// All forecasts exist and are finite, ordered and not negative.
fn check(forecaster: &Forecaster) {
    for minutes in [0, 1, 7, 15, 60, 61, 1_000, 2_880] {
        let of = |quantile| forecaster.forecast(minutes * MINUTE, quantile);
        for quantile in [-1.0, 0.0, 0.5, 0.99, 1.0, 7.0] {
            let Some(prediction) = of(quantile) else { continue };
            assert!(
                prediction.point.is_finite() && prediction.point >= 0.0,
                "{prediction:?}"
            );
            assert!(
                prediction.upper.is_finite() && prediction.upper >= 0.0,
                "{prediction:?}"
            );
        }
    }
}

fn daily(minute: i64) -> f64 {
    let turn = minute as f64 / 1_440.0 * std::f64::consts::TAU;
    100.0 + 60.0 * turn.sin() + 5.0 * ((minute as f64 * 0.618_033_988_75).fract() - 0.5)
}

#[test]
fn there_is_no_forecast_without_samples() {
    assert_eq!(Forecaster::new(MINUTE).forecast(MINUTE, 0.99), None);
}

#[test]
fn edge_case_series_have_valid_forecasts() {
    for level in [0.0, 1e-300, 1e-9, 7.0, 1e12, 1e300] {
        let forecaster = fed(15, std::iter::repeat_n(level, 20_000));
        check(&forecaster);
        let prediction = forecaster.forecast(10 * MINUTE, 0.99).unwrap();
        for value in [prediction.point, prediction.upper] {
            assert!((value - level).abs() <= 1e-2 * level, "{level}: {prediction:?}");
        }
    }
}

#[test]
fn on_the_first_day_the_last_value_is_the_point_and_the_band_widens_with_distance() {
    let mut walk = 100.0;
    let mut random = 1_u64;
    let values = (0..1_400).map(|_| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        walk += (random >> 33) as f64 / f64::from(u32::MAX >> 1) - 0.5;
        walk
    });
    let values: Vec<f64> = values.collect();
    for minutes in [130, 300, 700, 1_400] {
        let forecaster = fed(60, values[..minutes].iter().copied());
        assert!(forecaster.has_quantiles(), "{minutes}");
        let ahead = |minutes: u32, quantile| forecaster.forecast(minutes * MINUTE, quantile).unwrap();
        let level = ahead(5, 0.5).point;
        for minutes in [5, 10, 15, 30, 60, 180] {
            let (middle, upper) = (ahead(minutes, 0.5), ahead(minutes, 0.99));
            assert_eq!((middle.point, middle.basis), (level, Basis::LastValue));
            assert!(upper.upper > level && middle.upper <= upper.upper, "{upper:?}");
        }
        assert!(ahead(180, 0.99).upper >= ahead(60, 0.99).upper);
    }
    assert!(!fed(60, values[..100].iter().copied()).has_quantiles());
}

#[test]
fn a_daily_course_is_learned() {
    let forecaster = fed(60, (0..5 * 1_440 + 400).map(daily));
    let prediction = forecaster.forecast(60 * MINUTE, 0.95).unwrap();
    let coming = daily(5 * 1_440 + 459);
    assert!(
        (prediction.point - coming).abs() < 6.0,
        "{prediction:?} instead of {coming}"
    );
    assert_eq!((prediction.basis, prediction.skilled), (Basis::Daily, true));
    let last = forecaster.last_value(60 * MINUTE, 0.95).unwrap();
    assert!(
        prediction.upper < last.upper,
        "{prediction:?} is not closer than {last:?}"
    );
}

#[test]
fn hours_ahead_follow_the_day() {
    let forecaster = fed(60, (0..20 * 1_440).map(daily));
    for hours in [2, 6, 24, 48] {
        let prediction = forecaster.forecast(60 * hours * MINUTE, 0.95).unwrap();
        let coming = daily(20 * 1_440 + 60 * i64::from(hours) - 30);
        assert!(
            (prediction.point - coming).abs() < 4.0,
            "{prediction:?} instead of {coming}"
        );
        assert!(
            prediction.upper > coming - 4.0 && prediction.upper < coming + 20.0,
            "{prediction:?}"
        );
        assert_eq!((prediction.basis, prediction.skilled), (Basis::Weekly, true));
    }
    assert_eq!(forecaster.forecast(49 * 60 * MINUTE, 0.95), None);
}

/// The mean of the hour a day ahead does not depend on how often samples come.
#[test]
fn hours_are_hours_at_any_step() {
    for step in [60, 61, 90, 300, 420, 1_000] {
        let seconds = 28 * 86_400;
        let load = |second: i64| 100.0 + 60.0 * (second as f64 / 86_400.0 * std::f64::consts::TAU).sin();
        let forecaster = fed(step, (0..seconds / step).map(|i| load(1_700_000_000 + i * step)));
        let ahead = 1_700_000_000 + seconds + 86_400 - 1_800;
        let point = forecaster
            .forecast(Duration::from_secs(86_400), 0.9)
            .unwrap()
            .point;
        let expected = load(ahead);
        assert!(
            (point - expected).abs() < 10.0,
            "{step} s: {point} instead of {expected}"
        );
    }
}

/// Forecasts from before a long gap are not judged by samples after it.
#[test]
fn a_gap_longer_than_the_history_teaches_nothing() {
    let mut forecaster = fed(60, (0..8 * 1_440).map(|i| 10.0 + daily(i) / 100.0));
    let after = 1_700_000_000 + (8 + 29) * 86_400;
    for i in 0..40 {
        forecaster.observe(at(after + 60 * i), 1_000.0 + 2.5 * i as f64);
    }
    let upper = forecaster.forecast(45 * MINUTE, 0.99).unwrap().upper;
    assert!(upper < 1_400.0, "{upper} where 1100 was the highest");
}

#[test]
fn the_last_sample_of_a_recording_counts() {
    let forecaster = fed(3_600, (0..100).map(f64::from));
    assert!((forecaster.last_value(MINUTE, 0.5).unwrap().point - 98.0).abs() < 0.1);
    let ended = forecaster.at_end();
    assert!((ended.last_value(MINUTE, 0.5).unwrap().point - 99.0).abs() < 0.1);
}

#[test]
fn a_level_shift_is_followed_at_once() {
    let values = (0..8_000).map(|i| if i < 7_900 { daily(i) } else { 3.0 * daily(i) });
    let forecaster = fed(60, values);
    let prediction = forecaster.forecast(15 * MINUTE, 0.99).unwrap();
    let level = 3.0 * daily(8_000);
    assert!(
        (prediction.point / level - 1.0).abs() < 0.35,
        "{prediction:?} around {level}"
    );
    assert!(prediction.upper >= 0.9 * level, "{prediction:?} around {level}");
}

#[test]
fn tiny_and_huge_loads_are_forecast_like_others() {
    let usual = fed(300, (0..3_000).map(daily));
    for factor in [
        2_f64.powi(-900),
        2_f64.powi(-130),
        2_f64.powi(100),
        2_f64.powi(900),
    ] {
        let scaled = fed(300, (0..3_000).map(|i| factor * daily(i)));
        for (horizon, quantile) in [(15 * MINUTE, 0.5), (60 * MINUTE, 0.99), (600 * MINUTE, 0.9)] {
            let expected = usual.forecast(horizon, quantile).unwrap();
            let found = scaled.forecast(horizon, quantile).unwrap();
            let near = |a: f64, b: f64| (a / factor / b - 1.0).abs() < 1e-3;
            assert!(
                near(found.point, expected.point) && near(found.upper, expected.upper),
                "{found:?} {expected:?}"
            );
        }
    }
}

#[test]
fn a_stored_state_is_small_and_forecasts_the_same() {
    for step in [1, 60, 300, 1_800] {
        let count = 29 * 86_400 / step.max(60);
        let forecaster = fed(step.max(60), (0..count).map(|i| daily(i) * 1e9));
        let text = serde_json::to_string(&forecaster).unwrap();
        assert!(text.len() <= STATE_BYTES_MAX, "{} bytes at {step} s", text.len());
        let mut restored: Forecaster = serde_json::from_str(&text).unwrap();
        assert_eq!(restored, forecaster);
        let mut forecaster = forecaster;
        for i in 0..40 {
            let time = at(1_700_000_000 + step.max(60) * (count + i));
            forecaster.observe(time, 5e9);
            restored.observe(time, 5e9);
            assert_eq!(
                restored.forecast(9 * MINUTE, 0.9),
                forecaster.forecast(9 * MINUTE, 0.9)
            );
        }
    }
}

/// Arbitrary samples: any value, and jumps of the clock in both directions.
fn samples() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let step = prop_oneof![
        8 => 1..400i64,
        1 => Just(0),
        1 => -4_000..4_000i64,
        1 => prop_oneof![Just(-3_600), Just(3_600), Just(40 * 86_400), Just(-40 * 86_400)],
    ];
    let value = prop_oneof![
        8 => 0.0..1_000.0f64,
        1 => Just(0.0),
        1 => any::<f64>(),
        1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-1.0), Just(f64::MAX), Just(5e-324)],
    ];
    prop::collection::vec((step, value), 1..600)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_samples_give_finite_forecasts_and_a_small_state(step in 0..5_000u64, samples in samples()) {
        let mut forecaster = Forecaster::new(Duration::from_secs(step));
        let mut second = 1_700_000_000;
        for (later, value) in samples {
            second += later;
            forecaster.observe(at(second), value);
        }
        check(&forecaster);
        let text = serde_json::to_string(&forecaster).unwrap();
        prop_assert!(text.len() <= STATE_BYTES_MAX, "{} bytes", text.len());
        let restored: Forecaster = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&restored, &forecaster);
    }
}

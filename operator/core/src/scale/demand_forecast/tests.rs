//! Properties of forecasts.

use jiff::{SignedDuration, Timestamp};

use super::*;

const STEP_SECONDS: i64 = 15;

fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_760_486_400 + second)
}

/// Feeds `seconds` of demand.
fn feed(forecaster: &mut DemandForecaster, from: i64, until: i64, demand: impl Fn(i64) -> f64) {
    for second in (from..until).step_by(STEP_SECONDS as usize) {
        forecaster.observe(at(second), demand(second));
    }
}

/// A job that runs at the fifth minute of every hour.
fn hourly(second: i64) -> f64 {
    let minute = second / 60 % 60;
    if (5..8).contains(&minute) { 150.0 } else { 100.0 }
}

/// A small generator (splitmix64) for noise between 0 and 1.
fn noise(n: i64) -> f64 {
    let mut z = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[test]
fn there_is_no_forecast_during_the_first_quarter_of_a_day() {
    let mut forecaster = DemandForecaster::new(Duration::from_secs(120));
    feed(&mut forecaster, 0, 6 * 3_600 - 60, hourly);
    assert_eq!(forecaster.distribution(), None);
    feed(&mut forecaster, 6 * 3_600 - 60, 6 * 3_600 + 60, hourly);
    assert!(forecaster.distribution().is_some());
}

#[test]
fn an_hourly_job_is_forecast_just_before_it_starts() {
    let mut forecaster = DemandForecaster::new(Duration::from_secs(120));
    let day = 2 * 86_400;
    feed(&mut forecaster, 0, day + 4 * 60, hourly);
    let before = forecaster.distribution().unwrap();
    assert!(before.skilled);
    assert!((140.0..165.0).contains(&before.levels[0]), "{before:?}");
    feed(&mut forecaster, day + 4 * 60, day + 30 * 60, hourly);
    let between = forecaster.distribution().unwrap();
    assert!(between.levels[5] < 115.0, "{between:?}");
}

#[test]
fn levels_rise_and_have_the_stated_exceedance() {
    let demand = |second: i64| 100.0 + 20.0 * noise(second) + 30.0 * noise(second).powi(40);
    let mut forecaster = DemandForecaster::new(Duration::from_secs(60));
    let (from, until) = (2 * 86_400, 5 * 86_400);
    feed(&mut forecaster, 0, from, demand);
    let (mut exceeded, mut asked) = (0_u32, 0_u32);
    for second in (from..until).step_by(STEP_SECONDS as usize) {
        forecaster.observe(at(second), demand(second));
        let levels = forecaster.distribution().unwrap().levels;
        assert!(levels.is_sorted());
        let highest = (0..4)
            .map(|i| demand(second + i * STEP_SECONDS))
            .fold(0.0, f64::max);
        exceeded += u32::from(highest > levels[3]);
        asked += 1;
    }
    let share = f64::from(exceeded) / f64::from(asked);
    assert!((0.03..0.07).contains(&share), "{share} instead of 0.05");
}

#[test]
fn a_gap_pauses_the_forecast_and_keeps_the_model() {
    let mut forecaster = DemandForecaster::new(Duration::from_secs(120));
    feed(&mut forecaster, 0, 86_400, hourly);
    let after = 86_400 + 3_600;
    forecaster.observe(at(after), 100.0);
    assert_eq!(forecaster.distribution(), None, "right after a gap");
    feed(&mut forecaster, after, after + 10 * 60, hourly);
    assert_eq!(forecaster.distribution(), None, "the course is too short");
    feed(&mut forecaster, after + 10 * 60, after + 64 * 60, hourly);
    assert!(forecaster.distribution().unwrap().levels[1] > 140.0);
}

#[test]
fn a_sudden_fall_counts_once_it_has_lasted() {
    let mut forecaster = DemandForecaster::new(Duration::from_secs(120));
    feed(&mut forecaster, 0, 86_400, |_| 100.0);
    let mut healthy = forecaster.clone();
    feed(&mut healthy, 86_400, 86_700, |_| 100.0);
    let mut reset = forecaster.clone();
    feed(&mut reset, 86_400, 86_700, |second| {
        if second < 86_460 { 75.0 } else { 100.0 }
    });
    assert_eq!(reset.distribution(), healthy.distribution());
    feed(&mut forecaster, 86_400, 86_700, |_| 75.0);
    assert_eq!(forecaster.distribution().unwrap().levels[0], 75.0);
}

#[test]
fn invalid_and_old_samples_are_ignored() {
    let mut forecaster = DemandForecaster::new(Duration::from_secs(120));
    feed(&mut forecaster, 0, 86_400, hourly);
    let before = forecaster.clone();
    for value in [f64::NAN, f64::INFINITY, -1.0] {
        forecaster.observe(at(86_400), value);
    }
    forecaster.observe(at(80_000), 5.0);
    assert!(forecaster == before);
}

#[test]
fn a_regular_pattern_gives_no_extreme_level() {
    let mut forecaster = DemandForecaster::new(Duration::from_secs(60));
    for i in 0..2_880 {
        forecaster.observe(at(i * 30), if i % 10 == 0 { 50.0 } else { 40.0 });
    }
    let levels = forecaster.distribution().unwrap().levels;
    assert!(levels[EXCEEDANCES.len() - 1] <= 60.0, "{levels:?}");
}

#[test]
fn extreme_demand_stays_finite() {
    for value in [0.0, f64::MIN_POSITIVE, 1e300] {
        let mut forecaster = DemandForecaster::new(Duration::from_secs(120));
        feed(&mut forecaster, 0, 86_400, |second| {
            if second % 3_600 < 60 { value } else { 0.0 }
        });
        let levels = forecaster.distribution().unwrap().levels;
        assert!(
            levels.iter().all(|level| *level >= 0.0 && level.is_finite()),
            "{value}: {levels:?}"
        );
    }
}

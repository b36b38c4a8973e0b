use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

#[test]
fn nothing_is_forecast_from_nothing() {
    assert_eq!(Forecaster::new(MINUTE).forecast(MINUTE, 0.99), None);
}

#[test]
fn a_constant_series_stays_what_it_is() {
    let mut forecaster = Forecaster::new(Duration::from_secs(15));
    (0..4_000).for_each(|i| forecaster.observe(at(15 * i), 7.0));
    let prediction = forecaster.forecast(10 * MINUTE, 0.99).unwrap();
    assert!((prediction.point - 7.0).abs() < 1e-3, "{prediction:?}");
    assert!((prediction.upper - 7.0).abs() < 1e-2, "{prediction:?}");
}

#[test]
fn a_state_that_was_stored_forecasts_the_same() {
    let mut forecaster = Forecaster::new(MINUTE);
    (0..3_000).for_each(|i| forecaster.observe(at(60 * i), (i * 7 % 100) as f64));
    let text = serde_json::to_string(&forecaster).unwrap();
    let restored: Forecaster = serde_json::from_str(&text).unwrap();
    assert_eq!(restored, forecaster);
    assert_eq!(restored.forecast(MINUTE, 0.9), forecaster.forecast(MINUTE, 0.9));
}

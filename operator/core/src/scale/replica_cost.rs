//! Prices a replica count against the risk of a shortage.

use super::demand_forecast::{Distribution, EXCEEDANCES};
use super::limits::FORECAST_REPLICAS_MAX;

/// The replicas that serve this demand.
pub fn replicas_for(demand: f64, per_replica: f64) -> i32 {
    ((demand / per_replica).ceil() as i32).clamp(1, FORECAST_REPLICAS_MAX)
}

/// For every price of a shortage, the count n with the least cost n + price · P(demand > n replicas). This is the
/// newsvendor problem (Arrow, Harris, Marschak, 1951) with replicas as the stock.
pub fn cheapest_counts<const N: usize>(
    forecast: &Distribution,
    per_replica: f64,
    prices: [f64; N],
) -> [i32; N] {
    let lowest = replicas_for(forecast.levels[0], per_replica);
    let highest = replicas_for(forecast.levels[EXCEEDANCES.len() - 1], per_replica);
    let mut best = [(f64::INFINITY, lowest); N];
    for replicas in lowest..=highest {
        let exceeded = exceedance(forecast, f64::from(replicas) * per_replica);
        for (best, price) in best.iter_mut().zip(prices) {
            let cost = f64::from(replicas) + price * exceeded;
            if cost < best.0 {
                *best = (cost, replicas);
            }
        }
    }
    best.map(|(_, replicas)| replicas)
}

/// The probability of more than `value`. Its logarithm is interpolated linearly between two levels. Beyond the
/// last level it is unknown and taken as 0.
fn exceedance(forecast: &Distribution, value: f64) -> f64 {
    let levels = &forecast.levels;
    let above = levels.partition_point(|level| *level <= value);
    match above {
        0 => 1.0,
        above if above == levels.len() => 0.0,
        above => {
            let share = (value - levels[above - 1]) / (levels[above] - levels[above - 1]);
            EXCEEDANCES[above - 1].powf(1.0 - share) * EXCEEDANCES[above].powf(share)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::expected_demand::tests::{forecast, wide};
    use super::*;

    #[test]
    fn a_higher_shortage_price_buys_more_replicas_and_certainty_buys_none() {
        // The price of a shortage, and the number of replicas that serve 100 each.
        let table = [
            (1.0, 1),
            (4.0, 2),
            (30.0, 4),
            (100.0, 5),
            (1_000.0, 8),
            (100_000.0, 10),
        ];
        for (price, replicas) in table {
            assert_eq!(
                cheapest_counts(&wide(), 100.0, [price]),
                [replicas],
                "price {price}"
            );
        }
        assert_eq!(cheapest_counts(&forecast([250.0; 10]), 100.0, [100_000.0]), [3]);
    }

    #[test]
    fn exceedance_falls_from_one_to_zero() {
        let table = [
            (99.0, 1.0),
            (100.0, 0.5),
            (200.0, 0.2),
            (250.0, 0.141_421),
            (1_000.0, 0.0),
            (2e9, 0.0),
        ];
        for (value, expected) in table {
            assert!((exceedance(&wide(), value) - expected).abs() < 1e-6, "{value}");
        }
    }
}

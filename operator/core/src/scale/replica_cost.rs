//! What the forecast asks for. It only ever adds to what the metrics ask for.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use poker_operator_api::Autoscaling;
use poker_operator_api::autoscaling::{Predictive, PredictiveMode};
use serde::{Deserialize, Serialize};

use super::Proposal;
use super::demand_forecast::{Distribution, EXCEEDANCES};
use super::format::number;
use super::limits::{
    DOWNSCALE_WINDOW_SECONDS, FORECAST_AGE_SECONDS_MAX, FORECAST_LOST_SECONDS, FORECAST_REPLICAS_MAX,
    SPEND_SECONDS, TOLERANCE_FRACTION_DEFAULT,
};
use super::memory::ScaleMemory;
use super::panic::Demand;

/// Forecasts by `Metric::name()`; an absent entry is no forecast.
pub type Forecasts = BTreeMap<String, Distribution>;

/// How a shortage is priced when forecasts have lately been too dear: divided by these.
const PRICE_STEPS: [f64; 10] = [1.0, 1.4, 2.0, 2.8, 4.0, 5.7, 8.0, 11.3, 16.0, 32.0];
/// Place in [`EXCEEDANCES`] of the level shown to people: exceeded once in a hundred times.
const SHOWN: usize = 5;

/// Whether a forecast is missing that was there a short while ago.
pub fn is_lost(expected: &[Expected], memory: &ScaleMemory, now: Timestamp) -> bool {
    expected
        .iter()
        .filter(|expected| expected.basis == Basis::Headroom)
        .any(|expected| {
            let last = memory
                .spend
                .get(&expected.metric)
                .map(|spend| now.duration_since(spend.at));
            last.is_some_and(|age| age.unsigned_abs().as_secs() < FORECAST_LOST_SECONDS)
        })
}

/// What one metric needs before a decision takes effect.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    pub metric: String,
    pub replicas: i32,
    /// The demand exceeded once in a hundred times; of headroom, the demand with it.
    pub level: f64,
    pub basis: Basis,
}

/// What a proposal rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    Forecast,
    /// Measured demand with fixed headroom: there is no forecast.
    Headroom,
    /// The same where a metric fell suddenly and a forecast asks for less.
    HeadroomAfterFall,
}

/// What a plain autoscaler with the headroom, and the forecast at each price, would have cost over a day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CostLedger {
    at: Timestamp,
    seconds: f64,
    headroom: HeldCount,
    forecast: [HeldCount; PRICE_STEPS.len()],
}

/// A count that holds until a higher one comes, or for a window, and its mean over time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct HeldCount {
    replicas: i32,
    since: Timestamp,
    mean: f64,
}

/// The proposal of every metric with a target per replica, the largest first. `after_fall`: a metric fell so
/// suddenly and so lately that what comes after is told from a fault by nothing; no forecast asks for less
/// than headroom then. `window`: how long a higher count holds.
pub fn all(
    block: &Autoscaling,
    demands: &[Demand],
    forecasts: &Forecasts,
    after_fall: bool,
    window: SignedDuration,
    memory: &mut ScaleMemory,
    now: Timestamp,
) -> Vec<Expected> {
    let predictive = block.predictive.as_ref();
    let Some(predictive) = predictive.filter(|p| p.mode != PredictiveMode::Off) else {
        memory.spend.clear();
        return Vec::new();
    };
    // Also of metrics without a sample now: that a forecast was there holds scale-in after the gap.
    memory
        .spend
        .retain(|name, _| block.metrics.iter().any(|metric| metric.name() == name));
    let mut expected: Vec<Expected> = demands
        .iter()
        .map(|demand| {
            let forecast = forecasts.get(demand.name).filter(|f| usable(f, demand.at));
            one(predictive, demand, forecast, after_fall, window, memory, now)
        })
        .collect();
    expected.sort_by_key(|e| std::cmp::Reverse(e.replicas));
    expected
}

/// Young enough beside the newest sample, by whose clock it was made; finite and rising.
fn usable(forecast: &Distribution, sampled: Timestamp) -> bool {
    let levels = &forecast.levels;
    sampled.duration_since(forecast.at).unsigned_abs().as_secs() <= FORECAST_AGE_SECONDS_MAX
        && levels.iter().all(|level| level.is_finite() && *level >= 0.0)
        && levels.is_sorted()
}

fn one(
    predictive: &Predictive,
    demand: &Demand,
    forecast: Option<&Distribution>,
    after_fall: bool,
    window: SignedDuration,
    memory: &mut ScaleMemory,
    now: Timestamp,
) -> Expected {
    let with_headroom = demand.total * (1.0 + f64::from(predictive.headroom_percent) / 100.0);
    let headroom = replicas_for(with_headroom, demand.per_replica);
    let Some(forecast) = forecast else {
        return Expected {
            metric: demand.name.to_owned(),
            replicas: headroom,
            level: with_headroom,
            basis: Basis::Headroom,
        };
    };
    let price = f64::from(predictive.shortage_cost);
    let planned = cheapest(forecast, demand.per_replica, PRICE_STEPS.map(|step| price / step));
    let spend = memory.spend.entry(demand.name.to_owned());
    let spend = spend.or_insert_with(|| CostLedger::new(now));
    spend.add(with_headroom / demand.per_replica, &planned, window, now);
    let (replicas, level) = (
        spend.affordable().map_or(headroom, |place| planned[place]),
        forecast.levels[SHOWN],
    );
    let (replicas, level, basis) = if after_fall && headroom > replicas {
        (headroom, with_headroom, Basis::HeadroomAfterFall)
    } else {
        (replicas, level, Basis::Forecast)
    };
    Expected {
        metric: demand.name.to_owned(),
        replicas,
        level,
        basis,
    }
}

fn replicas_for(demand: f64, per_replica: f64) -> i32 {
    ((demand / per_replica).ceil() as i32).clamp(1, FORECAST_REPLICAS_MAX)
}

/// For every price of a shortage the count n with the least cost n + price · P(demand > n replicas):
/// the newsvendor's problem (Arrow, Harris, Marschak, 1951), with counts for stock.
fn cheapest<const N: usize>(forecast: &Distribution, per_replica: f64, prices: [f64; N]) -> [i32; N] {
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

/// The probability of more than `value`: between two levels its logarithm is linear, and beyond the
/// last it is not known and taken as 0.
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

impl HeldCount {
    fn new(now: Timestamp) -> HeldCount {
        HeldCount {
            replicas: 0,
            since: now,
            mean: 0.0,
        }
    }

    fn ask(&mut self, replicas: i32, window: SignedDuration, weight: f64, now: Timestamp) {
        if replicas >= self.replicas || now.duration_since(self.since) > window {
            (self.replicas, self.since) = (replicas, now);
        }
        self.mean += (f64::from(self.replicas) - self.mean) * weight;
    }
}

impl CostLedger {
    fn new(now: Timestamp) -> CostLedger {
        CostLedger {
            at: now,
            seconds: 0.0,
            headroom: HeldCount::new(now),
            forecast: [HeldCount::new(now); PRICE_STEPS.len()],
        }
    }

    /// Averages over the time that passed, the last day at most. `needed`: the demand with headroom, in replicas,
    /// which a plain autoscaler follows with its tolerance and its window; plans hold for `window`.
    fn add(
        &mut self,
        needed: f64,
        planned: &[i32; PRICE_STEPS.len()],
        window: SignedDuration,
        now: Timestamp,
    ) {
        let passed = now
            .duration_since(self.at)
            .as_secs_f64()
            .clamp(0.0, SPEND_SECONDS);
        let is_first = self.headroom.replicas == 0;
        self.seconds = (self.seconds + passed).min(SPEND_SECONDS);
        self.at = now;
        let weight = if is_first {
            1.0
        } else {
            passed / self.seconds.max(1.0)
        };
        let kept = self.headroom.replicas;
        let is_near = (needed / f64::from(kept) - 1.0).abs() <= TOLERANCE_FRACTION_DEFAULT;
        let wish = if is_near { kept } else { replicas_for(needed, 1.0) };
        let usual = SignedDuration::from_secs(DOWNSCALE_WINDOW_SECONDS);
        self.headroom.ask(wish, usual, weight, now);
        for (held, planned) in self.forecast.iter_mut().zip(planned) {
            held.ask(*planned, window, weight, now);
        }
    }

    /// The highest price at which forecasts cost no more than headroom would; `None` when even the
    /// lowest is too dear.
    fn affordable(&self) -> Option<usize> {
        self.forecast
            .iter()
            .position(|held| held.mean <= self.headroom.mean)
    }
}

impl Expected {
    pub fn proposal(&self, preview: bool) -> Proposal {
        let kind = match (preview, self.basis) {
            (true, _) => "preview",
            (false, Basis::Forecast) => "forecast",
            (false, Basis::Headroom | Basis::HeadroomAfterFall) => "headroom",
        };
        Proposal {
            name: format!("{kind}/{}", self.metric),
            value: Some(number(self.level)),
            replicas: Some(self.replicas),
            problem: None,
        }
    }

    /// The cause in words.
    pub fn words(&self) -> String {
        let (level, metric) = (number(self.level), &self.metric);
        match self.basis {
            Basis::Forecast => format!("up to {level} {metric} expected"),
            Basis::Headroom => format!("{level} {metric} with headroom, there is no forecast"),
            Basis::HeadroomAfterFall => format!("{level} {metric} with headroom, after a sudden fall"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forecast(levels: [f64; 10]) -> Distribution {
        Distribution {
            at: Timestamp::UNIX_EPOCH,
            levels,
            skilled: true,
        }
    }

    /// Exceeded half of the time by 100, and more and more rarely up to 1,000.
    fn wide() -> Distribution {
        forecast([
            100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0, 800.0, 900.0, 1_000.0,
        ])
    }

    #[test]
    fn a_dearer_shortage_buys_more_and_certainty_buys_nothing() {
        // The price of a shortage, and the count of replicas that serve 100 each.
        let table = [
            (1.0, 1),
            (4.0, 2),
            (30.0, 4),
            (100.0, 5),
            (1_000.0, 8),
            (100_000.0, 10),
        ];
        for (price, replicas) in table {
            assert_eq!(cheapest(&wide(), 100.0, [price]), [replicas], "price {price}");
        }
        assert_eq!(cheapest(&forecast([250.0; 10]), 100.0, [100_000.0]), [3]);
    }

    #[test]
    fn exceedance_falls_from_one_to_nothing() {
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

    #[test]
    fn forecasts_cost_no_more_than_headroom_over_a_day() {
        for (price, alone) in [(100, 5), (100_000, 10)] {
            let mean = mean_over_two_days(price);
            assert!(
                (2.5..=3.1).contains(&mean),
                "{mean} where headroom takes 3, the forecast alone {alone}"
            );
        }
    }

    fn mean_over_two_days(shortage_cost: i32) -> f64 {
        let block = serde_json::json!({
            "maxReplicas": 20,
            "metrics": [{"promql": {"name": "people", "query": "x"}, "target": {"averageValue": "100"}}],
            "predictive": {"shortageCost": shortage_cost, "headroomPercent": 100},
        });
        let block = serde_json::from_value(block).unwrap();
        let demand = Demand {
            name: "people",
            total: 150.0,
            at: Timestamp::UNIX_EPOCH,
            per_replica: 100.0,
        };
        let (mut memory, mut paid) = (ScaleMemory::default(), 0);
        let seconds = 2 * 86_400;
        for second in (0..seconds).step_by(15) {
            let now = Timestamp::from_second(second).unwrap();
            let forecasts = BTreeMap::from([("people".to_owned(), Distribution { at: now, ..wide() })]);
            let window = SignedDuration::from_secs(180);
            paid += all(&block, &[demand], &forecasts, false, window, &mut memory, now)[0].replicas;
        }
        f64::from(paid) / f64::from(i32::try_from(seconds).unwrap() / 15)
    }

    #[test]
    fn a_forecast_that_is_old_or_odd_is_none() {
        let now = Timestamp::from_second(1_000).unwrap();
        let young = Distribution { at: now, ..wide() };
        assert!(usable(&young, now));
        assert!(!usable(&wide(), now), "too old");
        for levels in [
            [f64::NAN; 10],
            [f64::INFINITY; 10],
            [-1.0; 10],
            [9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0],
        ] {
            assert!(
                !usable(
                    &Distribution {
                        levels,
                        ..young.clone()
                    },
                    now
                ),
                "{levels:?}"
            );
        }
    }
}

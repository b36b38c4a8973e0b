//! Simulates a policy on demand, step by step, and scores it.
//!
//! [`run`] takes every decision with [`poker_operator_core::scale::decide`], the function of the controller. The samples
//! come from a [`source`] that averages them, delivers them late and may be faulty. Replicas take time to start and to
//! drain. [`score`] compares the supply with the demand by the elasticity metrics of SPEC RG (Herbst et al., "Ready for
//! rain? A view from SPEC Research on the future of cloud metrics", SPEC-RG-2016-01) and with an oracle that always runs
//! just enough.

mod demand;
mod fault;
pub mod policies;
mod score;
mod sizing;
mod source;
mod supply;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use poker_operator_api::autoscaling::PredictiveMode;
use poker_operator_api::{Autoscaling, Component};

use poker_operator_core::scale::demand_forecast::DemandForecaster;
use poker_operator_core::scale::{Forecasts, Sample, ScaleInput, ScaleMemory, decide};

pub use demand::Demand;
pub use fault::{Fault, FaultWindows};
pub use score::Score;
use score::Scorer;
pub use sizing::Replicas;
use sizing::Sizing;
use source::Source;
use supply::Supply;

/// The conditions of a run. All times in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// Demand that one replica serves.
    pub capacity: f64,
    /// From a decision until a new replica serves. It costs from the decision on.
    pub start_seconds: i64,
    /// From a decision until a resize in place takes effect; `None` if replicas have one size. If they can be resized,
    /// count and size are planned together.
    pub resize_seconds: Option<i64>,
    /// From a decision until a drained replica ends. It costs until then.
    pub drain_seconds: i64,
    /// The metric is the mean over this time.
    pub window_seconds: i64,
    /// The age of the newest sample.
    pub late_seconds: i64,
    /// The scrape interval.
    pub scrape_seconds: i64,
    /// The period of decisions.
    pub tick_seconds: i64,
    /// The history: decisions are made but not scored.
    pub history_seconds: i64,
    pub fault: Option<Fault>,
    /// Scale-in windows after the end of a fault in which it may still cause a scale-in.
    pub grace_windows: u8,
    /// Treats missing samples as 0: a bad policy, which proves that scale-ins on faults are detected.
    pub missing_as_zero: bool,
    /// Trusts sudden falls of the metric, as the Kubernetes autoscaler does.
    pub no_anomaly_guard: bool,
}

/// A step of a run, after the decision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub demand: f64,
    /// The demand that the ready replicas can serve.
    pub supply: f64,
    /// The 99 % quantile of the forecast for the lead time.
    pub forecast: Option<f64>,
}

/// The result of a run.
#[derive(Clone, Debug)]
pub struct Run {
    pub score: Score,
    /// The desired replicas after every step, history included.
    pub desired: Vec<Replicas>,
    /// Every step, if points are kept.
    pub points: Vec<Point>,
}

/// Runs `block` on `demand`, which drives its first metric; other metrics have no sample. `healthy` is the same run
/// without a fault: it shows which scale-ins the fault caused.
pub fn run(
    demand: &Demand,
    block: &Autoscaling,
    setup: &Setup,
    healthy: Option<&Run>,
    keep_points: bool,
) -> Run {
    let mut controller = Controller::new(demand, block, setup);
    let mut source = Source::new(demand, setup);
    let mut supply = Supply::new(controller.desired);
    let windows = FaultWindows::new(setup, demand);
    let mut scorer = Scorer::new(demand, setup, &windows, controller.scale_in_window(), healthy);
    let (mut desired, mut points) = (Vec::with_capacity(demand.steps()), Vec::new());
    for step in 0..demand.steps() {
        let second = demand.second(step);
        supply.advance(second, setup);
        if second % setup.tick_seconds == 0 {
            let fault = setup.fault.filter(|_| windows.is_inside(second));
            let sample = source.read(second, supply.ready(), fault, windows.since(second));
            let before = controller.desired;
            controller.step(second, &supply, sample);
            supply.change(second, before, controller.desired, setup);
            scorer.add_decision(step, before, controller.desired);
        }
        desired.push(controller.desired);
        scorer.add_step(step, &supply);
        if keep_points {
            points.push(Point {
                demand: demand.at(step),
                supply: supply.serving() * setup.capacity,
                forecast: controller.expected(),
            });
        }
    }
    Run {
        score: scorer.finish(),
        desired,
        points,
    }
}

/// The controller: its state between decisions.
struct Controller<'a> {
    block: Cow<'a, Autoscaling>,
    metric: String,
    start: Timestamp,
    /// The count of the policy: replicas, or parts of one.
    current: i32,
    desired: Replicas,
    sizing: Option<Sizing>,
    samples: BTreeMap<String, Sample>,
    forecasts: Forecasts,
    lead: Option<DemandForecaster>,
    memory: ScaleMemory,
    missing_as_zero: bool,
    no_anomaly_guard: bool,
}

impl<'a> Controller<'a> {
    fn new(demand: &Demand, block: &'a Autoscaling, setup: &Setup) -> Controller<'a> {
        let needed = (demand.at(0) / setup.capacity).ceil() as i32;
        let predictive = block
            .predictive
            .as_ref()
            .filter(|p| p.mode != PredictiveMode::Off);
        let lead =
            |seconds: i32| DemandForecaster::new(Duration::from_secs(u64::from(seconds.unsigned_abs())));
        let sizing = setup.resize_seconds.map(|_| Sizing::new(block));
        let desired = Replicas::standard(needed.clamp(block.min_replicas, block.max_replicas));
        Controller {
            block: match setup.resize_seconds {
                Some(_) => Cow::Owned(sizing::in_parts(block)),
                None => Cow::Borrowed(block),
            },
            metric: block
                .metrics
                .first()
                .map(|m| m.name().to_owned())
                .unwrap_or_default(),
            start: demand.start(),
            current: sizing
                .as_ref()
                .map_or(desired.count, |_| Sizing::parts(desired.total())),
            desired,
            sizing,
            samples: BTreeMap::new(),
            forecasts: Forecasts::new(),
            lead: predictive.map(|p| lead(p.lead_seconds)),
            memory: ScaleMemory::default(),
            missing_as_zero: setup.missing_as_zero,
            no_anomaly_guard: setup.no_anomaly_guard,
        }
    }

    fn step(&mut self, second: i64, supply: &Supply, sample: Sample) {
        let now = self.start + SignedDuration::from_secs(second);
        if let (Some(lead), Sample::Fresh { value, at, .. }) = (&mut self.lead, &sample) {
            lead.observe(*at, *value);
            match lead.distribution() {
                Some(forecast) => self.forecasts.insert(self.metric.clone(), forecast),
                None => self.forecasts.remove(&self.metric),
            };
        }
        let sample = match sample {
            Sample::Partial { .. } | Sample::Stale { .. } | Sample::Missing { .. }
                if self.missing_as_zero =>
            {
                Sample::fresh(0.0, now)
            }
            sample => sample,
        };
        self.samples.insert(self.metric.clone(), sample);
        let decision = decide(&ScaleInput {
            component: Component::Shard,
            current: self.current,
            ready: match &self.sizing {
                Some(_) => Sizing::parts(supply.serving()),
                None => supply.ready(),
            },
            block: &self.block,
            samples: &self.samples,
            forecasts: &self.forecasts,
            memory: &self.memory,
            now,
        });
        self.current = decision.replicas;
        self.memory = decision.memory;
        if self.no_anomaly_guard {
            self.memory.newest.clear();
        }
        self.desired = match &mut self.sizing {
            Some(sizing) => sizing.replicas(decision.replicas, self.desired, now),
            None => Replicas::standard(decision.replicas),
        };
    }

    /// The stabilization window of scale-in.
    fn scale_in_window(&self) -> i64 {
        poker_operator_core::scale::scale_in_window(&self.block).as_secs()
    }

    fn expected(&self) -> Option<f64> {
        Some(self.forecasts.get(&self.metric)?.levels[5])
    }
}

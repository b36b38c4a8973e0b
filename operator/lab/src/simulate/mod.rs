//! Demand against a policy, step by step: what the controller would do, and what it is worth.
//!
//! [`run`] gives every decision to [`poker_operator_core::scale::decide`], the function that the controller runs,
//! with samples as a [`source`] hands them over: averaged, late, now and then faulty. Replicas take
//! time to start and to drain. [`score`] compares the supply with the demand by the elasticity
//! metrics of SPEC RG (Herbst et al., "Ready for rain? A view from SPEC Research on the future of
//! cloud metrics", SPEC-RG-2016-01) and with an oracle that always runs just enough.

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

/// What surrounds the policy. All times in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// Demand that one replica serves.
    pub capacity: f64,
    /// From a decision until a new replica serves; it is paid for from the decision on.
    pub start_seconds: i64,
    /// From a decision until a resize in place is in force; `None` where replicas have one size. Where they
    /// can be resized, count and size are one plan.
    pub resize_seconds: Option<i64>,
    /// From a decision until a replica that no longer serves is gone; paid for until then.
    pub drain_seconds: i64,
    /// The metric is the mean over this time,
    pub window_seconds: i64,
    /// ending so long ago,
    pub late_seconds: i64,
    /// and renewed this often.
    pub scrape_seconds: i64,
    /// Decisions come this often.
    pub tick_seconds: i64,
    /// What is only history: decisions are made but not scored.
    pub history_seconds: i64,
    pub fault: Option<Fault>,
    /// A scale-in may be caused by a fault until so many scale-in windows after its end.
    pub windows_after: u8,
    /// A policy that nobody should have: what is missing counts as zero. It shows what the count of
    /// scale-ins on faults tells apart.
    pub missing_is_zero: bool,
    /// Sudden falls of the metric count at once, as for a Kubernetes autoscaler.
    pub believes_falls: bool,
}

/// One point of a run, after the decision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub demand: f64,
    /// What the replicas that serve could serve.
    pub supply: f64,
    /// What was expected at most, 99 times in 100, in the lead time.
    pub forecast: Option<f64>,
}

/// What a run gave.
#[derive(Clone, Debug)]
pub struct Run {
    pub score: Score,
    /// What was asked for after every step, history included.
    pub asked: Vec<Replicas>,
    /// Every step, when asked for.
    pub points: Vec<Point>,
}

/// Runs `block` against `demand`, which drives its first metric; of further metrics there is no
/// sample. `twin` is the same run without a fault, to tell which scale-ins the fault caused.
pub fn run(
    demand: &Demand,
    block: &Autoscaling,
    setup: &Setup,
    twin: Option<&Run>,
    keep_points: bool,
) -> Run {
    let mut controller = Controller::new(demand, block, setup);
    let mut source = Source::new(demand, setup);
    let mut supply = Supply::new(controller.asked);
    let windows = FaultWindows::new(setup, demand);
    let mut scorer = Scorer::new(demand, setup, &windows, controller.scale_in_window(), twin);
    let (mut asked, mut points) = (Vec::with_capacity(demand.steps()), Vec::new());
    for step in 0..demand.steps() {
        let second = demand.second(step);
        supply.pass(second, setup);
        if second % setup.tick_seconds == 0 {
            let fault = setup.fault.filter(|_| windows.is_inside(second));
            let sample = source.read(second, supply.ready(), fault, windows.since(second));
            let before = controller.asked;
            controller.step(second, &supply, sample);
            supply.change(second, before, controller.asked, setup);
            scorer.decided(step, before, controller.asked);
        }
        asked.push(controller.asked);
        scorer.pass(step, &supply);
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
        asked,
        points,
    }
}

/// The controller's part: state between decisions.
struct Controller<'a> {
    block: Cow<'a, Autoscaling>,
    metric: String,
    start: Timestamp,
    /// By the policy: replicas, or parts of one.
    current: i32,
    asked: Replicas,
    sizing: Option<Sizing>,
    samples: BTreeMap<String, Sample>,
    forecasts: Forecasts,
    lead: Option<DemandForecaster>,
    memory: ScaleMemory,
    missing_is_zero: bool,
    believes_falls: bool,
}

impl<'a> Controller<'a> {
    fn new(demand: &Demand, block: &'a Autoscaling, setup: &Setup) -> Controller<'a> {
        let wanted = (demand.at(0) / setup.capacity).ceil() as i32;
        let predictive = block
            .predictive
            .as_ref()
            .filter(|p| p.mode != PredictiveMode::Off);
        let lead =
            |seconds: i32| DemandForecaster::new(Duration::from_secs(u64::from(seconds.unsigned_abs())));
        let sizing = setup.resize_seconds.map(|_| Sizing::new(block));
        let asked = Replicas::usual(wanted.clamp(block.min_replicas, block.max_replicas));
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
                .map_or(asked.count, |_| Sizing::parts(asked.total())),
            asked,
            sizing,
            samples: BTreeMap::new(),
            forecasts: Forecasts::new(),
            lead: predictive.map(|p| lead(p.lead_seconds)),
            memory: ScaleMemory::default(),
            missing_is_zero: setup.missing_is_zero,
            believes_falls: setup.believes_falls,
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
            Sample::Stale { .. } | Sample::Missing { .. } if self.missing_is_zero => Sample::fresh(0.0, now),
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
        if self.believes_falls {
            self.memory.newest.clear();
        }
        self.asked = match &mut self.sizing {
            Some(sizing) => sizing.replicas(decision.replicas, self.asked, now),
            None => Replicas::usual(decision.replicas),
        };
    }

    /// How long a scale-in waits after the last higher recommendation.
    fn scale_in_window(&self) -> i64 {
        poker_operator_core::scale::scale_in_window(&self.block).as_secs()
    }

    fn expected(&self) -> Option<f64> {
        Some(self.forecasts.get(&self.metric)?.levels[5])
    }
}

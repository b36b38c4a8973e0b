//! Scores of supply against demand.

use serde::{Deserialize, Serialize};

use super::demand::Demand;
use super::fault::FaultWindows;
use super::sizing::{Replicas, grain};
use super::supply::Supply;
use super::{Run, Setup};

/// The score of a run. Demand d and supply s are counts of replicas, as in SPEC-RG-2016-01: d is the minimum that the
/// demand needs, in whole replicas or, if they can be resized, in parts of the standard size.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Score {
    /// Replica hours relative to an oracle that always runs just enough whole replicas.
    pub cost_ratio: f64,
    /// Accuracy: mean of max(d − s, 0) / d, and of max(s − d, 0) / d, in percent.
    pub theta_u: f64,
    pub theta_o: f64,
    /// Share of time with s < d, and with s > d, in percent.
    pub tau_u: f64,
    pub tau_o: f64,
    /// υ: share of time in which s and d do not change in the same direction, in percent.
    pub instability: f64,
    /// η: the geometric mean of the ratios of θU, θO, τU and τO with a constant count, the mean of d rounded up, to
    /// those of the run. Each counts as at least one step.
    pub elastic_speedup: f64,
    /// Changes of the count or the size.
    pub actions: u64,
    /// Changes in the opposite direction within ten minutes.
    pub reversals: u64,
    pub scale_ins_on_fault: u64,
    /// Demand that moved to another replica in changes of the count, with the minimum of moves, in peaks of the trace.
    pub sessions_moved: f64,
    /// The maximum of the demand that waited, in seconds of a replica's work.
    pub worst_backlog: f64,
    pub replica_hours: f64,
    pub hours: f64,
}

const REVERSAL_SECONDS: i64 = 600;

/// Sums of the four elasticity metrics over time.
#[derive(Clone, Copy, Default)]
struct Elasticity {
    theta: [f64; 2],
    tau: [f64; 2],
}

impl Elasticity {
    fn add(&mut self, needed: f64, supplied: f64) {
        for (i, difference) in [needed - supplied, supplied - needed].into_iter().enumerate() {
            if difference > 0.0 {
                self.theta[i] += difference / needed;
                self.tau[i] += 1.0;
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = f64> {
        self.theta.into_iter().chain(self.tau)
    }
}

pub struct Scorer<'a> {
    demand: &'a Demand,
    setup: &'a Setup,
    windows: &'a FaultWindows,
    scale_in_window: i64,
    healthy: Option<&'a Run>,
    score: Score,
    steps: f64,
    oracle: f64,
    paid: f64,
    sums: Elasticity,
    unstable: f64,
    /// d and s of the previous step.
    before: Option<(f64, f64)>,
    backlog: f64,
    /// Whether the last change was a scale-out, and its second.
    changed: Option<(bool, i64)>,
}

impl<'a> Scorer<'a> {
    pub fn new(
        demand: &'a Demand,
        setup: &'a Setup,
        windows: &'a FaultWindows,
        scale_in_window: i64,
        healthy: Option<&'a Run>,
    ) -> Scorer<'a> {
        Scorer {
            demand,
            setup,
            windows,
            scale_in_window,
            healthy,
            score: Score::default(),
            steps: 0.0,
            oracle: 0.0,
            paid: 0.0,
            sums: Elasticity::default(),
            unstable: 0.0,
            before: None,
            backlog: 0.0,
            changed: None,
        }
    }

    /// Counts a decision.
    pub fn add_decision(&mut self, step: usize, before: Replicas, after: Replicas) {
        let second = self.demand.second(step);
        if before == after || second < self.setup.history_seconds {
            return;
        }
        let is_out = after.total() > before.total();
        let turned = |(was_out, at): (bool, i64)| was_out != is_out && second - at < REVERSAL_SECONDS;
        self.score.actions += 1;
        self.score.reversals += u64::from(self.changed.is_some_and(turned));
        self.changed = Some((is_out, second));
        let (few, many) = (after.count.min(before.count), after.count.max(before.count));
        let moved = f64::from(many - few) / f64::from(many);
        self.score.sessions_moved += moved * self.demand.at(step) / self.demand.largest();
        let near = self.windows.reaches(second, self.setup, self.scale_in_window);
        if !is_out
            && near
            && self
                .healthy
                .is_some_and(|healthy| self.is_below(healthy, step, after.total()))
        {
            self.score.scale_ins_on_fault += 1;
        }
    }

    /// Whether the run without the fault always has more, from one scale-in window before the step until one after.
    fn is_below(&self, healthy: &Run, step: usize, total: f64) -> bool {
        let near = usize::try_from(self.scale_in_window / self.demand.step_seconds()).unwrap_or(0);
        let end = step.saturating_add(near).min(healthy.desired.len() - 1);
        let desired = &healthy.desired[step.saturating_sub(near)..=end];
        let least = desired
            .iter()
            .map(|replicas| replicas.total())
            .fold(f64::INFINITY, f64::min);
        total < least * (1.0 - 1e-9)
    }

    /// Adds one step.
    pub fn add_step(&mut self, step: usize, supply: &Supply) {
        if self.demand.second(step) < self.setup.history_seconds {
            return;
        }
        let seconds = self.demand.step_seconds() as f64;
        let (demand, capacity) = (self.demand.at(step), self.setup.capacity);
        let needed = least(demand, capacity, grain(self.setup.resize_seconds.is_some()));
        let supplied = supply.serving();
        self.steps += 1.0;
        self.oracle += least(demand, capacity, 1.0);
        self.paid += supply.paid();
        self.sums.add(needed, supplied);
        if let Some((d, s)) = self.before.replace((needed, supplied)) {
            self.unstable += (sign(supplied - s) - sign(needed - d)).abs().min(1.0);
        }
        let lacking = demand / capacity - supplied;
        self.backlog = (self.backlog + lacking * seconds).max(0.0);
        self.score.worst_backlog = self.score.worst_backlog.max(self.backlog);
    }

    pub fn finish(self) -> Score {
        let steps = self.steps.max(1.0);
        let percent = |sum: f64| 100.0 * sum / steps;
        let hours = steps * self.demand.step_seconds() as f64 / 3_600.0;
        let speedup = self.speedup();
        Score {
            cost_ratio: self.paid / self.oracle.max(1.0),
            replica_hours: self.paid * hours / steps,
            theta_u: percent(self.sums.theta[0]),
            theta_o: percent(self.sums.theta[1]),
            tau_u: percent(self.sums.tau[0]),
            tau_o: percent(self.sums.tau[1]),
            instability: 100.0 * self.unstable / (steps - 1.0).max(1.0),
            elastic_speedup: speedup,
            hours,
            ..self.score
        }
    }

    /// η, compared with a constant count.
    fn speedup(&self) -> f64 {
        let constant = (self.oracle / self.steps.max(1.0)).ceil();
        let grain = grain(self.setup.resize_seconds.is_some());
        let mut fixed = Elasticity::default();
        for step in 0..self.demand.steps() {
            if self.demand.second(step) >= self.setup.history_seconds {
                fixed.add(least(self.demand.at(step), self.setup.capacity, grain), constant);
            }
        }
        let ratios = fixed
            .all()
            .zip(self.sums.all())
            .map(|(n, a)| n.max(1.0) / a.max(1.0));
        ratios.product::<f64>().powf(0.25)
    }
}

/// The minimum of replicas that serve the demand, at least one, in multiples of `grain`.
fn least(demand: f64, capacity: f64, grain: f64) -> f64 {
    (demand / capacity / grain - 1e-9).ceil().max(1.0) * grain
}

fn sign(difference: f64) -> f64 {
    if difference == 0.0 {
        0.0
    } else {
        difference.signum()
    }
}

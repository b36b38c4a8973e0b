//! `poker-lab simulate`: runs a policy on a trace.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::simulate::{Demand, Fault, Run, Score, Setup, policies as core_policies};
use anyhow::{Context, bail};
use clap::Args;
use jiff::SignedDuration;
use rayon::prelude::*;
use serde::Serialize;

use super::bench::load::{Trace, history_seconds, read_trace, render, run_with};
use super::bench::scaling::LEGEND;
use super::policies::{self, Named};
use crate::plot;

/// Replay demand against a scaling policy
///
/// The decisions are those of the controller, by the same code. The policy is the autoscaling block
/// of a PokerCluster, so a simulated policy can be applied unchanged; the trace drives its first
/// metric. Replica hours are compared with an oracle that always runs just enough.
///
/// Example:
///   poker-lab simulate --trace testdata/load/crane_8.csv.gz \
///     --policy demo/autoscaling-policy.yaml --compare hpa70,hpa85 --plot week.svg
#[derive(Args, Debug)]
#[command(verbatim_doc_comment, after_help = LEGEND)]
pub struct SimulateArgs {
    /// Demand over time, in a format of `poker-lab forecast`; without times one value per second; - for standard input
    #[arg(long, value_name = "FILE")]
    trace: PathBuf,
    /// Autoscaling block of a PokerCluster, as YAML or JSON
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// Policies to compare with: hpaNN, the HPA with a target of NN %; reactive, panic or forecast, parts of the policy; joint, the policy with resizing; naive, the policy with missing samples as 0
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    compare: Vec<String>,
    /// Draw demand, supply and forecast into an SVG file
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Scale the trace so that its peak needs this many replicas; 0 keeps its values
    #[arg(long, default_value_t = 20.0, value_parser = not_below_zero)]
    peak_replicas: f64,
    /// Demand that one replica serves [default: the policy's averageValue]
    #[arg(long, value_parser = above_zero)]
    capacity: Option<f64>,
    /// Seconds from a decision until a new replica serves
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(i64).range(0..=86_400))]
    start_seconds: i64,
    /// Seconds that a replica drains before it ends
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..=86_400))]
    drain_seconds: i64,
    /// Seconds over which the metric is averaged
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(i64).range(1..=3_600))]
    window_seconds: i64,
    /// Seconds by which the metric is late
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(i64).range(0..=3_600))]
    late_seconds: i64,
    /// Seconds between two values of the metric
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(i64).range(1..=3_600))]
    scrape_seconds: i64,
    /// Days at the start that are history and not scored [default: 3, or none for a shorter trace]
    #[arg(long, value_parser = not_below_zero)]
    history_days: Option<f64>,
    /// Inject a fault into the metric source for ten minutes every seven hours: empty, nan, inf, stale, 5xx, slow, partial, duplicate, reset, skew, gap or flood
    #[arg(long, value_name = "KIND")]
    metric_fault: Option<Fault>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

fn not_below_zero(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    number.ok_or_else(|| String::from("give a number of 0 or more"))
}

fn above_zero(text: &str) -> Result<f64, String> {
    let number = not_below_zero(text).ok().filter(|n| *n > 0.0);
    number.ok_or_else(|| String::from("give a number above 0"))
}

#[derive(Serialize)]
struct SimulationReport {
    trace: String,
    /// The factor that scaled the values of the trace.
    factor: f64,
    history_days: f64,
    scored_days: f64,
    policies: Vec<PolicyScore>,
}

#[derive(Serialize)]
struct PolicyScore {
    policy: String,
    #[serde(flatten)]
    score: Score,
}

/// # Errors
/// A file cannot be used, or there is no policy of a given name.
pub fn run(args: &SimulateArgs) -> anyhow::Result<ExitCode> {
    let block = policies::read(&args.policy)?;
    let target = core_policies::capacity(&block).context("the policy has no target per replica")?;
    policies::note_short_lead(&block, args.start_seconds, args.late_seconds);
    let capacity = args.capacity.unwrap_or(target);
    let Trace {
        name: trace,
        demand,
        factor,
        notes,
    } = read_trace(&args.trace, capacity, args.peak_replicas)?;
    notes.iter().for_each(|note| eprintln!("note: {note}"));
    let seconds = demand.second(demand.steps());
    if args
        .history_days
        .is_some_and(|days| days * 86_400.0 >= seconds as f64)
    {
        bail!(
            "--history-days leaves nothing to score: {trace} has {:.2} days",
            seconds as f64 / 86_400.0
        );
    }
    let mut all = vec![Named::new("policy", block.clone())];
    for name in &args.compare {
        all.push(policies::named(name, &block)?);
    }
    let history = history(args, &demand);
    let runs: Vec<Run> = all
        .par_iter()
        .enumerate()
        .map(|(i, policy)| {
            let setup = setup(args, policy, capacity, history);
            run_with(
                &demand,
                policy,
                &setup,
                args.metric_fault,
                i == 0 && args.plot.is_some(),
            )
        })
        .collect();
    if let (Some(path), Some(first)) = (&args.plot, runs.first()) {
        draw(path, &trace, &demand, first, history)?;
    }
    let days = |seconds: i64| seconds as f64 / 86_400.0;
    let rows = all.into_iter().zip(runs).map(|(policy, run)| PolicyScore {
        policy: policy.name,
        score: run.score,
    });
    let report = SimulationReport {
        trace,
        factor,
        history_days: days(history),
        scored_days: days(seconds - history),
        policies: rows.collect(),
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}\n{}\n{LEGEND}", report.table(), report.assumptions(capacity));
    }
    Ok(ExitCode::SUCCESS)
}

/// Seconds of history that are not scored.
fn history(args: &SimulateArgs, demand: &Demand) -> i64 {
    let days = args.history_days.map(|days| (days * 86_400.0) as i64);
    days.unwrap_or_else(|| history_seconds(demand))
}

fn setup(args: &SimulateArgs, policy: &Named, capacity: f64, history: i64) -> Setup {
    Setup {
        drain_seconds: args.drain_seconds,
        window_seconds: args.window_seconds,
        late_seconds: args.late_seconds,
        scrape_seconds: args.scrape_seconds,
        ..policy.setup(capacity, args.start_seconds, history)
    }
}

fn draw(path: &Path, trace: &str, demand: &Demand, run: &Run, history: i64) -> anyhow::Result<()> {
    let at = |step: usize| demand.start() + SignedDuration::from_secs(demand.second(step));
    let line = |label: &str, color, value: fn(&crate::simulate::Point) -> f64| plot::Line {
        label: label.to_owned(),
        color,
        points: run
            .points
            .iter()
            .enumerate()
            .map(|(step, point)| (at(step), value(point)))
            .collect(),
    };
    let has_forecast = run.points.iter().any(|point| point.forecast.is_some());
    let mut lines = vec![line("supply", plot::GREEN, |point| point.supply)];
    if has_forecast {
        lines.push(line("forecast (99 %)", plot::ORANGE, |point| {
            point.forecast.unwrap_or(f64::NAN)
        }));
    }
    lines.push(line("demand", plot::BLUE, |point| point.demand));
    let panel = plot::Panel {
        unit: "demand".to_owned(),
        lines,
        ..plot::Panel::default()
    };
    let what = if has_forecast {
        "demand, supply and forecast"
    } else {
        "demand and supply"
    };
    let scored = match history {
        0 => String::new(),
        _ => format!(", scored after {:.1} days", history as f64 / 86_400.0),
    };
    plot::draw(path, &format!("{trace}: {what}{scored}"), &[panel])
}

impl SimulationReport {
    /// The assumptions of the scores.
    fn assumptions(&self, capacity: f64) -> String {
        let mut text = match self.factor == 1.0 {
            true => format!("{} unscaled", self.trace),
            false => format!("{} × {:.4} (--peak-replicas)", self.trace, self.factor),
        };
        text += &format!(
            "; a replica serves {capacity}; {:.1} days are scored",
            self.scored_days
        );
        if self.history_days > 0.0 {
            text += &format!(", after {:.1} days of history", self.history_days);
        }
        text + ".\n"
    }

    /// One column per policy.
    fn table(&self) -> String {
        let mut head = vec![self.trace.clone(), String::new()];
        head.extend(self.policies.iter().map(|row| row.policy.clone()));
        let mut table = vec![head];
        let mut add = |name: &str, unit: &str, digits: usize, value: &dyn Fn(&Score) -> f64| {
            let mut cells = vec![name.to_owned(), unit.to_owned()];
            cells.extend(
                self.policies
                    .iter()
                    .map(|row| format!("{:.digits$}", value(&row.score))),
            );
            table.push(cells);
        };
        add("replica hours", "h", 1, &|s| s.replica_hours);
        add("replica hours ÷ oracle", "", 3, &|s| s.cost_ratio);
        add("θU accuracy under", "%", 3, &|s| s.theta_u);
        add("θO accuracy over", "%", 2, &|s| s.theta_o);
        add("τU time under", "%", 3, &|s| s.tau_u);
        add("τO time over", "%", 2, &|s| s.tau_o);
        add("υ instability", "%", 2, &|s| s.instability);
        add("η elastic speedup", "", 2, &|s| s.elastic_speedup);
        add("actions", "", 0, &|s| s.actions as f64);
        add("reversals in 10 min", "", 0, &|s| s.reversals as f64);
        add("scale-ins on faults", "", 0, &|s| s.scale_ins_on_fault as f64);
        add("sessions moved", "peaks", 1, &|s| s.sessions_moved);
        add("worst backlog", "replica s", 0, &|s| s.worst_backlog);
        render(&table, false)
    }
}

//! `poker-lab bench scaling --load DIR`: runs all policies on all traces.

use std::collections::BTreeMap;
use std::process::ExitCode;

use crate::simulate::{Demand, Fault, Score};
use clap::Args;
use poker_operator_api::Autoscaling;
use rayon::prelude::*;
use serde::Serialize;

use super::load::{Load, LoadArgs, run_with};
use super::progress;
use crate::cli::policies::{self, Named};

/// Explains the columns of this benchmark and the rows of `simulate`.
pub const LEGEND: &str = "\
Scores, over the time that is scored; demand and supply are counts of replicas:
  cost, ÷ oracle  replica hours relative to an oracle that runs just enough; lower is cheaper
  θU, θO          missing and unused supply in % of the demand; lower is better
  τU, τO          time with too little and with too much supply in %; lower is better
  υ               time when demand and supply change in different directions in %; lower is better
  η               θ and τ relative to those of a constant count; higher is better
  actions         changes of count or size; reversals: undone within 10 min; lower is better
  on fault        scale-ins that a fault of the metric source caused; must be 0
θ, τ, υ and η are defined in SPEC-RG-2016-01.
";

/// Compare scaling policies on recorded demand
///
/// Every series in DIR is a trace. A replica serves a twentieth of its peak. The metric is the mean
/// over 60 s and is 15 s late. The first three days of a longer trace are history and not scored. A
/// day of a trace takes about a second on one core.
///
/// Example: poker-lab bench scaling --load testdata/load
#[derive(Args, Debug)]
#[command(verbatim_doc_comment, after_help = LEGEND)]
pub struct ScalingArgs {
    #[command(flatten)]
    load: LoadArgs,
    /// Inject a fault into the metric source for ten minutes every seven hours: empty, nan, inf, stale, 5xx, slow, partial, duplicate, reset, skew, gap or flood
    #[arg(long, value_name = "KIND")]
    metric_fault: Option<Fault>,
}

#[derive(Serialize)]
struct ScalingReport {
    traces: Vec<TraceScore>,
    geomean: BTreeMap<String, Means>,
}

#[derive(Serialize)]
struct TraceScore {
    trace: String,
    policy: String,
    cost_ratio: f64,
    theta_u: f64,
    theta_o: f64,
    tau_u: f64,
    tau_o: f64,
    instability: f64,
    elastic_speedup: f64,
    actions: u64,
    reversals: u64,
    scale_ins_on_fault: u64,
}

#[derive(Serialize)]
struct Means {
    cost_ratio: f64,
    tau_u: f64,
}

/// Lower bound of a time share in a geometric mean: it may be 0.
const TAU_PERCENT_MIN: f64 = 0.001;

/// The exit code is 1 if a fault caused a scale-in of the default policy.
///
/// # Errors
/// There is no trace, or a file cannot be used.
pub fn run(args: &ScalingArgs) -> anyhow::Result<ExitCode> {
    let Load {
        block,
        capacity,
        demands,
    } = args.load.read()?;
    let policies = policies(&block, args.metric_fault.is_some())?;
    let jobs: Vec<(&(String, Demand), &Named)> = demands
        .iter()
        .flat_map(|demand| policies.iter().map(move |policy| (demand, policy)))
        .collect();
    let hours = |demand: &Demand| demand.second(demand.steps()).unsigned_abs() / 3_600 + 1;
    let bar = progress(jobs.iter().map(|((_, demand), _)| hours(demand)).sum());
    let rows: Vec<TraceScore> = jobs
        .par_iter()
        .map(|((trace, demand), policy)| {
            let setup = args.load.setup(policy, capacity, demand);
            let run = run_with(demand, policy, &setup, args.metric_fault, false);
            bar.inc(hours(demand));
            TraceScore::new(trace, &policy.name, &run.score)
        })
        .collect();
    bar.finish_and_clear();
    let report = ScalingReport {
        geomean: means(&rows),
        traces: rows,
    };
    args.load.print(&report, &report.table(), Some(LEGEND))?;
    let failed = report
        .traces
        .iter()
        .any(|row| row.policy == "default" && row.scale_ins_on_fault > 0);
    Ok(if failed {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    })
}

/// All policies. With a fault also `naive`, which treats missing samples as 0.
fn policies(block: &Autoscaling, with_naive: bool) -> anyhow::Result<Vec<Named>> {
    let mut names = vec!["hpa70", "hpa85", "reactive", "panic", "forecast", "joint"];
    names.extend(with_naive.then_some("naive"));
    let mut all: Vec<Named> = names
        .iter()
        .map(|name| policies::named(name, block))
        .collect::<Result<_, _>>()?;
    all.push(Named::new("default", block.clone()));
    Ok(all)
}

impl TraceScore {
    fn new(trace: &str, policy: &str, score: &Score) -> TraceScore {
        TraceScore {
            trace: trace.to_owned(),
            policy: policy.to_owned(),
            cost_ratio: score.cost_ratio,
            theta_u: score.theta_u,
            theta_o: score.theta_o,
            tau_u: score.tau_u,
            tau_o: score.tau_o,
            instability: score.instability,
            elastic_speedup: score.elastic_speedup,
            actions: score.actions,
            reversals: score.reversals,
            scale_ins_on_fault: score.scale_ins_on_fault,
        }
    }
}

fn means(rows: &[TraceScore]) -> BTreeMap<String, Means> {
    let mut of: BTreeMap<&str, Vec<&TraceScore>> = BTreeMap::new();
    for row in rows {
        of.entry(&row.policy).or_default().push(row);
    }
    let mean = |values: Vec<f64>| (values.iter().map(|v| v.ln()).sum::<f64>() / values.len() as f64).exp();
    of.into_iter()
        .map(|(policy, rows)| {
            let means = Means {
                cost_ratio: mean(rows.iter().map(|r| r.cost_ratio).collect()),
                tau_u: mean(rows.iter().map(|r| r.tau_u.max(TAU_PERCENT_MIN)).collect()),
            };
            (policy.to_owned(), means)
        })
        .collect()
}

impl ScalingReport {
    fn table(&self) -> Vec<Vec<String>> {
        let head = [
            "trace",
            "policy",
            "cost",
            "θU %",
            "θO %",
            "τU %",
            "τO %",
            "υ %",
            "η",
            "actions",
            "reversals",
            "on fault",
        ];
        let mut table = vec![head.map(str::to_owned).to_vec()];
        for r in &self.traces {
            let mut cells = vec![r.trace.clone(), r.policy.clone()];
            let figures = [
                (r.cost_ratio, 3),
                (r.theta_u, 3),
                (r.theta_o, 1),
                (r.tau_u, 3),
                (r.tau_o, 1),
            ];
            let more = [(r.instability, 2), (r.elastic_speedup, 2)];
            cells.extend(
                figures
                    .iter()
                    .chain(&more)
                    .map(|(value, digits)| format!("{value:.digits$}")),
            );
            cells.extend([r.actions, r.reversals, r.scale_ins_on_fault].map(|n| n.to_string()));
            table.push(cells);
        }
        for (policy, means) in &self.geomean {
            let mut cells = vec![
                "geometric mean".to_owned(),
                policy.clone(),
                format!("{:.3}", means.cost_ratio),
            ];
            cells.extend(["", ""].map(str::to_owned));
            cells.push(format!("{:.3}", means.tau_u));
            cells.resize(head.len(), String::new());
            table.push(cells);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_means_are_geometric() {
        let row = |cost_ratio, tau_u| TraceScore {
            cost_ratio,
            ..TraceScore::new(
                "t",
                "p",
                &Score {
                    tau_u,
                    ..Score::default()
                },
            )
        };
        let means = means(&[row(1.0, 0.0), row(4.0, 0.1)]);
        assert_eq!(means["p"].cost_ratio, 2.0);
        assert!((means["p"].tau_u - 0.01).abs() < 1e-12);
    }

    #[test]
    fn the_report_has_the_documented_fields() {
        let rows = vec![TraceScore::new("t", "p", &Score::default())];
        let report = ScalingReport {
            geomean: means(&rows),
            traces: rows,
        };
        let report = serde_json::to_value(report).unwrap();
        for field in [
            "cost_ratio",
            "theta_u",
            "theta_o",
            "tau_u",
            "tau_o",
            "instability",
            "elastic_speedup",
            "actions",
            "reversals",
            "scale_ins_on_fault",
        ] {
            assert!(report["traces"][0][field].is_number(), "{field}: {report}");
        }
        assert_eq!(
            (&report["traces"][0]["trace"], &report["traces"][0]["policy"]),
            (&"t".into(), &"p".into())
        );
        for field in ["cost_ratio", "tau_u"] {
            assert!(report["geomean"]["p"][field].is_number(), "{field}: {report}");
        }
        let names: Vec<String> = policies(&policies::default(60).unwrap(), false)
            .unwrap()
            .into_iter()
            .map(|policy| policy.name)
            .collect();
        for name in ["hpa70", "hpa85", "reactive", "default"] {
            assert!(names.iter().any(|found| found == name), "{name}: {names:?}");
        }
    }

    #[test]
    fn the_legend_explains_every_column() {
        // The width of `--help`.
        assert!(LEGEND.lines().all(|line| line.chars().count() <= 100));
        let report = ScalingReport {
            traces: Vec::new(),
            geomean: BTreeMap::new(),
        };
        let head = report.table().concat().join(" ");
        for word in head
            .split_whitespace()
            .filter(|word| !["trace", "policy", "%"].contains(word))
        {
            assert!(LEGEND.contains(word), "{word}");
        }
    }
}

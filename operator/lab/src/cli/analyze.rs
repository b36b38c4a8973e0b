//! `poker-lab analyze`: replays the counts of a rollout through the judge.

mod chart;
mod report;
mod samples;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use poker_operator_core::rollout::analysis::{Analysis, Guard, Judge, Policy, Verdict};
use serde::Serialize;
use serde_json::Number;

use crate::input::text::read_text;
use poker_operator_manifest::input::display_name;
use samples::TimedLook;

/// Replay the counts of a rollout through the judge, and print each look's e-value and the verdict
///
/// The samples are JSON Lines, one metric of one look per line, in order of time:
///
///   {"t": 15, "metric": "errors",
///    "canary": {"exposure": 12.5, "bad": 0}, "stable": {"exposure": 237.5, "bad": 1}}
///
/// t is the time in seconds from any origin. exposure (team-minutes) and bad (incidents) are the
/// increments since the previous line of the metric. With --cumulative they are totals: counting
/// starts at the first line of a metric, and a total that falls was reset. null for a number or for
/// a version means missing data. Lines with the same t are one look. Unknown fields are ignored. A
/// line may also be {"t": 15, "guards": {"crashLoop": false, "unready": false, "splitTeams": 0}}.
///
/// Count teams, not requests: each team at most once per metric and step, with its exposure until
/// then. Leave out the first minute of every pod, for both versions. The errors of a team are not
/// independent: a test that counts requests mistakes one unlucky team for a bad version.
#[derive(Args, Debug)]
#[command(verbatim_doc_comment, after_long_help = NOTES)]
pub struct AnalyzeArgs {
    /// JSON Lines file, also gzipped; - for standard input
    #[arg(long, value_name = "FILE")]
    samples: PathBuf,
    /// exposure and bad are totals, not increments
    #[arg(long)]
    cumulative: bool,
    /// Probability of ever rolling back an equally good version, over all metrics together
    #[arg(long, value_name = "PROBABILITY", default_value_t = 0.005)]
    alpha: f64,
    /// Ratio to the incidents of stable that still counts as equally good; 1.25 for noisy metrics
    #[arg(long, value_name = "RATIO", default_value_t = 1.0)]
    r0: f64,
    /// Measured seconds after which an undecided analysis is Inconclusive
    #[arg(long, value_name = "SECONDS", default_value_t = 1800)]
    max_duration: i64,
    /// Draw the e-values and their thresholds into an SVG file
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

const NOTES: &str = "\
Verdicts, the first that applies:
  Rollback      the mean of the metrics' e-values reached 1/alpha, or a guard tripped; final
  Promote       every metric is cleared: twice the incidents of stable are refuted at 20 to 1
  Hold          a metric has no data (null, or none for a minute), so nothing is decided
  Inconclusive  neither within --max-duration of measured time, or an hour without data
  Continue      there is not enough evidence yet
The test for harm continues to the end of the file: Rollback may follow Promote or Inconclusive.

Exit codes: 0 for any verdict, 2 if the samples cannot be used.

Example:
  poker-lab analyze --samples docs/examples/rollout-samples.jsonl
  poker-lab analyze --samples docs/examples/rollout-samples.jsonl --json | jq -r .verdict";

/// Time that a single look covers. Otherwise the first look covers as much as the second.
const FIRST_LOOK: SignedDuration = SignedDuration::from_secs(15);

#[derive(Debug, Serialize)]
struct AnalysisReport {
    looks: Vec<MetricLook>,
    verdict: Verdict,
    at: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    guard: Option<Guard>,
    /// The metrics without data at the end.
    #[serde(skip)]
    missing: Vec<String>,
}

/// One metric of one look.
#[derive(Debug, Serialize)]
struct MetricLook {
    t: Number,
    #[serde(skip)]
    at: Timestamp,
    metric: String,
    /// Evidence against the canary.
    e: f64,
    /// Evidence for the canary.
    #[serde(skip)]
    clearing: f64,
    #[serde(skip)]
    combined: f64,
    #[serde(skip)]
    counts: [Option<(f64, u64)>; 2],
    #[serde(skip)]
    verdict: Verdict,
}

/// # Errors
/// The samples or the options cannot be used.
pub fn run(args: &AnalyzeArgs) -> Result<ExitCode> {
    let name = display_name(&args.samples);
    let text = read_text(&args.samples)?;
    let looks = samples::parse(&text, args.cumulative).with_context(|| format!("cannot use {name}"))?;
    let judge = judge(args, &looks).with_context(|| format!("cannot judge {name}"))?;
    if !args.cumulative && only_grows(&looks) {
        eprintln!("note: the exposures grow with every look; if they are totals, add --cumulative");
    }
    let report = replay(&judge, &looks);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report::table(&report, &judge));
    }
    if let Some(path) = &args.plot {
        chart::draw(path, &report, &judge)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn judge(args: &AnalyzeArgs, looks: &[TimedLook]) -> Result<Judge> {
    let metrics: BTreeSet<&String> = looks.iter().flat_map(|look| &look.metrics).collect();
    let mut policy = Policy::new(metrics.into_iter().cloned());
    if policy.metrics.is_empty() {
        // A file may hold only guards, but a policy needs a metric.
        policy = Policy::new([String::from("none")]);
    }
    policy.false_rollback = args.alpha;
    policy.longest_seconds = args.max_duration;
    policy.metrics.values_mut().for_each(|r0| *r0 = args.r0);
    Ok(Judge::new(policy)?)
}

/// The start of counting: the first look covers as much time as the second.
fn began_at(looks: &[TimedLook]) -> Timestamp {
    match looks {
        [first, second, ..] => first
            .at
            .checked_sub(second.at.duration_since(first.at))
            .unwrap_or(Timestamp::MIN),
        [only] => only.at.checked_sub(FIRST_LOOK).unwrap_or(Timestamp::MIN),
        [] => Timestamp::UNIX_EPOCH,
    }
}

fn replay(judge: &Judge, looks: &[TimedLook]) -> AnalysisReport {
    let mut analysis = Analysis::begin(began_at(looks));
    let mut report = AnalysisReport {
        looks: Vec::new(),
        verdict: analysis.verdict,
        at: Number::from(0),
        guard: None,
        missing: Vec::new(),
    };
    for TimedLook { t, at, look, metrics } in looks {
        analysis = judge.look(&analysis, *at, look);
        // A verdict that may still change has the time of the last look, a decision that of its first.
        let is_open = matches!(analysis.verdict, Verdict::Continue | Verdict::Hold);
        if is_open || analysis.verdict != report.verdict {
            report.at = t.clone();
        }
        report.verdict = analysis.verdict;
        report.guard = analysis.guard;
        let combined = judge.combined(&analysis);
        report.looks.extend(metrics.iter().map(|metric| {
            let evidence = analysis.metrics.get(metric).map(|m| m.evidence.clone());
            let evidence = evidence.unwrap_or_default();
            let sample = look.samples.get(metric).copied().flatten();
            MetricLook {
                t: t.clone(),
                at: *at,
                metric: metric.clone(),
                e: evidence.against(),
                clearing: evidence.clearing(),
                combined,
                counts: [sample.map(|s| s.canary), sample.map(|s| s.stable)]
                    .map(|arm| arm.map(|arm| (arm.exposure, arm.bad))),
                verdict: analysis.verdict,
            }
        }));
    }
    let unmeasured = analysis
        .metrics
        .iter()
        .filter(|(_, metric)| metric.measured_at.is_none());
    report.missing = unmeasured.map(|(name, _)| name.clone()).collect();
    report
}

/// Whether the exposures look like totals though they are read as increments.
fn only_grows(looks: &[TimedLook]) -> bool {
    const LOOKS_COUNT_MIN: usize = 6;
    let Some(metric) = looks.iter().find_map(|look| look.metrics.first()) else {
        return false;
    };
    let samples = looks
        .iter()
        .filter_map(|l| l.look.samples.get(metric).copied().flatten());
    let arms: Vec<[f64; 2]> = samples.map(|s| [s.canary.exposure, s.stable.exposure]).collect();
    let grows = |pair: &&[[f64; 2]]| pair[0][0] < pair[1][0] && pair[0][1] < pair[1][1];
    let falls = arms.windows(2).filter(|pair| !grows(pair)).count();
    // Totals fall where a process restarts.
    arms.len() >= LOOKS_COUNT_MIN && falls * LOOKS_COUNT_MIN <= arms.len()
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;
    use std::path::Path;

    use super::*;

    fn args(samples: &Path) -> AnalyzeArgs {
        AnalyzeArgs {
            samples: samples.to_owned(),
            cumulative: false,
            alpha: 0.005,
            r0: 1.0,
            max_duration: 1800,
            plot: None,
            json: true,
        }
    }

    fn report(text: &str) -> AnalysisReport {
        let looks = samples::parse(text, false).unwrap();
        replay(&judge(&args(Path::new("-")), &looks).unwrap(), &looks)
    }

    fn lines(looks: i64, canary: &str, stable: &str) -> String {
        let line = |n: i64| {
            format!(
                "{{\"t\": {}, \"metric\": \"errors\", \"canary\": {canary}, \"stable\": {stable}}}\n",
                15 * n
            )
        };
        (1..=looks).map(line).collect()
    }

    const QUIET: &str = r#"{"exposure": 10, "bad": 0}"#;
    const BAD: &str = r#"{"exposure": 10, "bad": 2}"#;
    const STABLE: &str = r#"{"exposure": 90, "bad": 0}"#;

    #[test]
    fn verdicts_come_with_their_time() {
        let cases = [
            (lines(9, BAD, STABLE), Verdict::Rollback, 30),
            (lines(9, QUIET, STABLE), Verdict::Continue, 135),
            (lines(9, "null", STABLE), Verdict::Hold, 135),
            (lines(130, QUIET, STABLE), Verdict::Inconclusive, 1800),
            (
                lines(
                    90,
                    r#"{"exposure": 10, "bad": 1}"#,
                    r#"{"exposure": 90, "bad": 9}"#,
                ),
                Verdict::Promote,
                210,
            ),
        ];
        for (text, verdict, at) in cases {
            let report = report(&text);
            assert_eq!((report.verdict, report.at), (verdict, Number::from(at)));
            assert_eq!(report.looks.len(), text.lines().count());
        }
    }

    #[test]
    fn the_sentence_names_the_cause_of_the_verdict() {
        for (text, expected) in [
            (lines(9, "null", STABLE), "Hold at 135 s, no data for errors"),
            (
                "{\"t\": 15, \"guards\": {}}".to_owned(),
                "Hold at 15 s, no data for any metric",
            ),
            (
                "{\"t\": 1767225615.5, \"guards\": {\"crashLoop\": true}}".to_owned(),
                "Rollback at 1767225615.5 s (2026-01-01 00:00:15 UTC), guard CrashLoop tripped",
            ),
        ] {
            assert_eq!(report(&text).sentence(), expected);
        }
    }

    #[test]
    fn the_example_is_rolled_back_for_its_errors() {
        let example = "../../docs/examples/rollout-samples.jsonl";
        let report = report(&std::fs::read_to_string(example).unwrap());
        assert_eq!((report.verdict, report.at), (Verdict::Rollback, Number::from(75)));
    }

    #[test]
    fn json_has_the_published_fields() {
        let json = serde_json::to_string(&report(&lines(1, QUIET, STABLE))).unwrap();
        let published = r#"{"looks":[{"t":15,"metric":"errors","e":1.0}],"verdict":"Continue","at":15}"#;
        assert_eq!(json, published);
    }

    #[test]
    fn totals_that_are_read_as_increments_are_noted() {
        let growing = |n: i64| {
            format!(
                r#"{{"t": {n}, "metric": "errors", "canary": {{"exposure": {n}, "bad": 0}}, "stable": {{"exposure": {n}, "bad": 0}}}}"#
            )
        };
        let text: Vec<String> = (1..9).map(growing).collect();
        assert!(only_grows(&samples::parse(&text.join("\n"), false).unwrap()));
        assert!(!only_grows(
            &samples::parse(&lines(9, QUIET, STABLE), false).unwrap()
        ));
    }

    #[test]
    fn charts_are_drawn() {
        let dir = tempfile::tempdir().unwrap();
        let samples = dir.path().join("samples.jsonl");
        std::fs::write(&samples, lines(9, BAD, STABLE)).unwrap();
        let plot = dir.path().join("e.svg");
        let with_plot = AnalyzeArgs {
            plot: Some(plot.clone()),
            ..args(&samples)
        };
        assert_eq!(run(&with_plot).unwrap(), ExitCode::SUCCESS);
        assert!(std::fs::read_to_string(plot).unwrap().contains("rollback at 200"));
    }

    #[test]
    fn gzipped_samples_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let samples = dir.path().join("samples.jsonl.gz");
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(lines(9, BAD, STABLE).as_bytes()).unwrap();
        std::fs::write(&samples, packed.finish().unwrap()).unwrap();
        assert_eq!(read_text(&samples).unwrap(), lines(9, BAD, STABLE));
    }

    #[test]
    fn unusable_input_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let samples = dir.path().join("samples.jsonl");
        std::fs::write(&samples, "{\"t\": 1").unwrap();
        let error = format!("{:#}", run(&args(&samples)).unwrap_err());
        assert!(
            error.ends_with("samples.jsonl: line 1: the line is incomplete: complete or delete it"),
            "{error}"
        );
        assert!(run(&args(&dir.path().join("absent"))).is_err());
        std::fs::write(&samples, lines(1, QUIET, STABLE)).unwrap();
        let alpha = AnalyzeArgs {
            alpha: 0.0,
            ..args(&samples)
        };
        assert!(run(&alpha).is_err());
    }
}

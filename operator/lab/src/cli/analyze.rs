//! `poker-lab analyze`: replays a rollout's counts through the judge.

mod samples;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use poker_operator_core::rollout::CLEARING_EVIDENCE;
use poker_operator_core::rollout::analysis::{Analysis, Guard, Judge, Policy, Verdict};
use serde::Serialize;
use serde_json::Number;

use crate::input::text::read_text;
use crate::plot::{
    BLUE, CLOCK_SECONDS_FROM, GREEN, GREY, Line, ORANGE, Panel, RED, Threshold, draw as draw_panels,
};
use poker_operator_manifest::input::display_name;
use samples::TimedLook;

/// Replay a rollout's counts through the judge, and print each look's e-value and the verdict
///
/// The samples are JSON Lines, one metric of one look a line, in order of time:
///
///   {"t": 15, "metric": "errors",
///    "canary": {"exposure": 12.5, "bad": 0}, "stable": {"exposure": 237.5, "bad": 1}}
///
/// t is the time in seconds, since anything. exposure (team-minutes) and bad (incidents) are what was
/// new since the line before of that metric; with --cumulative they are totals, the first line of a
/// metric is where counting starts, and totals that fall were reset. null for a number or for a whole
/// version is missing data. Lines of the same t are one look. Unknown fields are left out. A line
/// may also hold {"t": 15, "guards": {"crashLoop": false, "unready": false, "splitTeams": 0}}.
///
/// Count teams, not requests: a team at most once per metric and step, with its exposure until then,
/// and neither version in a pod's first minute. Errors of one team come together, and a test of
/// requests takes one unlucky team for a bad version.
#[derive(Args, Debug)]
#[command(verbatim_doc_comment, after_long_help = NOTES)]
pub struct AnalyzeArgs {
    /// JSON Lines file, gzip or not, or - for standard input
    #[arg(long, value_name = "FILE")]
    samples: PathBuf,
    /// exposure and bad are totals, not increments
    #[arg(long)]
    cumulative: bool,
    /// Chance of ever rolling back an equally good version, over all metrics together
    #[arg(long, value_name = "CHANCE", default_value_t = 0.005)]
    alpha: f64,
    /// How many times the incidents of stable an equally good version may show; 1.25 for noisy metrics
    #[arg(long, value_name = "RATIO", default_value_t = 1.0)]
    r0: f64,
    /// Measured seconds after which an undecided analysis is Inconclusive
    #[arg(long, value_name = "SECONDS", default_value_t = 1800)]
    max_duration: i64,
    /// Draw the e-values against their thresholds into an .svg or .png file
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

const NOTES: &str = "\
Verdicts, first that applies:
  Rollback      the mean of the metrics' e-values reached 1/alpha, or a guard tripped; final
  Promote       every metric was cleared: twice the incidents of stable are refuted at 20 to 1
  Hold          a metric has no data (null, or none for a minute); nothing is decided by it
  Inconclusive  neither within --max-duration of measured time, or an hour without data
  Continue      not enough is known yet
Harm is looked for to the end of the file, so a Rollback may follow Promote or Inconclusive.

Exit codes: 0 whatever the verdict is, 2 when the samples cannot be used.

Example:
  poker-lab analyze --samples docs/examples/rollout-samples.jsonl
  poker-lab analyze --samples docs/examples/rollout-samples.jsonl --json | jq -r .verdict";

/// The first look covers as much time as the second; a single one this much.
const FIRST_LOOK: SignedDuration = SignedDuration::from_secs(15);

#[derive(Debug, Serialize)]
struct Report {
    looks: Vec<Row>,
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
struct Row {
    t: Number,
    #[serde(skip)]
    at: Timestamp,
    metric: String,
    /// Against the canary.
    e: f64,
    /// For the canary.
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
        eprintln!("note: the exposures grow from look to look; if these are totals, add --cumulative");
    }
    let report = replay(&judge, &looks);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", table(&report, &judge));
    }
    if let Some(path) = &args.plot {
        draw(path, &report, &judge)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn judge(args: &AnalyzeArgs, looks: &[TimedLook]) -> Result<Judge> {
    let metrics: BTreeSet<&String> = looks.iter().flat_map(|look| &look.metrics).collect();
    let mut policy = Policy::new(metrics.into_iter().cloned());
    if policy.metrics.is_empty() {
        // Guards need no metric, a policy does.
        policy = Policy::new([String::from("none")]);
    }
    policy.false_rollback = args.alpha;
    policy.longest_seconds = args.max_duration;
    policy.metrics.values_mut().for_each(|r0| *r0 = args.r0);
    Ok(Judge::new(policy)?)
}

/// When counting began: the first look covers as much time as the second.
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

fn replay(judge: &Judge, looks: &[TimedLook]) -> Report {
    let mut analysis = Analysis::begin(began_at(looks));
    let mut report = Report {
        looks: Vec::new(),
        verdict: analysis.verdict,
        at: Number::from(0),
        guard: None,
        missing: Vec::new(),
    };
    for TimedLook { t, at, look, metrics } in looks {
        analysis = judge.look(&analysis, *at, look);
        // What lasts is told by its end, what was decided by its begin.
        let lasts = matches!(analysis.verdict, Verdict::Continue | Verdict::Hold);
        if lasts || analysis.verdict != report.verdict {
            report.at = t.clone();
        }
        report.verdict = analysis.verdict;
        report.guard = analysis.guard;
        let combined = judge.combined(&analysis);
        report.looks.extend(metrics.iter().map(|metric| {
            let evidence = analysis.metrics.get(metric).map(|m| m.evidence.clone());
            let evidence = evidence.unwrap_or_default();
            let sample = look.samples.get(metric).copied().flatten();
            Row {
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

/// Both tests over time, in powers of ten: e-values span more than any linear axis shows.
fn draw(path: &Path, report: &Report, judge: &Judge) -> Result<()> {
    let metrics: BTreeSet<&String> = report.looks.iter().map(|row| &row.metric).collect();
    let line = |label: &str, color, rows: Vec<(Timestamp, f64)>| Line {
        label: label.to_owned(),
        color,
        points: rows.into_iter().map(|(at, e)| (at, exponent(e))).collect(),
    };
    let of = |metric: &str, e: fn(&Row) -> f64| {
        let rows = report.looks.iter().filter(|row| row.metric == metric);
        rows.map(|row| (row.at, e(row))).collect::<Vec<_>>()
    };
    let colored = || metrics.iter().zip([BLUE, ORANGE, GREEN].into_iter().cycle());
    let panel = |unit: &str, what: &str, value: f64, e: fn(&Row) -> f64| Panel {
        unit: unit.to_owned(),
        lines: colored()
            .map(|(metric, color)| line(metric, color, of(metric, e)))
            .collect(),
        bands: Vec::new(),
        thresholds: vec![Threshold {
            label: format!("{what} at {value:.0}"),
            color: RED,
            value: value.log10(),
        }],
    };
    let mut against = panel("against it: log10 e", "rollback", judge.threshold(), |row| row.e);
    if metrics.len() > 1 {
        let all = report.looks.iter().map(|row| (row.at, row.combined)).collect();
        against.lines.push(line("all metrics", GREY, all));
    }
    let clearing = panel("for it: log10 e", "promotion", CLEARING_EVIDENCE, |row| {
        row.clearing
    });
    draw_panels(path, &report.sentence(), &[against, clearing])
}

/// The power of ten, within what a chart can show.
fn exponent(e: f64) -> f64 {
    e.log10().clamp(-6.0, 12.0)
}

/// Whether the exposures look like totals that were taken for increments.
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
    // Totals fall where a process starts anew.
    arms.len() >= LOOKS_COUNT_MIN && falls * LOOKS_COUNT_MIN <= arms.len()
}

fn table(report: &Report, judge: &Judge) -> String {
    let cells: Vec<[String; 7]> = report.looks.iter().map(Row::cells).collect();
    let head = ["t", "metric", "canary", "stable", "e", "e all", "clearing"].map(String::from);
    let width = |column: usize| {
        let cells = cells.iter().chain([&head]).map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: [usize; 7] = std::array::from_fn(width);
    let mut text = String::new();
    for (n, row) in [&head].into_iter().chain(&cells).enumerate() {
        let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
            if column == 1 {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            }
        });
        text += &cells.collect::<Vec<_>>().join("  ");
        let before = n
            .checked_sub(2)
            .map_or(Verdict::Continue, |n| report.looks[n].verdict);
        if let Some(verdict) = n
            .checked_sub(1)
            .map(|n| report.looks[n].verdict)
            .filter(|v| *v != before)
        {
            text += &format!("  {}", verdict.as_str());
        }
        text = text.trim_end().to_owned() + "\n";
    }
    text + &format!(
        "\nverdict: {}\nrollback is due when e of all metrics is {} or more, promotion when clearing is 20 or more in each\n",
        report.sentence(),
        number(judge.threshold()),
    )
}

impl Report {
    /// The verdict, when it came, and what alone led to it.
    fn sentence(&self) -> String {
        let mut text = format!("{} at {} s", self.verdict.as_str(), self.at);
        let at = self.at.as_f64().filter(|second| *second >= CLOCK_SECONDS_FROM);
        if let Some(at) = at.and_then(|second| Timestamp::from_second(second as i64).ok()) {
            text += &format!(" ({})", at.strftime("%Y-%m-%d %H:%M:%S UTC"));
        }
        if let Some(guard) = self.guard {
            text += &format!(", the guard {guard:?} tripped");
        }
        match (self.verdict, self.missing.as_slice()) {
            (Verdict::Hold, []) => text += ", no data of any metric",
            (Verdict::Hold, missing) => text += &format!(", no data of {}", missing.join(", ")),
            _ => {}
        }
        text
    }
}

impl Row {
    fn cells(&self) -> [String; 7] {
        let counts = |arm: Option<(f64, u64)>| {
            arm.map_or_else(
                || String::from("-"),
                |(exposure, bad)| format!("{bad} in {}", number(exposure)),
            )
        };
        [
            self.t.to_string(),
            self.metric.clone(),
            counts(self.counts[0]),
            counts(self.counts[1]),
            number(self.e),
            number(self.combined),
            number(self.clearing),
        ]
    }
}

/// Three digits or so, whatever the size.
fn number(value: f64) -> String {
    if value == 0.0 {
        String::from("0")
    } else if !(1e-3..1e6).contains(&value) {
        format!("{value:.2e}")
    } else if value < 10.0 {
        format!("{value:.3}")
    } else {
        format!("{value:.1}")
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

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

    fn report(text: &str) -> Report {
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
    fn the_verdict_is_told_with_what_led_to_it() {
        for (text, says) in [
            (lines(9, "null", STABLE), "Hold at 135 s, no data of errors"),
            (
                "{\"t\": 15, \"guards\": {}}".to_owned(),
                "Hold at 15 s, no data of any metric",
            ),
            (
                "{\"t\": 1767225615.5, \"guards\": {\"crashLoop\": true}}".to_owned(),
                "Rollback at 1767225615.5 s (2026-01-01 00:00:15 UTC), the guard CrashLoop tripped",
            ),
        ] {
            assert_eq!(report(&text).sentence(), says);
        }
    }

    #[test]
    fn the_example_is_rolled_back_for_its_errors() {
        let example = "../docs/examples/rollout-samples.jsonl";
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
    fn totals_taken_for_increments_are_noticed() {
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
    fn packed_samples_are_unpacked() {
        let dir = tempfile::tempdir().unwrap();
        let samples = dir.path().join("samples.jsonl.gz");
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(lines(9, BAD, STABLE).as_bytes()).unwrap();
        std::fs::write(&samples, packed.finish().unwrap()).unwrap();
        assert_eq!(read_text(&samples).unwrap(), lines(9, BAD, STABLE));
    }

    #[test]
    fn what_cannot_be_used_is_one_clear_error() {
        let dir = tempfile::tempdir().unwrap();
        let samples = dir.path().join("samples.jsonl");
        std::fs::write(&samples, "{\"t\": 1").unwrap();
        let error = format!("{:#}", run(&args(&samples)).unwrap_err());
        assert!(
            error.ends_with("samples.jsonl: line 1: the line ends too early: complete or delete it"),
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

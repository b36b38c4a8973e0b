//! `poker-lab forecast`: forecasts a recorded load.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::forecasting::{Basis, Forecaster, PEAK_FACTOR};
use anyhow::{Context, Result, bail};
use clap::Args;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use serde::Serialize;

use crate::input::series::{STEP_DEFAULT, Series, read};
use crate::plot::{BLUE, Band, Line, ORANGE, Panel, draw};

/// Beyond this step the forecaster uses hourly means only.
const STEP_MAX: Duration = Duration::from_secs(3_600);
/// A plot shows a gap where this many values are missing.
const GAP_STEPS: i64 = 10;
const HORIZON_MAX: Duration = Duration::from_secs(48 * 3_600);

/// Forecast a recorded load, from minutes to two days ahead
///
/// Reads a series, feeds it to the forecaster sample by sample, and prints the forecasts after its end: every five
/// minutes up to an hour, then the mean of each hour. The file is CSV (time,value), one value per line, or the JSON
/// response of a Prometheus range query; it may be gzipped.
///
/// The point is the regression's estimate with the least error on average. The load stayed below a quantile in that
/// share of the recent forecasts: use it to have enough capacity. Quantiles follow recent errors, so q0.5 may differ
/// from the point. No forecast is above 1.5 times the highest load of the last weeks.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  poker-lab forecast --input load.csv --horizon 1h --quantiles 0.9,0.99
  poker-lab forecast --input values.txt.gz --step 5m --horizon 24h --plot forecast.svg")]
pub struct ForecastArgs {
    /// The series; - for standard input
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Time between two samples, for example 30s, 5m, 1h or 1d, or in seconds [default: from the file's times, 1s without times]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    step: Option<Duration>,
    /// How far ahead to forecast, for example 90m, 24h or 2d; at most 48h
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "1h")]
    horizon: Duration,
    /// Quantiles between 0 and 1
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = quantile, default_value = "0.5,0.9,0.95,0.99")]
    quantiles: Vec<f64>,
    /// Draw history, forecast and band into an SVG file
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct ForecastReport {
    series: String,
    /// The last sample.
    end: Timestamp,
    step_seconds: u64,
    samples: usize,
    forecast: Vec<ForecastRow>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct ForecastRow {
    at: Timestamp,
    minutes: u64,
    point: f64,
    /// By quantile level.
    quantiles: BTreeMap<String, f64>,
    basis: Basis,
    skilled: bool,
}

/// # Errors
/// The series cannot be read or is too short, or the plot cannot be written.
pub fn run(args: &ForecastArgs) -> Result<ExitCode> {
    let series = read(&args.input, args.step)?;
    series.notes.iter().for_each(|note| eprintln!("note: {note}"));
    let report = report(&series, args)?;
    if let Some(path) = &args.plot {
        draw(
            path,
            &format!("{}: forecast", series.name),
            &[panel(&series, &report, args)],
        )?;
    }
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&report)?),
        false => print!("{}", table(&report)),
    }
    Ok(ExitCode::SUCCESS)
}

fn report(series: &Series, args: &ForecastArgs) -> Result<ForecastReport> {
    if args.horizon > HORIZON_MAX || args.horizon.is_zero() {
        bail!("--horizon must be above 0 and at most 48h (2d)");
    }
    let step = step(series, args)?;
    let forecaster = fed(series, step);
    let end = series.points.last().context("the series is empty")?.0;
    let mut quantiles = args.quantiles.clone();
    quantiles.sort_by(f64::total_cmp);
    let rows: Option<Vec<ForecastRow>> = times(args.horizon, step)
        .into_iter()
        .map(|ahead| row(&forecaster, end, ahead, &quantiles))
        .collect();
    let rows = rows.with_context(|| too_little(series, step))?;
    if !forecaster.has_quantiles() && rows.iter().any(|row| row.basis == Basis::LastValue) {
        eprintln!("note: the series is too short for quantiles: they equal the point");
    }
    let most = forecaster.most();
    if rows.iter().any(|row| row.quantiles.values().any(|q| *q >= most)) {
        eprintln!(
            "note: quantiles are limited to {}, {PEAK_FACTOR} times the highest load of the last weeks",
            figure(most)
        );
    }
    Ok(ForecastReport {
        series: series.name.clone(),
        end,
        step_seconds: step.as_secs(),
        samples: series.points.len(),
        forecast: rows,
    })
}

fn step(series: &Series, args: &ForecastArgs) -> Result<Duration> {
    let step = args.step.or(series.step()).unwrap_or(STEP_DEFAULT);
    if step.is_zero() {
        bail!("--step must be above 0: it is the time between two values");
    }
    if step > STEP_MAX {
        eprintln!(
            "note: a step above an hour is too coarse: the hours between are interpolated, so the band is too narrow"
        );
    }
    Ok(step)
}

/// The forecaster after it has observed the series.
fn fed(series: &Series, step: Duration) -> Forecaster {
    let mut forecaster = Forecaster::new(step);
    for (at, value) in &series.points {
        forecaster.observe(*at, *value);
    }
    let left_out = series.points.iter().filter(|(_, value)| *value < 0.0).count();
    if left_out > 0 {
        eprintln!("note: {left_out} negative values are ignored: a load is never negative");
    }
    forecaster.at_end()
}

/// Why there is no forecast.
fn too_little(series: &Series, step: Duration) -> String {
    match series.points.iter().filter(|(_, value)| *value >= 0.0).count() {
        0 => "the series holds no value of 0 or more".to_owned(),
        values => format!(
            "the series is too short: {values} values, {} s apart; give at least five minutes and two values",
            step.as_secs_f64()
        ),
    }
}

/// Every five minutes, or step, in the first hour, then every hour, and the horizon itself.
fn times(horizon: Duration, step: Duration) -> Vec<Duration> {
    let near = step.max(Duration::from_secs(300)).as_secs();
    let hour = 3_600;
    let horizon = horizon.as_secs().max(1);
    let minutes = (near..=hour.min(horizon)).step_by(usize::try_from(near).unwrap_or(usize::MAX));
    let hours = (2 * hour..=horizon).step_by(3_600);
    let mut times: Vec<u64> = minutes.chain(hours).chain([horizon]).collect();
    times.sort_unstable();
    times.dedup();
    times.into_iter().map(Duration::from_secs).collect()
}

fn row(forecaster: &Forecaster, end: Timestamp, ahead: Duration, levels: &[f64]) -> Option<ForecastRow> {
    let middle = forecaster.forecast(ahead, 0.5)?;
    let mut quantiles = BTreeMap::new();
    let mut below = 0.0_f64;
    for level in levels {
        // Each level is calibrated on its own, so neighbouring levels may cross slightly.
        below = below.max(forecaster.forecast(ahead, *level)?.upper);
        quantiles.insert(level.to_string(), below);
    }
    Some(ForecastRow {
        at: end.checked_add(SignedDuration::try_from(ahead).ok()?).ok()?,
        minutes: ahead.as_secs() / 60,
        point: middle.point,
        quantiles,
        basis: middle.basis,
        skilled: middle.skilled,
    })
}

fn table(report: &ForecastReport) -> String {
    let levels: Vec<&String> = report
        .forecast
        .first()
        .map(|row| row.quantiles.keys().collect())
        .unwrap_or_default();
    let mut text = format!("{:20}  {:>7}  {:>12}", "time (UTC)", "ahead", "point");
    levels
        .iter()
        .for_each(|level| text += &format!("  {:>12}", format!("q{level}")));
    text += "  basis\n";
    for row in &report.forecast {
        let ahead = match row.minutes {
            m if m < 120 => format!("{m} min"),
            m => format!("{} h", m / 60),
        };
        text += &format!(
            "{:20}  {ahead:>7}  {:>12}",
            row.at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            figure(row.point)
        );
        for value in row.quantiles.values() {
            text += &format!("  {:>12}", figure(*value));
        }
        let doubt = if row.skilled {
            ""
        } else {
            ", no better than the last value"
        };
        text += &format!("  {}{doubt}\n", row.basis.as_str());
    }
    text
}

/// Five significant digits.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 1e9 || (size > 0.0 && size < 1e-3) => format!("{value:.4e}"),
        size if size >= 10_000.0 => format!("{value:.0}"),
        size if size >= 100.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// The end of the history, four horizons or a day, and the forecast.
fn panel(series: &Series, report: &ForecastReport, args: &ForecastArgs) -> Panel {
    let shown = (4 * args.horizon).max(Duration::from_secs(86_400));
    let from = SignedDuration::try_from(shown)
        .ok()
        .and_then(|shown| report.end.checked_sub(shown).ok())
        .unwrap_or(report.end);
    let history: Vec<(Timestamp, f64)> = series.points.iter().filter(|p| p.0 >= from).copied().collect();
    let now = history.last().copied().unwrap_or((report.end, 0.0));
    let history = interrupted(
        history,
        SignedDuration::from_secs(GAP_STEPS * report.step_seconds.cast_signed()),
    );
    let after = |of: &dyn Fn(&ForecastRow) -> f64| -> Vec<(Timestamp, f64)> {
        std::iter::once(now)
            .chain(report.forecast.iter().map(|row| (row.at, of(row))))
            .collect()
    };
    let ends = |row: &ForecastRow| {
        let mut values = row.quantiles.values().copied().chain([row.point]);
        let first = values.next().unwrap_or(row.point);
        values.fold((first, first), |(low, high), v| (low.min(v), high.max(v)))
    };
    let band = std::iter::once((now.0, now.1, now.1)).chain(report.forecast.iter().map(|row| {
        let (low, high) = ends(row);
        (row.at, low, high)
    }));
    let levels = report
        .forecast
        .first()
        .map(|row| row.quantiles.keys().cloned().collect::<Vec<_>>());
    Panel {
        unit: "load".to_owned(),
        lines: vec![
            Line {
                label: "history".to_owned(),
                color: BLUE,
                points: history,
            },
            Line {
                label: "forecast".to_owned(),
                color: ORANGE,
                points: after(&|row| row.point),
            },
        ],
        bands: vec![Band {
            label: format!("quantiles {}", levels.unwrap_or_default().join(", ")),
            color: ORANGE,
            points: band.collect(),
        }],
        thresholds: Vec::new(),
    }
}

/// Inserts a NaN into each gap, so that the line is interrupted.
fn interrupted(points: Vec<(Timestamp, f64)>, gap: SignedDuration) -> Vec<(Timestamp, f64)> {
    let mut drawn: Vec<(Timestamp, f64)> = Vec::with_capacity(points.len());
    for (at, value) in points {
        if let Some((before, _)) = drawn
            .last()
            .filter(|(before, _)| at.duration_since(*before) > gap)
        {
            drawn.push((*before, f64::NAN));
        }
        drawn.push((at, value));
    }
    drawn
}

/// Parses a duration like 90, 90s, 5m, 1h30m or 2d.
pub fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    text.parse::<Span>()
        .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| "give a duration like 30s, 5m, 1h or 2d".to_owned())
}

fn quantile(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(level) if level > 0.0 && level < 1.0 => Ok(level),
        _ => Err("give quantiles between 0 and 1, for example 0.5,0.99".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn durations_and_quantiles_are_parsed_or_rejected(text in ".{0,20}", number in "[0-9.e+-]{0,12}[smhdwy]{0,2}") {
            for text in [text, number] {
                let _ = duration(&text);
                if let Ok(level) = quantile(&text) {
                    prop_assert!(level > 0.0 && level < 1.0);
                }
            }
        }
    }

    fn args(input: PathBuf, horizon: &str, plot: Option<PathBuf>) -> ForecastArgs {
        ForecastArgs {
            input,
            step: Some(Duration::from_secs(300)),
            horizon: duration(horizon).unwrap(),
            quantiles: vec![0.9, 0.1],
            plot,
            json: true,
        }
    }

    #[test]
    fn a_file_becomes_a_forecast_and_a_plot() {
        let dir = tempfile::tempdir().unwrap();
        let (input, plot) = (dir.path().join("load.txt"), dir.path().join("load.svg"));
        let day = |i: i32| 100.0 + 50.0 * (f64::from(i) / 288.0 * std::f64::consts::TAU).sin();
        let values: Vec<String> = (0..288 * 5).map(|i| day(i).to_string()).collect();
        std::fs::write(&input, values.join("\n")).unwrap();
        let args = args(input, "3h", Some(plot.clone()));
        assert_eq!(run(&args).unwrap(), ExitCode::SUCCESS);
        assert!(std::fs::read_to_string(plot).unwrap().contains("forecast"));
        let report = report(&read(&args.input, args.step).unwrap(), &args).unwrap();
        assert_eq!(report.forecast.len(), 14);
        for row in &report.forecast {
            let values: Vec<f64> = row.quantiles.values().copied().collect();
            assert!(values[0] <= values[1] && row.point > 0.0, "{row:?}");
        }
    }

    #[test]
    fn a_series_that_cannot_be_forecast_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let input = dir.path().join("load.txt");
        std::fs::write(&input, "-1\n-2\n").unwrap();
        assert!(
            run(&args(input.clone(), "1h", None))
                .unwrap_err()
                .to_string()
                .contains("no value of 0 or more")
        );
        for too_far in ["49h", "3d", "0s"] {
            let error = run(&args(input.clone(), too_far, None)).unwrap_err().to_string();
            assert!(error.contains("at most 48h") && !error.contains('\n'), "{error}");
        }
        assert!(quantile("1.5").is_err());
        for (text, seconds) in [
            ("90", Some(90)),
            ("1h30m", Some(5_400)),
            ("2d", Some(172_800)),
            ("1d 12h", Some(129_600)),
            ("1w", Some(604_800)),
            ("1 month", None),
            ("-1h", None),
            ("soon", None),
        ] {
            assert_eq!(duration(text).ok(), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn times_are_dense_at_first() {
        let minutes = |horizon: u64, step: u64| -> Vec<u64> {
            let times = times(Duration::from_secs(horizon), Duration::from_secs(step));
            times.iter().map(|t| t.as_secs() / 60).collect()
        };
        assert_eq!(minutes(900, 60), [5, 10, 15]);
        assert_eq!(minutes(9_000, 1_800), [30, 60, 120, 150]);
        assert_eq!(minutes(60, 60), [1]);
    }
}

//! Scores on M4 Hourly, as the organisers of the competition defined them (Makridakis, Spiliotis
//! and Assimakopoulos 2020).

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use poker_operator_core::scale::forecast::hours;
use rayon::prelude::*;
use serde::Serialize;

use super::{Format, table};
use crate::cli::bench::progress;
use crate::series::read_text;

const SEASON: usize = 24;
/// A value outside the 95 % interval costs 2 ÷ 0.05 times its distance.
const PENALTY: f64 = 40.0;

type Rows = BTreeMap<String, Vec<f64>>;

/// The figures over all series.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Report {
    series: usize,
    smape: f64,
    mase: f64,
    owa: f64,
    msis95: f64,
    ms_mean: f64,
    ms_max: f64,
}

/// One series of the competition.
struct Case<'a> {
    train: &'a [f64],
    test: &'a [f64],
    naive2: &'a [f64],
}

/// The scores of one series; those of Naive2 are what OWA is relative to.
#[derive(Clone, Copy, Debug)]
struct Scores {
    smape: f64,
    mase: f64,
    smape_naive2: f64,
    mase_naive2: f64,
    msis: f64,
    ms: f64,
}

pub fn run(dir: &Path, format: Format) -> Result<()> {
    let (train, test, naive2) = (
        wide(dir, "hourly_train")?,
        wide(dir, "hourly_test")?,
        wide(dir, "hourly_naive2")?,
    );
    let cases: Vec<Case> = train
        .iter()
        .map(|(id, train)| {
            let of = |rows: &'_ Rows, name: &str| match rows.get(id) {
                Some(row) if row.len() == hours::HORIZON => Ok(()),
                Some(row) => bail!(
                    "{id} has {} values in {name} instead of {}",
                    row.len(),
                    hours::HORIZON
                ),
                None => bail!("{id} is in hourly_train and not in {name}"),
            };
            of(&test, "hourly_test")?;
            of(&naive2, "hourly_naive2")?;
            Ok(Case {
                train,
                test: &test[id],
                naive2: &naive2[id],
            })
        })
        .collect::<Result<_>>()?;
    let bar = progress(cases.len() as u64);
    let scores: Vec<Scores> = cases
        .par_iter()
        .map(|case| {
            let scores = score(case);
            bar.inc(1);
            scores
        })
        .collect::<Result<_>>()?;
    bar.finish_and_clear();
    print(&report(&scores)?, format)
}

fn report(scores: &[Scores]) -> Result<Report> {
    if scores.is_empty() {
        bail!("hourly_train holds no series");
    }
    let mean = |of: fn(&Scores) -> f64| scores.iter().map(of).sum::<f64>() / scores.len() as f64;
    let (smape, mase) = (mean(|s| s.smape), mean(|s| s.mase));
    Ok(Report {
        series: scores.len(),
        smape,
        mase,
        owa: 0.5 * (smape / mean(|s| s.smape_naive2) + mase / mean(|s| s.mase_naive2)),
        msis95: mean(|s| s.msis),
        ms_mean: mean(|s| s.ms),
        ms_max: scores.iter().map(|s| s.ms).fold(0.0, f64::max),
    })
}

fn score(case: &Case) -> Result<Scores> {
    let start = Instant::now();
    let path = hours::forecast(case.train).context("a series is shorter than three days")?;
    let ms = start.elapsed().as_secs_f64() * 1e3;
    let seasonal = case
        .train
        .iter()
        .zip(&case.train[SEASON..])
        .map(|(a, b)| (b - a).abs());
    let scale = seasonal.sum::<f64>() / (case.train.len() - SEASON) as f64;
    let count = case.test.len() as f64;
    let smape = |forecast: &[f64]| {
        let errors = case
            .test
            .iter()
            .zip(forecast)
            .map(|(y, f)| 200.0 * (y - f).abs() / (y.abs() + f.abs()));
        errors.sum::<f64>() / count
    };
    let mase = |forecast: &[f64]| {
        let errors = case.test.iter().zip(forecast).map(|(y, f)| (y - f).abs());
        errors.sum::<f64>() / count / scale
    };
    let interval = |step: usize, outcome: f64| {
        let low = path.quantile(step, 0.025).unwrap_or_default();
        let high = path.quantile(step, 0.975).unwrap_or_default();
        high - low + PENALTY * ((low - outcome).max(0.0) + (outcome - high).max(0.0))
    };
    let intervals = case
        .test
        .iter()
        .enumerate()
        .map(|(step, outcome)| interval(step, *outcome));
    Ok(Scores {
        smape: smape(&path.points),
        mase: mase(&path.points),
        smape_naive2: smape(case.naive2),
        mase_naive2: mase(case.naive2),
        msis: intervals.sum::<f64>() / count / scale,
        ms,
    })
}

fn print(report: &Report, format: Format) -> Result<()> {
    if format == Format::Json {
        println!("{}", serde_json::to_string(report)?);
        return Ok(());
    }
    let figures = [
        report.series.to_string(),
        format!("{:.3}", report.smape),
        format!("{:.3}", report.mase),
        format!("{:.3}", report.owa),
        format!("{:.2}", report.msis95),
        format!("{:.2}", report.ms_mean),
        format!("{:.2}", report.ms_max),
    ];
    let head = ["series", "sMAPE", "MASE", "OWA", "MSIS 95 %", "ms mean", "ms max"];
    print!("{}", table(format, &head, &[figures.to_vec()]));
    Ok(())
}

/// Reads `NAME.csv.gz` or `NAME.csv`: a name and values on each line.
fn wide(dir: &Path, name: &str) -> Result<Rows> {
    let packed = dir.join(format!("{name}.csv.gz"));
    let path = if packed.is_file() {
        packed
    } else {
        dir.join(format!("{name}.csv"))
    };
    let text = read_text(&path)?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut rows = Rows::new();
    for record in reader.records() {
        let record = record.with_context(|| format!("cannot use {}", path.display()))?;
        let mut cells = record.iter();
        let id = cells.next().unwrap_or_default().to_owned();
        let values = cells.filter(|cell| !cell.is_empty()).map(|cell| {
            cell.parse::<f64>()
                .with_context(|| format!("cannot use {}: {id}: `{cell}` is not a number", path.display()))
        });
        let values = values.collect::<Result<Vec<f64>>>()?;
        rows.insert(id, values);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, name: &str, values: impl Iterator<Item = f64>) {
        let values: Vec<String> = values.map(|v| v.to_string()).collect();
        std::fs::write(dir.join(name), format!("H1,{}\n", values.join(","))).unwrap();
    }

    fn day(hour: usize) -> f64 {
        100.0 + 50.0 * (hour as f64 / 24.0 * std::f64::consts::TAU).sin()
    }

    #[test]
    fn a_pure_cycle_is_forecast_and_scored() {
        let train: Vec<f64> = (0..700).map(|h| day(h) + (h as f64 * 0.618).fract()).collect();
        let test: Vec<f64> = (700..748).map(day).collect();
        let naive2 = vec![100.0; 48];
        let scores = score(&Case {
            train: &train,
            test: &test,
            naive2: &naive2,
        })
        .unwrap();
        assert!(scores.smape < 2.0 && scores.smape_naive2 > 20.0, "{scores:?}");
        let report = report(&[scores]).unwrap();
        assert!(report.owa < 0.1, "{report:?}");
    }

    #[test]
    fn folders_that_do_not_fit_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(run(dir.path(), Format::Json).is_err());
        write(dir.path(), "hourly_train.csv", (0..700).map(day));
        write(dir.path(), "hourly_test.csv", (0..48).map(day));
        write(dir.path(), "hourly_naive2.csv", (0..47).map(day));
        let error = run(dir.path(), Format::Json).unwrap_err().to_string();
        assert!(error.contains("H1 has 47 values in hourly_naive2"), "{error}");
    }
}

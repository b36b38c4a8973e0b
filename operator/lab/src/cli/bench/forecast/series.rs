//! Rolling-origin evaluation of every file in a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use rayon::prelude::*;
use serde::Serialize;

use super::chance::shares_above;
use super::faults::Fault;
use super::rolling::{HORIZONS_MINUTES, Score, judge};
use super::{Format, table};
use crate::cli::bench::{progress, walk};
use crate::input::series::read;

/// Files with one series per line, as those of M4.
const WIDE_PREFIXES: [&str; 2] = ["hourly_", "published_"];

#[derive(Serialize)]
struct SeriesReport {
    results: Vec<Score>,
    /// By horizon in minutes, over the files without faults.
    geomean: BTreeMap<i64, Means>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Means {
    nmae_ratio: Option<f64>,
    pinball95_ratio: Option<f64>,
    headroom99_ratio: Option<f64>,
}

/// Judges every series in the folder. `step` is the time between the values of a file without times.
pub fn run(dir: &Path, step: Duration, format: Format) -> Result<()> {
    let files = files(dir)?;
    let mut loaded = Vec::new();
    for path in &files {
        match read(path, Some(step)) {
            Ok(series) => loaded.push((name(dir, path), series)),
            Err(error) => eprintln!("skipped: {error:#}"),
        }
    }
    if loaded.is_empty() {
        bail!(
            "no series in {}: give a folder with files of times and values",
            dir.display()
        );
    }
    let jobs: Vec<_> = loaded
        .iter()
        .flat_map(|series| Fault::ALL.map(|fault| (series, fault)))
        .collect();
    let bar = progress(jobs.len() as u64);
    let results: Vec<Score> = jobs
        .par_iter()
        .flat_map(|((name, series), fault)| {
            let step = series.step().unwrap_or(step);
            let scores = judge(name, &series.points, step, *fault);
            bar.inc(1);
            scores
        })
        .collect();
    bar.finish_and_clear();
    for (name, _) in &loaded {
        if !results.iter().any(|score| score.file == *name) {
            eprintln!("skipped: {name} is too short: its second half has no outcome an hour ahead");
        }
    }
    if results.is_empty() {
        bail!(
            "no series in {} is long enough to be judged: give several days",
            dir.display()
        );
    }
    let report = SeriesReport {
        geomean: HORIZONS_MINUTES
            .iter()
            .filter_map(|h| Some((*h, means(&results, *h, Fault::None)?)))
            .collect(),
        results,
    };
    match format {
        Format::Json => println!("{}", serde_json::to_string(&report)?),
        _ => print!("{}", tables(&report, format)),
    }
    Ok(())
}

/// The files below a folder, except those with one series per line.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = walk(dir)?;
    files.retain(|path| {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase());
        let name = name.unwrap_or_default();
        let is_wide = WIDE_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if is_wide {
            eprintln!(
                "skipped: {} holds one series per line; judge it with --m4",
                path.display()
            );
        }
        !is_wide
    });
    Ok(files)
}

/// The path below the folder, as text.
fn name(dir: &Path, path: &Path) -> String {
    path.strip_prefix(dir).unwrap_or(path).display().to_string()
}

/// Geometric means at a horizon; `None` without a file.
fn means(results: &[Score], horizon_minutes: i64, fault: Fault) -> Option<Means> {
    let scores: Vec<&Score> = results
        .iter()
        .filter(|score| score.horizon_minutes == horizon_minutes && score.faults == fault.name())
        .collect();
    let mean = |of: fn(&Score) -> Option<f64>| {
        let logs: Vec<f64> = scores
            .iter()
            .filter_map(|s| of(s))
            .filter(|r| *r > 0.0)
            .map(f64::ln)
            .collect();
        (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / logs.len() as f64).exp())
    };
    (!scores.is_empty()).then(|| Means {
        nmae_ratio: mean(|s| s.nmae_ratio),
        pinball95_ratio: mean(|s| s.pinball95_ratio),
        headroom99_ratio: mean(|s| s.headroom99_ratio),
    })
}

fn tables(report: &SeriesReport, format: Format) -> String {
    let ratio = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.2}"));
    let row = |score: &Score| {
        let (low, high) = shares_above(score.outcomes);
        vec![
            score.file.clone(),
            score.horizon_minutes.to_string(),
            format!("{:.3}", score.nmae),
            ratio(score.nmae_ratio),
            ratio(score.pinball95_ratio),
            format!("{:.2}", score.headroom99),
            ratio(score.headroom99_ratio),
            format!("{:.2}", 100.0 * score.violations99),
            format!("{:.2}-{:.2}", 100.0 * low, 100.0 * high),
        ]
    };
    let head = [
        "file",
        "minutes",
        "nMAE",
        "ratio",
        "pinball ratio",
        "headroom",
        "ratio",
        "above 99 %, %",
        "by chance",
    ];
    let plain = report.results.iter().filter(|s| s.faults == Fault::None.name());
    let mut text = table(format, &head, &plain.map(row).collect::<Vec<_>>());
    let mut rows = Vec::new();
    for fault in Fault::ALL {
        for horizon in HORIZONS_MINUTES {
            let of_both = |s: &&Score| s.faults == fault.name() && s.horizon_minutes == horizon;
            let scores: Vec<&Score> = report.results.iter().filter(of_both).collect();
            let above: Vec<f64> = scores.iter().map(|s| 100.0 * s.violations99).collect();
            if let Some(means) = means(&report.results, horizon, fault) {
                let (low, high) = above
                    .iter()
                    .fold((f64::INFINITY, 0.0), |(l, h), v| (v.min(l), v.max(h)));
                let worst = scores.iter().filter_map(|s| s.pinball95_ratio).reduce(f64::max);
                rows.push(vec![
                    fault.name().to_owned(),
                    horizon.to_string(),
                    ratio(means.nmae_ratio),
                    ratio(means.pinball95_ratio),
                    ratio(worst),
                    ratio(means.headroom99_ratio),
                    format!("{low:.2}-{high:.2}"),
                ]);
            }
        }
    }
    let head = [
        "faults",
        "minutes",
        "nMAE ratio",
        "pinball ratio",
        "worst",
        "headroom ratio",
        "above 99 %, %",
    ];
    text += "\n";
    text += &table(format, &head, &rows);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn values_without_times_are_a_step_apart_and_short_series_are_rejected() {
        let dir = tempfile::tempdir().unwrap();
        let values: Vec<String> = (0..600).map(|i| (50 + i % 7).to_string()).collect();
        std::fs::write(dir.path().join("values.txt"), values.join("\n")).unwrap();
        run(dir.path(), 5 * MINUTE, Format::Json).unwrap();
        let error = run(dir.path(), Duration::from_secs(1), Format::Json).unwrap_err();
        assert!(error.to_string().contains("long enough"), "{error}");
    }

    #[test]
    fn subfolders_are_included_and_other_files_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        let values: Vec<String> = (0..600).map(|i| format!("{},{}", i * 300, 50 + i % 7)).collect();
        std::fs::write(inner.join("load.csv"), values.join("\n")).unwrap();
        std::fs::write(dir.path().join("hourly_train.csv"), "H1,1,2,3").unwrap();
        std::fs::write(dir.path().join("README.md"), "text").unwrap();
        std::fs::write(dir.path().join("broken.csv"), "a,b,c\nd,e,f\n").unwrap();
        let found: Vec<String> = files(dir.path())
            .unwrap()
            .iter()
            .map(|p| name(dir.path(), p))
            .collect();
        assert_eq!(found, ["broken.csv", "inner/load.csv"]);
        run(dir.path(), MINUTE, Format::Text).unwrap();
    }

    #[test]
    fn the_report_has_the_documented_fields() {
        let points: Vec<_> = (0..4_000)
            .map(|i| (jiff::Timestamp::from_second(60 * i).unwrap(), (50 + i % 7) as f64))
            .collect();
        let results = judge("load", &points, MINUTE, Fault::None);
        let means = means(&results, 15, Fault::None).unwrap();
        let report = serde_json::to_value(SeriesReport {
            results,
            geomean: [(15, means)].into(),
        })
        .unwrap();
        for field in [
            "file",
            "horizon_minutes",
            "faults",
            "nmae",
            "nmae_ratio",
            "pinball95_ratio",
            "headroom99",
            "headroom99_ratio",
            "violations99",
        ] {
            assert!(!report["results"][0][field].is_null(), "{field}: {report}");
        }
        for field in ["nmae_ratio", "pinball95_ratio", "headroom99_ratio"] {
            assert!(report["geomean"]["15"][field].is_f64(), "{field}: {report}");
        }
    }

    #[test]
    fn a_folder_without_series_is_rejected() {
        let dir = tempfile::tempdir().unwrap();
        assert!(
            run(dir.path(), MINUTE, Format::Json)
                .unwrap_err()
                .to_string()
                .contains("no series in")
        );
        assert!(run(&dir.path().join("absent"), MINUTE, Format::Json).is_err());
    }
}

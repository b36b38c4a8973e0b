//! Scores on M4 Hourly, as defined by the organisers of the competition (Makridakis, Spiliotis and Assimakopoulos 2020).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::forecasting::hours;
use anyhow::{Context, Result, bail};
use rayon::prelude::*;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use super::{Format, table};
use crate::cli::bench::progress;
use crate::input::text::read_text;

const SEASON: usize = 24;
/// The hourly model needs at least this history.
const DAYS_COUNT_MIN: usize = 3;
/// A value outside the 95 % interval costs 2 ÷ 0.05 times its distance.
const PENALTY: f64 = 40.0;

/// Squares and sums of larger values might overflow.
const VALUE_MAX: f64 = 1e100;

/// The series of one file by name.
#[derive(Debug)]
struct SeriesFile {
    path: PathBuf,
    rows: BTreeMap<String, Vec<f64>>,
}

/// The scores over all series; milliseconds are CPU time of the thread that forecasts.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct M4Scores {
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

/// The scores of one series; OWA is relative to those of Naive2.
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
        SeriesFile::read(dir, "hourly_train")?,
        SeriesFile::read(dir, "hourly_test")?,
        SeriesFile::read(dir, "hourly_naive2")?,
    );
    let mut cases = Vec::with_capacity(train.rows.len());
    for (id, values) in &train.rows {
        let values = train.history(id, values)?;
        if seasonal(values) <= 0.0 {
            eprintln!("skipped: {id:?} is the same every day, so MASE has no scale");
            continue;
        }
        cases.push(Case {
            train: values,
            test: test.horizon(id)?,
            naive2: naive2.horizon(id)?,
        });
    }
    if cases.is_empty() {
        bail!("cannot use {}: no series can be judged", train.path.display());
    }
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
    print(&report(&scores), format)
}

fn report(scores: &[Scores]) -> M4Scores {
    let mean = |of: fn(&Scores) -> f64| scores.iter().map(of).sum::<f64>() / scores.len() as f64;
    let (smape, mase) = (mean(|s| s.smape), mean(|s| s.mase));
    M4Scores {
        series: scores.len(),
        smape,
        mase,
        owa: 0.5 * (smape / mean(|s| s.smape_naive2) + mase / mean(|s| s.mase_naive2)),
        msis95: mean(|s| s.msis),
        ms_mean: mean(|s| s.ms),
        ms_max: scores.iter().map(|s| s.ms).fold(0.0, f64::max),
    }
}

/// The CPU time of this thread: other threads and programs do not count.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

fn score(case: &Case) -> Result<Scores> {
    let start = cpu_time();
    let path = hours::forecast(case.train).context("a series is shorter than three days")?;
    let ms = (cpu_time() - start).as_secs_f64() * 1e3;
    let scale = seasonal(case.train);
    let count = case.test.len() as f64;
    let smape = |forecast: &[f64]| {
        let errors = case
            .test
            .iter()
            .zip(forecast)
            .map(|(y, f)| 200.0 * (y - f).abs() / (y.abs() + f.abs()).max(f64::MIN_POSITIVE));
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

fn print(report: &M4Scores, format: Format) -> Result<()> {
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

/// The mean absolute change over a day: the unit of MASE and MSIS.
fn seasonal(train: &[f64]) -> f64 {
    let changes = train.iter().zip(train.iter().skip(SEASON));
    let count = train.len().saturating_sub(SEASON).max(1);
    changes.map(|(a, b)| (b - a).abs()).sum::<f64>() / count as f64
}

impl SeriesFile {
    /// Reads `NAME.csv.gz` or `NAME.csv`: a name and values on each line.
    fn read(dir: &Path, name: &str) -> Result<SeriesFile> {
        let packed = dir.join(format!("{name}.csv.gz"));
        let path = if packed.is_file() {
            packed
        } else {
            dir.join(format!("{name}.csv"))
        };
        let text = read_text(&path)?;
        let rows = rows(&text).with_context(|| format!("cannot use {}", path.display()))?;
        Ok(SeriesFile { path, rows })
    }

    /// Checks that a series is long enough to forecast.
    fn history<'a>(&self, id: &str, values: &'a [f64]) -> Result<&'a [f64]> {
        let file = self.path.display();
        if values.len() < DAYS_COUNT_MIN * SEASON {
            bail!("cannot use {file}: {id:?} is shorter than {DAYS_COUNT_MIN} days");
        }
        Ok(values)
    }

    fn horizon(&self, id: &str) -> Result<&[f64]> {
        let file = self.path.display();
        match self.rows.get(id) {
            Some(row) if row.len() == hours::HORIZON => Ok(row),
            Some(row) => bail!(
                "cannot use {file}: {id:?} has {} values instead of {}",
                row.len(),
                hours::HORIZON
            ),
            None => bail!("cannot use {file}: {id:?}, a series of hourly_train, is missing"),
        }
    }
}

fn rows(text: &str) -> Result<BTreeMap<String, Vec<f64>>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut rows = BTreeMap::new();
    for record in reader.records() {
        let record = record?;
        let mut cells = record.iter();
        let id = cells.next().unwrap_or_default().to_owned();
        let value = |cell: &str| match cell.parse::<f64>() {
            Ok(value) if value.abs() <= VALUE_MAX => Ok(value),
            _ => bail!("{id:?}: {cell:?} is not a number of at most {VALUE_MAX:e}"),
        };
        let values: Vec<f64> = cells
            .filter(|cell| !cell.is_empty())
            .map(value)
            .collect::<Result<_>>()?;
        if rows.contains_key(&id) {
            bail!("{id:?} is a duplicate");
        }
        rows.insert(id, values);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use std::io::Write;

    use super::*;

    const FILES: [&str; 3] = ["hourly_train", "hourly_test", "hourly_naive2"];

    /// Three files that fit, as text.
    fn whole() -> [String; 3] {
        let line = |id: &str, values: &mut dyn Iterator<Item = f64>| {
            let values: Vec<String> = values.map(|v| format!("{v:.1}")).collect();
            format!("{id},{}\n", values.join(","))
        };
        let noisy = |h: usize| day(h) + (h as f64 * 0.618).fract();
        let file = |hours: std::ops::Range<usize>| {
            line("H1", &mut hours.clone().map(noisy)) + &line("H2", &mut hours.map(|h| 7.0 * noisy(h + 5)))
        };
        [file(0..200), file(200..248), file(152..200)]
    }

    /// The damaged file is still usable, or the error is one line with its name.
    fn is_one_line_error_or_harmless(
        files: &[Vec<u8>; 3],
        damaged: usize,
        packed: bool,
    ) -> Result<(), TestCaseError> {
        let dir = tempfile::tempdir().unwrap();
        for (i, (name, bytes)) in FILES.iter().zip(files).enumerate() {
            let end = if packed && i == damaged { "csv.gz" } else { "csv" };
            std::fs::write(dir.path().join(format!("{name}.{end}")), bytes).unwrap();
        }
        if let Err(error) = run(dir.path(), Format::Json) {
            let text = format!("{error:#}");
            prop_assert!(!text.contains('\n'), "{text:?}");
            // A name that the first file lacks is not needed in the others; a new name there is missing in the others.
            prop_assert!(
                FILES.iter().any(|name| text.contains(&format!("{name}.csv"))),
                "{text}"
            );
        }
        Ok(())
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_bytes_in_any_file_are_an_error_with_its_name(
            damaged in 0..3_usize,
            packed in any::<bool>(),
            bytes in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..400),
                "([A-Z0-9]{0,2}[,\"\n.eE+-]{0,2}){0,60}".prop_map(String::into_bytes),
            ],
        ) {
            let mut files = whole().map(String::into_bytes);
            files[damaged] = bytes;
            is_one_line_error_or_harmless(&files, damaged, packed)?;
        }

        #[test]
        fn any_damage_to_a_file_is_an_error_or_harmless(
            damaged in 0..3_usize,
            packed in any::<bool>(),
            at in any::<prop::sample::Index>(),
            new in prop_oneof![any::<u8>(), prop::sample::select(b"0123456789.,eE-+\n\"".to_vec())],
            cut in any::<bool>(),
        ) {
            let mut files = whole().map(String::into_bytes);
            if packed {
                files[damaged] = gzip(&files[damaged]);
            }
            let at = at.index(files[damaged].len());
            if cut {
                files[damaged].truncate(at);
            } else {
                files[damaged][at] = new;
            }
            is_one_line_error_or_harmless(&files, damaged, packed)?;
        }
    }

    #[test]
    fn plain_and_gzipped_files_are_used() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in FILES.iter().zip(whole()) {
            std::fs::write(dir.path().join(format!("{name}.csv.gz")), gzip(text.as_bytes())).unwrap();
        }
        run(dir.path(), Format::Json).unwrap();
    }

    #[test]
    fn a_series_that_is_the_same_every_day_is_skipped() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in FILES.iter().zip(whole()) {
            let values = text.lines().next().unwrap().split(',').count() - 1;
            let same = format!("H0{}\n", ",5".repeat(values));
            std::fs::write(dir.path().join(format!("{name}.csv")), format!("{same}{text}")).unwrap();
        }
        run(dir.path(), Format::Json).unwrap();
        for name in FILES {
            let path = dir.path().join(format!("{name}.csv"));
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(path, text.lines().next().unwrap()).unwrap();
        }
        let error = run(dir.path(), Format::Json).unwrap_err().to_string();
        assert!(error.contains("no series can be judged"), "{error}");
    }

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
        let report = report(&[scores]);
        assert!(report.owa < 0.1, "{report:?}");
        let fields = serde_json::to_value(report).unwrap();
        for name in ["series", "smape", "mase", "owa", "msis95", "ms_mean", "ms_max"] {
            assert!(fields[name].is_number(), "{name}: {fields}");
        }
    }

    #[test]
    fn files_that_do_not_fit_together_are_rejected() {
        let dir = tempfile::tempdir().unwrap();
        assert!(run(dir.path(), Format::Json).is_err());
        write(
            dir.path(),
            "hourly_train.csv",
            (0..700).map(|h| day(h) + h as f64),
        );
        write(dir.path(), "hourly_test.csv", (0..48).map(day));
        write(dir.path(), "hourly_naive2.csv", (0..47).map(day));
        let error = run(dir.path(), Format::Json).unwrap_err().to_string();
        assert!(
            error.contains("hourly_naive2.csv: \"H1\" has 47 values"),
            "{error}"
        );
    }
}

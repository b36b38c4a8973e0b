//! `poker-lab bench`: measures the operator's decisions and compares them with others'.

mod faults;
mod forecast;
pub mod load;
pub mod scaling;
mod verdicts;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

/// Measure the operator's decisions and compare them with others'
#[derive(Args, Debug)]
pub struct BenchArgs {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand, Debug)]
enum Bench {
    Faults(faults::FaultsArgs),
    Forecast(forecast::ForecastArgs),
    Scaling(scaling::ScalingArgs),
    Verdicts(verdicts::VerdictsArgs),
}

/// # Errors
/// Those of the benchmark that runs.
pub fn run(args: BenchArgs) -> Result<ExitCode> {
    match args.bench {
        Bench::Faults(args) => faults::run(&args),
        Bench::Forecast(args) => forecast::run(&args),
        Bench::Scaling(args) => scaling::run(&args),
        Bench::Verdicts(args) => verdicts::run(&args),
    }
}

/// A progress bar on standard error, if that is a terminal.
fn progress(length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len}  {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// The files below a folder that may be series, sorted by path.
fn walk(dir: &Path) -> Result<Vec<PathBuf>> {
    let cannot_read = || format!("cannot read folder {}", dir.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(cannot_read)? {
        let path = entry.with_context(cannot_read)?.path();
        if path.is_dir() {
            found.extend(walk(&path)?);
        } else if may_be_series(&path) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a file may be a series, by its name: not a licence or a README.
fn may_be_series(file: &Path) -> bool {
    let name = file.file_name().map(|name| name.to_string_lossy().to_lowercase());
    let name = name.unwrap_or_default();
    let documents = ["license", "licence", "readme", "copying", "notice"];
    let data = [".csv", ".json", ".txt"];
    let plain = name.strip_suffix(".gz").unwrap_or(&name);
    data.iter().any(|end| plain.ends_with(end)) && !documents.iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_recognized_by_name() {
        for (file, expected) in [
            ("load/a.csv", true),
            ("a.CSV.gz", true),
            ("a.json", true),
            ("license_plates.md", false),
            ("LICENSE.txt", false),
            ("readme.txt.gz", false),
            ("README.md", false),
            ("a.gz", false),
            ("", false),
        ] {
            assert_eq!(may_be_series(Path::new(file)), expected, "{file}");
        }
    }
}

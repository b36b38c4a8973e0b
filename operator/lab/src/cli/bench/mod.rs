//! `poker-lab bench`: measures the decisions of this program, beside those of others.

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

/// Measure the decisions of this program beside those of others
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
/// As the bench that runs.
pub fn run(args: BenchArgs) -> Result<ExitCode> {
    match args.bench {
        Bench::Faults(args) => faults::run(&args),
        Bench::Forecast(args) => forecast::run(&args),
        Bench::Scaling(args) => scaling::run(&args),
        Bench::Verdicts(args) => verdicts::run(&args),
    }
}

/// A bar on standard error; nothing where that is no terminal.
fn progress(length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len}  {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// The files below a folder that may be series, in the order of their names.
fn walk(dir: &Path) -> Result<Vec<PathBuf>> {
    let say = || format!("cannot read folder {}", dir.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(say)? {
        let path = entry.with_context(say)?.path();
        if path.is_dir() {
            found.extend(walk(&path)?);
        } else if may_be_series(&path) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a file of a folder with recorded data may be a series, by its name: not what tells of the others.
fn may_be_series(file: &Path) -> bool {
    let name = file.file_name().map(|name| name.to_string_lossy().to_lowercase());
    let name = name.unwrap_or_default();
    let tells = ["license", "licence", "readme", "copying", "notice"];
    let data = [".csv", ".json", ".txt"];
    let plain = name.strip_suffix(".gz").unwrap_or(&name);
    data.iter().any(|end| plain.ends_with(end)) && !tells.iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_told_from_what_lies_beside_them() {
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

//! `poker-lab bench forecast`: the accuracy and the speed of forecasts.

mod chance;
mod faults;
mod m4;
mod rolling;
mod series;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{ArgGroup, Args};

use crate::cli::forecast::duration;

/// Measure the accuracy and the speed of forecasts
///
/// --m4 scores the hourly model on the hourly series of the M4 competition: sMAPE, MASE and OWA of the point forecasts,
/// MSIS of the 95 % intervals, and the milliseconds of CPU time per series (of the thread that forecasts it, so that the
/// load of the machine does not matter).
///
/// --series walks a folder and forecasts the next hour every five minutes in the second half of each file. It compares
/// errors, unused capacity and violations of the 99 % quantile with those of the last value with the same scale and
/// calibrator. `by chance` is the range of 95 out of 100 files of that length if every forecast were exceeded with a
/// probability of exactly 1 %. Each file is judged without faults and with each fault: a tenth of the samples lost, two
/// hours lost, a spike, a level shift, three days of history. A ratio is `-`, null in JSON, if only the last value is
/// never wrong. Horizons that are not a whole number of the file's steps are skipped.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("data").required(true), after_help = "Examples:
  poker-lab bench forecast --m4 testdata/forecast/m4_hourly
  poker-lab bench forecast --series testdata/forecast --json")]
pub struct ForecastArgs {
    /// Folder with hourly_train, hourly_test and hourly_naive2 (.csv or .csv.gz; one series per line, its name first)
    #[arg(long, value_name = "DIR", group = "data")]
    m4: Option<PathBuf>,
    /// Folder with series, as of `poker-lab forecast`; subfolders are included
    #[arg(long, value_name = "DIR", group = "data")]
    series: Option<PathBuf>,
    /// Time between the values of a file without times
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = duration, requires = "series")]
    step: Duration,
    /// Print JSON
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print the tables as Markdown
    #[arg(long)]
    markdown: bool,
}

/// The output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Text,
    Markdown,
    Json,
}

/// # Errors
/// The data cannot be read or used.
pub fn run(args: &ForecastArgs) -> Result<ExitCode> {
    let format = match (args.json, args.markdown) {
        (true, _) => Format::Json,
        (_, true) => Format::Markdown,
        _ => Format::Text,
    };
    if let Some(dir) = &args.m4 {
        m4::run(dir, format)?;
    }
    if let Some(dir) = &args.series {
        series::run(dir, args.step, format)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A table with aligned columns, or in Markdown; the first column is text, the others are numbers.
fn table(format: Format, head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &[String]| -> String {
        let padded = cells
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(i, (cell, width))| match i {
                0 => format!("{cell:width$}"),
                _ => format!("{cell:>width$}"),
            });
        let padded: Vec<String> = padded.collect();
        match format {
            Format::Markdown => format!("| {} |\n", padded.join(" | ")),
            _ => format!("{}\n", padded.join("  ").trim_end()),
        }
    };
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let mut text = line(&head);
    if format == Format::Markdown {
        let rule = widths.iter().enumerate().map(|(i, width)| match i {
            0 => "-".repeat(*width),
            _ => format!("{}:", "-".repeat(width.saturating_sub(1))),
        });
        text += &format!("| {} |\n", rule.collect::<Vec<_>>().join(" | "));
    }
    rows.iter().for_each(|row| text += &line(row));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_align_their_numbers() {
        let rows = [
            vec!["a".to_owned(), "1.5".to_owned()],
            vec!["long".to_owned(), "10".to_owned()],
        ];
        assert_eq!(
            table(Format::Text, &["x", "nmae"], &rows),
            "x     nmae\na      1.5\nlong    10\n"
        );
        assert_eq!(
            table(Format::Markdown, &["x", "nmae"], &rows),
            "| x    | nmae |\n| ---- | ---: |\n| a    |  1.5 |\n| long |   10 |\n"
        );
    }
}

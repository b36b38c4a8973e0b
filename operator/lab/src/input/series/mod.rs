//! Reads a time series from a file, plain or gzipped: CSV, one value per line, or the response of a Prometheus range
//! query.

mod csv;
mod prometheus;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::input::text::read_text;
use poker_operator_manifest::input::display_name;

/// The time between values without times if no step is given.
pub const STEP_DEFAULT: Duration = Duration::from_secs(1);
/// The year 5138; current times in milliseconds are beyond it.
const UNIX_SECONDS_END: f64 = 1e11;

/// A series in order of time. Several points may have the same time; missing values have no point.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The name of the file without folder and extension.
    pub name: String,
    pub points: Vec<(Timestamp, f64)>,
    /// Assumptions where the file is ambiguous.
    pub notes: Vec<String>,
}

impl Series {
    /// The most frequent time between two points, rounded to seconds; `None` for fewer than two points.
    pub fn step(&self) -> Option<Duration> {
        let mut steps: Vec<i64> = self
            .points
            .windows(2)
            .filter_map(|w| match w {
                [(a, _), (b, _)] => Some(b.as_second() - a.as_second()),
                _ => None,
            })
            .filter(|step| *step > 0)
            .collect();
        steps.sort_unstable();
        let runs = steps.chunk_by(|a, b| a == b);
        let longest = runs.max_by_key(|run| run.len())?.first()?;
        u64::try_from(*longest).ok().map(Duration::from_secs)
    }
}

/// Reads a series. With two or more columns the first is the time (ISO 8601, UTC if it names no zone, or Unix seconds)
/// and the second the value; a first line with text in both is a header. Values without times start at the epoch and
/// are `step` apart. A JSON object is the response of a Prometheus range query with one series. Empty, `null`, `NaN` and
/// infinite values are gaps.
///
/// # Errors
/// The file cannot be read, a line cannot be parsed (the error has its number), or there is no value.
pub fn read(path: &Path, step: Option<Duration>) -> Result<Series> {
    let text = read_text(path)?;
    let mut parsed = match text.trim_start().starts_with(['[', '{']) {
        true => prometheus::parse(&text),
        false => csv::parse(&text, step),
    }
    .with_context(|| format!("cannot use {}", display_name(path)))?;
    if parsed.points.is_empty() {
        bail!("cannot use {}: it has no values", display_name(path));
    }
    parsed.points.sort_by_key(|(at, _)| *at);
    Ok(Series {
        name: name(path),
        notes: parsed.notes(step),
        points: parsed.points,
    })
}

fn name(path: &Path) -> String {
    let name = display_name(path);
    let name = Path::new(&name).file_name().map(|name| name.to_string_lossy());
    let name = name.unwrap_or_default();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let stem = [".csv", ".txt", ".json"]
        .iter()
        .find_map(|extension| name.strip_suffix(extension));
    stem.unwrap_or(name).to_owned()
}

/// The contents of a file.
#[derive(Default)]
struct Parsed {
    points: Vec<(Timestamp, f64)>,
    /// Lines or items, with or without a value.
    count: usize,
    /// Those without a time.
    untimed: usize,
    /// The name or the number of the value's column if there are more than two.
    column: Option<String>,
}

impl Parsed {
    /// Adds the next value; `None` is a gap.
    fn push(&mut self, at: Option<Timestamp>, value: Option<f64>, step: Option<Duration>) {
        self.untimed += usize::from(at.is_none());
        let at = at.unwrap_or_else(|| regular(self.count, step.unwrap_or(STEP_DEFAULT)));
        self.points.extend(value.map(|value| (at, value)));
        self.count += 1;
    }

    fn notes(&self, step: Option<Duration>) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(column) = &self.column {
            notes.push(format!(
                "{column} is used as the value; other columns are ignored"
            ));
        }
        if self.untimed > 0 && step.is_none() {
            notes.push(format!(
                "the values have no times: {} s between them is assumed",
                STEP_DEFAULT.as_secs()
            ));
        }
        let missing = self.count - self.points.len();
        if missing > 0 {
            notes.push(format!("{missing} of {} values are missing", self.count));
        }
        notes
    }
}

fn regular(index: usize, step: Duration) -> Timestamp {
    let seconds = step.as_secs_f64() * index as f64;
    let offset = SignedDuration::try_from_secs_f64(seconds).unwrap_or(SignedDuration::MAX);
    Timestamp::UNIX_EPOCH
        .saturating_add(offset)
        .unwrap_or(Timestamp::MAX)
}

/// A value; `None` for a gap.
fn number(text: &str) -> Result<Option<f64>> {
    if text.is_empty() || text.eq_ignore_ascii_case("null") || text.eq_ignore_ascii_case("na") {
        return Ok(None);
    }
    let value: f64 = text
        .parse()
        .map_err(|_| anyhow!("`{text}` is not a number{}", separator_hint(text)))?;
    Ok(value.is_finite().then_some(value))
}

/// The remedy for a line whose columns are not separated by commas.
fn separator_hint(text: &str) -> &'static str {
    match text.trim().contains([';', '\t', ' ']) {
        true => ": separate columns by commas",
        false => "",
    }
}

fn time(text: &str) -> Result<Timestamp> {
    if let Ok(seconds) = text.parse::<f64>() {
        if seconds.abs() >= UNIX_SECONDS_END {
            bail!("`{text}` is out of the range of Unix seconds: divide milliseconds by 1000");
        }
        return SignedDuration::try_from_secs_f64(seconds)
            .ok()
            .and_then(|d| Timestamp::UNIX_EPOCH.checked_add(d).ok())
            .with_context(|| format!("`{text}` is not a time in Unix seconds"));
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let civil: DateTime = text.parse().map_err(|_| {
        let hint = separator_hint(text);
        anyhow!("`{text}` is not a time: give ISO 8601 (2026-01-31T12:00:00Z) or Unix seconds{hint}")
    })?;
    Ok(civil.to_zoned(TimeZone::UTC)?.timestamp())
}

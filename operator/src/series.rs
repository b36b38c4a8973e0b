//! Reads a time series from a file: CSV, JSON or one value a line, gzip or not.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use flate2::read::MultiGzDecoder;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// Values without a time are this far apart when no step is given.
pub const STEP_DEFAULT: Duration = Duration::from_secs(1);

/// A series in the order of time; equal times are possible, missing values are left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The file's name without folder and endings.
    pub name: String,
    pub points: Vec<(Timestamp, f64)>,
}

impl Series {
    /// The most frequent distance of two points, rounded to seconds; `None` below two points.
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

/// Reads a series. With two or more columns the first is the time (ISO 8601 text, UTC when it names
/// no zone, or Unix seconds) and the second the value; a line that holds text in both is a header.
/// Values without a time start at the epoch and are `step` apart. JSON is a list of numbers, of
/// `[time, value]`, or of `{"timestamp": …, "value": …}`. Empty, `null`, `NaN` and infinite values are gaps.
///
/// # Errors
/// The file cannot be read, a line cannot be understood (its number is said), or there is no value.
pub fn read(path: &Path, step: Option<Duration>) -> Result<Series> {
    let text = read_text(path)?;
    let step = step.unwrap_or(STEP_DEFAULT);
    let mut points = match text.trim_start().starts_with(['[', '{']) {
        true => parse_json(&text, step),
        false => parse_csv(&text, step),
    }
    .with_context(|| format!("cannot use {}", path.display()))?;
    if points.is_empty() {
        bail!("cannot use {}: it holds no value", path.display());
    }
    points.sort_by_key(|(at, _)| *at);
    let name = path.file_name().map(|n| n.to_string_lossy()).unwrap_or_default();
    let name = name.split('.').next().unwrap_or_default().to_owned();
    Ok(Series { name, points })
}

/// The text of a file, unpacked when it is gzip by its first bytes.
///
/// # Errors
/// The file cannot be read, unpacked, or is no UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    let say = || format!("cannot read {}", path.display());
    text_of(std::fs::read(path).with_context(say)?).with_context(say)
}

/// Text, unpacked when it is gzip by its first bytes.
///
/// # Errors
/// It cannot be unpacked, or is no UTF-8.
pub fn text_of(bytes: Vec<u8>) -> Result<String> {
    let mut text = String::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text)?;
    } else {
        text = String::from_utf8(bytes)?;
    }
    // A byte order mark is no part of the text.
    Ok(text.strip_prefix('\u{feff}').map(String::from).unwrap_or(text))
}

fn parse_csv(text: &str, step: Duration) -> Result<Vec<(Timestamp, f64)>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .comment(Some(b'#'))
        .from_reader(text.as_bytes());
    let mut points = Vec::new();
    let mut first = true;
    let mut timed = None;
    let mut index = 0;
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let header = std::mem::take(&mut first);
        let say = || format!("line {line}");
        let is_timed = record.len() > 1;
        let is_alike = |timed: &mut Option<bool>| match *timed.get_or_insert(is_timed) == is_timed {
            true => Ok(()),
            false if is_timed => bail!("a time and a value, and before it values alone"),
            false => bail!("no value beside the time: complete or delete the line"),
        };
        match (record.get(0), record.get(1)) {
            (Some(value), None) => {
                if header && number(value).is_err() {
                    continue;
                }
                is_alike(&mut timed).with_context(say)?;
                if let Some(value) = number(value).with_context(say)? {
                    points.push((regular(index, step), value));
                }
                index += 1;
            }
            (Some(at), Some(value)) => {
                if header && time(at).is_err() && number(value).is_err() {
                    continue;
                }
                is_alike(&mut timed).with_context(say)?;
                let at = time(at).with_context(say)?;
                points.extend(number(value).with_context(say)?.map(|v| (at, v)));
            }
            (None, _) => {}
        }
    }
    Ok(points)
}

fn parse_json(text: &str, step: Duration) -> Result<Vec<(Timestamp, f64)>> {
    let Value::Array(items) = serde_json::from_str(text)? else {
        bail!("give a JSON list of numbers, of [time, value], or of {{\"timestamp\": …, \"value\": …}}");
    };
    let mut points = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let (at, value) = match item {
            Value::Array(pair) => (pair.first(), pair.get(1)),
            Value::Object(fields) => (
                ["timestamp", "time", "t"].iter().find_map(|k| fields.get(*k)),
                ["value", "v"].iter().find_map(|k| fields.get(*k)),
            ),
            value => (None, Some(value)),
        };
        let say = || format!("item {index}");
        let at = match at {
            Some(Value::String(at)) => time(at).with_context(say)?,
            Some(at) => time(&at.to_string()).with_context(say)?,
            None => regular(index, step),
        };
        let value = match value {
            Some(Value::String(value)) => number(value),
            Some(Value::Null) => Ok(None),
            Some(value) => number(&value.to_string()),
            None => Err(anyhow::anyhow!("has no value")),
        };
        points.extend(value.with_context(say)?.map(|v| (at, v)));
    }
    Ok(points)
}

fn regular(index: usize, step: Duration) -> Timestamp {
    let seconds = step.as_secs_f64() * index as f64;
    let offset = SignedDuration::try_from_secs_f64(seconds).unwrap_or(SignedDuration::MAX);
    Timestamp::UNIX_EPOCH
        .saturating_add(offset)
        .unwrap_or(Timestamp::MAX)
}

/// A value; `None` when the text says that there is none.
fn number(text: &str) -> Result<Option<f64>> {
    if text.is_empty() || text.eq_ignore_ascii_case("null") || text.eq_ignore_ascii_case("na") {
        return Ok(None);
    }
    let value: f64 = text
        .parse()
        .map_err(|_| anyhow::anyhow!("`{text}` is not a number"))?;
    Ok(value.is_finite().then_some(value))
}

fn time(text: &str) -> Result<Timestamp> {
    if let Ok(seconds) = text.parse::<f64>() {
        return SignedDuration::try_from_secs_f64(seconds)
            .ok()
            .and_then(|d| Timestamp::UNIX_EPOCH.checked_add(d).ok())
            .with_context(|| format!("`{text}` is out of the range of Unix seconds"));
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let civil: DateTime = text.parse().map_err(|_| {
        anyhow::anyhow!("`{text}` is no time: give ISO 8601 (2026-01-31T12:00:00Z) or Unix seconds")
    })?;
    Ok(civil.to_zoned(TimeZone::UTC)?.timestamp())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn parse(name: &str, bytes: &[u8], step: Option<Duration>) -> Result<Series> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        read(&path, step)
    }

    fn seconds_and_values(series: &Series) -> Vec<(i64, f64)> {
        series.points.iter().map(|(at, v)| (at.as_second(), *v)).collect()
    }

    proptest! {
        #[test]
        fn no_text_panics_and_values_are_finite(text in ".{0,200}|([0-9:TZ.,eE+-]{0,12}[,\n]){0,20}") {
            for points in [parse_csv(&text, STEP_DEFAULT), parse_json(&text, STEP_DEFAULT)].into_iter().flatten() {
                prop_assert!(points.iter().all(|(_, value)| value.is_finite()));
            }
        }

        #[test]
        fn what_is_written_is_read(points in prop::collection::vec((0_i64..4_000_000_000, -1_000_000_000_i64..1_000_000_000), 1..50)) {
            // Binary fractions, which every reader of numbers takes exactly.
            let points: Vec<(i64, f64)> = points.into_iter().map(|(at, v)| (at, v as f64 / 64.0)).collect();
            let text: String = points.iter().map(|(at, value)| format!("{at},{value}\n")).collect();
            let json = serde_json::to_string(&points).unwrap();
            for read in [parse_csv(&text, STEP_DEFAULT), parse_json(&json, STEP_DEFAULT)] {
                let read: Vec<_> = read.unwrap().into_iter().map(|(at, v)| (at.as_second(), v)).collect();
                prop_assert_eq!(&read, &points);
            }
        }
    }

    #[test]
    fn every_format_reads_alike() {
        let expected = [(0, 1.5), (60, 2.0), (180, 4.0)];
        let minute = Some(Duration::from_secs(60));
        for text in [
            "timestamp,value\n1970-01-01 00:00:00,1.5\n1970-01-01T00:01:00Z,2\n1970-01-01T01:03:00+01:00,4\n",
            "0,1.5,9\n60,2,9\n120,,9\n180.0,4,9\n",
            "180,4\n0,1.5\n60,2\n",
            "value\n1.5\n2\nNaN\n4\n",
            "\u{feff}time,value\n0,1.5\n60,2\n180,4\n",
            "\u{feff}[1.5, 2, null, 4]",
            "1.5\n2\nnull\n4",
            "[1.5, 2, null, 4]",
            r#"[[0, 1.5], ["1970-01-01T00:01:00Z", 2], [180, "4"]]"#,
            r#"[{"timestamp": 0, "value": 1.5}, {"t": 60, "v": 2}, {"time": "1970-01-01 00:03:00", "value": 4}]"#,
        ] {
            let series = parse("load.csv", text.as_bytes(), minute).unwrap();
            assert_eq!(seconds_and_values(&series), expected, "{text}");
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(text.as_bytes()).unwrap();
            let again = parse("load.csv.gz", &packed.finish().unwrap(), minute).unwrap();
            assert_eq!(again, series);
        }
    }

    #[test]
    fn values_alone_are_a_second_apart() {
        let series = parse("x.txt", b"1\n2\n3\n", None).unwrap();
        assert_eq!(seconds_and_values(&series), [(0, 1.0), (1, 2.0), (2, 3.0)]);
        assert_eq!((series.name.as_str(), series.step()), ("x", Some(STEP_DEFAULT)));
    }

    #[test]
    fn an_error_names_the_line() {
        for (text, says) in [
            ("t,v\n0,1\n60,oops\n", "line 3: `oops` is not a number"),
            ("0,1\nsoon,2\n", "line 2: `soon` is no time"),
            ("H1,605,586,550\n", "line 1: `H1` is no time"),
            ("0,1\n60,2\n12\n", "line 3: no value beside the time"),
            ("t,v\n2026-01-01 00:00,1\n7", "line 3: no value beside the time"),
            ("1\n2\n180,3\n", "line 3: a time and a value"),
            ("[1, {\"t\": 3}]", "item 1: has no value"),
            ("{\"a\": 1}", "give a JSON list"),
            ("", "it holds no value"),
        ] {
            let error = format!("{:#}", parse("x.csv", text.as_bytes(), None).unwrap_err());
            assert!(error.contains(says) && error.contains("x.csv"), "{error}");
        }
        assert!(read(Path::new("/nowhere/x.csv"), None).is_err());
    }
}

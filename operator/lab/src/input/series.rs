//! Reads a time series from a file: CSV, JSON or one value a line, gzip or not.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::input::text::read_text;
use poker_operator_manifest::input::display_name;

/// Values without a time are this far apart when no step is given.
pub const STEP_DEFAULT: Duration = Duration::from_secs(1);
/// The year 5138; milliseconds of our days lie beyond.
const UNIX_SECONDS_END: f64 = 1e11;
/// As programs name a column of times.
const TIME_NAMES: [&str; 6] = ["time", "timestamp", "date", "datetime", "t", "ts"];

/// A series in the order of time; equal times are possible, missing values are left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The file's name without folder and endings.
    pub name: String,
    pub points: Vec<(Timestamp, f64)>,
    /// How the file was understood, where it leaves doubt; for people.
    pub notes: Vec<String>,
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
/// `[time, value]`, or of `{"timestamp": …, "value": …}`, or what Prometheus answers to a range query that
/// gives one series. Empty, `null`, `NaN` and infinite values are gaps.
///
/// # Errors
/// The file cannot be read, a line cannot be understood (its number is said), or there is no value.
pub fn read(path: &Path, step: Option<Duration>) -> Result<Series> {
    let text = read_text(path)?;
    let mut parsed = match text.trim_start().starts_with(['[', '{']) {
        true => parse_json(&text, step),
        false => parse_csv(&text, step),
    }
    .with_context(|| format!("cannot use {}", display_name(path)))?;
    if parsed.points.is_empty() {
        bail!("cannot use {}: it holds no value", display_name(path));
    }
    parsed.points.sort_by_key(|(at, _)| *at);
    let name = display_name(path);
    let name = Path::new(&name)
        .file_name()
        .map(|n| n.to_string_lossy())
        .unwrap_or_default();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let ending = [".csv", ".txt", ".json"]
        .iter()
        .find_map(|ending| name.strip_suffix(ending));
    let name = ending.unwrap_or(name).to_owned();
    Ok(Series {
        name,
        notes: parsed.notes(step),
        points: parsed.points,
    })
}

/// What a file holds.
#[derive(Default)]
struct Parsed {
    points: Vec<(Timestamp, f64)>,
    /// Lines or items, with a value or not.
    count: usize,
    /// How many of them have no time.
    untimed: usize,
    /// The value's column by name or number, where there are more than two.
    column: Option<String>,
}

impl Parsed {
    /// Takes the next value; `None` is a gap.
    fn push(&mut self, at: Option<Timestamp>, value: Option<f64>, step: Option<Duration>) {
        let at = at.unwrap_or_else(|| regular(self.count, step.unwrap_or(STEP_DEFAULT)));
        self.points.extend(value.map(|value| (at, value)));
        self.count += 1;
    }

    fn notes(&self, step: Option<Duration>) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(column) = &self.column {
            notes.push(format!("{column} is taken for the value, and no other column"));
        }
        if self.untimed > 0 && step.is_none() {
            notes.push(format!(
                "the values have no times: they are taken as {} s apart",
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

fn parse_csv(text: &str, step: Option<Duration>) -> Result<Parsed> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .comment(Some(b'#'))
        .from_reader(text.as_bytes());
    let mut parsed = Parsed::default();
    let mut is_first = true;
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let say = || format!("line {line}");
        if std::mem::take(&mut is_first) {
            if record.len() > 2 {
                parsed.column = Some(String::from("the second column"));
            }
            if is_header(&record) {
                takes_second(&record).with_context(say)?;
                parsed.column = parsed.column.map(|_| format!("column `{}`", &record[1]));
                continue;
            }
        }
        take(&mut parsed, &record, step).with_context(say)?;
    }
    Ok(parsed)
}

/// Whether the first line holds names: no column of ours is a number or a time, and there is a letter.
fn is_header(record: &csv::StringRecord) -> bool {
    let is_name =
        |text: &str| number(text).is_err() && time(text).is_err() && text.contains(char::is_alphabetic);
    record.iter().take(2).all(is_name)
}

/// The second column is the value, so it cannot have the name of a time.
fn takes_second(names: &csv::StringRecord) -> Result<()> {
    let is_time = |name: &str| TIME_NAMES.contains(&name.to_lowercase().as_str());
    match (names.get(0), names.get(1)) {
        (Some(first), Some(second)) if is_time(second) && !is_time(first) => {
            bail!("`{second}` is the second column: put the time first and the value second")
        }
        _ => Ok(()),
    }
}

fn take(parsed: &mut Parsed, record: &csv::StringRecord, step: Option<Duration>) -> Result<()> {
    let is_timed = parsed.count > parsed.untimed;
    match (record.get(0), record.get(1)) {
        (Some(_), None) if is_timed => bail!("no value beside the time: complete or delete the line"),
        (Some(value), None) => {
            parsed.push(None, number(value)?, step);
            parsed.untimed += 1;
        }
        (Some(_), Some(_)) if parsed.untimed > 0 => bail!("a time and a value, and before it values alone"),
        (Some(at), Some(value)) => parsed.push(Some(time(at)?), number(value)?, step),
        (None, _) => {}
    }
    Ok(())
}

fn parse_json(text: &str, step: Option<Duration>) -> Result<Parsed> {
    let items = items(serde_json::from_str(text).context("this is no JSON document")?)?;
    let mut parsed = Parsed::default();
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
            Some(Value::String(at)) => Some(time(at).with_context(say)?),
            Some(at) => Some(time(&at.to_string()).with_context(say)?),
            None => None,
        };
        let value = match value {
            Some(Value::String(value)) => number(value),
            Some(Value::Null) => Ok(None),
            Some(value) => number(&value.to_string()),
            None => Err(anyhow::anyhow!("has no value")),
        };
        parsed.untimed += usize::from(at.is_none());
        parsed.push(at, value.with_context(say)?, step);
    }
    Ok(parsed)
}

/// The points of a JSON document.
fn items(document: Value) -> Result<Vec<Value>> {
    let series = match document {
        Value::Array(items) => return Ok(items),
        Value::Object(mut answer) => match answer.get_mut("data").and_then(|data| data.get_mut("result")) {
            Some(Value::Array(series)) => std::mem::take(series),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    match <[Value; 1]>::try_from(series) {
        Ok([mut one]) => match one.get_mut("values") {
            Some(Value::Array(points)) => Ok(std::mem::take(points)),
            _ => bail!("this Prometheus answer holds one point in time: ask with /api/v1/query_range"),
        },
        Err(series) if series.is_empty() => bail!(
            "give a JSON list of numbers, of [time, value], or of {{\"timestamp\": …, \"value\": …}}, or a Prometheus \
             answer that holds a series"
        ),
        Err(series) => bail!(
            "this Prometheus answer holds {} series: ask for one, with sum() for example",
            series.len()
        ),
    }
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
        .map_err(|_| anyhow::anyhow!("`{text}` is not a number{}", separator_hint(text)))?;
    Ok(value.is_finite().then_some(value))
}

/// What to do about a line whose columns are not told apart.
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
            .with_context(|| format!("`{text}` is no time in Unix seconds"));
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let civil: DateTime = text.parse().map_err(|_| {
        let hint = separator_hint(text);
        anyhow::anyhow!("`{text}` is no time: give ISO 8601 (2026-01-31T12:00:00Z) or Unix seconds{hint}")
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
            for parsed in [parse_csv(&text, None), parse_json(&text, None)].into_iter().flatten() {
                prop_assert!(parsed.points.iter().all(|(_, value)| value.is_finite()));
            }
        }

        #[test]
        fn what_is_written_is_read(points in prop::collection::vec((0_i64..4_000_000_000, -1_000_000_000_i64..1_000_000_000), 1..50)) {
            // Binary fractions, which every reader of numbers takes exactly.
            let points: Vec<(i64, f64)> = points.into_iter().map(|(at, v)| (at, v as f64 / 64.0)).collect();
            let text: String = points.iter().map(|(at, value)| format!("{at},{value}\n")).collect();
            let json = serde_json::to_string(&points).unwrap();
            for read in [parse_csv(&text, None), parse_json(&json, None)] {
                let read: Vec<_> = read.unwrap().points.into_iter().map(|(at, v)| (at.as_second(), v)).collect();
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
            r#"{"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {},
                "values": [[0, "1.5"], [60, "2"], [120, "NaN"], [180, "4"]]}]}}"#,
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
        assert_eq!(
            parse("web.2026.csv.gz", b"1\n2\n", None).unwrap().name,
            "web.2026"
        );
    }

    #[test]
    fn what_is_in_doubt_is_noted() {
        for (text, step, expected) in [
            ("0,1\n60,2\n", None, vec![]),
            (
                "1\n2\n",
                None,
                vec!["the values have no times: they are taken as 1 s apart"],
            ),
            ("[1, 2]", Some(STEP_DEFAULT), vec![]),
            (
                "time,cpu,users\n0,1,2\n60,,4\n",
                None,
                vec![
                    "column `cpu` is taken for the value, and no other column",
                    "1 of 2 values are missing",
                ],
            ),
            (
                "0,1,2\n60,3,4\n",
                None,
                vec!["the second column is taken for the value, and no other column"],
            ),
        ] {
            assert_eq!(
                parse("x.csv", text.as_bytes(), step).unwrap().notes,
                expected,
                "{text}"
            );
        }
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
            (
                "{\"t\": 0, \"v\": 1}\n{\"t\": 60, \"v\": 2}\n",
                "no JSON document",
            ),
            (r#"{"data": {"result": []}}"#, "give a JSON list"),
            (r#"{"data": {"result": [{"value": [0, "1"]}]}}"#, "query_range"),
            (
                r#"{"data": {"result": [{"values": []}, {"values": []}]}}"#,
                "holds 2 series",
            ),
            ("value,time\n1,0\n", "line 1: `time` is the second column"),
            (
                "1699999800 106.4\n",
                "line 1: `1699999800 106.4` is not a number: separate columns",
            ),
            ("time;value\n0;1.5\n", "separate columns by commas"),
            ("2026-01-01T00:00:00Z\t1,5\n", "separate columns by commas"),
            ("1767225600000,5\n", "divide milliseconds by 1000"),
            ("", "it holds no value"),
        ] {
            let error = format!("{:#}", parse("x.csv", text.as_bytes(), None).unwrap_err());
            assert!(error.contains(says) && error.contains("x.csv"), "{error}");
        }
        assert!(read(Path::new("/nowhere/x.csv"), None).is_err());
    }
}

//! CSV: time and value, or one value per line.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Parsed, number, time};

/// Usual names of a column of times.
const TIME_NAMES: [&str; 6] = ["time", "timestamp", "date", "datetime", "t", "ts"];

pub fn parse(text: &str, step: Option<Duration>) -> Result<Parsed> {
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
        let number = record.position().map_or(0, csv::Position::line);
        let line = || format!("line {number}");
        if std::mem::take(&mut is_first) {
            if record.len() > 2 {
                parsed.column = Some(String::from("the second column"));
            }
            if is_header(&record) {
                check_header(&record).with_context(line)?;
                parsed.column = parsed.column.map(|_| format!("column `{}`", &record[1]));
                continue;
            }
        }
        add(&mut parsed, &record, step).with_context(line)?;
    }
    Ok(parsed)
}

/// Whether the first line is a header: neither of the first two columns is a number or a time.
fn is_header(record: &csv::StringRecord) -> bool {
    let is_name =
        |text: &str| number(text).is_err() && time(text).is_err() && text.contains(char::is_alphabetic);
    record.iter().take(2).all(is_name)
}

/// The second column is the value, so it must not have the name of a time.
fn check_header(names: &csv::StringRecord) -> Result<()> {
    let is_time = |name: &str| TIME_NAMES.contains(&name.to_lowercase().as_str());
    match (names.get(0), names.get(1)) {
        (Some(first), Some(second)) if is_time(second) && !is_time(first) => {
            bail!("`{second}` is the second column: put the time first and the value second")
        }
        _ => Ok(()),
    }
}

fn add(parsed: &mut Parsed, record: &csv::StringRecord, step: Option<Duration>) -> Result<()> {
    let is_timed = parsed.count > parsed.untimed;
    match (record.get(0), record.get(1)) {
        (Some(_), None) if is_timed => bail!("the time has no value: complete or delete the line"),
        (Some(value), None) => parsed.push(None, number(value)?, step),
        (Some(_), Some(_)) if parsed.untimed > 0 => {
            bail!("this line has a time, earlier lines have none: give all lines a time or none")
        }
        (Some(at), Some(value)) => parsed.push(Some(time(at)?), number(value)?, step),
        (None, _) => {}
    }
    Ok(())
}

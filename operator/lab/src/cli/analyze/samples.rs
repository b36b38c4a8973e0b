//! Reads samples from JSON Lines, one metric of one look per line.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, bail};
use jiff::Timestamp;
use poker_operator_core::rollout::analysis::{Arm, Guards, Increment, Look, counter};
use serde_json::{Map, Number, Value};

/// Times are seconds from any origin; Unix times are below this too.
const SECONDS_MAX: f64 = 1e11;
/// Larger counts of incidents are not exact as a float.
const BAD_MAX: f64 = 9_007_199_254_740_992.0;

/// All samples with the same time.
#[derive(Clone, Debug, PartialEq)]
pub struct TimedLook {
    /// As written in the file.
    pub t: Number,
    pub at: Timestamp,
    pub look: Look,
    /// In the order of the file.
    pub metrics: Vec<String>,
}

/// Both arms of a metric in the last line that had them.
type Totals = BTreeMap<String, Increment>;

/// Reads samples in order of time. With `cumulative` the numbers are totals, not increments.
///
/// # Errors
/// The number of the first line that cannot be used, or that there is no line.
pub fn parse(text: &str, cumulative: bool) -> Result<Vec<TimedLook>> {
    let mut looks: Vec<TimedLook> = Vec::new();
    let mut totals = Totals::new();
    for (n, line) in text.lines().enumerate() {
        if !line.trim().is_empty() {
            let totals = cumulative.then_some(&mut totals);
            take(&mut looks, line, totals).with_context(|| format!("line {}", n + 1))?;
        }
    }
    if looks.is_empty() {
        bail!("no samples: write one JSON object per line, see `poker-lab analyze --help`");
    }
    Ok(looks)
}

fn take(looks: &mut Vec<TimedLook>, line: &str, totals: Option<&mut Totals>) -> Result<()> {
    let object: Map<String, Value> = serde_json::from_str(line).map_err(|error| {
        if error.is_eof() {
            return anyhow!("the line is incomplete: complete or delete it");
        }
        let (what, column) = (error.to_string(), error.column());
        let what = what.split(" at line ").next().unwrap_or_default();
        anyhow!("not a JSON object: {what} at column {column}; write null for a missing number")
    })?;
    let (t, at) = time(&object)?;
    if let Some(last) = looks.last().filter(|last| last.at > at) {
        bail!(
            "t is {t}, less than {} on an earlier line: sort the lines by t",
            last.t
        );
    }
    if looks.last().is_none_or(|last| last.at < at) {
        looks.push(TimedLook {
            t,
            at,
            look: Look::default(),
            metrics: Vec::new(),
        });
    }
    let Some(current) = looks.last_mut() else {
        return Ok(());
    };
    if let Some(guards) = object.get("guards") {
        trip(&mut current.look.guards, &guards_of(guards)?);
        if !object.contains_key("metric") {
            return Ok(());
        }
    }
    let metric = metric_of(&object)?;
    let (canary, stable) = (arm(&object, "canary")?, arm(&object, "stable")?);
    if current.look.samples.contains_key(metric) {
        bail!("metric {metric} has two lines with t {}: keep one", current.t);
    }
    let mut sample = canary
        .zip(stable)
        .map(|(canary, stable)| Increment { canary, stable });
    if let (Some(totals), Some(total)) = (totals, sample) {
        let before = totals.insert(metric.to_owned(), total).unwrap_or(total);
        sample = Some(Increment {
            canary: counter::since(before.canary, total.canary),
            stable: counter::since(before.stable, total.stable),
        });
    }
    current.look.samples.insert(metric.to_owned(), sample);
    current.metrics.push(metric.to_owned());
    Ok(())
}

fn time(object: &Map<String, Value>) -> Result<(Number, Timestamp)> {
    let t = match object.get("t") {
        Some(Value::Number(t)) => t.clone(),
        Some(other) => bail!("t is {other}; give the time of the look in seconds"),
        None => bail!("t is missing; give the time of the look in seconds"),
    };
    let seconds = t.as_f64().filter(|s| s.abs() <= SECONDS_MAX);
    let at = seconds.and_then(|s| Timestamp::from_nanosecond((s * 1e9).round() as i128).ok());
    let at = at.with_context(|| format!("t is {t}; give seconds, not milliseconds"))?;
    Ok((t, at))
}

fn guards_of(value: &Value) -> Result<Guards> {
    serde_json::from_value(value.clone()).map_err(|error| {
        anyhow!(
            "guards must be like {{\"crashLoop\": false, \"unready\": false, \"splitTeams\": 0}}: {error}"
        )
    })
}

/// A guard that tripped in one line of a look stays tripped.
fn trip(guards: &mut Guards, more: &Guards) {
    guards.crash_loop |= more.crash_loop;
    guards.unready |= more.unready;
    guards.split_teams = guards.split_teams.max(more.split_teams);
}

fn metric_of(object: &Map<String, Value>) -> Result<&str> {
    match object.get("metric") {
        Some(Value::String(name)) if !name.is_empty() => Ok(name),
        Some(other) => bail!("metric is {other}; give its name as a string"),
        None => bail!("metric is missing; give its name"),
    }
}

/// One version's counts; `None` when they are missing or a part of them is.
fn arm(object: &Map<String, Value>, name: &str) -> Result<Option<Arm>> {
    let arm = match object.get(name) {
        Some(Value::Null) => return Ok(None),
        Some(Value::Object(arm)) => arm,
        Some(other) => {
            bail!("{name} is {other}; give {{\"exposure\": team-minutes, \"bad\": incidents}}, or null")
        }
        None => bail!("{name} is missing; write null if there is no data"),
    };
    let exposure = number(arm, name, "exposure", "team-minutes of 0 or more")?;
    let bad = number(arm, name, "bad", "a whole number of incidents, 0 or more")?;
    let (Some(exposure), Some(bad)) = (exposure, bad) else {
        return Ok(None);
    };
    if bad.fract() != 0.0 || bad > BAD_MAX {
        bail!("{name}.bad is {bad}; give a whole number of incidents up to 2^53, or null when it is missing");
    }
    Ok(Some(Arm {
        exposure,
        bad: bad as u64,
    }))
}

fn number(arm: &Map<String, Value>, name: &str, field: &str, what: &str) -> Result<Option<f64>> {
    let value = match arm.get(field) {
        Some(Value::Null) => return Ok(None),
        Some(value) => value,
        None => bail!("{name}.{field} is missing; give {what}, or null when there is no data"),
    };
    match value.as_f64() {
        Some(number) if number.is_finite() && number >= 0.0 => Ok(Some(number)),
        _ => bail!("{name}.{field} is {value}; give {what}, or null when it is missing"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}", at in 0_usize..LINE.len(), byte in 0x20_u8..0x7f) {
            let _ = parse(&text, false);
            // A good line with one wrong character.
            let mut line = LINE.as_bytes().to_vec();
            line[at] = byte;
            let line = String::from_utf8(line).unwrap();
            for cumulative in [false, true] {
                for look in parse(&format!("{line}\n{LINE}"), cumulative).into_iter().flatten() {
                    for Increment { canary, stable } in look.look.samples.values().flatten() {
                        prop_assert!(canary.exposure >= 0.0 && stable.exposure >= 0.0);
                    }
                }
            }
        }
    }

    const LINE: &str = r#"{"t": 15, "metric": "errors", "canary": {"exposure": 12.5, "bad": 1}, "stable": {"exposure": 237.0, "bad": 2}}"#;

    fn error(text: &str) -> String {
        format!("{:#}", parse(text, false).unwrap_err())
    }

    #[test]
    fn lines_with_the_same_time_are_one_look() {
        let latency = LINE.replace("errors", "latency");
        let later = LINE
            .replace("15", "30.5")
            .replace("237.0", "100")
            .replace("1}", "1.0}");
        let looks = parse(&format!("{LINE}\r\n\n{latency}\n{later}"), false).unwrap();
        assert_eq!(looks.len(), 2);
        assert_eq!(looks[0].metrics, ["errors", "latency"]);
        let sample = looks[0].look.samples["errors"].unwrap();
        assert_eq!(
            sample.canary,
            Arm {
                exposure: 12.5,
                bad: 1
            }
        );
        assert_eq!(
            sample.stable,
            Arm {
                exposure: 237.0,
                bad: 2
            }
        );
        assert_eq!(
            (looks[0].t.to_string(), looks[1].t.to_string()),
            (String::from("15"), String::from("30.5"))
        );
    }

    #[test]
    fn null_anywhere_is_missing() {
        for (from, to) in [
            (r#"{"exposure": 12.5, "bad": 1}"#, "null"),
            ("12.5", "null"),
            (r#""bad": 2"#, r#""bad": null"#),
        ] {
            let looks = parse(&LINE.replace(from, to), false).unwrap();
            assert_eq!(looks[0].look.samples["errors"], None, "{to}");
        }
    }

    #[test]
    fn unknown_fields_are_ignored() {
        assert!(parse(&LINE.replace("{\"t\"", "{\"pod\": \"x\", \"t\""), false).is_ok());
    }

    #[test]
    fn errors_have_the_line_number_and_a_remedy() {
        let cases = [
            (
                LINE.replace("12.5", "-1"),
                "line 2: canary.exposure is -1; give team-minutes of 0 or more, or null when it is missing",
            ),
            (
                LINE.replace("12.5", "\"x\""),
                "line 2: canary.exposure is \"x\"; give team-minutes of 0 or more, or null when it is missing",
            ),
            (
                LINE.replace("12.5", "NaN"),
                "line 2: not a JSON object: expected value at column",
            ),
            (
                LINE.replace("\"bad\": 2", "\"bad\": 2.5"),
                "line 2: stable.bad is 2.5; give a whole number of incidents up to 2^53, or null when it is missing",
            ),
            (
                LINE.replace("\"bad\": 2", "\"bod\": 2"),
                "line 2: stable.bad is missing; give a whole number of incidents, 0 or more, or null when there is no data",
            ),
            (
                LINE.replace("stable", "old"),
                "line 2: stable is missing; write null if there is no data",
            ),
            (
                LINE.replace("15", "14"),
                "line 2: t is 14, less than 15 on an earlier line: sort the lines by t",
            ),
            (
                LINE.replace("15", "\"now\""),
                "line 2: t is \"now\"; give the time of the look in seconds",
            ),
            (LINE.replace("15", "1.7e12"), "line 2: t is 1"),
            (
                LINE.to_owned(),
                "line 2: metric errors has two lines with t 15: keep one",
            ),
            (
                LINE[..60].to_owned(),
                "line 2: the line is incomplete: complete or delete it",
            ),
            (
                String::from("15 errors"),
                "line 2: not a JSON object: invalid type: integer `15`, expected a map",
            ),
            (
                String::from("{\"t\": 15, \"guards\": {\"crash\": 1}}"),
                "line 2: guards must be like {\"crashLoop\": false, \"unready\": false, \"splitTeams\": 0}: unknown field `crash`, expected one of `crashLoop`, `unready`, `splitTeams`",
            ),
        ];
        for (second, expected) in cases {
            let error = error(&format!("{LINE}\n{second}"));
            assert!(error.starts_with(expected), "{error}");
        }
        assert!(error(" \n").starts_with("no samples"));
    }

    #[test]
    fn totals_become_increments_and_survive_resets_and_gaps() {
        let line = |t: u32, canary: &str, stable: &str| {
            format!(r#"{{"t": {t}, "metric": "errors", "canary": {canary}, "stable": {stable}}}"#)
        };
        let totals = |exposure: f64, bad: u64| format!(r#"{{"exposure": {exposure}, "bad": {bad}}}"#);
        let text = [
            line(15, &totals(0.0, 0), &totals(5000.0, 40)),
            line(30, &totals(12.5, 1), &totals(5100.0, 41)),
            line(45, &totals(20.0, 1), "null"),
            line(60, &totals(37.5, 2), &totals(5300.0, 45)),
            line(75, &totals(10.0, 0), &totals(5400.0, 45)),
        ];
        let looks = parse(&text.join("\n"), true).unwrap();
        let got: Vec<_> = looks.iter().map(|l| l.look.samples["errors"]).collect();
        let increment = |c: (f64, u64), s: (f64, u64)| {
            let arm = |(exposure, bad)| Arm { exposure, bad };
            Some(Increment {
                canary: arm(c),
                stable: arm(s),
            })
        };
        let expected = [
            increment((0.0, 0), (0.0, 0)),
            increment((12.5, 1), (100.0, 1)),
            None,
            increment((25.0, 1), (200.0, 4)),
            increment((10.0, 0), (100.0, 0)),
        ];
        assert_eq!(got, expected);
    }

    #[test]
    fn a_line_may_hold_guards_with_a_metric_or_alone() {
        let looks = parse("{\"t\": 15, \"guards\": {\"splitTeams\": 2}}", false).unwrap();
        assert_eq!(looks[0].look.guards.split_teams, 2);
        let text = "{\"t\": 15, \"guards\": {\"crashLoop\": true}}\n{\"t\": 15, \"guards\": {}}";
        assert!(parse(text, false).unwrap()[0].look.guards.crash_loop);
        assert!(looks[0].metrics.is_empty());
    }
}

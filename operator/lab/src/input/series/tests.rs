use std::io::Write;

use proptest::prelude::*;

use super::*;

fn parse(name: &str, bytes: &[u8], step: Option<Duration>) -> Result<Series> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    read(&path, step)
}

fn seconds_and_values(points: &[(Timestamp, f64)]) -> Vec<(i64, f64)> {
    points.iter().map(|(at, v)| (at.as_second(), *v)).collect()
}

proptest! {
    #[test]
    fn no_text_panics_and_values_are_finite(text in ".{0,200}|([0-9:TZ.,eE+-]{0,12}[,\n]){0,20}") {
        for parsed in [csv::parse(&text, None), prometheus::parse(&text)].into_iter().flatten() {
            prop_assert!(parsed.points.iter().all(|(_, value)| value.is_finite()));
        }
    }

    #[test]
    fn written_points_are_read(points in prop::collection::vec((0_i64..4_000_000_000, -1_000_000_000_i64..1_000_000_000), 1..50)) {
        // Binary fractions, which parse exactly.
        let points: Vec<(i64, f64)> = points.into_iter().map(|(at, v)| (at, v as f64 / 64.0)).collect();
        let text: String = points.iter().map(|(at, value)| format!("{at},{value}\n")).collect();
        let values: Vec<_> = points.iter().map(|(at, value)| (at, value.to_string())).collect();
        let json = serde_json::json!({"data": {"result": [{"values": values}]}}).to_string();
        for parsed in [csv::parse(&text, None), prometheus::parse(&json)] {
            prop_assert_eq!(&seconds_and_values(&parsed.unwrap().points), &points);
        }
    }
}

#[test]
fn every_notation_reads_alike() {
    let expected = [(0, 1.5), (60, 2.0), (180, 4.0)];
    let minute = Some(Duration::from_secs(60));
    for text in [
        "timestamp,value\n1970-01-01 00:00:00,1.5\n1970-01-01T00:01:00Z,2\n1970-01-01T01:03:00+01:00,4\n",
        "0,1.5,9\n60,2,9\n120,,9\n180.0,4,9\n",
        "180,4\n0,1.5\n60,2\n",
        "value\n1.5\n2\nNaN\n4\n",
        "\u{feff}time,value\n0,1.5\n60,2\n180,4\n",
        "1.5\n2\nnull\n4",
        r#"{"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {},
            "values": [[0, "1.5"], [60, "2"], [120, "NaN"], [180.0, "4"]]}]}}"#,
    ] {
        let series = parse("load.csv", text.as_bytes(), minute).unwrap();
        assert_eq!(seconds_and_values(&series.points), expected, "{text}");
        let mut gzipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzipped.write_all(text.as_bytes()).unwrap();
        let again = parse("load.csv.gz", &gzipped.finish().unwrap(), minute).unwrap();
        assert_eq!(again, series);
    }
}

#[test]
fn values_without_times_are_a_second_apart() {
    let series = parse("x.txt", b"1\n2\n3\n", None).unwrap();
    assert_eq!(seconds_and_values(&series.points), [(0, 1.0), (1, 2.0), (2, 3.0)]);
    assert_eq!((series.name.as_str(), series.step()), ("x", Some(STEP_DEFAULT)));
    assert_eq!(
        parse("web.2026.csv.gz", b"1\n2\n", None).unwrap().name,
        "web.2026"
    );
}

#[test]
fn assumptions_are_noted() {
    for (text, step, expected) in [
        ("0,1\n60,2\n", None, vec![]),
        (
            "1\n2\n",
            None,
            vec!["the values have no times: 1 s between them is assumed"],
        ),
        ("1\n2\n", Some(STEP_DEFAULT), vec![]),
        (
            "time,cpu,users\n0,1,2\n60,,4\n",
            None,
            vec![
                "column `cpu` is used as the value; other columns are ignored",
                "1 of 2 values are missing",
            ],
        ),
        (
            "0,1,2\n60,3,4\n",
            None,
            vec!["the second column is used as the value; other columns are ignored"],
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
fn an_error_has_the_line_number_and_a_remedy() {
    for (text, expected) in [
        ("t,v\n0,1\n60,oops\n", "line 3: `oops` is not a number"),
        ("0,1\nsoon,2\n", "line 2: `soon` is not a time"),
        ("H1,605,586,550\n", "line 1: `H1` is not a time"),
        ("0,1\n60,2\n12\n", "line 3: the time has no value"),
        ("t,v\n2026-01-01 00:00,1\n7", "line 3: the time has no value"),
        ("1\n2\n180,3\n", "line 3: this line has a time"),
        ("value,time\n1,0\n", "line 1: `time` is the second column"),
        (
            "1699999800 106.4\n",
            "line 1: `1699999800 106.4` is not a number: separate columns",
        ),
        ("time;value\n0;1.5\n", "separate columns by commas"),
        ("2026-01-01T00:00:00Z\t1,5\n", "separate columns by commas"),
        ("1767225600000,5\n", "divide milliseconds by 1000"),
        ("", "it has no values"),
        ("[1, 2]", "not the JSON response of a Prometheus range query"),
        ("{\"a\": 1}", "not the JSON response of a Prometheus range query"),
        (
            r#"{"data": {"result": [{"values": [[0, "1"], [60, "oops"]]}]}}"#,
            "sample 1: `oops` is not a number",
        ),
        (r#"{"data": {"result": []}}"#, "has 0 series"),
        (r#"{"data": {"result": [{"value": [0, "1"]}]}}"#, "query_range"),
        (
            r#"{"data": {"result": [{"values": []}, {"values": []}]}}"#,
            "has 2 series",
        ),
    ] {
        let error = format!("{:#}", parse("x.csv", text.as_bytes(), None).unwrap_err());
        assert!(error.contains(expected) && error.contains("x.csv"), "{error}");
    }
    assert!(read(Path::new("/nowhere/x.csv"), None).is_err());
}

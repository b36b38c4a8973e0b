//! One query to a Prometheus, and what its answer means. Nothing here knows about clusters.

use crate::limits;
use jiff::Timestamp;
use serde::Deserialize;
use std::{collections::BTreeMap, time::Duration};

/// One value with its labels. The value is finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub labels: BTreeMap<String, String>,
    pub value: f64,
    pub at: Timestamp,
}

/// Why there is no value. Never the same as zero.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error("no answer from Prometheus within {} s", limits::QUERY_TIMEOUT_SECONDS)]
    Timeout,
    #[error("Prometheus cannot be reached: check spec.prometheus.url")]
    Unreachable,
    #[error("Prometheus answered with status {0}")]
    Status(u16),
    #[error("Prometheus refused the query: {0}")]
    Refused(String),
    #[error("the answer is only part of the data: {0}")]
    Partial(String),
    #[error("the answer is not that of a Prometheus")]
    NotPrometheus,
    #[error("the answer is larger than {} bytes", limits::QUERY_ANSWER_BYTES)]
    TooLarge,
}

impl QueryError {
    /// Label of the error counter.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Timeout => "Timeout",
            Self::Unreachable => "Unreachable",
            Self::Status(_) => "Status",
            Self::Refused(_) => "Refused",
            Self::Partial(_) => "Partial",
            Self::NotPrometheus => "NotPrometheus",
            Self::TooLarge => "TooLarge",
        }
    }
}

/// Client for all queries: bounded in time, no redirects to places nobody configured.
///
/// # Errors
/// When TLS cannot be set up.
pub fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .timeout(Duration::from_secs(limits::QUERY_TIMEOUT_SECONDS))
        .redirect(reqwest::redirect::Policy::none())
        .build()
}

/// Asks `url` (the base address) for the present value of `query`.
///
/// # Errors
/// Everything that is not a whole answer. Series that are NaN or infinite are left out.
pub async fn query(
    http: &reqwest::Client,
    url: &str,
    token: Option<&str>,
    query: &str,
) -> Result<Vec<Series>, QueryError> {
    let (status, body) = get(http, url, token, "query", &[("query", query)]).await?;
    parse(status, &body)
}

/// A bounded span of time, at most [`limits::HISTORY_POINTS`] long.
#[derive(Debug, Clone, Copy)]
pub struct Range {
    pub end: Timestamp,
    pub points: u32,
    pub step_seconds: u32,
}

/// Asks for the values of `query` in the past, which must be one series. Values that are NaN or infinite
/// are left out.
///
/// # Errors
/// As [`query`]; more than one series is refused.
pub async fn query_range(
    http: &reqwest::Client,
    url: &str,
    token: Option<&str>,
    query: &str,
    range: Range,
) -> Result<Vec<(Timestamp, f64)>, QueryError> {
    let end = range.end.as_second();
    let start = end - i64::from(range.points.min(limits::HISTORY_POINTS)) * i64::from(range.step_seconds);
    let parameters = [
        ("query", query),
        ("start", &start.to_string()),
        ("end", &end.to_string()),
        ("step", &range.step_seconds.to_string()),
    ];
    let (status, body) = get(http, url, token, "query_range", &parameters).await?;
    parse_range(status, &body)
}

async fn get(
    http: &reqwest::Client,
    url: &str,
    token: Option<&str>,
    endpoint: &str,
    parameters: &[(&str, &str)],
) -> Result<(u16, Vec<u8>), QueryError> {
    let address = format!("{}/api/v1/{endpoint}", url.trim_end_matches('/'));
    let mut request = http
        .get(address)
        .query(parameters)
        .query(&[("partial_response", "false")]);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let mut response = request.send().await.map_err(transport)?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        if body.len() + chunk.len() > limits::QUERY_ANSWER_BYTES {
            return Err(QueryError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok((status, body))
}

fn transport(error: reqwest::Error) -> QueryError {
    if error.is_timeout() {
        QueryError::Timeout
    } else {
        QueryError::Unreachable
    }
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    data: Option<Data>,
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Sample>),
    Scalar((f64, String)),
    Matrix(Vec<Course>),
}

#[derive(Deserialize)]
struct Course {
    values: Vec<(f64, String)>,
}

#[derive(Deserialize)]
struct Sample {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

/// Meaning of an answer: HTTP status and body.
///
/// # Errors
/// As [`query`].
pub fn parse(status: u16, body: &[u8]) -> Result<Vec<Series>, QueryError> {
    series(whole(status, body)?).ok_or(QueryError::NotPrometheus)
}

/// Meaning of an answer about the past.
///
/// # Errors
/// As [`query_range`].
pub fn parse_range(status: u16, body: &[u8]) -> Result<Vec<(Timestamp, f64)>, QueryError> {
    let Data::Matrix(courses) = whole(status, body)? else {
        return Err(QueryError::NotPrometheus);
    };
    match courses.as_slice() {
        [] => Ok(Vec::new()),
        [one] => Ok(one.values.iter().filter_map(point).collect()),
        many => Err(QueryError::Refused(format!(
            "it gives {} series: aggregate them to one",
            many.len()
        ))),
    }
}

/// A finite value with its time.
fn point((at, value): &(f64, String)) -> Option<(Timestamp, f64)> {
    let value = value.parse::<f64>().ok().filter(|value| value.is_finite())?;
    Some((Timestamp::from_millisecond((at * 1000.0) as i64).ok()?, value))
}

fn whole(status: u16, body: &[u8]) -> Result<Data, QueryError> {
    let answer: Result<Answer, _> = serde_json::from_slice(body);
    match answer {
        Ok(Answer {
            error: Some(error), ..
        }) if (400..500).contains(&status) => Err(QueryError::Refused(error)),
        _ if !(200..300).contains(&status) => Err(QueryError::Status(status)),
        Ok(answer) if answer.status != "success" => {
            Err(QueryError::Refused(answer.error.unwrap_or(answer.status)))
        }
        Ok(Answer { warnings, .. }) if !warnings.is_empty() => Err(QueryError::Partial(warnings.join("; "))),
        Ok(Answer { data: Some(data), .. }) => Ok(data),
        _ => Err(QueryError::NotPrometheus),
    }
}

/// The series of an instant query; `None` for any other answer.
fn series(data: Data) -> Option<Vec<Series>> {
    let samples = match data {
        Data::Vector(samples) => samples,
        Data::Scalar(value) => vec![Sample {
            metric: BTreeMap::new(),
            value,
        }],
        Data::Matrix(_) => return None,
    };
    let finite = |sample: Sample| {
        let (at, value) = point(&sample.value)?;
        Some(Series {
            labels: sample.metric,
            value,
            at,
        })
    };
    Some(samples.into_iter().filter_map(finite).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vector(result: &str) -> String {
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":{result}}}}}"#)
    }

    #[test]
    fn a_whole_answer_gives_its_finite_values() {
        let body = vector(
            r#"[{"metric":{"cluster":"demo"},"value":[1700000000.5,"12.5"]},
                {"metric":{"cluster":"nan"},"value":[1700000000.5,"NaN"]},
                {"metric":{"cluster":"inf"},"value":[1700000000.5,"+Inf"]}]"#,
        );
        let series = parse(200, body.as_bytes()).unwrap();
        assert_eq!(series.len(), 1);
        assert_eq!(series[0].labels["cluster"], "demo");
        assert_eq!(series[0].value, 12.5);
        assert_eq!(series[0].at.as_millisecond(), 1_700_000_000_500);
        assert_eq!(parse(200, vector("[]").as_bytes()).unwrap(), []);
        let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1700000000,"3"]}}"#;
        assert_eq!(parse(200, scalar.as_bytes()).unwrap()[0].value, 3.0);
    }

    #[test]
    fn a_history_is_one_series_and_its_finite_values() {
        let matrix = |series: &str| {
            format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{series}]}}}}"#)
        };
        // As Prometheus writes it, shortened.
        let one = r#"{"metric":{"namespace":"poker"},"values":[[1763800000,"12"],[1763800030,"NaN"],[1763800060,"14.5"]]}"#;
        let points = parse_range(200, matrix(one).as_bytes()).unwrap();
        let expected = [(1_763_800_000, 12.0), (1_763_800_060, 14.5)];
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(points, expected.map(|(second, value)| (at(second), value)));
        assert_eq!(parse_range(200, matrix("").as_bytes()), Ok(Vec::new()));
        assert!(matches!(
            parse_range(200, matrix(&format!("{one},{one}")).as_bytes()),
            Err(QueryError::Refused(_))
        ));
        assert_eq!(
            parse_range(200, vector("[]").as_bytes()),
            Err(QueryError::NotPrometheus)
        );
        assert_eq!(parse_range(503, b""), Err(QueryError::Status(503)));
    }

    proptest! {
        /// A whole answer with a piece cut out and a piece put in: whatever is read is finite.
        #[test]
        fn no_answer_breaks_the_reader(
            status in prop_oneof![Just(200_u16), any::<u16>()],
            from in 0_usize..200,
            cut in 0_usize..20,
            put in "[\\[\\]{}\":,0-9eE+.a-z-]{0,12}",
            is_range in any::<bool>(),
        ) {
            let kind = if is_range { "matrix" } else { "vector" };
            let values = if is_range { r#""values":[[1763800000,"12"],[1763800030,"NaN"]]"# } else { r#""value":[1.5,"2"]"# };
            let whole = format!(
                r#"{{"status":"success","data":{{"resultType":"{kind}","result":[{{"metric":{{"a":"b"}},{values}}}]}}}}"#
            );
            let from = from.min(whole.len());
            let to = (from + cut).min(whole.len());
            let body = format!("{}{put}{}", &whole[..from], &whole[to..]);
            for series in parse(status, body.as_bytes()).into_iter().flatten() {
                prop_assert!(series.value.is_finite());
            }
            for (_, value) in parse_range(status, body.as_bytes()).into_iter().flatten() {
                prop_assert!(value.is_finite());
            }
        }
    }

    #[test]
    fn everything_else_is_an_error_with_its_reason() {
        let partial = r#"{"status":"success","warnings":["store gone"],
                          "data":{"resultType":"vector","result":[]}}"#;
        let matrix = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
        let refused = r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
        let table = [
            (200, "<html>", QueryError::NotPrometheus),
            (200, "", QueryError::NotPrometheus),
            (200, "{}", QueryError::NotPrometheus),
            (200, matrix, QueryError::NotPrometheus),
            (200, r#"{"status":"success"}"#, QueryError::NotPrometheus),
            (200, partial, QueryError::Partial("store gone".into())),
            (400, refused, QueryError::Refused("parse error".into())),
            (200, refused, QueryError::Refused("parse error".into())),
            (500, "oops", QueryError::Status(500)),
            (503, refused, QueryError::Status(503)),
            (302, "", QueryError::Status(302)),
        ];
        for (status, body, expected) in table {
            assert_eq!(parse(status, body.as_bytes()), Err(expected), "{status} {body}");
        }
    }
}

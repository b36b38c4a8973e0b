//! Queries to a Prometheus and the meaning of its answers. Nothing here knows about clusters.
//!
//! `prometheus-http-query` builds the requests and types the results. Answers are read here and not by the crate, which
//! reads bodies of any size, drops `warnings`, and reports HTML as a failed request.

use super::limits;
use jiff::Timestamp;
use prometheus_http_query::{
    Error as RequestError,
    response::{Data, Sample as Point},
};
use reqwest::{
    StatusCode,
    header::{AUTHORIZATION, HeaderValue},
};
use serde::Deserialize;
use std::{collections::HashMap, error::Error, time::Duration};

/// One value with its labels. The value is finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub labels: HashMap<String, String>,
    pub value: f64,
    pub at: Timestamp,
}

/// Why there is no value. Never the same as zero.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error("no answer from Prometheus within {} s", limits::QUERY_TIMEOUT_SECONDS)]
    Timeout,
    #[error("Prometheus cannot be reached: {0}: check spec.prometheus.url")]
    Unreachable(String),
    #[error("the bearer token is not valid in an HTTP header: check spec.prometheus.bearerTokenSecretRef")]
    Token,
    #[error("Prometheus answered with status {0}: check spec.prometheus.bearerTokenSecretRef")]
    Unauthorized(u16),
    #[error("Prometheus answered with status {0}: set spec.prometheus.url to the address it redirects to")]
    Redirect(u16),
    #[error("Prometheus answered with status {0}")]
    Status(u16),
    #[error("Prometheus refused the query: {0}")]
    Refused(String),
    #[error("the answer is only part of the data: {0}")]
    Partial(String),
    #[error("the answer is not that of a Prometheus: check spec.prometheus.url")]
    NotPrometheus,
    #[error("the query gives a {0} where plain numbers are needed")]
    ResultType(String),
    #[error("the query gives {0} series: aggregate them to one")]
    SeveralSeries(usize),
    #[error("the answer is larger than {} bytes", limits::QUERY_ANSWER_BYTES)]
    TooLarge,
}

impl QueryError {
    /// Label of the error counter.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Timeout => "Timeout",
            Self::Unreachable(_) => "Unreachable",
            Self::Token => "Token",
            Self::Unauthorized(_) => "Unauthorized",
            Self::Redirect(_) => "Redirect",
            Self::Status(_) => "Status",
            Self::Refused(_) => "Refused",
            Self::Partial(_) => "Partial",
            Self::NotPrometheus => "NotPrometheus",
            Self::ResultType(_) => "ResultType",
            Self::SeveralSeries(_) => "SeveralSeries",
            Self::TooLarge => "TooLarge",
        }
    }
}

/// The HTTP client for all queries: bounded in time, and it follows no redirect: the target is not in the spec.
///
/// # Errors
/// When TLS cannot be set up.
pub fn http(timeout: Duration) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .build()
}

/// A bounded span of time, at most [`limits::HISTORY_POINTS`] long.
#[derive(Debug, Clone, Copy)]
pub struct Range {
    pub end: Timestamp,
    pub points: u32,
    pub step_seconds: u32,
}

/// One Prometheus, as one cluster reaches it.
pub struct Client<'a> {
    pub http: &'a reqwest::Client,
    /// The base address.
    pub url: &'a str,
    pub token: Option<&'a str>,
}

impl Client<'_> {
    /// The present values of `query`. Those that are NaN or infinite are left out.
    ///
    /// # Errors
    /// Everything that is not a whole answer.
    pub async fn query(&self, query: &str) -> Result<Vec<Series>, QueryError> {
        let request = self.api()?.query(query).query("partial_response", false);
        let request = match self.authorization()? {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        };
        let (status, body) = read(request.get_raw().await).await?;
        parse(status, &body)
    }

    /// The past values of `query`, which must be one series. Those that are NaN or infinite are left out.
    ///
    /// # Errors
    /// As [`Self::query`]; more than one series is an error.
    pub async fn query_range(&self, query: &str, range: Range) -> Result<Vec<(Timestamp, f64)>, QueryError> {
        let end = range.end.as_second();
        let start = end - i64::from(range.points.min(limits::HISTORY_POINTS)) * i64::from(range.step_seconds);
        let step = f64::from(range.step_seconds);
        let request = self.api()?.query_range(query, start, end, step);
        let request = request.query("partial_response", false);
        let request = match self.authorization()? {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        };
        let (status, body) = read(request.get_raw().await).await?;
        parse_range(status, &body)
    }

    fn api(&self) -> Result<prometheus_http_query::Client, QueryError> {
        // The crate puts its path behind a slash of its own.
        let url = self.url.trim_end_matches('/');
        prometheus_http_query::Client::from(self.http.clone(), url).map_err(|error| request_error(&error))
    }

    fn authorization(&self) -> Result<Option<HeaderValue>, QueryError> {
        let Some(token) = self.token else {
            return Ok(None);
        };
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| QueryError::Token)?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

/// Status and body of an answer. The body is bounded: it comes from an address that a user of the cluster chose.
async fn read(
    response: Result<reqwest::Response, RequestError>,
) -> Result<(StatusCode, Vec<u8>), QueryError> {
    let mut response = response.map_err(|error| request_error(&error))?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| http_error(&error))? {
        if body.len() + chunk.len() > limits::QUERY_ANSWER_BYTES {
            return Err(QueryError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok((response.status(), body))
}

fn request_error(error: &RequestError) -> QueryError {
    match error {
        RequestError::Client(error) => error
            .inner()
            .map_or_else(|| QueryError::Unreachable(error.to_string()), http_error),
        error => QueryError::Unreachable(root_cause(error)),
    }
}

fn http_error(error: &reqwest::Error) -> QueryError {
    if error.is_timeout() {
        QueryError::Timeout
    } else {
        QueryError::Unreachable(root_cause(error))
    }
}

/// The innermost error: those around it repeat the address and say only that a request failed.
fn root_cause(mut error: &dyn Error) -> String {
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    data: Option<Data>,
    error: Option<String>,
    /// Parts of the data are missing. `infos` beside it are remarks on the query, and the data is whole.
    #[serde(default)]
    warnings: Vec<String>,
}

/// Tells an answer whose result cannot be used from one that is no answer of a Prometheus.
#[derive(Deserialize)]
struct TypedAnswer {
    data: TypedData,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TypedData {
    result_type: String,
}

/// The series of an instant query.
fn parse(status: StatusCode, body: &[u8]) -> Result<Vec<Series>, QueryError> {
    match complete(status, body)? {
        Data::Vector(vectors) => Ok(vectors
            .into_iter()
            .filter_map(|vector| {
                let (labels, point) = vector.into_inner();
                let (at, value) = finite(&point)?;
                Some(Series { labels, value, at })
            })
            .collect()),
        Data::Scalar(point) => Ok(finite(&point)
            .map(|(at, value)| Series {
                labels: HashMap::new(),
                value,
                at,
            })
            .into_iter()
            .collect()),
        Data::Matrix(_) => Err(QueryError::ResultType("matrix".to_owned())),
    }
}

/// The one series of a range query.
fn parse_range(status: StatusCode, body: &[u8]) -> Result<Vec<(Timestamp, f64)>, QueryError> {
    match complete(status, body)? {
        Data::Matrix(series) => match series.as_slice() {
            [] => Ok(Vec::new()),
            [one] => Ok(one.samples().iter().filter_map(finite).collect()),
            many => Err(QueryError::SeveralSeries(many.len())),
        },
        Data::Vector(_) => Err(QueryError::ResultType("vector".to_owned())),
        Data::Scalar(_) => Err(QueryError::ResultType("scalar".to_owned())),
    }
}

/// A finite value with its time.
fn finite(point: &Point) -> Option<(Timestamp, f64)> {
    let at = Timestamp::from_millisecond((point.timestamp() * 1000.0) as i64).ok()?;
    Some((at, point.value())).filter(|(_, value)| value.is_finite())
}

/// The data of a complete answer.
fn complete(status: StatusCode, body: &[u8]) -> Result<Data, QueryError> {
    let answer: Result<Answer, _> = serde_json::from_slice(body);
    match answer {
        _ if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            Err(QueryError::Unauthorized(status.as_u16()))
        }
        _ if status.is_redirection() => Err(QueryError::Redirect(status.as_u16())),
        Ok(Answer {
            error: Some(error), ..
        }) if status.is_client_error() => Err(QueryError::Refused(error)),
        _ if !status.is_success() => Err(QueryError::Status(status.as_u16())),
        Ok(answer) if answer.status != "success" => {
            Err(QueryError::Refused(answer.error.unwrap_or(answer.status)))
        }
        Ok(Answer { warnings, .. }) if !warnings.is_empty() => Err(QueryError::Partial(warnings.join("; "))),
        Ok(Answer { data: Some(data), .. }) => Ok(data),
        _ => Err(match serde_json::from_slice(body) {
            Ok(TypedAnswer { data }) => QueryError::ResultType(data.result_type),
            Err(_) => QueryError::NotPrometheus,
        }),
    }
}

#[cfg(test)]
mod tests;

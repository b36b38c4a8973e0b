//! Queries to a Prometheus and the meaning of its answers. Nothing here knows about clusters.
//!
//! `prometheus-http-query` builds the requests and types the results. Answers are read here and not by the crate, which
//! reads bodies of any size, drops `warnings`, and reports HTML as a failed request.

use super::{
    connection::Connection,
    limits,
    query_error::{QueryError, root_cause},
};
use jiff::Timestamp;
use prometheus_http_query::{
    Error as RequestError,
    response::{Data, Sample as Point},
};
use reqwest::StatusCode;
use serde::Deserialize;
use std::{collections::HashMap, time::Duration};

/// One value with its labels. The value is finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub labels: HashMap<String, String>,
    pub value: f64,
    pub at: Timestamp,
}

/// A bounded span of time, at most [`limits::HISTORY_POINTS`] long.
#[derive(Debug, Clone, Copy)]
pub struct Range {
    pub end: Timestamp,
    pub points: u32,
    pub step_seconds: u32,
}

/// One Prometheus, as clusters with the same settings reach it.
pub struct Client {
    http: reqwest::Client,
    /// The base address.
    url: String,
    has_proxy: bool,
}

impl Client {
    /// # Errors
    /// When a setting cannot be used.
    pub fn new(connection: &Connection, timeout: Duration) -> Result<Self, QueryError> {
        Ok(Self {
            http: connection.http(timeout)?,
            // The crate puts its path behind a slash of its own.
            url: connection.url.trim_end_matches('/').to_owned(),
            has_proxy: connection.proxy.is_some(),
        })
    }

    /// The present values of `query`. Those that are NaN or infinite are left out.
    ///
    /// # Errors
    /// Everything that is not a whole answer.
    pub async fn query(&self, query: &str) -> Result<Vec<Series>, QueryError> {
        let request = self.api()?.query(query).query("partial_response", false);
        let (status, body) = self.read(request.get_raw().await).await?;
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
        let (status, body) = self.read(request.get_raw().await).await?;
        parse_range(status, &body)
    }

    fn api(&self) -> Result<prometheus_http_query::Client, QueryError> {
        prometheus_http_query::Client::from(self.http.clone(), &self.url)
            .map_err(|error| self.request_error(&error))
    }

    /// Status and body of an answer. The body is bounded: it comes from an address that a user of the cluster chose.
    async fn read(
        &self,
        response: Result<reqwest::Response, RequestError>,
    ) -> Result<(StatusCode, Vec<u8>), QueryError> {
        let mut response = response.map_err(|error| self.request_error(&error))?;
        let mut body = Vec::new();
        let http_error = |error| QueryError::of_request(&error, self.has_proxy);
        while let Some(chunk) = response.chunk().await.map_err(http_error)? {
            if body.len() + chunk.len() > limits::QUERY_ANSWER_BYTES {
                return Err(QueryError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok((response.status(), body))
    }

    fn request_error(&self, error: &RequestError) -> QueryError {
        match error {
            RequestError::Client(error) => error.inner().map_or_else(
                || QueryError::Unreachable(error.to_string()),
                |error| QueryError::of_request(error, self.has_proxy),
            ),
            error => QueryError::Unreachable(root_cause(error)),
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    data: Option<Data>,
    error: Option<String>,
    /// Parts of the data are missing, unless it is [`INFO`]. `infos` beside it are remarks on the query, and the data is
    /// whole.
    #[serde(default)]
    warnings: Vec<String>,
}

impl Answer {
    fn is_partial(&self) -> bool {
        self.warnings.iter().any(|warning| !warning.starts_with(INFO))
    }
}

/// How a remark on the query begins. Prometheus 2 and stores of its age have remarks among the warnings.
const INFO: &str = "PromQL info:";

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
        _ if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED => Err(QueryError::Proxy(
            "it requires credentials (status 407)".to_owned(),
        )),
        _ if status.is_redirection() => Err(QueryError::Redirect(status.as_u16())),
        Ok(Answer {
            error: Some(error), ..
        }) if status.is_client_error() => Err(QueryError::Refused(error)),
        _ if status == StatusCode::NOT_FOUND => Err(QueryError::NotFound),
        _ if !status.is_success() => Err(QueryError::Status(status.as_u16())),
        Ok(answer) if answer.status != "success" => {
            Err(QueryError::Refused(answer.error.unwrap_or(answer.status)))
        }
        Ok(answer) if answer.is_partial() => Err(QueryError::Partial(answer.warnings.join("; "))),
        Ok(Answer { data: Some(data), .. }) => Ok(data),
        _ => Err(match serde_json::from_slice(body) {
            Ok(TypedAnswer { data }) => QueryError::ResultType(data.result_type),
            Err(_) if body.trim_ascii_start().starts_with(b"<") => QueryError::WebPage,
            Err(_) => QueryError::NotPrometheus,
        }),
    }
}

#[cfg(test)]
mod tests;

//! The response of a Prometheus range query.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Number;

use super::{Parsed, number, time};

#[derive(Deserialize)]
struct Response {
    data: Matrix,
}

#[derive(Deserialize)]
struct Matrix {
    result: Vec<Samples>,
}

/// One series; an instant query has `value` instead.
#[derive(Deserialize)]
struct Samples {
    values: Option<Vec<(Number, String)>>,
}

pub fn parse(text: &str) -> Result<Parsed> {
    let response: Response =
        serde_json::from_str(text).context("not the JSON response of a Prometheus range query")?;
    let series = response.data.result;
    let [samples] = <[Samples; 1]>::try_from(series).map_err(|series| {
        let count = series.len();
        anyhow::anyhow!("the response has {count} series: query exactly one, for example with sum()")
    })?;
    let Some(values) = samples.values else {
        bail!("the response is of an instant query: use /api/v1/query_range");
    };
    let mut parsed = Parsed::default();
    for (index, (at, value)) in values.iter().enumerate() {
        let sample = || format!("sample {index}");
        let at = time(&at.to_string()).with_context(sample)?;
        parsed.push(Some(at), number(value).with_context(sample)?, None);
    }
    Ok(parsed)
}

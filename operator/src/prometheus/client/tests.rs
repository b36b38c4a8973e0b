//! Answers, and failures of a connection, each with the cause that is reported.

mod tls;

use super::*;
use crate::prometheus::connection::Credentials;
use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{Response, header},
};
use proptest::prelude::*;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::net::TcpListener;

/// Nothing here takes this long unless it is stuck.
const STUCK: Duration = Duration::from_secs(30);

fn response(status: u16, body: impl Into<Body>) -> Response<Body> {
    let response = Response::builder().status(status);
    response.body(body.into()).unwrap()
}

/// The address of a server that gives every request to `answer`.
async fn serve(answer: impl Fn(Request) -> Response<Body> + Clone + Send + Sync + 'static) -> String {
    let router = Router::new().fallback(move |request: Request| async move { answer(request) });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// A connection without credentials.
fn connection(url: &str) -> Connection {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Connection {
        url: url.to_owned(),
        ..Connection::default()
    }
}

async fn query_by(connection: Connection) -> Result<Vec<Series>, QueryError> {
    Client::new(&connection, STUCK)?.query("up").await
}

async fn query(url: &str) -> Result<Vec<Series>, QueryError> {
    query_by(connection(url)).await
}

async fn query_range(url: &str) -> Result<Vec<(Timestamp, f64)>, QueryError> {
    let range = Range {
        end: Timestamp::from_second(1_763_800_060).unwrap(),
        points: 4,
        step_seconds: 30,
    };
    let client = Client::new(&connection(url), STUCK)?;
    client.query_range("up", range).await
}

fn success(kind: &str, result: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}"#)
}

#[tokio::test]
async fn complete_answers_give_finite_values() {
    let vector = r#"[{"metric":{"cluster":"demo"},"value":[1700000000.5,"12.5"]},
                     {"metric":{"cluster":"nan"},"value":[1700000000.5,"NaN"]},
                     {"metric":{"cluster":"inf"},"value":[1700000000.5,"+Inf"]}]"#;
    let body = success("vector", vector);
    let url = serve(move |_| response(200, body.clone())).await;
    let series = query(&url).await.unwrap();
    assert_eq!(series.len(), 1);
    assert_eq!(series[0].labels["cluster"], "demo");
    assert_eq!(series[0].value, 12.5);
    assert_eq!(series[0].at.as_millisecond(), 1_700_000_000_500);

    let url = serve(|_| response(200, success("vector", "[]"))).await;
    assert_eq!(query(&url).await, Ok(Vec::new()));
    let url = serve(|_| response(200, success("scalar", r#"[1700000000,"3"]"#))).await;
    assert_eq!(query(&url).await.unwrap()[0].value, 3.0);
}

#[tokio::test]
async fn informational_annotations_are_accepted_and_warnings_refused() {
    let annotated = |name, text| {
        format!(
            r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[1,"2"]}}]}},
                 "{name}":["{text}"]}}"#
        )
    };
    let info = "PromQL info: metric might not be a counter";
    for infos in [annotated("infos", info), annotated("warnings", info)] {
        let url = serve(move |_| response(200, infos.clone())).await;
        assert_eq!(query(&url).await.unwrap()[0].value, 2.0);
    }
    let warnings = annotated("warnings", "metric might not be a counter");
    let url = serve(move |_| response(200, warnings.clone())).await;
    let partial = QueryError::Partial("metric might not be a counter".to_owned());
    assert_eq!(query(&url).await, Err(partial.clone()));
    assert_eq!(query_range(&url).await, Err(partial));
}

#[tokio::test]
async fn a_history_is_one_series_and_its_finite_values() {
    // As Prometheus writes it, shortened.
    let one = r#"{"metric":{"namespace":"poker"},"values":[[1763800000,"12"],[1763800030,"NaN"],[1763800060,"14.5"]]}"#;
    let url = serve(move |request| {
        let query = request.uri().query().unwrap();
        for part in [
            "start=1763799940",
            "end=1763800060",
            "step=30",
            "partial_response=false",
        ] {
            assert!(query.contains(part), "{part} is missing in {query}");
        }
        assert_eq!(request.uri().path(), "/api/v1/query_range");
        response(200, success("matrix", &format!("[{one}]")))
    })
    .await;
    let expected = [(1_763_800_000, 12.0), (1_763_800_060, 14.5)];
    let at = |second| Timestamp::from_second(second).unwrap();
    assert_eq!(
        query_range(&url).await.unwrap(),
        expected.map(|(second, value)| (at(second), value))
    );
    let table = [
        (success("matrix", "[]"), Ok(Vec::new())),
        (
            success("matrix", &format!("[{one},{one}]")),
            Err(QueryError::SeveralSeries(2)),
        ),
        (
            success("vector", "[]"),
            Err(QueryError::ResultType("vector".into())),
        ),
    ];
    for (body, expected) in table {
        let url = serve(move |_| response(200, body.clone())).await;
        assert_eq!(query_range(&url).await, expected);
    }
}

#[tokio::test]
async fn the_path_of_the_address_is_kept() {
    let url = serve(|request| {
        assert_eq!(request.uri().path(), "/prometheus/api/v1/query");
        assert_eq!(request.uri().query(), Some("query=up&partial_response=false"));
        response(200, success("vector", "[]"))
    })
    .await;
    for path in ["/prometheus", "/prometheus/"] {
        assert_eq!(query(&format!("{url}{path}")).await, Ok(Vec::new()));
    }
}

#[tokio::test]
async fn each_failure_has_its_reason() {
    let refused = r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
    let kind = |kind: &str| QueryError::ResultType(kind.to_owned());
    let table = [
        (200, "\n<!DOCTYPE html>".to_owned(), QueryError::WebPage),
        (200, String::new(), QueryError::NotPrometheus),
        (200, "{}".to_owned(), QueryError::NotPrometheus),
        (
            200,
            r#"{"status":"success"}"#.to_owned(),
            QueryError::NotPrometheus,
        ),
        (200, success("matrix", "[]"), kind("matrix")),
        (200, success("string", r#"[1,"text"]"#), kind("string")),
        (200, refused.to_owned(), QueryError::Refused("parse error".into())),
        (400, refused.to_owned(), QueryError::Refused("parse error".into())),
        (401, "Unauthorized".to_owned(), QueryError::Unauthorized(401)),
        (403, refused.to_owned(), QueryError::Unauthorized(403)),
        (404, "page not found".to_owned(), QueryError::NotFound),
        (500, "oops".to_owned(), QueryError::Status(500)),
        (503, refused.to_owned(), QueryError::Status(503)),
    ];
    for (status, body, expected) in table {
        let case = format!("{status} {body}");
        let url = serve(move |_| response(status, body.clone())).await;
        assert_eq!(query(&url).await, Err(expected), "{case}");
    }
}

#[tokio::test]
async fn a_body_is_read_up_to_its_bound() {
    let url = serve(|_| response(200, " ".repeat(limits::QUERY_ANSWER_BYTES + 1))).await;
    assert_eq!(query(&url).await, Err(QueryError::TooLarge));
    let url = serve(|_| response(200, " ".repeat(limits::QUERY_ANSWER_BYTES))).await;
    assert_eq!(query(&url).await, Err(QueryError::NotPrometheus));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = requests.clone();
    let target = serve(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        response(200, success("vector", "[]"))
    })
    .await;
    let url = serve(move |_| {
        let redirect = Response::builder().status(302).header(header::LOCATION, &target);
        redirect.body(Body::empty()).unwrap()
    })
    .await;
    assert_eq!(query(&url).await, Err(QueryError::Redirect(302)));
    assert_eq!(requests.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn credentials_and_headers_are_sent() {
    let url = serve(|request| {
        let sent = |name: &str| request.headers().get(name).cloned();
        let is_known = sent("authorization")
            .is_some_and(|value| value == "Bearer s3cr3t" || value == "Basic YWRhOnAmOnc=");
        match is_known && sent("x-scope-orgid").is_some_and(|tenant| tenant == "poker") {
            true => response(200, success("vector", "[]")),
            false => response(401, "no org id"),
        }
    })
    .await;
    let with = |credentials| Connection {
        credentials,
        headers: vec![("X-Scope-OrgID".to_owned(), "poker".to_owned())],
        ..connection(&url)
    };
    let bearer = |token: &str| Some(Credentials::Bearer(token.to_owned()));
    let basic = Credentials::Basic {
        username: "ada".to_owned(),
        password: "p&:w".to_owned(),
    };
    assert_eq!(query_by(with(bearer("s3cr3t"))).await, Ok(Vec::new()));
    assert_eq!(query_by(with(Some(basic))).await, Ok(Vec::new()));
    for other in [with(None), with(bearer("other")), connection(&url)] {
        assert_eq!(query_by(other).await, Err(QueryError::Unauthorized(401)));
    }
}

#[test]
fn a_setting_that_cannot_be_used_is_reported_with_its_field() {
    let url = "https://localhost";
    let table = [
        (
            Connection {
                credentials: Some(Credentials::Bearer("two\nlines".to_owned())),
                ..connection(url)
            },
            "spec.prometheus.bearerTokenSecretRef: the token is not valid in a header",
        ),
        (
            Connection {
                ca: Some("text".to_owned()),
                ..connection(url)
            },
            "spec.prometheus.tls: caSecretRef or caConfigMapRef has no certificate in PEM",
        ),
        (
            Connection {
                client_certificate: Some("text".to_owned()),
                ..connection(url)
            },
            "spec.prometheus.tls: certSecretRef and keySecretRef have no certificate and key in PEM",
        ),
        (
            Connection {
                proxy: Some("http://".to_owned()),
                ..connection(url)
            },
            "spec.prometheus.proxyUrl",
        ),
    ];
    for (connection, expected) in table {
        let why = Client::new(&connection, STUCK).err().unwrap().to_string();
        assert!(why.starts_with(expected), "{why}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_times_out() {
    let router = Router::new().fallback(std::future::pending::<()>);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let client = Client::new(&connection(&url), Duration::from_millis(50)).unwrap();
    assert_eq!(client.query("up").await, Err(QueryError::Timeout));
}

/// An address at which nothing listens.
async fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn queries_go_through_the_proxy_and_its_failures_are_reported() {
    let proxy = serve(|request| match request.uri().host() {
        Some("prometheus.test") => response(200, success("vector", "[]")),
        Some("login.test") => response(407, ""),
        _ => response(403, "this proxy connects to nothing"),
    })
    .await;
    let through = |proxy: &str, url: &str| {
        query_by(Connection {
            proxy: Some(proxy.to_owned()),
            ..connection(url)
        })
    };
    assert_eq!(
        through(&proxy, "http://prometheus.test:9090").await,
        Ok(Vec::new())
    );
    let closed = format!("http://{}", closed_port().await);
    let table = [
        (&proxy, "http://login.test", "requires credentials"),
        (&proxy, "https://other.test", "tunnel error: unsuccessful"),
        (&closed, "http://prometheus.test", "Connection refused"),
        (&closed, "https://prometheus.test", "Connection refused"),
    ];
    for (proxy, url, expected) in table {
        let error = through(proxy, url).await.unwrap_err();
        assert_eq!(error.label(), "Proxy", "{url}: {error}");
        let why = error.to_string();
        assert!(
            why.contains(expected) && why.contains("check spec.prometheus.proxyUrl"),
            "{why}"
        );
    }
}

#[tokio::test]
async fn an_unknown_host_is_reported() {
    // The C library knows without a question to a server that no name has a part that is this long.
    let error = query(&format!("http://{}.test:9090", "a".repeat(64)))
        .await
        .unwrap_err();
    assert_eq!(error.label(), "UnknownHost", "{error}");
    assert!(
        error
            .to_string()
            .contains("the host of spec.prometheus.url is unknown")
    );
}

#[tokio::test]
async fn an_unreachable_server_is_reported_with_its_cause() {
    let address = closed_port().await;
    let error = query(&format!("http://user:password@{address}")).await;
    let message = error.unwrap_err().to_string();
    assert!(message.contains("Connection refused"), "{message}");
    assert!(!message.contains("password"), "{message}");
    let error = query("prometheus:9090").await;
    assert!(matches!(error, Err(QueryError::Unreachable(_))), "{error:?}");
}

proptest! {
    /// A complete answer with a piece cut out and a piece put in: everything that is read is finite.
    #[test]
    fn no_answer_breaks_the_reader(
        status in prop_oneof![Just(200_u16), 100..1000_u16],
        from in 0_usize..200,
        cut in 0_usize..20,
        put in "[\\[\\]{}\":,0-9eE+.a-z-]{0,12}",
        is_range in any::<bool>(),
    ) {
        let (kind, values) = if is_range {
            ("matrix", r#""values":[[1763800000,"12"],[1763800030,"NaN"]]"#)
        } else {
            ("vector", r#""value":[1.5,"2"]"#)
        };
        let whole = success(kind, &format!(r#"[{{"metric":{{"a":"b"}},{values}}}]"#));
        let from = from.min(whole.len());
        let to = (from + cut).min(whole.len());
        let body = format!("{}{put}{}", &whole[..from], &whole[to..]);
        let status = StatusCode::from_u16(status).unwrap();
        for series in parse(status, body.as_bytes()).into_iter().flatten() {
            prop_assert!(series.value.is_finite());
        }
        for (_, value) in parse_range(status, body.as_bytes()).into_iter().flatten() {
            prop_assert!(value.is_finite());
        }
    }
}

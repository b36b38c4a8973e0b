//! A tower layer below kube's retries that counts what the operator writes and makes requests fail.
//! Requests about Leases and Events are neither counted nor disturbed.

use axum::{
    body::Body as AnyBody,
    http::{Method, Request, Response, StatusCode},
};
use kube::client::Body;
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};
use tokio_util::sync::CancellationToken;
use tower::{BoxError, Layer, Service, ServiceExt, buffer::Buffer};

/// What happens to one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The process dies after the server has committed the write: nothing gets through any more.
    Crash,
    /// The write never reaches the server.
    Drop,
    /// The server commits the write and the answer is lost.
    LoseReply,
    /// The server answers with this status and does nothing.
    Answer(StatusCode),
}

/// Faults by number of the write, from 1.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    state: Arc<Mutex<State>>,
    /// Cancelled by [`Fault::Crash`].
    pub crashed: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    planned: Vec<(usize, Fault)>,
    /// How the path of reads ends that are refused, and whether it is the watch that is.
    forbidden: Option<(String, bool)>,
    /// Method and path of each write, in order.
    writes: Vec<String>,
}

impl Faults {
    pub fn none() -> Self {
        Self::default()
    }

    /// `fault` happens to the `nth` write, counted from 1.
    pub fn at(nth: usize, fault: Fault) -> Self {
        let faults = Self::default();
        faults.plan(nth, fault);
        faults
    }

    pub fn plan(&self, nth: usize, fault: Fault) {
        self.state.lock().unwrap().planned.push((nth, fault));
    }

    /// From now on reads of what has this path are refused, as by a role that lacks a right: its watches, or
    /// all else.
    pub fn forbid(&self, path: &str, watches: bool) {
        self.state.lock().unwrap().forbidden = Some((path.to_owned(), watches));
    }

    /// Everything may be read again.
    pub fn allow(&self) {
        self.state.lock().unwrap().forbidden = None;
    }

    pub fn writes(&self) -> Vec<String> {
        self.state.lock().unwrap().writes.clone()
    }

    fn is_forbidden(&self, request: &Request<Body>) -> bool {
        let is_watch = request
            .uri()
            .query()
            .is_some_and(|query| query.contains("watch=true"));
        let state = self.state.lock().unwrap();
        let matches = |(end, watches): &(String, bool)| {
            request.uri().path().ends_with(end.as_str()) && *watches == is_watch
        };
        request.method() == Method::GET && state.forbidden.as_ref().is_some_and(matches)
    }

    fn next(&self, request: &Request<Body>) -> Option<Fault> {
        let path = request.uri().path();
        let reads = [Method::GET, Method::HEAD, Method::OPTIONS];
        if self.is_forbidden(request) {
            return Some(Fault::Answer(StatusCode::FORBIDDEN));
        }
        if reads.contains(request.method()) || path.contains("/leases") || path.contains("/events") {
            return None;
        }
        let mut state = self.state.lock().unwrap();
        state.writes.push(format!("{} {path}", request.method()));
        let number = state.writes.len();
        state
            .planned
            .iter()
            .find(|(nth, _)| *nth == number)
            .map(|(_, fault)| *fault)
    }
}

impl<S> Layer<S> for Faults
where
    S: Service<Request<Body>, Error = BoxError> + Send + 'static,
    S::Future: Send,
{
    type Service = FaultService<S::Future>;

    fn layer(&self, inner: S) -> Self::Service {
        FaultService {
            inner: Buffer::new(inner, 1024),
            faults: self.clone(),
        }
    }
}

pub struct FaultService<F> {
    inner: Buffer<Request<Body>, F>,
    faults: Faults,
}

impl<F> Clone for FaultService<F>
where
    Buffer<Request<Body>, F>: Clone,
{
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            faults: self.faults.clone(),
        }
    }
}

impl<F, B> Service<Request<Body>> for FaultService<F>
where
    F: Future<Output = Result<Response<B>, BoxError>> + Send + 'static,
    B: axum::body::HttpBody<Data = axum::body::Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<AnyBody>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Service::poll_ready(&mut self.inner, cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let faults = self.faults.clone();
        // The clone that was polled ready is the one to call.
        let ready = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, ready);
        Box::pin(async move {
            if faults.crashed.is_cancelled() {
                return Err("the process is dead".into());
            }
            let fault = faults.next(&request);
            match fault {
                Some(Fault::Drop) => return Err("request lost".into()),
                Some(Fault::Answer(status)) => return Ok(answer(status)),
                Some(Fault::Crash | Fault::LoseReply) | None => {}
            }
            let response = inner.oneshot(request).await?;
            match fault {
                Some(Fault::Crash) => {
                    faults.crashed.cancel();
                    Err("the process died".into())
                }
                Some(Fault::LoseReply) => Err("answer lost".into()),
                _ if faults.crashed.is_cancelled() => Err("the process is dead".into()),
                _ => Ok(response.map(AnyBody::new)),
            }
        })
    }
}

/// The answer of an API server that refuses.
fn answer(status: StatusCode) -> Response<AnyBody> {
    let body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "refused by the test", "reason": "Test", "code": status.as_u16(),
    });
    let mut response = Response::new(AnyBody::from(body.to_string()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert("content-type", "application/json".parse().unwrap());
    response
}

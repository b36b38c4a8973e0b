//! A tower layer below kube's retries that counts the operator's writes and makes requests fail. It neither counts
//! nor disturbs requests for Leases and Events. A test asserts that its fault struck: a fault that never does
//! proves nothing.

use axum::{
    body::Body as AnyBody,
    http::{Method, Request, Response, StatusCode},
};
use futures::StreamExt;
use kube::client::Body;
use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};
use tokio_util::sync::CancellationToken;
use tower::{BoxError, Layer, Service, ServiceExt, buffer::Buffer};

use crate::world::WAIT_TIMEOUT;

/// A fault of one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The process dies after the server has committed the write: no later request or response gets through.
    Crash,
    /// The write never reaches the server.
    Drop,
    /// The server commits the write and the response is lost.
    LoseReply,
    /// The server responds with this status and changes nothing.
    Answer(StatusCode),
}

/// Faults by number of the write, from 1, and faults of reads and watches.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    state: Arc<Mutex<State>>,
    /// Cancelled by [`Fault::Crash`].
    pub crashed: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    planned: Vec<(usize, Fault)>,
    /// Planned faults that struck.
    struck: usize,
    /// The path suffix of reads that are forbidden, and whether those are watches.
    forbidden: Option<(String, bool)>,
    /// Method and path of each write, in order.
    writes: Vec<String>,
    /// Ends the open streams of a watch, by its path.
    watch_streams: BTreeMap<String, CancellationToken>,
    held_watch: Option<HeldWatch>,
}

/// A watch that is disconnected: its next request waits until it expires.
#[derive(Debug, Clone)]
struct HeldWatch {
    path_suffix: String,
    /// Cancelled once a request waits.
    reconnecting: CancellationToken,
    /// Cancelled by the test: the request that waits is answered with 410 Gone.
    expired: CancellationToken,
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

    /// Whether every planned fault struck.
    pub fn struck(&self) -> bool {
        let state = self.state.lock().unwrap();
        state.struck == state.planned.len()
    }

    /// From now on requests whose path ends so are answered with 403 Forbidden, as by a role that lacks a right:
    /// watches only, or all other reads.
    pub fn forbid(&self, path: &str, watches: bool) {
        self.state.lock().unwrap().forbidden = Some((path.to_owned(), watches));
    }

    /// No read is forbidden any more.
    pub fn allow(&self) {
        self.state.lock().unwrap().forbidden = None;
    }

    /// Disconnects the watch whose path ends so and returns once the operator waits for its reconnect. Until
    /// [`Self::expire_watch`] the operator learns of no change of that kind.
    pub async fn hold_watch(&self, path: &str) {
        let held = HeldWatch {
            path_suffix: path.to_owned(),
            reconnecting: CancellationToken::new(),
            expired: CancellationToken::new(),
        };
        {
            let mut state = self.state.lock().unwrap();
            state.held_watch = Some(held.clone());
            state.watch_streams.retain(|open, stream| {
                let is_held = open.ends_with(path);
                if is_held {
                    stream.cancel();
                }
                !is_held
            });
        }
        let reconnecting = held.reconnecting.cancelled();
        tokio::time::timeout(WAIT_TIMEOUT, reconnecting)
            .await
            .expect("the watch reconnects");
    }

    /// Answers the watch that is held with 410 Gone, as an API server does once etcd has compacted the resource version:
    /// the client has to list again.
    pub fn expire_watch(&self) {
        let held = self.state.lock().unwrap().held_watch.take();
        held.expect("a watch is held").expired.cancel();
    }

    /// Waits while the watch is held. Returns whether it was, and has expired.
    async fn watch_expired(&self, path: &str) -> bool {
        let held = self.state.lock().unwrap().held_watch.clone();
        let Some(held) = held.filter(|held| held.holds(path)) else {
            return false;
        };
        held.reconnecting.cancel();
        held.expired.cancelled().await;
        true
    }

    /// The response to a watch, with a stream that [`Self::hold_watch`] can end.
    fn until_held(&self, path: String, response: Response<AnyBody>) -> Response<AnyBody> {
        let mut state = self.state.lock().unwrap();
        let stream = if state.held_watch.as_ref().is_some_and(|held| held.holds(&path)) {
            let ended = CancellationToken::new();
            ended.cancel();
            ended
        } else {
            state.watch_streams.entry(path).or_default().clone()
        };
        response.map(|body| {
            let frames = body.into_data_stream();
            AnyBody::from_stream(frames.take_until(stream.cancelled_owned()))
        })
    }

    pub fn writes(&self) -> Vec<String> {
        self.state.lock().unwrap().writes.clone()
    }

    fn is_forbidden(&self, request: &Request<Body>) -> bool {
        let state = self.state.lock().unwrap();
        let matches = |(end, watches): &(String, bool)| {
            request.uri().path().ends_with(end.as_str()) && *watches == is_watch(request)
        };
        request.method() == Method::GET && state.forbidden.as_ref().is_some_and(matches)
    }

    /// Counts a write and returns the fault planned for it.
    fn planned(&self, request: &Request<Body>) -> Option<Fault> {
        let path = request.uri().path();
        let reads = [Method::GET, Method::HEAD, Method::OPTIONS];
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

    fn record_struck(&self) {
        self.state.lock().unwrap().struck += 1;
    }
}

impl HeldWatch {
    fn holds(&self, path: &str) -> bool {
        path.ends_with(&self.path_suffix)
    }
}

fn is_watch(request: &Request<Body>) -> bool {
    let query = request.uri().query();
    query.is_some_and(|query| query.contains("watch=true"))
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
            if faults.is_forbidden(&request) {
                return Ok(answer(StatusCode::FORBIDDEN));
            }
            let watch = is_watch(&request).then(|| request.uri().path().to_owned());
            if let Some(path) = &watch
                && faults.watch_expired(path).await
            {
                return Ok(watch_error(StatusCode::GONE));
            }
            let fault = faults.planned(&request);
            match fault {
                Some(Fault::Drop) => {
                    faults.record_struck();
                    return Err("request lost".into());
                }
                Some(Fault::Answer(status)) => {
                    faults.record_struck();
                    return Ok(answer(status));
                }
                Some(Fault::Crash | Fault::LoseReply) | None => {}
            }
            let response = inner.oneshot(request).await?.map(AnyBody::new);
            match fault {
                Some(Fault::Crash) => {
                    faults.record_struck();
                    faults.crashed.cancel();
                    Err("the process died".into())
                }
                Some(Fault::LoseReply) => {
                    faults.record_struck();
                    Err("response lost".into())
                }
                _ if faults.crashed.is_cancelled() => Err("the process is dead".into()),
                _ => Ok(match watch {
                    Some(path) => faults.until_held(path, response),
                    None => response,
                }),
            }
        })
    }
}

fn failure(status: StatusCode) -> serde_json::Value {
    serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "refused by the test", "reason": "Test", "code": status.as_u16(),
    })
}

/// The response of an API server that rejects the request.
fn answer(status: StatusCode) -> Response<AnyBody> {
    respond(status, &failure(status))
}

/// The stream of a watch that fails: one event.
fn watch_error(status: StatusCode) -> Response<AnyBody> {
    let event = serde_json::json!({"type": "ERROR", "object": failure(status)});
    respond(StatusCode::OK, &event)
}

fn respond(status: StatusCode, body: &serde_json::Value) -> Response<AnyBody> {
    let mut response = Response::new(AnyBody::from(format!("{body}\n")));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert("content-type", "application/json".parse().unwrap());
    response
}

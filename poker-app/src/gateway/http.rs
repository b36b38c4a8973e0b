//! The routes of the public port: sockets, teams, history and the page.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::{DefaultBodyLimit, Path, Query, State, WebSocketUpgrade, rejection::JsonRejection},
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use poker_core::{
    ErrorCode, TeamSlug,
    history::TeamHistory,
    limits::{MESSAGE_BYTES_MAX, TEAM_NAME_CHARS_MAX},
};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::{
    csv,
    hub::Hub,
    limits::{
        HTTP_BODY_BYTES_MAX, HTTP_RETRY_AFTER_SECONDS, PREVIEW_TIMEOUT, READ_BUFFER_BYTES,
        WRITE_BUFFER_BYTES, WRITE_BUFFER_BYTES_MAX,
    },
    send_queue::SendQueue,
    server::{Permit, Sockets},
    session, slug,
};
use crate::{
    history::{HISTORY_ROUNDS_MAX, History},
    metrics::GatewayMetrics,
    web,
};

/// The state of the request handlers.
#[derive(Clone)]
pub struct App {
    pub hub: Arc<Hub>,
    pub sockets: Arc<Sockets>,
    pub metrics: GatewayMetrics,
    /// `None`: no history is recorded.
    pub history: Option<History>,
}

/// The public routes.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/ws", get(open_socket))
        .route("/api/teams", post(create_team))
        .route("/api/teams/{slug}", get(team))
        .route("/api/teams/{slug}/history", get(history))
        .route("/api/{*rest}", get(unknown_path).post(unknown_path))
        .layer(DefaultBodyLimit::max(HTTP_BODY_BYTES_MAX))
        .with_state(app)
        .merge(web::router())
}

/// The error answer of every API route.
struct Failure {
    status: StatusCode,
    code: String,
    message: String,
}

impl Failure {
    fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.name(),
            message: message.into(),
        }
    }

    fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable, message)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "code": self.code, "message": self.message });
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            let retry_after = HTTP_RETRY_AFTER_SECONDS.into();
            response.headers_mut().insert(header::RETRY_AFTER, retry_after);
        }
        response
    }
}

fn parse_team(slug: &str) -> Result<TeamSlug, Failure> {
    TeamSlug::parse(slug)
        .map_err(|refusal| Failure::new(StatusCode::BAD_REQUEST, refusal.code, refusal.message))
}

#[derive(Deserialize)]
struct SocketQuery {
    team: String,
}

async fn open_socket(
    State(app): State<App>,
    Query(query): Query<SocketQuery>,
    permit: Option<Extension<Permit>>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Failure> {
    let team = parse_team(&query.team)?;
    let Some(slot) = app.sockets.admit() else {
        return Err(Failure {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "too_many".to_owned(),
            message: "this server has too many connections: try again shortly".to_owned(),
        });
    };
    let sockets = app.sockets.clone();
    let upgrade = upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX);
    Ok(upgrade.on_upgrade(move |socket| {
        sockets.track(async move {
            let _until_closed = (slot, permit);
            let queue = Arc::new(SendQueue::default());
            session::run(socket, team.as_str(), app.hub, queue, app.metrics).await;
        })
    }))
}

#[derive(Deserialize)]
struct NewTeam {
    name: String,
}

#[derive(Serialize)]
struct CreatedTeam {
    slug: String,
}

async fn create_team(
    body: Result<Json<NewTeam>, JsonRejection>,
) -> Result<(StatusCode, Json<CreatedTeam>), Failure> {
    let Json(team) = body
        .map_err(|rejection| Failure::new(rejection.status(), ErrorCode::Malformed, rejection.body_text()))?;
    let name = team.name.trim();
    if name.is_empty() || name.chars().count() > TEAM_NAME_CHARS_MAX {
        let message = format!("give the team a name of 1 to {TEAM_NAME_CHARS_MAX} characters");
        return Err(Failure::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            ErrorCode::InvalidName,
            message,
        ));
    }
    let mut random = [0; slug::RANDOM_BYTES];
    getrandom::fill(&mut random)
        .map_err(|_| Failure::unavailable("no random numbers are available: try again"))?;
    let slug = slug::from_name(name, random);
    Ok((StatusCode::CREATED, Json(CreatedTeam { slug })))
}

/// For answers that change at any time.
const NO_STORE: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

#[derive(Serialize)]
struct TeamPreview {
    slug: TeamSlug,
    name: String,
}

/// For the page that a shared link opens, before the user joins.
async fn team(State(app): State<App>, Path(slug): Path<String>) -> Result<Response, Failure> {
    let slug = parse_team(&slug)?;
    match timeout(PREVIEW_TIMEOUT, app.hub.preview(slug.as_str())).await {
        Ok(Some(name)) => Ok((NO_STORE, Json(TeamPreview { slug, name })).into_response()),
        Ok(None) => Err(Failure::new(
            StatusCode::NOT_FOUND,
            ErrorCode::TeamNotFound,
            "there is no such team: check the link or create it",
        )),
        Err(_) => Err(Failure::unavailable(
            "the team cannot be reached at the moment: try again shortly",
        )),
    }
}

#[derive(Deserialize)]
struct HistoryQuery {
    format: Option<String>,
}

async fn history(
    State(app): State<App>,
    Path(team): Path<String>,
    Query(query): Query<HistoryQuery>,
) -> Result<Response, Failure> {
    let team = parse_team(&team)?;
    let mut rounds = match &app.history {
        Some(history) => history.rounds(team.as_str()).await.map_err(|cause| {
            tracing::warn!(%cause, "cannot read the history");
            Failure::unavailable("history cannot be read at the moment: try again shortly")
        })?,
        None => Vec::new(),
    };
    let older_left_out = rounds.len() > HISTORY_ROUNDS_MAX;
    rounds.truncate(HISTORY_ROUNDS_MAX);
    match query.format.as_deref() {
        None | Some("json") => {
            let answer = TeamHistory {
                team: team.to_string(),
                older_left_out,
                rounds,
            };
            Ok((NO_STORE, Json(answer)).into_response())
        }
        Some("csv") => {
            let name = format!("attachment; filename=\"{team}-history.csv\"");
            let headers: [(HeaderName, String); 2] = [
                (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
                (header::CONTENT_DISPOSITION, name),
            ];
            let table = csv::export(&rounds)
                .map_err(|_| Failure::unavailable("the table cannot be written: try again"))?;
            Ok((NO_STORE, headers, table).into_response())
        }
        Some(_) => Err(Failure::new(
            StatusCode::BAD_REQUEST,
            ErrorCode::Malformed,
            "format is json or csv",
        )),
    }
}

async fn unknown_path() -> Failure {
    Failure {
        status: StatusCode::NOT_FOUND,
        code: "not_found".to_owned(),
        message: "there is no such API path".to_owned(),
    }
}

//! Why a reconcile did not succeed. What to do about an error follows from its type, never from its text.

use kube::core::Status;
use std::{error::Error as StdError, time::Duration};

/// A failure to observe is reported once it has lasted this long: an API server that restarts is back by then.
pub const REPORT_AFTER: Duration = Duration::from_secs(60);
/// The same if the API server forbids it. Waiting rarely helps, but new permissions take a moment.
pub const REPORT_FORBIDDEN_AFTER: Duration = Duration::from_secs(5);

pub const HINT_RETRIED: &str = "the operator retries; check the API server if this lasts";
const HINT_DENIED: &str =
    "correct the spec, or change the permission, policy or quota that the message names";
const HINT_REJECTED: &str = "correct the spec, or what the message names";
const HINT_WEBHOOK: &str = "check the admission webhooks of this kind and the API server";
const HINT_FORBIDDEN: &str =
    "give the operator's ServiceAccount the permissions that the roles of its chart grant";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {action}")]
    Api {
        action: String,
        source: Box<kube::Error>,
    },
    #[error("cannot {action}: no answer within {} s", .limit.as_secs())]
    Timeout { action: String, limit: Duration },
    #[error("this process is no longer the leader")]
    NotLeader,
    #[error("cannot get random numbers from the system")]
    Random(#[source] getrandom::Error),
    #[error("cannot serialize {object}")]
    Serialize {
        object: String,
        source: serde_json::Error,
    },
    #[error("the reconcile took longer than {} s", .0.as_secs())]
    ReconcileTimeout(Duration),
}

impl Error {
    pub fn api(action: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self::Api {
            action: action.into(),
            source: Box::new(source),
        }
    }

    /// The reason in metrics, from a fixed set.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Api { source, .. } => match status(source) {
                Some(status) if is_forbidden(status) => "Forbidden",
                Some(status) if is_not_found(status) => "NotFound",
                Some(status) if is_conflict(status) => "Conflict",
                Some(status) if (400..500).contains(&status.code) => "Refused",
                Some(_) => "ServerError",
                None => "Unreachable",
            },
            Self::Timeout { .. } => "Timeout",
            Self::NotLeader => "NotLeader",
            Self::Random(_) => "Random",
            Self::Serialize { .. } => "Serialize",
            Self::ReconcileTimeout(_) => "ReconcileTimeout",
        }
    }

    /// Whether the next reconcile resolves the error, so that it becomes neither a condition nor a warning.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::NotLeader) || self.status().is_some_and(is_conflict)
    }

    pub fn is_not_found(&self) -> bool {
        self.status().is_some_and(is_not_found)
    }

    /// Whether a write failed for a reason that concerns only its own object, so that other writes may succeed.
    pub fn concerns_one_object(&self) -> bool {
        // A write without an answer in time may wait for an admission webhook.
        matches!(self, Self::Timeout { .. }) || self.status().is_some()
    }

    /// What to do about a rejected write.
    pub fn write_hint(&self) -> &'static str {
        match self.status() {
            Some(status) if is_forbidden(status) => HINT_DENIED,
            Some(status) if status.code < 500 => HINT_REJECTED,
            _ => HINT_WEBHOOK,
        }
    }

    fn status(&self) -> Option<&Status> {
        match self {
            Self::Api { source, .. } => status(source),
            _ => None,
        }
    }

    /// What to do when this error prevents observing the cluster.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Api { source, .. } => hint(source),
            _ => HINT_RETRIED,
        }
    }

    /// How long this error may prevent observing the cluster before that is reported.
    pub fn report_after(&self) -> Duration {
        match self {
            Self::Api { source, .. } => report_after(source),
            _ => REPORT_AFTER,
        }
    }

    /// The error and its causes in one line.
    pub fn message(&self) -> String {
        match self {
            Self::Api { source, .. } => format!("{self}: {}", api_message(source)),
            _ => with_causes(self),
        }
    }
}

/// The message of the API server's answer, or the client's error with its causes.
pub fn api_message(error: &kube::Error) -> String {
    match status(error) {
        Some(status) => status.message.clone(),
        None => with_causes(error),
    }
}

/// What to do about something that cannot be observed.
pub fn hint(error: &kube::Error) -> &'static str {
    if status(error).is_some_and(is_forbidden) {
        HINT_FORBIDDEN
    } else {
        HINT_RETRIED
    }
}

/// How long something may fail to be observed before that is reported.
pub fn report_after(error: &kube::Error) -> Duration {
    if status(error).is_some_and(is_forbidden) {
        REPORT_FORBIDDEN_AFTER
    } else {
        REPORT_AFTER
    }
}

fn status(error: &kube::Error) -> Option<&Status> {
    match error {
        kube::Error::Api(status) => Some(status),
        _ => None,
    }
}

// Answers of a proxy, or for a path that does not exist, have a code but an unknown reason. The predicates of kube 5.0
// should use the code for these, but do not, so the code is checked here.

pub fn is_not_found(status: &Status) -> bool {
    status.is_not_found() || status.code == 404
}

fn is_forbidden(status: &Status) -> bool {
    status.is_forbidden() || status.code == 403
}

/// Another write came first.
pub fn is_conflict(status: &Status) -> bool {
    status.is_conflict() || status.code == 409
}

fn with_causes(error: &dyn StdError) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(reason: &str, code: u16) -> Error {
        let status = Status::failure("refused", reason).with_code(code).boxed();
        Error::api("apply Service demo")(kube::Error::Api(status))
    }

    #[test]
    fn answers_of_the_api_server_are_told_apart_by_their_status() {
        let table = [
            (refused("Conflict", 409), "Conflict", true),
            (refused("AlreadyExists", 409), "Conflict", true),
            (refused("NotFound", 404), "NotFound", false),
            (refused("Failed to parse error data", 404), "NotFound", false),
            (refused("Forbidden", 403), "Forbidden", false),
            (refused("Invalid", 422), "Refused", false),
            (refused("InternalError", 500), "ServerError", false),
        ];
        for (error, category, is_transient) in table {
            assert_eq!(error.category(), category, "{error:?}");
            assert_eq!(error.is_transient(), is_transient, "{error:?}");
            assert_eq!(error.is_not_found(), category == "NotFound", "{error:?}");
        }
    }
}

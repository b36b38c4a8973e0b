//! Why a pass did not succeed. Each kind has a label from a fixed set, for metrics and conditions.

use crate::limits;
use poker_operator_core::plan_result::Failure;
use std::{error::Error as StdError, time::Duration};

pub const TRIES_AGAIN: &str = "the operator tries again; see the API server if it lasts";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {what}")]
    Api { what: String, source: Box<kube::Error> },
    #[error("no answer within {} s: {what}", crate::limits::WRITE_TIMEOUT_SECONDS)]
    Timeout { what: String },
    #[error("this process is not leader any more")]
    NotLeader,
    #[error("{}", .0.message)]
    Failed(Failure),
    #[error("no random numbers")]
    Entropy(#[source] getrandom::Error),
    #[error("cannot serialise {what}")]
    Serialise { what: String, source: serde_json::Error },
    #[error("the pass took longer than {} s", crate::limits::RECONCILE_TIMEOUT_SECONDS)]
    TooLong,
}

impl Error {
    pub fn api(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self::Api {
            what: what.into(),
            source: Box::new(source),
        }
    }

    /// The label in metrics, and the reason in conditions where the API server refused.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Api { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => match status.code {
                    403 => "Forbidden",
                    404 => "NotFound",
                    409 => "Conflict",
                    400..=499 => "Refused",
                    _ => "ServerError",
                },
                _ => "Unreachable",
            },
            Self::Timeout { .. } => "Timeout",
            Self::NotLeader => "NotLeader",
            Self::Failed(failure) => failure.reason,
            Self::Entropy(_) => "Entropy",
            Self::Serialise { .. } => "Serialise",
            Self::TooLong => "TooLong",
        }
    }

    /// Passes by itself soon: not worth a word to people, nor a condition.
    pub fn is_passing(&self) -> bool {
        matches!(self.label(), "Conflict" | "NotLeader")
    }

    /// What to do when this kept the cluster from being observed.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Api { source, .. } => advice(source),
            _ => TRIES_AGAIN,
        }
    }

    /// How long the cluster may not be observed for this before people are told.
    pub fn patience(&self) -> Duration {
        match self {
            Self::Api { source, .. } => patience(source),
            _ => limits::BLIND_PATIENCE,
        }
    }

    /// The error and its causes in one line.
    pub fn line(&self) -> String {
        if let Self::Api { source, .. } = self {
            return format!("{self}: {}", words(source));
        }
        with_causes(self)
    }
}

/// What a client's error says to people: of an answer of the API server only its message.
pub fn words(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return status.message.clone();
    }
    with_causes(error)
}

fn with_causes(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}

fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

/// What to do about something that cannot be observed.
pub fn advice(error: &kube::Error) -> &'static str {
    if is_forbidden(error) {
        "give the operator's ServiceAccount the rights that the roles of its chart give"
    } else {
        TRIES_AGAIN
    }
}

/// How long something may not be observed before people are told.
pub fn patience(error: &kube::Error) -> Duration {
    if is_forbidden(error) {
        limits::FORBIDDEN_PATIENCE
    } else {
        limits::BLIND_PATIENCE
    }
}

//! Why a pass did not succeed. Each kind has a label from a fixed set, for metrics and conditions.

use poker_operator_core::outcome::Failure;
use std::error::Error as StdError;

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

    /// The error and its causes in one line.
    pub fn line(&self) -> String {
        let mut line = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            line = format!("{line}: {error}");
            cause = error.source();
        }
        line
    }
}

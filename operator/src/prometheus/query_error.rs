//! Why a query has no answer: the cause, and the setting to check.

use super::limits;
use rustls::{AlertDescription, CertificateError};
use std::{error::Error, io, iter};

/// Why there is no value. Never the same as zero.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error(
        "no answer from Prometheus within {} s: check spec.prometheus.url, and that network policies and firewalls allow the connection",
        limits::QUERY_TIMEOUT_SECONDS
    )]
    Timeout,
    #[error("the host of spec.prometheus.url is unknown: {0}")]
    UnknownHost(String),
    #[error("Prometheus cannot be reached: {0}: check spec.prometheus.url")]
    Unreachable(String),
    #[error("the HTTP proxy does not connect to Prometheus: {0}: check spec.prometheus.proxyUrl")]
    Proxy(String),
    #[error("{0}")]
    Certificate(String),
    #[error(
        "Prometheus does not accept the client certificate of the operator ({0}): check spec.prometheus.tls.certSecretRef"
    )]
    ClientCertificate(String),
    #[error("TLS to Prometheus fails: {0}: check whether spec.prometheus.url should begin with http://")]
    Tls(String),
    #[error("{0}")]
    Settings(String),
    #[error(
        "Prometheus answered with status {0}: check bearerTokenSecretRef or basicAuth in spec.prometheus, and headers for the name of a tenant (X-Scope-OrgID)"
    )]
    Unauthorized(u16),
    #[error("Prometheus answered with status {0}: set spec.prometheus.url to the address it redirects to")]
    Redirect(u16),
    #[error(
        "Prometheus answered with status 404: check the path in spec.prometheus.url, such as /prometheus for Mimir"
    )]
    NotFound,
    #[error("Prometheus answered with status {0}")]
    Status(u16),
    #[error("Prometheus refused the query: {0}")]
    Refused(String),
    #[error("the answer is only part of the data: {0}")]
    Partial(String),
    #[error(
        "the answer is a web page (HTML), such as a login: set spec.prometheus.url to the address of the API, without /graph or /query"
    )]
    WebPage,
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
            Self::UnknownHost(_) => "UnknownHost",
            Self::Unreachable(_) => "Unreachable",
            Self::Proxy(_) => "Proxy",
            Self::Certificate(_) => "Certificate",
            Self::ClientCertificate(_) => "ClientCertificate",
            Self::Tls(_) => "Tls",
            Self::Settings(_) => "Settings",
            Self::Unauthorized(_) => "Unauthorized",
            Self::Redirect(_) => "Redirect",
            Self::NotFound => "NotFound",
            Self::Status(_) => "Status",
            Self::Refused(_) => "Refused",
            Self::Partial(_) => "Partial",
            Self::WebPage => "WebPage",
            Self::NotPrometheus => "NotPrometheus",
            Self::ResultType(_) => "ResultType",
            Self::SeveralSeries(_) => "SeveralSeries",
            Self::TooLarge => "TooLarge",
        }
    }

    /// Why a request has no answer. With a proxy, a connection that fails is that to the proxy or through it.
    pub(super) fn of_request(error: &reqwest::Error, has_proxy: bool) -> Self {
        if error.is_timeout() {
            return Self::Timeout;
        }
        if let Some(tls) = causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
            return of_tls(tls);
        }
        let why = root_cause(error);
        if error.is_connect() && has_proxy {
            Self::Proxy(why)
        } else if causes(error).any(|cause| cause.to_string() == "dns error") {
            Self::UnknownHost(why)
        } else {
            Self::Unreachable(why)
        }
    }
}

/// An error and its causes, the innermost last.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>() {
        // Its source is that of the error in it, which would be left out.
        Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => error.source(),
    })
}

/// The innermost error: those around it repeat the address and say only that a request failed.
pub(super) fn root_cause(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map_or_else(String::new, ToString::to_string)
}

fn of_tls(error: &rustls::Error) -> QueryError {
    match error {
        rustls::Error::InvalidCertificate(error) => QueryError::Certificate(certificate(error)),
        rustls::Error::AlertReceived(alert) if is_about_our_certificate(*alert) => {
            QueryError::ClientCertificate(format!("{alert:?}"))
        }
        error => QueryError::Tls(error.to_string()),
    }
}

/// Why the certificate of Prometheus is not valid, and what to do.
fn certificate(error: &CertificateError) -> String {
    match error {
        // The signature is bad by the key of another authority of the same name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the certificate of Prometheus is signed by an unknown authority: set \
             spec.prometheus.tls.caSecretRef or caConfigMapRef to the certificate of the authority"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the certificate of Prometheus has expired: renew it".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate of Prometheus is not valid yet: check the clocks of the nodes".to_owned()
        }
        CertificateError::NotValidForNameContext { presented, .. } => format!(
            "the certificate of Prometheus is not for the host of spec.prometheus.url: set url to a host it is for: {}",
            presented.join(", ")
        ),
        error => format!("the certificate of Prometheus is not valid: {error}"),
    }
}

fn is_about_our_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
            | AlertDescription::HandshakeFailure
    )
}

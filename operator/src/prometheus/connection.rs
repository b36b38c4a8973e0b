//! The settings by which a Prometheus is reached, and the HTTP client made of them.

use super::query_error::{QueryError, root_cause};
use base64::{Engine, prelude::BASE64_STANDARD};
use poker_operator_core::hash::fingerprint;
use reqwest::{
    Certificate, ClientBuilder, Identity, Proxy,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use std::time::Duration;

/// How a Prometheus is reached, with the values of the Secrets that the spec refers to.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Connection {
    /// The base address.
    pub url: String,
    pub credentials: Option<Credentials>,
    /// Names and values of more headers. They can name a tenant, and with it the data.
    pub headers: Vec<(String, String)>,
    /// The authorities in PEM that alone may sign the certificate of Prometheus.
    pub ca: Option<String>,
    /// The client certificate and its key in PEM.
    pub client_certificate: Option<String>,
    pub proxy: Option<String>,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    Bearer(String),
    Basic { username: String, password: String },
}

impl Connection {
    /// Distinguishes connections without revealing their credentials.
    pub fn fingerprint(&self) -> String {
        let Self {
            url,
            credentials,
            headers,
            ca,
            client_certificate,
            proxy,
        } = self;
        let credentials = credentials.as_ref().map(Credentials::header);
        let all = (url, credentials, headers, ca, client_certificate, proxy);
        fingerprint(serde_json::json!(all).to_string().as_bytes())
    }

    /// Whether both lead to the same data. Credentials do not matter: they say who reads, not what.
    pub fn has_data_of(&self, other: &Self) -> bool {
        self.url == other.url && self.headers == other.headers
    }

    /// The HTTP client: bounded in time, and it follows no redirect: the target is not in the spec.
    ///
    /// # Errors
    /// When a setting cannot be used. The message names its field.
    pub fn http(&self, timeout: Duration) -> Result<reqwest::Client, QueryError> {
        let mut builder = reqwest::Client::builder()
            .timeout(timeout)
            .redirect(redirect::Policy::none())
            .default_headers(self.header_map()?);
        if let Some(proxy) = &self.proxy {
            let proxy = Proxy::all(proxy).map_err(|error| unusable("proxyUrl is not an address", &error))?;
            builder = builder.proxy(proxy);
        }
        let builder = self.tls(builder)?;
        builder
            .build()
            .map_err(|error| unusable("tls has a certificate or key that cannot be used", &error))
    }

    fn tls(&self, mut builder: ClientBuilder) -> Result<ClientBuilder, QueryError> {
        if let Some(ca) = &self.ca {
            let ca = Certificate::from_pem_bundle(ca.as_bytes())
                .map_err(|error| unusable("tls: the certificates of the authorities are not PEM", &error))?;
            if ca.is_empty() {
                return Err(settings(
                    "tls: caSecretRef or caConfigMapRef has no certificate in PEM",
                ));
            }
            builder = builder.tls_certs_only(ca);
        }
        if let Some(pem) = &self.client_certificate {
            let identity = Identity::from_pem(pem.as_bytes()).map_err(|error| {
                unusable(
                    "tls: certSecretRef and keySecretRef have no certificate and key in PEM",
                    &error,
                )
            })?;
            builder = builder.identity(identity);
        }
        Ok(builder)
    }

    fn header_map(&self) -> Result<HeaderMap, QueryError> {
        let mut map = HeaderMap::new();
        for (name, value) in &self.headers {
            let name = HeaderName::try_from(name).map_err(|error| unusable("headers", &error))?;
            let value = HeaderValue::try_from(value).map_err(|error| unusable("headers", &error))?;
            map.insert(name, value);
        }
        if let Some(credentials) = &self.credentials {
            let mut value = HeaderValue::try_from(credentials.header()).map_err(|error| {
                unusable("bearerTokenSecretRef: the token is not valid in a header", &error)
            })?;
            value.set_sensitive(true);
            map.insert(AUTHORIZATION, value);
        }
        Ok(map)
    }
}

impl Credentials {
    /// The value of the header `Authorization`.
    fn header(&self) -> String {
        match self {
            Self::Bearer(token) => format!("Bearer {token}"),
            Self::Basic { username, password } => {
                format!(
                    "Basic {}",
                    BASE64_STANDARD.encode(format!("{username}:{password}"))
                )
            }
        }
    }
}

fn settings(what: &str) -> QueryError {
    QueryError::Settings(format!("spec.prometheus.{what}"))
}

fn unusable(what: &str, error: &(dyn std::error::Error + 'static)) -> QueryError {
    settings(&format!("{what}: {}", root_cause(error)))
}

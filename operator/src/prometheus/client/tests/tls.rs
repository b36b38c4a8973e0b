//! Certificates of the server and of the client.

use super::*;
use axum::serve::Listener;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use std::{io, net::SocketAddr};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn params(host: &str) -> CertificateParams {
    CertificateParams::new([host.to_owned()]).unwrap()
}

/// A certificate and its key.
fn issue(authority: &Authority, params: &CertificateParams) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, authority).unwrap(), key)
}

struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (tcp, address) = self.tcp.accept().await.unwrap();
            if let Ok(tls) = self.acceptor.accept(tcp).await {
                return (tls, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

/// The address of a Prometheus with a certificate, which may require one of its clients.
async fn serve_tls((certificate, key): (rcgen::Certificate, KeyPair), clients: Option<&Authority>) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = match clients {
        None => ServerConfig::builder().with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
            ServerConfig::builder().with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let config = builder
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let listener = TlsListener {
        tcp: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        acceptor: TlsAcceptor::from(Arc::new(config)),
    };
    let url = format!("https://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(async || response(200, success("vector", "[]")));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

#[tokio::test]
async fn each_certificate_that_is_not_accepted_has_its_cause() {
    let (ours, other) = (authority(), authority());
    let host = params("127.0.0.1");
    let (mut expired, mut early) = (host.clone(), host.clone());
    expired.not_after = date_time_ymd(2020, 1, 1);
    early.not_before = date_time_ymd(4000, 1, 1);
    let table = [
        (&host, Some(&ours), None),
        (
            &host,
            Some(&other),
            Some("signed by an unknown authority: set spec.prometheus.tls.caSecretRef"),
        ),
        (
            &host,
            None,
            Some("signed by an unknown authority: set spec.prometheus.tls.caSecretRef"),
        ),
        (&expired, Some(&ours), Some("has expired: renew it")),
        (&early, Some(&ours), Some("is not valid yet")),
        (
            &params("other.test"),
            Some(&ours),
            Some(
                "is not for the host of spec.prometheus.url: set url to a host it is for: DnsName(\"other.test\")",
            ),
        ),
    ];
    for (params, ca, expected) in table {
        let url = serve_tls(issue(&ours, params), None).await;
        let answer = query_by(Connection {
            ca: ca.map(|authority| authority.pem()),
            ..connection(&url)
        })
        .await;
        match (answer, expected) {
            (Ok(series), None) => assert!(series.is_empty()),
            (Err(QueryError::Certificate(why)), Some(expected)) => assert!(why.contains(expected), "{why}"),
            (answer, expected) => panic!("{answer:?} instead of {expected:?}"),
        }
    }
}

#[tokio::test]
async fn the_client_certificate_is_sent_and_a_refusal_is_reported() {
    let (ours, other) = (authority(), authority());
    let url = serve_tls(issue(&ours, &params("127.0.0.1")), Some(&ours)).await;
    let by = |authority: Option<&Authority>| {
        let issued = authority.map(|authority| issue(authority, &params("operator")));
        query_by(Connection {
            ca: Some(ours.pem()),
            client_certificate: issued.map(|(cert, key)| format!("{}\n{}", cert.pem(), key.serialize_pem())),
            ..connection(&url)
        })
    };
    assert_eq!(by(Some(&ours)).await, Ok(Vec::new()));
    for refused in [None, Some(&other)] {
        let error = by(refused).await.unwrap_err();
        assert_eq!(error.label(), "ClientCertificate", "{error}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_reported() {
    let url = serve(|_| response(200, success("vector", "[]"))).await;
    let error = query(&url.replace("http:", "https:")).await.unwrap_err();
    assert_eq!(error.label(), "Tls", "{error}");
    assert!(error.to_string().contains("begin with http://"), "{error}");
}

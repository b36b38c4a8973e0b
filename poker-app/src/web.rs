//! Serves the page, which is embedded in the binary.

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use poker_core::TeamSlug;
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/web/dist"]
struct Dist;

const INDEX: &str = "index.html";
const FAVICON: &str = "favicon.svg";
/// The names of assets contain a hash of their content.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
const NO_CACHE: &str = "no-cache";
/// The encodings that the build precompresses, best first.
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     font-src 'self'; connect-src 'self' ws: wss:; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";
const SECURITY_HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // The address of a team lets anyone join, so it must not leak.
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];

const NOT_BUILT: &str = "This server was built without the web page: run `make web`, then build it again.\n";

/// The page, or a line that says how to add it to the program.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    if cfg!(page) {
        return page();
    }
    tracing::warn!("built without the web page: run `make web`, then build again; the API works without it");
    without_page()
}

fn without_page<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let not_built = || async { (StatusCode::NOT_FOUND, NOT_BUILT) };
    Router::new()
        .route("/", get(not_built))
        .route("/{*path}", get(not_built))
}

/// `/`, `/t/{slug}` and the files of the page; at any other path the page shows that it does not exist.
fn page<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/", get(index))
        .route("/t/{slug}", get(team))
        .route("/{*path}", get(file))
}

async fn index(headers: HeaderMap) -> Response {
    answer(INDEX, NO_CACHE, &headers)
}

async fn team(Path(slug): Path<String>, headers: HeaderMap) -> Response {
    match TeamSlug::parse(&slug) {
        Ok(_) => answer(INDEX, NO_CACHE, &headers),
        Err(_) => nothing(headers),
    }
}

async fn file(Path(path): Path<String>, headers: HeaderMap) -> Response {
    // Browsers request it for answers that are not HTML, like the history as JSON.
    let path = match &*path {
        "favicon.ico" => FAVICON,
        path => path,
    };
    match path.starts_with("assets/") {
        true => answer(path, IMMUTABLE, &headers),
        false if Dist::get(path).is_some() => answer(path, NO_CACHE, &headers),
        false => nothing(headers),
    }
}

/// The page with status 404; it links to the start page.
fn nothing(mut request: HeaderMap) -> Response {
    request.remove(header::IF_NONE_MATCH);
    let mut response = answer(INDEX, NO_CACHE, &request);
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

fn answer(path: &str, cache: &'static str, request: &HeaderMap) -> Response {
    let mut response = match encoded(path, request).or_else(|| Some((None, Dist::get(path)?))) {
        Some((encoding, file)) => found(path, cache, encoding, file, request),
        None => (StatusCode::NOT_FOUND, "there is no such file\n").into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The best encoding of a file that the client accepts.
fn encoded(path: &str, request: &HeaderMap) -> Option<(Option<&'static str>, rust_embed::EmbeddedFile)> {
    let accepted = request.get(header::ACCEPT_ENCODING)?.to_str().ok()?;
    let takes = |encoding: &str| {
        let mut offers = accepted
            .split(',')
            .map(|offer| offer.split(';').next().unwrap_or_default());
        offers.any(|offer| offer.trim() == encoding)
    };
    ENCODINGS.iter().find_map(|(encoding, suffix)| {
        let file = takes(encoding).then(|| Dist::get(&format!("{path}{suffix}")))??;
        Some((Some(*encoding), file))
    })
}

fn found(
    path: &str,
    cache: &'static str,
    encoding: Option<&'static str>,
    file: rust_embed::EmbeddedFile,
    request: &HeaderMap,
) -> Response {
    let hash = file.metadata.sha256_hash();
    let tag: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let mime = mime_guess::from_path(path).first_or_octet_stream();
    let content_type = match mime.type_() {
        mime_guess::mime::TEXT => format!("{mime}; charset=utf-8"),
        _ => mime.to_string(),
    };
    let known = request
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known == tag.as_str());
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, cache.to_owned()),
        (header::VARY, "accept-encoding".to_owned()),
        (header::ETAG, tag),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    match encoding {
        Some(encoding) => (headers, [(header::CONTENT_ENCODING, encoding)], file.data).into_response(),
        None => (headers, file.data).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Request};
    use tower::ServiceExt;

    use super::*;

    async fn get(path: &str, headers: &[(HeaderName, &str)]) -> Response {
        answer_of(page(), path, headers).await
    }

    async fn answer_of(router: Router<()>, path: &str, headers: &[(HeaderName, &str)]) -> Response {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        router.oneshot(request).await.unwrap()
    }

    #[tokio::test]
    #[cfg_attr(not(page), ignore = "needs the page: run `make web`")]
    async fn the_page_is_served_for_every_team_and_never_cached() {
        for path in ["/", "/t/blue-team-000000"] {
            let response = get(path, &[]).await;
            assert_eq!(response.status(), StatusCode::OK);
            let headers = response.headers();
            assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
            assert_eq!(headers[header::CACHE_CONTROL], NO_CACHE);
            assert!(headers.contains_key(header::CONTENT_SECURITY_POLICY));
        }
    }

    #[tokio::test]
    #[cfg_attr(not(page), ignore = "needs the page: run `make web`")]
    async fn an_unchanged_page_is_not_sent_again() {
        let first = get("/", &[]).await;
        let tag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
        let second = get("/", &[(header::IF_NONE_MATCH, &tag)]).await;
        assert_eq!(second.status(), StatusCode::NOT_MODIFIED);
    }

    #[tokio::test]
    #[cfg_attr(not(page), ignore = "needs the page: run `make web`")]
    async fn assets_are_cached_for_ever_and_sent_compressed_if_available() {
        for path in Dist::iter().filter(|path| path.starts_with("assets/")) {
            let response = get(&format!("/{path}"), &[(header::ACCEPT_ENCODING, "gzip, br")]).await;
            assert_eq!(response.headers()[header::CACHE_CONTROL], IMMUTABLE);
            let compressed = Dist::get(&format!("{path}.br")).is_some();
            let encoding = response.headers().get(header::CONTENT_ENCODING);
            assert_eq!(
                encoding.is_some_and(|encoding| encoding == "br"),
                compressed,
                "{path}"
            );
        }
    }

    #[tokio::test]
    #[cfg_attr(not(page), ignore = "needs the page: run `make web`")]
    async fn an_unknown_path_is_answered_with_404_and_the_page() {
        for path in ["/nothing", "/foo/bar", "/t/NO", "/t/a/b", "/../Cargo.toml"] {
            let response = get(path, &[]).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
            assert_eq!(
                response.headers()[header::CONTENT_TYPE],
                "text/html; charset=utf-8"
            );
            let tag = response.headers()[header::ETAG].to_str().unwrap().to_owned();
            let again = get(path, &[(header::IF_NONE_MATCH, &tag)]).await;
            assert_eq!(again.status(), StatusCode::NOT_FOUND, "{path}");
        }
        let asset = get("/assets/nothing.js", &[]).await;
        assert_eq!(asset.status(), StatusCode::NOT_FOUND);
        assert_ne!(asset.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
    }

    #[tokio::test]
    #[cfg_attr(not(page), ignore = "needs the page: run `make web`")]
    async fn the_icon_is_at_its_default_path() {
        for path in ["/favicon.svg", "/favicon.ico"] {
            let response = get(path, &[]).await;
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            assert_eq!(response.headers()[header::CONTENT_TYPE], "image/svg+xml");
        }
    }

    #[tokio::test]
    async fn a_server_without_the_page_says_how_to_add_it() {
        for path in ["/", "/t/blue-team-000000", "/assets/index.js"] {
            let response = answer_of(without_page(), path, &[]).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
            let body = axum::body::to_bytes(response.into_body(), 1024).await.unwrap();
            assert_eq!(body, NOT_BUILT, "{path}");
        }
    }
}

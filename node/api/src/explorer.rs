//! The explorer: files that were put into the program when it was built.
//!
//! Deliberately not here: anything of the chain. The pages ask `/api/v1` like every other client, and check what it says.

use axum::{
    Extension,
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use crate::{answers::Resident, routes::fallback};

/// One file of the explorer.
struct File {
    /// Without a slash before it.
    path: &'static str,
    media_type: &'static str,
    /// In quotes, as in the header.
    etag: &'static str,
    plain: &'static [u8],
    br: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

/// Empty when the explorer was not built before the program.
static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/explorer.rs"));

/// Nothing from elsewhere, nothing inline; WebAssembly, because the verifier is that.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; frame-ancestors 'none'; \
    base-uri 'none'; form-action 'none'";

/// The verifier in one file: it is kept and opened elsewhere, and brings a policy of its own.
const VERIFIER: (&str, &str) = ("verifier.html", "attachment; filename=\"vouch-verifier.html\"");

const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Vouch</title>\
    <h1>This node was built without the explorer</h1>\
    <p>Its interface is at <a href=\"/api/v1/openapi.json\">/api/v1</a>. To have the explorer, build the program with \
    <code>./run build</code> on a machine with Node.js 20 and npm.</p>\
    <p lang=\"zh\">本节点未包含浏览器界面。请在装有 Node.js 20 与 npm 的机器上运行 <code>./run build</code> 重新构建。</p></html>";

/// Everything that is no route: a file, a page of the explorer, or a problem.
pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    let is_read = method == Method::GET || method == Method::HEAD;
    if !is_read || path == "api" || path.starts_with("api/") {
        return fallback::unknown_route(&uri).into_response();
    }
    if let Some(file) = FILES.iter().find(|file| file.path == path) {
        return answer(file, &headers);
    }
    // A person who follows a link asks for HTML; a program that mistyped a path gets a problem.
    let wants_page = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if !wants_page.is_some_and(|accept| accept.contains("text/html")) || path.starts_with("assets/") {
        return fallback::unknown_route(&uri).into_response();
    }
    match FILES.iter().find(|file| file.path == "index.html") {
        Some(page) => answer(page, &headers),
        None => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], NOT_BUILT).into_response(),
    }
}

fn answer(file: &File, headers: &HeaderMap) -> Response {
    let mut response = content(file, headers);
    if file.path == VERIFIER.0 {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(VERIFIER.1));
    }
    response
}

fn content(file: &File, headers: &HeaderMap) -> Response {
    const SAME_ORIGIN: (HeaderName, &str) = (HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    // Names under assets/ carry the hash of the content.
    let is_forever = file.path.starts_with("assets/");
    let keep = if is_forever { "public, max-age=31536000, immutable" } else { "no-cache" };
    let common = [
        (header::CONTENT_TYPE, file.media_type),
        (header::ETAG, file.etag),
        (header::CACHE_CONTROL, keep),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::VARY, "accept-encoding"),
        SAME_ORIGIN,
    ];
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|tags| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == file.etag)) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let accepts = |coding: &str| {
        let text = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
        text.split(',').any(|item| {
            let (name, quality) = item.split_once(';').unwrap_or((item, ""));
            name.trim() == coding && !matches!(quality.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
        })
    };
    match (file.br, file.gzip) {
        (Some(bytes), _) if accepts("br") => {
            (common, Extension(Resident), [(header::CONTENT_ENCODING, "br")], Body::from(bytes)).into_response()
        }
        (_, Some(bytes)) if accepts("gzip") => {
            (common, Extension(Resident), [(header::CONTENT_ENCODING, "gzip")], Body::from(bytes)).into_response()
        }
        _ => (common, Extension(Resident), Body::from(file.plain)).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: File = File {
        path: "index.html",
        media_type: "text/html; charset=utf-8",
        etag: "\"abc\"",
        plain: b"plain",
        br: Some(b"br"),
        gzip: Some(b"gz"),
    };

    fn asking(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    fn encoding(response: &Response) -> &str {
        response.headers().get(header::CONTENT_ENCODING).map_or("", |value| value.to_str().unwrap())
    }

    #[test]
    fn the_best_packing_that_is_accepted_is_sent() {
        let coding = |value| encoding(&answer(&PAGE, &asking(header::ACCEPT_ENCODING, value))).to_owned();
        assert_eq!(coding("gzip, deflate, br"), "br");
        assert_eq!(coding("gzip;q=0.8, br;q=0"), "gzip");
        assert_eq!(coding("identity"), "");
    }

    #[test]
    fn the_verifier_is_kept_and_not_shown_here() {
        let kept = answer(&File { path: "verifier.html", ..PAGE }, &HeaderMap::new());
        assert_eq!(kept.headers()[header::CONTENT_DISPOSITION], VERIFIER.1);
        assert_eq!(answer(&PAGE, &HeaderMap::new()).headers().get(header::CONTENT_DISPOSITION), None);
    }

    #[test]
    fn what_the_browser_has_is_not_sent_again() {
        let response = answer(&PAGE, &asking(header::IF_NONE_MATCH, "W/\"abc\""));
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(answer(&PAGE, &asking(header::IF_NONE_MATCH, "\"abd\"")).status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn only_people_get_pages_for_unknown_paths() {
        let page = serve(Method::GET, Uri::from_static("/blocks/7"), asking(header::ACCEPT, "text/html,*/*")).await;
        assert_eq!(page.status(), StatusCode::OK);
        assert_eq!(page.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
        for (method, path, accept) in [
            (Method::GET, "/blocks/7", "*/*"),
            (Method::GET, "/api/v1/nothing", "text/html"),
            (Method::GET, "/assets/gone.js", "text/html"),
            (Method::POST, "/blocks/7", "text/html"),
        ] {
            let answer = serve(method, Uri::from_static(path), asking(header::ACCEPT, accept)).await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }
}

//! A file as an answer, or what a client gets of it.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::http::response::Builder;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;

use super::conditions::{Facts, Share, share, written};

/// What may change at any moment: clients ask whether it has.
pub(crate) const ASK: &str = "no-cache";

/// A file that is open, with how long it stays as it is.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The file.
    pub(crate) file: Arc<File>,
    /// What is known of it.
    pub(crate) facts: Facts,
    /// Its content type.
    pub(crate) kind: &'static str,
    /// What caches are told.
    pub(crate) lasts: &'static str,
}

/// Answers a GET or HEAD with a file; `body` makes bytes of what is to be sent.
pub(crate) fn respond(
    method: &Method,
    headers: &HeaderMap,
    opened: Opened,
    body: impl FnOnce(Arc<File>, Range<u64>) -> Body,
) -> Response {
    let Opened {
        file,
        facts,
        kind,
        lasts,
    } = opened;
    let mut response = Response::builder()
        .header(header::ETAG, &facts.etag)
        .header(header::CACHE_CONTROL, lasts)
        .header(header::ACCEPT_RANGES, "bytes");
    if let Some(modified) = facts.modified.and_then(written) {
        response = response.header(header::LAST_MODIFIED, modified);
    }
    let (status, range) = match share(method, headers, &facts) {
        Share::Whole => (StatusCode::OK, 0..facts.size),
        Share::Part(range) => {
            let content = format!("bytes {}-{}/{}", range.start, range.end - 1, facts.size);
            response = response.header(header::CONTENT_RANGE, content);
            (StatusCode::PARTIAL_CONTENT, range)
        }
        Share::NotModified => return finish(response.status(StatusCode::NOT_MODIFIED), Body::empty()),
        Share::Failed => {
            let response = response.status(StatusCode::PRECONDITION_FAILED);
            return finish(response, "it is another file by now\n".into());
        }
        Share::OutOfRange => {
            let response = response
                .status(StatusCode::RANGE_NOT_SATISFIABLE)
                .header(header::CONTENT_RANGE, format!("bytes */{}", facts.size));
            return finish(response, format!("it has {} bytes\n", facts.size).into());
        }
    };
    let response = response
        .status(status)
        .header(header::CONTENT_TYPE, kind)
        .header(header::CONTENT_LENGTH, range.end - range.start);
    let body = if *method == Method::GET {
        body(file, range)
    } else {
        Body::empty()
    };
    finish(response, body)
}

/// A short text.
pub(crate) fn plain(status: StatusCode, lasts: &'static str, text: String) -> Response {
    let response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
        .header(header::CACHE_CONTROL, lasts)
        .header(header::CONTENT_LENGTH, text.len());
    finish(response, text.into())
}

/// A short text that says which methods there are instead.
pub(crate) fn not_allowed(allowed: &'static str, text: &str) -> Response {
    let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, ASK, format!("{text}\n"));
    let allowed = header::HeaderValue::from_static(allowed);
    refused.headers_mut().insert(header::ALLOW, allowed);
    refused
}

/// The name by which a client found this server; nothing where it says none that could be one.
pub(crate) fn host_of(headers: &HeaderMap) -> Option<&str> {
    let is_host = |host: &&str| {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
        !host.is_empty() && host.len() <= 255 && host.bytes().all(good)
    };
    headers.get(header::HOST)?.to_str().ok().filter(is_host)
}

fn finish(response: Builder, body: Body) -> Response {
    response
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .body(body)
        .expect("all headers are plain text")
}

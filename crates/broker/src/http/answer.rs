//! Answers: documents, texts and refusals.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

use crate::outcome;
use crate::plane::PlaneError;

pub(super) const JSON: &str = "application/json";

/// A question that is not understood.
pub(super) fn bad(message: &str, what_to_do: &str) -> PlaneError {
    PlaneError::new(400, "bad-request", message, what_to_do)
}

pub(super) fn json(document: &impl Serialize) -> Result<Response<Full<Bytes>>, PlaneError> {
    let text = serde_json::to_vec(document);
    let mut bytes = text.map_err(PlaneError::unreadable)?;
    bytes.push(b'\n');
    Ok(response(StatusCode::OK, JSON, bytes))
}

/// A document that may be so large that making it takes longer than connections should wait.
pub(super) async fn large(
    document: impl Serialize + Send + 'static,
) -> Result<Response<Full<Bytes>>, PlaneError> {
    let made = outcome::blocking(move || json(&document)).await;
    made.ok_or_else(PlaneError::stopping)?
}

pub(super) fn text(kind: &'static str, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    response(StatusCode::OK, kind, text)
}

pub(super) fn failed(error: &PlaneError) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_vec(error).unwrap_or_default();
    response(status, JSON, body)
}

fn response(
    status: StatusCode,
    kind: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    response
}

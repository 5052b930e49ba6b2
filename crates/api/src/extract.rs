//! Reads requests: bodies within a limit, JSON with the place of each fault, queries.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_path_to_error::Segment;
use watchfire_domain::id::OrganizationId;
use watchfire_domain::limit;
use watchfire_engine::service::Once;

use crate::error::{ApiError, ApiResult, Code, JSON_ERROR, ValidationErrorItem};
use crate::once;
use crate::state::ApiState;

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A request's body of at most `MAX` bytes, and what names the request if it is to be done once.
///
/// It must be a handler's last argument: the caller is known before any of the body is read.
pub(crate) struct Body<const MAX: usize = { limit::REQUEST_BODY_BYTES_MAX }> {
    pub(crate) bytes: Bytes,
    request: Option<once::Key>,
}

impl<const MAX: usize> FromRequest<ApiState> for Body<MAX> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &ApiState) -> ApiResult<Self> {
        let (parts, body) = request.into_parts();
        check_head(&parts.headers, MAX)?;
        let reading = Limited::new(body, MAX).collect();
        let read = tokio::time::timeout(limit::REQUEST_TIMEOUT, reading).await;
        let bytes = match read {
            Err(_elapsed) => return Err(Code::RequestTimeout.into()),
            Ok(Ok(collected)) => collected.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                return Err(Code::PayloadTooLarge.into());
            }
            Ok(Err(_)) => {
                return Err(ApiError::new(
                    Code::Generic,
                    "The body did not arrive whole",
                ));
            }
        };
        if let Some(reading) = parts.extensions.get::<Reading>() {
            reading.end();
        }
        let request = once::Key::of(&parts, &bytes)?;
        Ok(Self { bytes, request })
    }
}

/// Whether a request's body was read to its end.
#[derive(Clone, Default)]
pub(crate) struct Reading(Arc<AtomicBool>);

impl Reading {
    fn end(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the head says about the body decides before any of it is read.
fn check_head(headers: &HeaderMap, max: usize) -> ApiResult<()> {
    let encoding = headers.get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(Code::UnsupportedEncoding.into());
    }
    check_length(headers, max)
}

/// Whether the body is no larger than it may be, as far as the head says.
pub(crate) fn check_length(headers: &HeaderMap, max: usize) -> ApiResult<()> {
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok());
    match length.map(str::parse::<u64>) {
        Some(Ok(length)) if length > max as u64 => Err(Code::PayloadTooLarge.into()),
        _ => Ok(()),
    }
}

impl<const MAX: usize> Body<MAX> {
    pub(crate) fn parse<'a, T: Deserialize<'a>>(&'a self) -> ApiResult<T> {
        parsed(&self.bytes)
    }

    /// Like [`Body::parse`]; nothing at all counts as an empty object.
    pub(crate) fn parse_or_default<'a, T: Deserialize<'a> + Default>(&'a self) -> ApiResult<T> {
        if self.bytes.is_empty() {
            Ok(T::default())
        } else {
            self.parse()
        }
    }

    /// Names the request within the organization, if its caller wants it done once.
    pub(crate) fn once(&self, org: &OrganizationId) -> Option<Once> {
        self.request.as_ref().map(|request| request.within(org))
    }
}

/// Lists would pass for objects whose members have no names.
fn not_an_object() -> ApiError {
    ApiError::Invalid(vec![ValidationErrorItem {
        loc: vec!["body".into()],
        msg: "must be a JSON object".into(),
        kind: JSON_ERROR,
    }])
}

/// Reads a JSON object. The way to a fault is followed only where there is one.
pub(crate) fn parsed<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> ApiResult<T> {
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(not_an_object());
    }
    serde_json::from_slice(bytes).map_err(|error| located::<T>(bytes, &error))
}

fn located<'a, T: Deserialize<'a>>(bytes: &'a [u8], error: &serde_json::Error) -> ApiError {
    let mut loc: Vec<Cow<'static, str>> = vec!["body".into()];
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    if let Err(fault) = serde_path_to_error::deserialize::<_, T>(&mut reader) {
        loc.extend(fault.path().iter().filter_map(segment));
    }
    ApiError::Invalid(vec![ValidationErrorItem {
        loc,
        msg: error.to_string(),
        kind: JSON_ERROR,
    }])
}

fn segment(segment: &Segment) -> Option<Cow<'static, str>> {
    match segment {
        Segment::Map { key } => Some(key.clone().into()),
        Segment::Seq { index } => Some(format!("[{index}]").into()),
        Segment::Enum { variant } => Some(variant.clone().into()),
        Segment::Unknown => None,
    }
}

/// The query's parameters that `T` knows; others are ignored.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<ApiState> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> ApiResult<Self> {
        let Query(value) = Query::try_from_uri(&parts.uri)
            .map_err(|error| ApiError::new(Code::Generic, error.body_text()))?;
        Ok(Self(value))
    }
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    json_bytes(status, to_json(body))
}

pub(crate) fn to_json(body: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    serde_json::to_writer(&mut bytes, body).expect("answers are plain data with text keys");
    bytes
}

pub(crate) fn json_bytes(status: StatusCode, body: impl Into<axum::body::Body>) -> Response {
    (status, [(header::CONTENT_TYPE, JSON)], body.into()).into_response()
}

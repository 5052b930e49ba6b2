//! Requests with an `idempotency-key`: done once, answered alike however often they are sent.
//!
//! The first answer is kept in the transaction that does what was asked, so there is no moment at
//! which one exists without the other. Of two that run at the same time, the store lets one win;
//! the other finds its answer.

use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use ring::digest::{Context, SHA256};
use watchfire_domain::id::OrganizationId;
use watchfire_domain::limit;
use watchfire_engine::service::{self, Once};
use watchfire_store::Remembered;

use crate::error::{ApiError, ApiResult, Code};
use crate::extract::json_bytes;

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// Marks an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// What names a request, apart from who sent it.
pub(crate) struct Key {
    path: String,
    value: HeaderValue,
    request: [u8; 32],
}

impl Key {
    /// The key of a POST that has one.
    pub(crate) fn of(parts: &Parts, body: &[u8]) -> ApiResult<Option<Self>> {
        let Some(key) = parts.headers.get(&HEADER) else {
            return Ok(None);
        };
        if parts.method != Method::POST {
            return Ok(None);
        }
        let visible = key.as_bytes().iter().all(u8::is_ascii_graphic);
        if key.is_empty() || key.len() > limit::IDEMPOTENCY_KEY_CHARS_MAX || !visible {
            return Err(Code::BadIdempotencyKey.into());
        }
        let query = parts.uri.query().unwrap_or_default();
        Ok(Some(Self {
            path: parts.uri.path().trim_end_matches('/').to_owned(),
            value: key.clone(),
            request: hash(&[query.as_bytes(), body]),
        }))
    }

    /// No key of one organization is ever another's.
    pub(crate) fn within(&self, org: &OrganizationId) -> Once {
        let parts = [
            org.as_str().as_bytes(),
            self.path.as_bytes(),
            self.value.as_bytes(),
        ];
        Once {
            key: hash(&parts),
            request: self.request,
        }
    }
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// An answer as it is kept: its status and its body.
pub(crate) fn written(status: StatusCode, body: &[u8]) -> Vec<u8> {
    let mut answer = status.as_u16().to_be_bytes().to_vec();
    answer.extend_from_slice(body);
    answer
}

/// The first answer, if `error` says that this request was answered before; else the error.
pub(crate) fn replay(error: service::Error, once: Option<Once>) -> ApiResult<Response> {
    match (error, once) {
        (service::Error::Repeated(first), Some(once)) if first.request == once.request => {
            Ok(replayed(&first)?)
        }
        (error, _) => Err(error.into()),
    }
}

/// The first answer to this request, where what it asks for leaves no trace to find it by.
pub(crate) fn replayed(first: &Remembered) -> ApiResult<Response> {
    let (status, body) = first
        .answer
        .split_at_checked(2)
        .ok_or(Code::IdempotencyKeyReused)?;
    let status = StatusCode::from_u16(u16::from_be_bytes([status[0], status[1]]))
        .map_err(|_| ApiError::from(Code::IdempotencyKeyReused))?;
    let mut response = json_bytes(status, body.to_vec());
    response
        .headers_mut()
        .insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

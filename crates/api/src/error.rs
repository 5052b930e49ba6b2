//! What the API answers when it does not do what was asked: stable codes, one table of them.
//!
//! Bodies are `{"code", "detail"}`; faults of an input are `{"detail": [{"loc", "msg", "type"}]}`
//! with status 422. `docs/reference/errors.md` is generated from the table.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use watchfire_engine::service::{self, Existing, Fault};
use watchfire_store::StoreError;

pub(crate) type ApiResult<T> = Result<T, ApiError>;

/// Declares the codes, and the table the reference is generated from.
macro_rules! codes {
    ($($name:ident: $status:ident, $code:literal, $detail:literal, $help:literal;)+) => {
        /// Why a request was not done, in a form programs can rely on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code { $($name),+ }

        impl Code {
            const ALL: &[Self] = &[$(Self::$name),+];

            pub(crate) fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status),+ }
            }

            pub(crate) fn text(self) -> &'static str {
                match self { $(Self::$name => $code),+ }
            }

            fn default_detail(self) -> &'static str {
                match self { $(Self::$name => $detail),+ }
            }

            fn help(self) -> &'static str {
                match self { $(Self::$name => $help),+ }
            }
        }
    };
}

codes! {
    Generic: BAD_REQUEST, "generic_error", "Generic error",
        "The query string, a header or the path can't be read. The detail names what.";
    BadToken: BAD_REQUEST, "bad token", "The token names no valid owner",
        "The application token was signed by us but its `org` or `sub` is not an id. Mint a new one.";
    BadSubject: BAD_REQUEST, "bad_token", "`sub` is not a valid organization id.",
        "The organization token was signed by us but its `sub` is not an organization's id. Mint a new one.";
    InvalidRange: BAD_REQUEST, "invalid_range", "The range of time is not valid",
        "`until` is in the future, before `since`, or the range is longer than 28 days.";
    LimitReached: BAD_REQUEST, "limit_reached", "There are as many as there may be",
        "Remove one, or wait until one expires. The limits are listed in `limits.md`.";
    MissingPayload: BAD_REQUEST, "missing_payload", "The message's payload expired or was removed",
        "There is nothing left to send. Create a new message.";
    BadIdempotencyKey: BAD_REQUEST, "invalid_idempotency_key", "The idempotency key is not valid",
        "Send 1 to 256 visible ASCII characters in `idempotency-key`.";
    AuthenticationFailed: UNAUTHORIZED, "authentication_failed", "Invalid token",
        "Send `Authorization: Bearer <token>` with a token this server signed or an API key it made, that has not expired and was not revoked.";
    InsufficientAccess: FORBIDDEN, "insufficient access", "Insufficient access for the given operation.",
        "The token or API key is for one application and the operation is for an organization's, or the key lacks the scope that `scopes.md` lists.";
    NotFound: NOT_FOUND, "not_found", "Entity not found",
        "There is no such object, or it belongs to somebody else.";
    MethodNotAllowed: METHOD_NOT_ALLOWED, "method_not_allowed", "This path does not support the method",
        "The `Allow` header lists the methods the path supports.";
    RateLimited: TOO_MANY_REQUESTS, "rate_limited", "Too many requests",
        "The token, the API key, its organization or, after many refused credentials, the address asked too often. Try again after `Retry-After`.";
    RequestTimeout: REQUEST_TIMEOUT, "request_timeout", "The request's body took too long to arrive",
        "Send the body without pauses.";
    Conflict: CONFLICT, "conflict", "A conflict has occurred",
        "The uid or event id is taken, or others changed the object at the same moment.";
    InFlight: CONFLICT, "in_flight", "The delivery is being sent",
        "What is on its way can't be taken back. Ask again when its attempt has ended.";
    Ended: CONFLICT, "ended", "The delivery has ended",
        "It was delivered, has failed for good or was cancelled: there is nothing to cancel.";
    EventTypeExists: CONFLICT, "event_type_exists", "An event type with this name exists",
        "Update it with PUT or PATCH.";
    IdempotencyKeyReused: CONFLICT, "idempotency_key_reused", "The idempotency key was used for another request",
        "A key names one request: use a new key for a request with another body.";
    PayloadTooLarge: PAYLOAD_TOO_LARGE, "payload_too_large", "The request's body is too large",
        "Put large content behind a link. The limits are listed in `limits.md`.";
    UnsupportedEncoding: UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding", "The request's body must not be compressed",
        "Send the body without `Content-Encoding`.";
    ServerError: INTERNAL_SERVER_ERROR, "server_error", "Internal Server Error",
        "A fault of the server. Its log has the cause under the request's `x-request-id`.";
    NotImplemented: NOT_IMPLEMENTED, "not_implemented", "This API endpoint is not implemented.",
        "The operation is known but not offered by this server.";
    Overloaded: SERVICE_UNAVAILABLE, "overloaded", "Too many requests are waiting",
        "Nothing was stored. Try again after `Retry-After`.";
    StorageFull: SERVICE_UNAVAILABLE, "storage_full", "The disk is full",
        "Nothing was stored. Deliveries go on; free space, then try again.";
    Unavailable: SERVICE_UNAVAILABLE, "unavailable", "The database can't be reached",
        "Try again after `Retry-After`, with the same idempotency key or `eventId`: if the answer of the database was lost, it may be stored all the same.";
    Stopping: SERVICE_UNAVAILABLE, "stopping", "The server is stopping",
        "Nothing was stored. Try again, on another node if there is one.";
}

impl Code {
    /// Seconds after which a try may succeed.
    fn retry_after(self) -> Option<HeaderValue> {
        match self {
            Self::Overloaded | Self::Unavailable | Self::Stopping => {
                Some(HeaderValue::from_static("1"))
            }
            Self::StorageFull => Some(HeaderValue::from_static("30")),
            _ => None,
        }
    }
}

/// The reference page of all codes, as Markdown.
pub fn errors_reference() -> String {
    let mut page = String::from(
        "# Errors\n\n\
        Generated from `crates/api/src/error.rs`.\n\n\
        A request that is not done is answered with `{\"code\", \"detail\"}`.\n\
        Programs may rely on status and code; the detail is for people and may change.\n\n\
        A request whose content is not valid is answered with status 422 and \
        `{\"detail\": [{\"loc\", \"msg\", \"type\"}]}`: one entry for each fault.\n\
        `loc` is the way to the field, beginning with `body`, `query` or `path`.\n\
        `type` is `value_error`, `value_error.jsondecode`, `application_uid_mismatch` or \
        `application_uid_missing`.\n\n\
        | status | code | what it means and what to do |\n|---|---|---|\n",
    );
    for code in Code::ALL {
        let status = code.status().as_u16();
        let (text, detail, help) = (code.text(), code.default_detail(), code.help());
        let detail = detail.trim_end_matches('.');
        writeln!(page, "| {status} | `{text}` | {detail}. {help} |")
            .expect("writing to a string does not fail");
    }
    page
}

/// An answer to a request that was not done.
#[derive(Debug)]
pub(crate) enum ApiError {
    Coded {
        code: Code,
        detail: Cow<'static, str>,
    },
    Invalid(Vec<ValidationErrorItem>),
    /// Who asks must wait this long.
    Limited(Duration),
}

/// The body of an error.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HttpErrorOut {
    pub(crate) code: Cow<'static, str>,
    pub(crate) detail: Cow<'static, str>,
}

/// The body of an answer to a request whose content is not valid.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HTTPValidationError)]
pub(crate) struct ValidationErrorOut {
    pub(crate) detail: Vec<ValidationErrorItem>,
}

/// One fault of a request's content.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ValidationErrorItem {
    /// The way to the field: `body`, `query` or `path`, then names and indexes.
    pub(crate) loc: Vec<Cow<'static, str>>,
    pub(crate) msg: String,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
}

pub(crate) const VALUE_ERROR: &str = "value_error";
pub(crate) const JSON_ERROR: &str = "value_error.jsondecode";

impl ApiError {
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Coded {
            code,
            detail: detail.into(),
        }
    }

    /// A fault of one parameter of the query.
    pub(crate) fn query(parameter: &'static str, reason: impl Display) -> Self {
        Self::at("query", parameter, reason)
    }

    /// A fault of one field of the body.
    pub(crate) fn body(field: &'static str, reason: impl Display) -> Self {
        Self::at("body", field, reason)
    }

    /// A fault of one part of the path.
    pub(crate) fn path(parameter: &'static str, reason: impl Display) -> Self {
        Self::at("path", parameter, reason)
    }

    /// The fault of an object that is itself a field of the body.
    pub(crate) fn within(mut self, field: &'static str) -> Self {
        if let Self::Invalid(faults) = &mut self {
            for fault in faults {
                fault.loc.insert(1, field.into());
            }
        }
        self
    }

    fn at(part: &'static str, name: &'static str, reason: impl Display) -> Self {
        Self::Invalid(vec![ValidationErrorItem {
            loc: vec![part.into(), name.into()],
            msg: reason.to_string(),
            kind: VALUE_ERROR,
        }])
    }
}

impl From<Code> for ApiError {
    fn from(code: Code) -> Self {
        Self::new(code, code.default_detail())
    }
}

impl From<Fault> for ValidationErrorItem {
    fn from(fault: Fault) -> Self {
        let loc = std::iter::once("body".into()).chain(fault.field).collect();
        Self {
            loc,
            msg: fault.reason,
            kind: VALUE_ERROR,
        }
    }
}

impl From<service::Error> for ApiError {
    fn from(error: service::Error) -> Self {
        use service::Error;
        match error {
            Error::Invalid(faults) => Self::Invalid(faults.into_iter().map(Into::into).collect()),
            Error::NotFound => Code::NotFound.into(),
            Error::Exists(Existing::EventType) => Code::EventTypeExists.into(),
            Error::Exists(existing) => {
                Self::new(Code::Conflict, format!("There is {existing} already"))
            }
            Error::LimitReached { of, max } => Self::new(
                Code::LimitReached,
                format!("There may be at most {max} {of}"),
            ),
            Error::TooLarge => Code::PayloadTooLarge.into(),
            Error::PayloadGone => Code::MissingPayload.into(),
            Error::Repeated(_) => Code::IdempotencyKeyReused.into(),
            Error::InFlight => Code::InFlight.into(),
            Error::Ended => Code::Ended.into(),
            Error::Contended => Self::new(
                Code::Conflict,
                "Others changed it at the same moment; try again",
            ),
            Error::Overloaded => Code::Overloaded.into(),
            Error::Stopping => Code::Stopping.into(),
            Error::NoLease => Code::Unavailable.into(),
            Error::Store(error) => (&*error).into(),
            Error::Vault(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a secret can't be read"
                );
                Code::ServerError.into()
            }
        }
    }
}

impl From<&StoreError> for ApiError {
    fn from(error: &StoreError) -> Self {
        let cause = error as &(dyn std::error::Error + 'static);
        match error {
            StoreError::Full => Code::StorageFull.into(),
            StoreError::Unavailable(_) | StoreError::Fenced => {
                tracing::warn!(error = cause, "a request was refused");
                Code::Unavailable.into()
            }
            StoreError::Closed => Code::Stopping.into(),
            StoreError::Inconsistent { .. } => {
                tracing::error!(error = cause, "the database holds what can't be read");
                Code::ServerError.into()
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, body, retry_after) = match self {
            Self::Limited(wait) => {
                let code = Code::RateLimited;
                let body = HttpErrorOut {
                    code: code.text().into(),
                    detail: code.default_detail().into(),
                };
                // Rounded up: coming back too early would only be refused again.
                let seconds = wait.as_millis().div_ceil(1_000).max(1).to_string();
                let seconds = HeaderValue::try_from(seconds).ok();
                (code.status(), serde_json::to_vec(&body), seconds)
            }
            Self::Coded { code, detail } => {
                let body = HttpErrorOut {
                    code: code.text().into(),
                    detail,
                };
                (code.status(), serde_json::to_vec(&body), code.retry_after())
            }
            Self::Invalid(detail) => {
                let body = ValidationErrorOut { detail };
                (
                    StatusCode::UNPROCESSABLE_ENTITY,
                    serde_json::to_vec(&body),
                    None,
                )
            }
        };
        let body = body.expect("an error is plain data with text keys");
        let mut response =
            (status, [(header::CONTENT_TYPE, crate::extract::JSON)], body).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct() {
        let mut codes: Vec<_> = Code::ALL.iter().map(|code| code.text()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Code::ALL.len());
    }

    #[test]
    fn whoever_is_turned_away_for_now_learns_when_to_come_back() {
        for code in Code::ALL {
            let temporary = code.status() == StatusCode::SERVICE_UNAVAILABLE;
            assert_eq!(code.retry_after().is_some(), temporary, "{code:?}");
        }
    }

    fn check(error: service::Error, status: StatusCode, retry_after: Option<&str>) {
        let response = ApiError::from(error).into_response();
        assert_eq!(response.status(), status);
        let after = response.headers().get(header::RETRY_AFTER);
        assert_eq!(
            after.map(|value| value.to_str().expect("text")),
            retry_after
        );
    }

    #[test]
    fn a_database_that_can_t_be_written_is_not_the_caller_s_fault() {
        let unavailable = || StoreError::Unavailable("gone".into());
        let status = StatusCode::SERVICE_UNAVAILABLE;
        check(StoreError::Full.into(), status, Some("30"));
        check(unavailable().into(), status, Some("1"));
        check(StoreError::Fenced.into(), status, Some("1"));
        check(StoreError::Closed.into(), status, Some("1"));
        check(service::Error::Overloaded, status, Some("1"));
        check(service::Error::Stopping, status, Some("1"));
        check(service::Error::NoLease, status, Some("1"));
        let unreadable = StoreError::Inconsistent {
            table: "message",
            column: "details",
            row: "7".into(),
            source: "not JSON".into(),
        };
        check(unreadable.into(), StatusCode::INTERNAL_SERVER_ERROR, None);
    }
}

//! Forms: reading them, and the token that proves whose they are.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::header;
use http_body_util::{BodyExt as _, Limited};
use watchfire_domain::limit;

use crate::failure::Failure;
use crate::params::Fields;
use crate::session::Session;
use crate::state::DashboardState;

/// The field that carries a session's token.
pub(crate) const CSRF: &str = "csrf";
/// What forms are sent as.
const KIND: &str = "application/x-www-form-urlencoded";

/// The fields of a form that one of the session's own pages sent.
///
/// It must be a handler's last argument: the person is known before any of the body is read.
pub(crate) struct Form(pub(crate) Fields);

/// A form that anyone may send: the one that signs in.
pub(crate) struct OpenForm(pub(crate) Fields);

impl FromRequest<DashboardState> for Form {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &DashboardState) -> Result<Self, Failure> {
        let session = request.extensions().get::<Arc<Session>>().cloned();
        let session = session.ok_or(Failure::Forged)?;
        let fields = read(request).await?;
        if session.accepts_csrf(fields.text(CSRF)) {
            Ok(Self(fields))
        } else {
            Err(Failure::Forged)
        }
    }
}

impl FromRequest<DashboardState> for OpenForm {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &DashboardState) -> Result<Self, Failure> {
        Ok(Self(read(request).await?))
    }
}

async fn read(request: Request) -> Result<Fields, Failure> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with(KIND) {
        return Err(Failure::Form("It is not a form."));
    }
    let reading = Limited::new(request.into_body(), limit::FORM_BYTES_MAX).collect();
    let read = tokio::time::timeout(limit::REQUEST_TIMEOUT, reading).await;
    let read = read.map_err(|_| Failure::Form("It took too long to arrive."))?;
    let body = read.map_err(|_| Failure::Form("It is too large, or did not arrive whole."))?;
    Fields::read(&body.to_bytes()).ok_or(Failure::Form("It has too many fields."))
}

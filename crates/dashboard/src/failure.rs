//! The page shown when something can't be done.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;
use watchfire_domain::scope::Scope;
use watchfire_engine::identity::{Denied, Refused};
use watchfire_engine::service::{Error, Existing};
use watchfire_store::StoreError;

use crate::params::encoded;
use crate::session::Look;
use crate::state::DashboardState;
use crate::ui::{self, Brand};

pub(crate) type Answer = Result<Response, Failure>;

/// Why a page is not shown, or what it was asked for is not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody is signed in; `next` is where to go then.
    SignIn {
        portal: bool,
        next: Option<String>,
    },
    /// The person may not do this.
    NotAllowed(Option<Scope>),
    NotFound,
    /// The request comes from another site's page, or from a form of an older session.
    Forged,
    /// The form can't be read.
    Form(&'static str),
    /// The input is wrong; pages with forms show this beside the fields instead.
    Service(Error),
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Scope(scope) => Self::NotAllowed(Some(scope)),
            Denied::Reach => Self::NotAllowed(None),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => Self::NotFound,
            error => Self::Service(error),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Service(error.into())
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Service(error) => error.into(),
            Refused::NotValid
            | Refused::SigningSecret
            | Refused::NoSubject
            | Refused::BadSubject
            | Refused::BadClaim { .. } => Self::SignIn {
                portal: false,
                next: None,
            },
        }
    }
}

/// What a service's refusal means to a person, in a sentence.
pub(crate) fn explain(error: &Error) -> String {
    match error {
        Error::Invalid(faults) => {
            let faults = faults.iter().map(|fault| {
                let field = fault.field.join(" ");
                format!("{field}: {}", fault.reason)
            });
            faults.collect::<Vec<_>>().join("; ")
        }
        Error::NotFound => "It does not exist any more.".into(),
        Error::Exists(existing) => match existing {
            Existing::ApplicationUid => "Another application has this uid.".into(),
            Existing::EndpointUid => "Another endpoint of the application has this uid.".into(),
            Existing::EventType => "An event type with this name exists.".into(),
            Existing::EventId => "A message with this event id exists.".into(),
        },
        Error::LimitReached { of, max } => format!("There may be at most {max} {of}."),
        Error::TooLarge => "The payload is too large.".into(),
        Error::PayloadGone => "The message's payload was removed: there is nothing to send.".into(),
        Error::Repeated(_) => "It was done before.".into(),
        Error::Contended => "Others changed it at the same moment. Please try again.".into(),
        Error::InFlight => "It is being sent: that can't be taken back. Please try again when its attempt has ended.".into(),
        Error::Ended => "It has ended already: there is nothing to cancel.".into(),
        Error::Overloaded => "Too much is waiting. Please try again in a moment.".into(),
        Error::Stopping => "The server is stopping. Please try again in a moment.".into(),
        Error::NoLease => "The database can't be reached. Please try again in a moment.".into(),
        Error::Store(error) => match **error {
            StoreError::Full => "The disk is full. Nothing was stored.".into(),
            StoreError::Unavailable(_) | StoreError::Fenced | StoreError::Closed => {
                "The database can't be reached. Please try again in a moment.".into()
            }
            StoreError::Inconsistent { .. } => {
                "The database holds what can't be read. The server's log has the details.".into()
            }
        },
        Error::Vault(_) => "A secret can't be read. The server's log has the details.".into(),
    }
}

fn status_of(error: &Error) -> StatusCode {
    match error {
        Error::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Error::NotFound => StatusCode::NOT_FOUND,
        Error::Exists(_)
        | Error::Repeated(_)
        | Error::Contended
        | Error::InFlight
        | Error::Ended => StatusCode::CONFLICT,
        Error::LimitReached { .. } | Error::PayloadGone => StatusCode::BAD_REQUEST,
        Error::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Error::Overloaded | Error::Stopping | Error::NoLease => StatusCode::SERVICE_UNAVAILABLE,
        Error::Store(error) => match **error {
            StoreError::Inconsistent { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            StoreError::Full
            | StoreError::Unavailable(_)
            | StoreError::Fenced
            | StoreError::Closed => StatusCode::SERVICE_UNAVAILABLE,
        },
        Error::Vault(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, title, text) = match self {
            Self::SignIn { portal: true, .. } => return Redirect::to("/portal").into_response(),
            Self::SignIn { next, .. } => {
                let next = next.map(|next| format!("?next={}", encoded(&next)));
                let path = format!("/dashboard/sign-in{}", next.unwrap_or_default());
                return Redirect::to(&path).into_response();
            }
            Self::NotAllowed(scope) => (
                StatusCode::FORBIDDEN,
                "You may not do this",
                match scope {
                    Some(scope) => format!("It needs a key with the scope {scope}."),
                    None => {
                        "Your key is for one application, and this is about all of them.".into()
                    }
                },
            ),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "There is nothing here",
                "It was deleted, its retention has passed, or the address is wrong.".into(),
            ),
            Self::Forged => (
                StatusCode::FORBIDDEN,
                "This form is out of date",
                "It was made for another session, or sent by another site. \
                 Nothing was changed: go back, load the page again and repeat it."
                    .into(),
            ),
            Self::Form(reason) => (
                StatusCode::BAD_REQUEST,
                "This can't be read",
                reason.to_owned(),
            ),
            Self::Service(error) => {
                let status = status_of(&error);
                if status.is_server_error() {
                    let cause = &error as &dyn std::error::Error;
                    tracing::warn!(error = cause, "a page was not shown");
                }
                (status, "This can't be done now", explain(&error))
            }
        };
        let told = Told { title, text };
        let mut response = status.into_response();
        response.extensions_mut().insert(told);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let soon = HeaderValue::from_static("2");
            response.headers_mut().insert(header::RETRY_AFTER, soon);
        }
        response
    }
}

/// What a failure's page says; [`shown`] makes the page, which takes more than the failure knows.
#[derive(Clone, Debug)]
struct Told {
    title: &'static str,
    text: String,
}

/// Whose page a request was for, and where its start is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) brand: Brand,
    path: String,
}

impl Start {
    pub(crate) fn of(path: &str) -> Self {
        let mut steps = path.split('/').skip(1);
        let (brand, path) = match (steps.next(), steps.next()) {
            (Some("portal"), Some(app)) if app.starts_with("app_") => {
                (Brand::Portal, format!("/portal/{app}"))
            }
            (Some("portal"), _) => (Brand::Portal, "/portal".to_owned()),
            _ => (Brand::Dashboard, "/".to_owned()),
        };
        Self { brand, path }
    }
}

/// Makes the page of a failure; any other answer stays as it is.
pub(crate) fn shown(state: &DashboardState, start: &Start, mut response: Response) -> Response {
    let Some(Told { title, text }) = response.extensions_mut().remove() else {
        return response;
    };
    let body = html! {
        p { (text) }
        p { a.button href=(start.path) { "To the start" } }
    };
    let look = match start.brand {
        Brand::Dashboard => Look::default(),
        Brand::Portal => Look {
            mode: state.portal_look().mode,
            accent: state.portal_look().accent,
        },
    };
    let page = ui::shell::bare(state, start.brand, &look, title, &body);
    let (mut parts, _) = response.into_parts();
    let (made, body) = page.into_parts();
    parts.headers.extend(made.headers);
    Response::from_parts(parts, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_leads_back_to_where_its_reader_belongs() {
        let start = |path| {
            let Start { brand, path } = Start::of(path);
            (brand, path)
        };
        let portal = |path: &str| (Brand::Portal, path.to_owned());
        assert_eq!(start("/portal/app_1/endpoints/x"), portal("/portal/app_1"));
        assert_eq!(start("/portal/session"), portal("/portal"));
        assert_eq!(start("/portal"), portal("/portal"));
        for path in ["/dashboard/apps/app_1", "/portals", "/", ""] {
            assert_eq!(start(path), (Brand::Dashboard, "/".to_owned()), "{path}");
        }
    }
}

//! Finds the session of a request before any page is made.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use watchfire_domain::id::ApplicationId;

use super::{Place, cookie, resume};
use crate::failure::Failure;
use crate::state::DashboardState;

/// Around every page: finds the session of the request's place and renews its cookie in time.
pub(crate) async fn remember(
    State(state): State<DashboardState>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(place) = place_of(request.uri().path()) else {
        return next.run(request).await;
    };
    let name = cookie::name(state.is_https(), place);
    let Some(kept) = cookie::named(request.headers(), &name) else {
        return next.run(request).await;
    };
    let resumed = match resume(&state, place, kept).await {
        Ok(resumed) => resumed,
        Err(error) => return Failure::from(error).into_response(),
    };
    let Some((session, renewed)) = resumed else {
        let mut response = next.run(request).await;
        // A sign-in on this very request sets a new one.
        if !response.headers().contains_key(header::SET_COOKIE) {
            let gone = cookie::clear(state.is_https(), place);
            response.headers_mut().append(header::SET_COOKIE, gone);
        }
        return response;
    };
    request.extensions_mut().insert(Arc::new(session));
    let mut response = next.run(request).await;
    if let Some(renewed) = renewed
        && !response.headers().contains_key(header::SET_COOKIE)
    {
        response.headers_mut().append(header::SET_COOKIE, renewed);
    }
    response
}

/// Which session counts for a path.
fn place_of(path: &str) -> Option<Place> {
    let mut steps = path.split('/').skip(1);
    match steps.next()? {
        "dashboard" => Some(Place::Dashboard),
        "portal" => {
            let app: ApplicationId = steps.next()?.parse().ok()?;
            Some(Place::Portal(app))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_place() {
        let app = "app_000000000000000000000000000";
        let id: ApplicationId = app.parse().expect("an id");
        assert_eq!(place_of("/dashboard"), Some(Place::Dashboard));
        assert_eq!(place_of("/dashboard/apps/x"), Some(Place::Dashboard));
        assert_eq!(place_of(&format!("/portal/{app}")), Some(Place::Portal(id)));
        assert_eq!(
            place_of(&format!("/portal/{app}/x")),
            Some(Place::Portal(id))
        );
        for nowhere in ["/", "/portal", "/portal/session", "/assets/x"] {
            assert_eq!(place_of(nowhere), None, "{nowhere}");
        }
    }
}

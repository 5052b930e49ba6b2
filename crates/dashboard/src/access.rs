//! What a page asks of the person who opens it.
//!
//! A page takes one of two extractors: [`Operator`] for what is about a whole organization,
//! [`InApp`] for what is about one application, in the dashboard or in its portal. Both hold the
//! session against the scope that the page's route names ([`Needs`]); a route that names none is
//! refused. Who reaches what is decided by [`watchfire_engine::identity`], as for the API.

use std::sync::Arc;

use axum::extract::{FromRequestParts, OriginalUri, RawPathParams};
use axum::http::header;
use axum::http::request::Parts;
use watchfire_domain::id::{ApplicationId, OrganizationId};
use watchfire_domain::scope::Scope;
use watchfire_domain::time::Timestamp;
use watchfire_engine::identity::ClientAddress;
use watchfire_engine::service::applications;
use watchfire_engine::{Engine, Snapshot};
use watchfire_store::ApplicationRef;

use crate::failure::Failure;
use crate::session::{Look, Place, Session, THEME, named};
use crate::state::DashboardState;
use crate::ui::theme::Mode;

/// The scope a route needs; set by [`crate::routes::Routes`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs(pub(crate) Scope);

/// Who looks at a page, where, and when: what every part of a page may need.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) state: DashboardState,
    /// Acts for this person: what they change is noted in their name.
    engine: Engine,
    pub(crate) session: Arc<Session>,
    /// The moment that relative times on the page count from.
    pub(crate) now: Timestamp,
    /// Path and query as the browser asked for them.
    pub(crate) address: String,
    pub(crate) look: Look,
    server: String,
}

/// Whoever may see all of an organization.
pub(crate) struct Operator {
    pub(crate) view: View,
    pub(crate) org: OrganizationId,
}

/// Whoever may see the application in the path.
pub(crate) struct InApp {
    pub(crate) view: View,
    pub(crate) app: Arc<Snapshot>,
}

impl View {
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether this person may do what needs the scope: what they may not is not offered.
    pub(crate) fn may(&self, scope: Scope) -> bool {
        self.session.caller.scopes.allow(scope)
    }

    /// Whether this is a customer's portal.
    pub(crate) fn in_portal(&self) -> bool {
        matches!(self.session.place, Place::Portal(_))
    }

    /// Where programs reach this server.
    pub(crate) fn server(&self) -> String {
        self.server.clone()
    }

    /// Where an application's pages begin for this person.
    pub(crate) fn app_path(&self, app: ApplicationId) -> String {
        match self.session.place {
            Place::Dashboard => format!("/dashboard/apps/{app}"),
            Place::Portal(_) => format!("/portal/{app}"),
        }
    }

    /// Where a page without a crumb leads back to.
    pub(crate) fn home(&self) -> String {
        match self.session.place {
            Place::Dashboard => "/dashboard".to_owned(),
            Place::Portal(app) => format!("/portal/{app}"),
        }
    }
}

impl InApp {
    pub(crate) fn engine(&self) -> &Engine {
        self.view.engine()
    }

    pub(crate) fn id(&self) -> ApplicationId {
        self.app.stored.application.id
    }

    pub(crate) fn org(&self) -> &OrganizationId {
        &self.app.stored.org
    }

    /// An address below this application's pages: `at.path("/endpoints")`.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("{}{rest}", self.view.app_path(self.id()))
    }
}

impl FromRequestParts<DashboardState> for View {
    type Rejection = Failure;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &DashboardState,
    ) -> Result<Self, Failure> {
        let address = match parts.extensions.get::<OriginalUri>() {
            Some(OriginalUri(uri)) => uri.to_string(),
            None => parts.uri.to_string(),
        };
        let Some(session) = parts.extensions.get::<Arc<Session>>().cloned() else {
            return Err(Failure::SignIn {
                portal: address.starts_with("/portal"),
                next: asked_by_link(parts).then_some(address),
            });
        };
        let scope = parts.extensions.get::<Needs>().ok_or(Failure::NotFound)?.0;
        session.caller.require(scope)?;
        let from = parts.extensions.get::<ClientAddress>().copied();
        let mut look = session.look.clone();
        if session.place == Place::Dashboard {
            let mode = named(&parts.headers, THEME).and_then(|name| name.parse().ok());
            look.mode = mode.unwrap_or(Mode::Auto);
        }
        Ok(Self {
            state: state.clone(),
            engine: state.engine().by(session.actor(), from),
            session,
            now: state.now(),
            address,
            look,
            server: server(parts, state),
        })
    }
}

/// The configured address, else the one the browser used.
fn server(parts: &Parts, state: &DashboardState) -> String {
    let host = parts.headers.get(header::HOST);
    let host = host
        .and_then(|host| host.to_str().ok())
        .unwrap_or("localhost");
    let asked = || format!("http://{host}");
    state.public_url().map_or_else(asked, ToOwned::to_owned)
}

/// Only pages are worth going back to after a sign-in.
fn asked_by_link(parts: &Parts) -> bool {
    let accepts = parts.headers.get(header::ACCEPT);
    let accepts = accepts.and_then(|accepts| accepts.to_str().ok());
    parts.method == axum::http::Method::GET
        && accepts.is_some_and(|accepts| accepts.contains("text/html"))
}

impl FromRequestParts<DashboardState> for Operator {
    type Rejection = Failure;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &DashboardState,
    ) -> Result<Self, Failure> {
        let view = View::from_request_parts(parts, state).await?;
        let org = view.session.caller.organization()?.clone();
        Ok(Self { view, org })
    }
}

impl FromRequestParts<DashboardState> for InApp {
    type Rejection = Failure;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &DashboardState,
    ) -> Result<Self, Failure> {
        let view = View::from_request_parts(parts, state).await?;
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| Failure::NotFound)?;
        let named = params.iter().find(|(name, _)| *name == "app_id");
        let id: Option<ApplicationId> = named.and_then(|(_, text)| text.parse().ok());
        let id = id.ok_or(Failure::NotFound)?;
        let caller = &view.session.caller;
        if !caller.reaches(id) {
            return Err(Failure::NotFound);
        }
        let reference = ApplicationRef::Id(id);
        let app = applications::find(view.engine(), &caller.org, &reference).await?;
        Ok(Self { view, app })
    }
}

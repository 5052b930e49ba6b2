//! All routes, each with the scope it needs.

use axum::handler::Handler;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{MethodFilter, get, on, post};
use axum::{Extension, Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;
use watchfire_domain::scope::Scope;

use crate::access::Needs;
use crate::failure::Failure;
use crate::screens::{
    activity, applications, audit, components, deliveries, delivery, endpoints, events, keys,
    message, notices, overview, portal, record, replay, sign_in, start, system,
};
use crate::state::DashboardState;
use crate::{assets, live, session, shield};

/// Routes being collected. What a route needs is said where it is added, so one without is not
/// possible.
pub(crate) struct Routes {
    router: Router<DashboardState>,
    /// What was added, for the list that tests go through.
    table: Vec<Line>,
}

/// A route of the list: how it is asked, where, and what for.
#[derive(Clone, Debug)]
struct Line {
    method: &'static str,
    path: String,
    needs: &'static str,
}

impl Routes {
    fn new() -> Self {
        Self {
            router: Router::new(),
            table: Vec::new(),
        }
    }

    /// A form of whoever is signed in, whatever they may do.
    #[must_use]
    fn own_form<H, T>(mut self, path: &str, handler: H) -> Self
    where
        H: Handler<T, DashboardState>,
        T: 'static,
    {
        self.list("POST", path, "a session");
        Self {
            router: self.router.route(path, post(handler)),
            ..self
        }
    }

    fn list(&mut self, method: &'static str, path: &str, needs: &'static str) {
        self.table.push(Line {
            method,
            path: path.to_owned(),
            needs,
        });
    }

    /// A page.
    #[must_use]
    pub(crate) fn page<H, T>(self, path: &str, scope: Scope, handler: H) -> Self
    where
        H: Handler<T, DashboardState>,
        T: 'static,
    {
        self.at(("GET", MethodFilter::GET), path, scope, handler)
    }

    /// What a form does.
    #[must_use]
    pub(crate) fn form<H, T>(self, path: &str, scope: Scope, handler: H) -> Self
    where
        H: Handler<T, DashboardState>,
        T: 'static,
    {
        self.at(("POST", MethodFilter::POST), path, scope, handler)
    }

    /// More of them.
    #[must_use]
    fn join(self, more: impl FnOnce(Self) -> Self) -> Self {
        more(self)
    }

    fn at<H, T>(
        mut self,
        (name, method): (&'static str, MethodFilter),
        path: &str,
        scope: Scope,
        handler: H,
    ) -> Self
    where
        H: Handler<T, DashboardState>,
        T: 'static,
    {
        self.list(name, path, scope.name());
        let route = on(method, handler).layer(Extension(Needs(scope)));
        Self {
            router: self.router.route(path, route),
            ..self
        }
    }

    /// The list of what was added, behind a prefix.
    fn listed(&self, prefix: &str) -> Vec<String> {
        let line = |line: &Line| {
            let path = format!("{prefix}{}", line.path);
            let path = path.trim_end_matches('/');
            format!("{} {path} {}", line.method, line.needs)
        };
        self.table.iter().map(line).collect()
    }
}

/// All pages: the dashboard, the portal, and the files they refer to.
pub fn router(state: &DashboardState) -> Router {
    let dashboard = operator(Routes::new())
        .router
        .nest("/apps/{app_id}", in_app(Routes::new()).router)
        .route("/sign-in", get(sign_in::page).post(sign_in::sign_in))
        .fallback(nothing_here);
    let portal = Router::new()
        .route("/", get(portal::page))
        .route("/session", post(portal::enter))
        .route("/accent/{name}", get(portal::accent))
        .nest("/{app_id}", own_app(in_app(Routes::new())).router)
        .fallback(nothing_here);
    let pages = Router::new()
        .route("/", get(|| async { Redirect::to("/dashboard") }))
        .route("/assets/{name}", get(assets::serve))
        .nest("/dashboard", dashboard)
        .nest("/portal", portal)
        .method_not_allowed_fallback(nothing_here)
        .layer(middleware::from_fn_with_state(
            state.clone(),
            session::remember,
        ))
        .layer(CatchPanicLayer::custom(after_panic))
        .layer(middleware::from_fn_with_state(state.clone(), shield::guard));
    pages.with_state(state.clone())
}

/// All routes that need a session, a line each: method, path, and what it needs. A copy stands in
/// `routes.txt`, which tests of the whole server go through.
pub fn routes_list() -> String {
    let dashboard = operator(Routes::new()).listed("/dashboard");
    let in_dashboard = in_app(Routes::new()).listed("/dashboard/apps/{app_id}");
    let in_portal = own_app(in_app(Routes::new())).listed("/portal/{app_id}");
    let mut lines = [dashboard, in_dashboard, in_portal].concat();
    lines.sort();
    lines.join("\n") + "\n"
}

/// What is about a whole organization: behind `/dashboard`.
fn operator(routes: Routes) -> Routes {
    routes
        .page("/", Scope::EndpointsRead, overview::page)
        .page("/live", Scope::EndpointsRead, live::all)
        .page("/activity", Scope::EndpointsRead, activity::page)
        .page("/start", Scope::Admin, start::page)
        .form("/start/app", Scope::Admin, start::create_application)
        .form("/start/endpoint", Scope::Admin, start::create_endpoint)
        .form("/start/event", Scope::Admin, start::send)
        .page("/keys", Scope::Admin, keys::list)
        .page("/keys/new", Scope::Admin, keys::new)
        .form("/keys/new", Scope::Admin, keys::create)
        .form("/keys/{id}/revoke", Scope::Admin, keys::revoke)
        .page("/components", Scope::EndpointsRead, components::page)
        .page("/notices", Scope::EndpointsRead, notices::page)
        .form(
            "/notices/{notice_id}/read",
            Scope::EndpointsWrite,
            notices::read,
        )
        .page("/audit", Scope::Admin, audit::page)
        .page("/system", Scope::Admin, system::page)
        .page("/apps", Scope::EndpointsRead, applications::list)
        .page("/apps/new", Scope::Admin, applications::new)
        .form("/apps/new", Scope::Admin, applications::create)
        .own_form("/theme", sign_in::theme)
        .own_form("/sign-out", sign_in::sign_out)
}

/// What is about one application: behind `/dashboard/apps/{app_id}` and `/portal/{app_id}`.
fn in_app(routes: Routes) -> Routes {
    endpoints::routes(routes)
        .page("/live", Scope::EndpointsRead, live::of_application)
        .page("/edit", Scope::Admin, applications::edit)
        .form("/edit", Scope::Admin, applications::save)
        .form("/delete", Scope::Admin, applications::delete)
        .join(history)
}

/// What was sent, is on its way, and waits.
fn history(routes: Routes) -> Routes {
    routes
        .page("/deliveries", Scope::EndpointsRead, deliveries::list::page)
        .page(
            "/deliveries/export.csv",
            Scope::EndpointsRead,
            deliveries::export::csv,
        )
        .page(
            "/deliveries/export.jsonl",
            Scope::EndpointsRead,
            deliveries::export::json_lines,
        )
        .form("/deliveries/act", Scope::Replay, deliveries::act::act)
        .page("/messages/{msg_id}", Scope::EndpointsRead, message::page)
        .page(
            "/messages/{msg_id}/payload.json",
            Scope::EndpointsRead,
            message::payload_file,
        )
        .page(
            "/messages/{msg_id}/{endpoint_id}",
            Scope::EndpointsRead,
            delivery::page,
        )
        .form(
            "/messages/{msg_id}/{endpoint_id}/resend",
            Scope::Replay,
            delivery::resend,
        )
        .form(
            "/messages/{msg_id}/{endpoint_id}/cancel",
            Scope::Replay,
            delivery::cancel,
        )
        .page("/replay", Scope::EndpointsRead, replay::page)
        .form("/replay", Scope::Replay, replay::start)
        .form("/replay/{task_id}/pause", Scope::Replay, replay::pause)
        .form("/replay/{task_id}/resume", Scope::Replay, replay::resume)
        .form("/replay/{task_id}/cancel", Scope::Replay, replay::cancel)
        .page("/events", Scope::EndpointsRead, events::list)
        .page("/events/{event_type}", Scope::EndpointsRead, events::page)
        .form(
            "/events/{event_type}/try",
            Scope::EventsWrite,
            events::attempt,
        )
        .page("/record", Scope::EndpointsRead, record::page)
        .form("/record/retry", Scope::Replay, record::retry_head)
        .form("/record/skip", Scope::Replay, record::skip_head)
}

/// What an application's pages have in its portal only.
fn own_app(routes: Routes) -> Routes {
    routes
        .page("/", Scope::EndpointsRead, portal::home)
        .own_form("/sign-out", sign_in::sign_out)
}

async fn nothing_here() -> Failure {
    Failure::NotFound
}

/// A panic is a bug of ours; it ends the request and nothing else.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the layer hands the panic over"
)]
fn after_panic(panic: Box<dyn std::any::Any + Send>) -> Response {
    let message = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned());
    tracing::error!(
        panic = message.unwrap_or_default(),
        "a page ended in a panic"
    );
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_routes_is_fresh() {
        let listed = routes_list();
        if std::env::var_os("WATCHFIRE_UPDATE_DOCS").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/routes.txt");
            std::fs::write(path, &listed).expect("write the list");
            return;
        }
        assert_eq!(listed, include_str!("../routes.txt"), "run `make docs`");
    }
}

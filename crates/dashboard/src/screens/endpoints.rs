//! Endpoints of an application.

mod actions;
mod detail;
mod edit;
mod events;
mod form;
mod list;
mod preview;
mod snippets;
mod test;

use watchfire_domain::id::EndpointId;
use watchfire_domain::scope::Scope;
use watchfire_engine::service::endpoints::{self, OpenEndpoint};
use watchfire_store::EndpointRef;

use crate::access::InApp;
use crate::failure::Failure;
use crate::routes::Routes;

/// Pages and forms of endpoints, behind an application's path.
pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, write) = (Scope::EndpointsRead, Scope::EndpointsWrite);
    routes
        .page("/endpoints", read, list::page)
        .page("/endpoints/new", write, edit::new)
        .form("/endpoints/new", write, edit::create)
        .page("/endpoints/check-url", write, edit::check_url)
        .page("/endpoints/{id}", read, detail::page)
        .page("/endpoints/{id}/edit", write, edit::edit)
        .form("/endpoints/{id}/edit", write, edit::save)
        .form("/endpoints/{id}/activate", write, actions::activate)
        .form("/endpoints/{id}/deactivate", write, actions::deactivate)
        .form("/endpoints/{id}/ping", write, actions::ping)
        .form(
            "/endpoints/{id}/secret",
            Scope::SecretsRead,
            actions::secret,
        )
        .form("/endpoints/{id}/rotate", write, actions::rotate)
        .form("/endpoints/{id}/headers", write, actions::headers)
        .form("/endpoints/{id}/recover", Scope::Replay, actions::recover)
        .form(
            "/endpoints/{id}/replay-missing",
            Scope::Replay,
            actions::replay_missing,
        )
        .form("/endpoints/{id}/delete", write, actions::delete)
        .page("/endpoints/{id}/test", Scope::EventsWrite, test::page)
        .form("/endpoints/{id}/test", Scope::EventsWrite, test::send)
        .page("/endpoints/{id}/test/{msg_id}", read, test::result)
}

/// The endpoint an address names.
async fn named(at: &InApp, id: &str) -> Result<OpenEndpoint, Failure> {
    let id: EndpointId = id.parse().map_err(|_| Failure::NotFound)?;
    Ok(endpoints::find(at.engine(), &at.app, &EndpointRef::Id(id)).await?)
}

/// Where an endpoint's pages begin.
fn path_of(at: &InApp, id: EndpointId, rest: &str) -> String {
    at.path(&format!("/endpoints/{id}{rest}"))
}

/// What an endpoint is called: its address without the scheme.
fn short(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest)
}

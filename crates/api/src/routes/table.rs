//! All routes, each with and without a trailing slash, and each in the document. The scope each
//! needs stands in `needs`.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{any, get};
use utoipa::OpenApi as _;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use super::{
    applications, attempts, audit, auth, batch, contracts, endpoint_health, endpoints, event_types,
    fallback, health, imports, keys, messages, nodes, notices, operational, records, reports,
    secrets, tasks,
};
use crate::extract::json_bytes;
use crate::openapi::{Frame, document};
use crate::state::ApiState;

/// The whole API: everything under `/api/v1`.
pub fn router(state: &ApiState) -> Router {
    let document = axum::body::Bytes::from(document());
    let routes: Router<ApiState> = collected().into();
    let routes = routes
        .route(
            "/api/v1/openapi.json",
            get(move || async { json_bytes(StatusCode::OK, document) }),
        )
        .route("/api/v1/{*path}", any(fallback::unknown_path))
        .route("/ingest/{*path}", any(fallback::unknown_path))
        .merge(crate::reference::routes())
        .method_not_allowed_fallback(fallback::unsupported_method);
    crate::shell::around(routes.with_state(state.clone()), state)
}

/// The documented routes.
pub(crate) fn collected() -> OpenApiRouter<ApiState> {
    let tables = configuration().into_iter().chain(events());
    let frame = OpenApiRouter::with_openapi(Frame::openapi());
    tables.fold(frame, both_spellings)
}

type Tables = Vec<UtoipaMethodRouter<ApiState>>;

/// What is set up once: applications, endpoints, event types.
fn configuration() -> Tables {
    vec![
        routes!(applications::list, applications::create),
        routes!(
            applications::find,
            applications::put,
            applications::patch,
            applications::delete
        ),
        routes!(endpoints::list, endpoints::create),
        routes!(
            endpoints::find,
            endpoints::put,
            endpoints::patch,
            endpoints::delete
        ),
        routes!(secrets::find),
        routes!(secrets::rotate),
        routes!(
            secrets::headers,
            secrets::put_headers,
            secrets::patch_headers
        ),
        routes!(endpoints::stats),
        routes!(endpoints::attempt_stats),
        routes!(endpoints::send_example),
        routes!(endpoint_health::ping),
        routes!(endpoint_health::activate),
        routes!(endpoint_health::deactivate),
        routes!(records::skip),
        routes!(records::retry),
        routes!(contracts::list),
        routes!(contracts::find),
        routes!(event_types::list, event_types::create),
        routes!(
            event_types::find,
            event_types::put,
            event_types::patch,
            event_types::delete
        ),
        routes!(imports::openapi),
        routes!(imports::export),
        routes!(imports::import),
        routes!(operational::list, operational::create),
        routes!(operational::find, operational::put, operational::delete),
        routes!(operational::secret),
        routes!(operational::rotate),
        routes!(operational::headers, operational::put_headers),
        routes!(notices::list),
        routes!(notices::read),
        routes!(audit::list),
    ]
}

/// What happens then: messages, attempts, tasks; and who may ask.
#[expect(deprecated, reason = "clients still use the older paths")]
fn events() -> Tables {
    vec![
        routes!(messages::list, messages::create),
        routes!(messages::find),
        routes!(messages::precheck),
        routes!(messages::search),
        routes!(reports::expunge),
        routes!(reports::purge),
        routes!(reports::usage),
        routes!(reports::event_types),
        routes!(batch::create),
        routes!(messages::expunge),
        routes!(attempts::of_endpoint),
        routes!(attempts::of_message),
        routes!(attempts::messages_to),
        routes!(attempts::destinations),
        routes!(attempts::find),
        routes!(attempts::expunge),
        routes!(attempts::resend),
        routes!(attempts::cancel),
        routes!(attempts::of_message_older),
        routes!(attempts::of_destination_older),
        routes!(keys::list, keys::create),
        routes!(keys::find, keys::revoke),
        routes!(tasks::recover),
        routes!(tasks::replay_missing),
        routes!(tasks::bulk_replay),
        routes!(tasks::cancel_messages),
        routes!(tasks::list),
        routes!(tasks::find),
        routes!(tasks::cancel),
        routes!(tasks::pause),
        routes!(tasks::resume),
        routes!(auth::app_portal_access),
        routes!(auth::dashboard_access),
        routes!(auth::logout),
        routes!(auth::expire_of_application),
        routes!(auth::expire_of_organization),
        routes!(auth::redrive),
        routes!(nodes::list),
        routes!(health::check),
        routes!(health::ping),
    ]
}

fn both_spellings(
    router: OpenApiRouter<ApiState>,
    table: UtoipaMethodRouter<ApiState>,
) -> OpenApiRouter<ApiState> {
    let path = table.1.paths.keys().next().cloned().unwrap_or_default();
    let methods = table.2.clone();
    router.routes(table).route(&format!("{path}/"), methods)
}

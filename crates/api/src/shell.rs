//! What every request passes through, whatever its route: a request id, any origin, a look at the
//! size of its body, and a net under panics.

use std::any::Any;

use axum::Router;
use axum::body::HttpBody as _;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowHeaders, CorsLayer};
use tower_http::request_id::{
    MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer,
};

use watchfire_domain::limit;
use watchfire_engine::RouteClass;

use crate::error::{ApiError, Code};
use crate::extract::{Reading, check_length};
use crate::state::ApiState;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Headers a browser's script may read besides the common ones.
const EXPOSED: [HeaderName; 2] = [REQUEST_ID, header::RETRY_AFTER];

pub(crate) fn around(routes: Router, state: &ApiState) -> Router {
    // Next to the routes: which of them it is must be known.
    let routes = routes.layer(from_fn(sized));
    let routes = routes.layer(from_fn_with_state(state.clone(), measured));
    // Tokens travel in a header, never in a cookie: another origin gains nothing by asking.
    let cors = CorsLayer::new()
        .allow_origin(tower_http::cors::Any)
        .allow_headers(AllowHeaders::mirror_request())
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .expose_headers(EXPOSED);
    let layers = ServiceBuilder::new()
        .layer(SetRequestIdLayer::new(
            REQUEST_ID,
            RequestIds(state.clone()),
        ))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(cors)
        .layer(CatchPanicLayer::custom(after_panic));
    routes.layer(layers)
}

/// Refuses a body that says it is too large, before anybody asks who sends it and before any of it
/// is read. One that does not say is read no further than the same limit, and only for callers
/// whose credential holds.
///
/// A connection on which some of a body was left unread can't be used again, and the answer says
/// so: else its client would send the next request into the void.
async fn sized(mut request: Request, next: Next) -> Response {
    let reading = Reading::default();
    let has_body = !request.body().is_end_stream();
    if has_body {
        request.extensions_mut().insert(reading.clone());
    }
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map(MatchedPath::as_str);
    let max = match (class_of(request.method(), route), route) {
        (RouteClass::Publish, Some(route)) if route.contains("msg-batch") => limit::BATCH_BYTES_MAX,
        (RouteClass::Publish, _) => limit::MESSAGE_BODY_BYTES_MAX,
        (RouteClass::Read | RouteClass::Write | RouteClass::Other, _) => {
            limit::REQUEST_BODY_BYTES_MAX
        }
    };
    let mut response = match check_length(request.headers(), max) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    if has_body && !reading.has_ended() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

/// Counts the request and the time until its answer begins.
async fn measured(State(api): State<ApiState>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let class = class_of(request.method(), route.map(MatchedPath::as_str));
    let begun_at = api.now();
    let response = next.run(request).await;
    let took = api.now().since(begun_at);
    let metrics = api.engine().metrics();
    metrics.answered(class, response.status().as_u16(), took);
    response
}

fn class_of(method: &Method, route: Option<&str>) -> RouteClass {
    let path = route.and_then(|route| route.strip_prefix("/api/v1/"));
    let path = path.map(|path| path.strip_suffix('/').unwrap_or(path));
    match path {
        None | Some("{*path}" | "openapi.json") => RouteClass::Other,
        Some(path) if path.starts_with("health") => RouteClass::Other,
        Some("app/{app_id}/msg" | "app/{app_id}/msg-batch") if method == Method::POST => {
            RouteClass::Publish
        }
        Some(_) if matches!(*method, Method::GET | Method::HEAD) => RouteClass::Read,
        Some(_) => RouteClass::Write,
    }
}

/// Draws ids for requests that bring none.
#[derive(Clone)]
struct RequestIds(ApiState);

impl MakeRequestId for RequestIds {
    fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<RequestId> {
        let mut bytes = [0; 8];
        self.0.engine().entropy().fill(&mut bytes);
        let id = format!("req_{:016x}", u64::from_be_bytes(bytes));
        HeaderValue::try_from(id).ok().map(RequestId::new)
    }
}

/// A panic is a bug of ours; it ends the request and nothing else.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the layer hands the panic over"
)]
fn after_panic(panic: Box<dyn Any + Send>) -> Response {
    let message = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!(panic = message, "a request ended in a panic");
    ApiError::from(Code::ServerError).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::routing::get;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    #[test]
    fn requests_are_told_apart_by_what_they_do() {
        let check = |method, route, expect| {
            assert_eq!(class_of(&method, route), expect, "{method} {route:?}");
        };
        let message = Some("/api/v1/app/{app_id}/msg");
        check(Method::POST, message, RouteClass::Publish);
        check(
            Method::POST,
            Some("/api/v1/app/{app_id}/msg/"),
            RouteClass::Publish,
        );
        check(
            Method::POST,
            Some("/api/v1/app/{app_id}/msg-batch"),
            RouteClass::Publish,
        );
        check(Method::GET, message, RouteClass::Read);
        check(Method::HEAD, Some("/api/v1/app"), RouteClass::Read);
        check(
            Method::PATCH,
            Some("/api/v1/app/{app_id}"),
            RouteClass::Write,
        );
        check(Method::GET, Some("/api/v1/health"), RouteClass::Other);
        check(Method::GET, Some("/api/v1/{*path}"), RouteClass::Other);
        check(Method::GET, Some("/docs"), RouteClass::Other);
        check(Method::GET, None, RouteClass::Other);
    }

    async fn panics() {
        panic!("the secret is swordfish");
    }

    #[tokio::test]
    async fn a_panic_ends_one_request_and_says_nothing_of_its_cause() {
        let routes: Router = Router::new().route("/", get(panics));
        let routes = routes.layer(CatchPanicLayer::custom(after_panic));
        for _ in 0..2 {
            let response = routes.clone().oneshot(Request::new(Body::empty())).await;
            let response = response.expect("infallible");
            assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
            let body = response
                .into_body()
                .collect()
                .await
                .expect("read")
                .to_bytes();
            let text = String::from_utf8(body.to_vec()).expect("text");
            assert_eq!(
                text,
                r#"{"code":"server_error","detail":"Internal Server Error"}"#
            );
        }
    }
}

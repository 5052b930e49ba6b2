//! What every request passes through, whatever its route: a request id, any origin, and a net
//! under panics.

use std::any::Any;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::response::{IntoResponse as _, Response};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowHeaders, CorsLayer};
use tower_http::request_id::{
    MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer,
};

use crate::error::{ApiError, Code};
use crate::state::ApiState;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Headers a browser's script may read besides the common ones.
const EXPOSED: [HeaderName; 2] = [REQUEST_ID, header::RETRY_AFTER];

pub(crate) fn around(routes: Router, state: &ApiState) -> Router {
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

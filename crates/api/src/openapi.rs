//! The OpenAPI document, made from the handlers.

use std::collections::BTreeMap;

use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{PathItem, Ref, RefOr, Response, ResponseBuilder, content::ContentBuilder};
use utoipa::{IntoResponses, Modify, OpenApi, ToSchema as _};
use watchfire_domain::scope::Scope;

use crate::error::{HttpErrorOut, ValidationErrorItem, ValidationErrorOut};
use crate::page::Ordering;
use crate::routes::named_scope;

/// The document as JSON: what `/api/v1/openapi.json` answers.
pub fn document() -> String {
    let mut document = crate::routes::collected().into_openapi();
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            name_scope(operation, named_scope(method, path));
        }
    }
    document
        .to_pretty_json()
        .expect("the document is plain data with text keys")
}

/// Under which name an operation carries the scope it needs.
pub(crate) const REQUIRED_SCOPE: &str = "x-required-scope";
/// The one security scheme.
const BEARER: &str = "HTTPBearer";

/// The operations of a path by their methods.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let methods = [
        ("GET", &mut item.get),
        ("PUT", &mut item.put),
        ("POST", &mut item.post),
        ("DELETE", &mut item.delete),
        ("PATCH", &mut item.patch),
    ];
    methods
        .into_iter()
        .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Says in an operation which scope its handler asks for, from the table that it asks.
fn name_scope(operation: &mut Operation, scope: Option<Scope>) {
    let Some(scope) = scope else { return };
    operation.security = Some(vec![SecurityRequirement::new(BEARER, [scope.name()])]);
    let extension = ExtensionsBuilder::new().add(REQUIRED_SCOPE, scope.name());
    operation.extensions = Some(extension.build());
}

/// The parts of the document that are not collected from handlers.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Watchfire API",
        description = "Delivers security events as webhooks. Compatible with the Svix server's \
            API: its clients work unchanged. What it does not have is optional.",
    ),
    components(schemas(HttpErrorOut, ValidationErrorOut, ValidationErrorItem, Ordering)),
    modifiers(&BearerToken),
    security(("HTTPBearer" = []))
)]
pub(crate) struct Frame;

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A token or an API key in the `Authorization` header"))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(BEARER, SecurityScheme::Http(bearer));
    }
}

/// The errors every route can answer.
pub(crate) struct Errors;

const CODED: &[(&str, &str)] = &[
    ("400", "Bad Request"),
    ("401", "Unauthorized"),
    ("403", "Forbidden"),
    ("404", "Not Found"),
    ("409", "Conflict"),
    ("413", "Payload Too Large"),
    ("429", "Too Many Requests"),
    ("500", "Internal Server Error"),
    ("503", "Service Unavailable"),
];

impl IntoResponses for Errors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let coded = CODED
            .iter()
            .map(|(status, title)| (*status, *title, HttpErrorOut::name()));
        let invalid = ("422", "Validation Error", ValidationErrorOut::name());
        let response = |(status, title, schema): (&str, &str, std::borrow::Cow<'static, str>)| {
            let content = ContentBuilder::new()
                .schema(Some(Ref::from_schema_name(schema)))
                .build();
            let response = ResponseBuilder::new()
                .description(title)
                .content("application/json", content)
                .build();
            (status.to_owned(), RefOr::T(response))
        };
        coded.chain([invalid]).map(response).collect()
    }
}

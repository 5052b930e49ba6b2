//! Creating and editing an endpoint, with a look at what it would get.

use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use watchfire_contracts::manifest::Https;
use watchfire_domain::filter::pattern_matches;
use watchfire_domain::id::EventType;
use watchfire_engine::echo;
use watchfire_engine::service::Error;
use watchfire_engine::service::endpoints::{self, EndpointInput, OpenEndpoint, Preview};
use watchfire_engine::service::messages;
use watchfire_store::EndpointRef;

use super::events::{self, Choice};
use super::{form, named, path_of, preview, short};
use crate::access::InApp;
use crate::failure::{Answer, Failure};
use crate::form::Form;
use crate::params::Fields;
use crate::ui::control::{self, Weight};
use crate::ui::status::Tone;
use crate::ui::{Draft, Icon, Page, Section, block, icon};

/// The event type with which any endpoint can be tried.
const PING: &str = "svix.ping";

pub(crate) async fn new(at: InApp) -> Answer {
    let choices = events::choices(&at).await?;
    Ok(new_page(&at, &form::blank(), &choices, None))
}

pub(crate) async fn create(at: InApp, Form(fields): Form) -> Answer {
    let choices = events::choices(&at).await?;
    let input = match form::input(&fields, None) {
        Ok(input) => input,
        Err(draft) => return Ok(new_page(&at, &draft, &choices, None)),
    };
    if fields.text("do") == "preview" {
        let (draft, shown) = previewed(&at, None, fields, input).await?;
        return Ok(new_page(&at, &draft, &choices, shown.as_ref()));
    }
    match endpoints::create(at.engine(), &at.app, input, None).await {
        Ok(made) => {
            let id = made.stored.endpoint.identity.id;
            Ok(Redirect::to(&path_of(&at, id, "?done=created")).into_response())
        }
        Err(error) => {
            let draft = Draft::refused(fields, error)?;
            Ok(new_page(&at, &draft, &choices, None))
        }
    }
}

pub(crate) async fn edit(at: InApp, Path(ids): Path<(String, String)>) -> Answer {
    let endpoint = named(&at, &ids.1).await?;
    let choices = events::choices(&at).await?;
    let draft = form::of(&endpoint, &choices);
    Ok(edit_page(&at, &endpoint, &draft, &choices, None))
}

pub(crate) async fn save(
    at: InApp,
    Path(ids): Path<(String, String)>,
    Form(fields): Form,
) -> Answer {
    let endpoint = named(&at, &ids.1).await?;
    let choices = events::choices(&at).await?;
    let reference = EndpointRef::Id(endpoint.stored.endpoint.identity.id);
    let input = match form::input(&fields, Some(&endpoint)) {
        Ok(input) => input,
        Err(draft) => return Ok(edit_page(&at, &endpoint, &draft, &choices, None)),
    };
    if fields.text("do") == "preview" {
        let (draft, shown) = previewed(&at, Some(&reference), fields, input).await?;
        return Ok(edit_page(&at, &endpoint, &draft, &choices, shown.as_ref()));
    }
    match endpoints::put(at.engine(), &at.app, &reference, input).await {
        Ok(_) => {
            let id = endpoint.stored.endpoint.identity.id;
            Ok(Redirect::to(&path_of(&at, id, "?done=saved")).into_response())
        }
        Err(error) => {
            let draft = Draft::refused(fields, error)?;
            Ok(edit_page(&at, &endpoint, &draft, &choices, None))
        }
    }
}

/// The form as it was typed, and the request it would lead to unless something is wrong with it.
async fn previewed(
    at: &InApp,
    existing: Option<&EndpointRef>,
    fields: Fields,
    input: EndpointInput,
) -> Result<(Draft, Option<Preview>), Failure> {
    let event_type = sampled(at, &input.event_types).await;
    let engine = at.engine();
    match endpoints::preview(engine, &at.app, existing, input, &event_type).await {
        Ok(preview) => Ok((Draft::typed(fields), Some(preview))),
        Err(error @ Error::Invalid(_)) => Ok((Draft::refused(fields, error)?, None)),
        Err(error) => Err(error.into()),
    }
}

/// An event type the endpoint would get that has a sample.
async fn sampled(at: &InApp, wanted: &[String]) -> EventType {
    let matches = |name: &str| {
        wanted.is_empty() || wanted.iter().any(|pattern| pattern_matches(pattern, name))
    };
    let listed = at.app.contract.event_types();
    let listed = listed.filter(|event| matches(&event.name));
    let exact = wanted.iter().filter(|name| !name.contains('*'));
    let names = listed.map(|event| &event.name).chain(exact);
    for name in names {
        let Ok(event_type) = name.parse() else {
            continue;
        };
        if messages::sample(at.engine(), &at.app, &event_type)
            .await
            .is_ok()
        {
            return event_type;
        }
    }
    PING.parse().expect("a valid name")
}

fn new_page(at: &InApp, draft: &Draft, choices: &[Choice], shown: Option<&Preview>) -> Response {
    let action = at.path("/endpoints/new");
    let body = html! {
        div.grid {
            section.panel {
                div.panel-body {
                    (control::form(&at.view, &action, &html! {
                        (form::fields(at, draft, choices, true))
                        (foot("Create endpoint", &at.path("/endpoints")))
                    }))
                }
            }
            div.stack.wide {
                (beside(at, shown))
                @if shown.is_none() && !at.view.in_portal() { (trial(at)) }
            }
        }
    };
    Page::new(Section::Endpoints, "New endpoint", body)
        .crumb("Endpoints", &at.path("/endpoints"))
        .show_in(at)
}

fn trial(at: &InApp) -> Markup {
    let url = format!("{}{}", echo::URL, at.id());
    block::callout(
        Tone::Busy,
        "No receiver at hand?",
        &html! {
            p {
                "Use " code { (url) } ": a receiver that is built in. "
                "It answers every request, and shows what came."
            }
        },
    )
}

fn edit_page(
    at: &InApp,
    endpoint: &OpenEndpoint,
    draft: &Draft,
    choices: &[Choice],
    shown: Option<&Preview>,
) -> Response {
    let id = endpoint.stored.endpoint.identity.id;
    let url = &endpoint.stored.endpoint.settings.url;
    let body = html! {
        div.grid {
            section.panel {
                div.panel-body {
                    (control::form(&at.view, &path_of(at, id, "/edit"), &html! {
                        (form::fields(at, draft, choices, false))
                        (foot("Save", &path_of(at, id, "")))
                    }))
                }
            }
            div.stack.wide { (beside(at, shown)) }
        }
    };
    Page::new(Section::Endpoints, "Edit endpoint", body)
        .crumb("Endpoints", &at.path("/endpoints"))
        .crumb(short(url), &path_of(at, id, ""))
        .show_in(at)
}

fn beside(at: &InApp, shown: Option<&Preview>) -> Markup {
    html! {
        @if let Some(shown) = shown { (preview::request(shown)) }
        (preview::retries(&at.app.contract))
    }
}

fn foot(text: &str, back: &str) -> Markup {
    html! {
        div.form-foot {
            (control::submit(Weight::Primary, None, text))
            button.button type="submit" name="do" value="preview" formnovalidate {
                (icon(Icon::Eye)) "Preview the request"
            }
            (control::link(Weight::Quiet, None, "Cancel", back))
        }
    }
}

/// What is to be said about an address while it is typed: a verdict, then a sentence.
pub(crate) async fn check_url(at: InApp, asked: Fields) -> Response {
    let url = asked.text("value");
    let https = at.app.contract.manifest().endpoint.https == Https::Required;
    let said = match at.engine().check_url(url) {
        Err(fault) => format!("bad\nThis can't be saved: {fault}."),
        Ok(normal) if https && !normal.starts_with("https://") => {
            "bad\nThis can't be saved: the contract allows only https://.".to_owned()
        }
        Ok(normal) if normal.starts_with("http://") => {
            "warn\nThis can be saved, but without TLS anyone on the way can read the events."
                .to_owned()
        }
        Ok(normal) if normal == url => {
            "good\nThis can be saved. Its name is resolved and checked again at every delivery."
                .to_owned()
        }
        Ok(normal) => format!("good\nThis can be saved, as {normal}"),
    };
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], said).into_response()
}

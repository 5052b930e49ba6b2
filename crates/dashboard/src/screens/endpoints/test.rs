//! Trying an endpoint: an event that can be edited, and what came of it.

use axum::extract::Path;
use axum::response::{IntoResponse as _, Redirect, Response};
use bytes::Bytes;
use maud::{Markup, html};
use watchfire_domain::attempt::{AfterAttempt, Attempt};
use watchfire_domain::id::{EventType, MessageId};
use watchfire_engine::echo;
use watchfire_engine::service::attempts;
use watchfire_engine::service::endpoints::OpenEndpoint;
use watchfire_engine::service::messages::{self, Example};
use watchfire_store::{AttemptFilter, EndpointRef, MessageRef, Order, Range};

use super::events;
use super::{named, path_of, short};
use crate::access::InApp;
use crate::failure::{Answer, Failure};
use crate::form::Form;
use crate::params::Fields;
use crate::ui::block::{facts, panel};
use crate::ui::control::{self, Text, Weight};
use crate::ui::status::Tone;
use crate::ui::{Draft, Icon, Page, Section, block, code, status, time};

/// The event type with which any endpoint can be tried.
const PING: &str = "svix.ping";
/// Attempts of a test that are shown.
const ATTEMPTS: usize = 10;

pub(crate) async fn page(at: InApp, Path(ids): Path<(String, String)>, query: Fields) -> Answer {
    let endpoint = named(&at, &ids.1).await?;
    let names = names(&at).await?;
    let wanted = query.text("type").parse::<EventType>().ok();
    let chosen = wanted.or_else(|| names.first().and_then(|name| name.parse().ok()));
    let chosen = chosen.unwrap_or_else(|| PING.parse().expect("a valid name"));
    let sample = messages::sample(at.engine(), &at.app, &chosen).await;
    let sample = sample.map_or_else(|_| "{}".to_owned(), |sample| code::pretty(&sample));
    let draft = Draft::of(&[("type", chosen.as_str()), ("payload", &sample)]);
    Ok(show(&at, &endpoint, &names, &draft))
}

/// Event types that can be tried.
async fn names(at: &InApp) -> Result<Vec<String>, Failure> {
    let choices = events::choices(at).await?;
    let names = choices.into_iter().map(|choice| choice.name);
    Ok(names.chain([PING.to_owned()]).collect())
}

fn show(at: &InApp, endpoint: &OpenEndpoint, names: &[String], draft: &Draft) -> Response {
    let stored = &endpoint.stored.endpoint;
    let path = path_of(at, stored.identity.id, "/test");
    let options: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), name.as_str()))
        .collect();
    let body = html! {
        section.panel.narrow {
            div.panel-body {
                form.filters method="get" action=(path) data-apply {
                    label { span.unseen { "Event type" } (control::select(draft.value("type"), "type", &options)) }
                    (control::submit(Weight::Plain, None, "Load its sample"))
                }
                (control::form(&at.view, &path, &html! {
                    (control::faults(draft, &["payload", "eventType"]))
                    input type="hidden" name="type" value=(draft.value("type"));
                    (control::text(draft, Text {
                        name: "payload",
                        label: "Payload",
                        hint: "Change it as you like. It goes to this endpoint alone, the way real events do.",
                        required: true,
                        lines: 16,
                        is_code: true,
                        ..Text::default()
                    }))
                    (control::submit(Weight::Primary, Some(Icon::Delivery), "Send"))
                }))
            }
        }
    };
    Page::new(Section::Endpoints, "Send a test event", body)
        .crumb("Endpoints", &at.path("/endpoints"))
        .crumb(
            short(&stored.settings.url),
            &path_of(at, stored.identity.id, ""),
        )
        .show_in(at)
}

pub(crate) async fn send(
    at: InApp,
    Path(ids): Path<(String, String)>,
    Form(fields): Form,
) -> Answer {
    let endpoint = named(&at, &ids.1).await?;
    let id = endpoint.stored.endpoint.identity.id;
    let Ok(event_type) = fields.text("type").parse::<EventType>() else {
        return Err(Failure::Form("There is no such event type."));
    };
    let payload = fields.text("payload");
    if serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(payload).is_err() {
        let draft = Draft::wrong(fields, "payload", "must be a JSON object");
        return Ok(show(&at, &endpoint, &names(&at).await?, &draft));
    }
    let example = Example {
        event_type,
        index: 0,
        payload: Some(Bytes::copy_from_slice(payload.as_bytes())),
    };
    let reference = EndpointRef::Id(id);
    match messages::send_example(at.engine(), &at.app, &reference, example, None).await {
        Ok(message) => {
            let path = path_of(&at, id, &format!("/test/{}", message.id));
            Ok(Redirect::to(&path).into_response())
        }
        Err(error) => {
            let draft = Draft::refused(fields, error)?;
            Ok(show(&at, &endpoint, &names(&at).await?, &draft))
        }
    }
}

/// What came of it; the page keeps itself true until it is settled.
pub(crate) async fn result(at: InApp, Path(ids): Path<(String, String, String)>) -> Answer {
    let endpoint = named(&at, &ids.1).await?;
    let id: MessageId = ids.2.parse().map_err(|_| Failure::NotFound)?;
    let reference = MessageRef::Id(id);
    let message = messages::find(at.engine(), &at.app, &reference).await?;
    let range = Range::from_start(Order::Ascending, ATTEMPTS);
    let filter = AttemptFilter::default();
    let found = attempts::of_message(at.engine(), &at.app, &reference, &filter, range).await?;
    let attempts: Vec<_> = found.into_iter().map(|view| view.stored.attempt).collect();
    let stored = &endpoint.stored.endpoint;
    let path = path_of(&at, stored.identity.id, "");
    let event = &message.message.event_type;
    let body = html! {
        div.stack.wide #result data-live {
            (verdict(&at, &attempts))
            @for attempt in attempts.iter().rev() { (one(&at, attempt)) }
            (echoed(&at, &stored.settings.url, &id.to_string()))
        }
        div.row {
            (control::link(Weight::Plain, Some(Icon::Delivery), "Send another", &format!("{path}/test?type={event}")))
            (control::link(Weight::Quiet, None, "Back to the endpoint", &path))
        }
    };
    Ok(Page::new(Section::Endpoints, "Test event", body)
        .crumb("Endpoints", &at.path("/endpoints"))
        .crumb(short(&stored.settings.url), &path)
        .beside(html! { code { (event) } })
        .live(&at.path("/live"))
        .show_in(&at))
}

fn verdict(at: &InApp, attempts: &[Attempt]) -> Markup {
    let Some(last) = attempts.last() else {
        return block::callout(
            Tone::Busy,
            "On its way",
            &html! {
                p { "It is accepted and on disk; the answer appears here." }
            },
        );
    };
    let took = time::took(last.timing.total);
    if last.outcome.is_accepted() {
        return block::callout(
            Tone::Good,
            "Received",
            &html! {
                p { "The receiver " (last.outcome) " after " (took) "." }
            },
        );
    }
    let next = match last.next {
        AfterAttempt::Retry { due_at } => Some(due_at),
        AfterAttempt::Settled { .. } => None,
    };
    block::callout(
        Tone::Bad,
        "Not received",
        &html! {
            p { "It was " (last.outcome) ", after " (took) "." }
            @match next {
                Some(due_at) => { p { "It is tried again " (time::countdown(due_at, at.view.now)) "." } }
                None => { p { "It is not tried again." } }
            }
        },
    )
}

fn one(at: &InApp, attempt: &Attempt) -> Markup {
    let answer = attempt.response.as_ref();
    let title = format!("Attempt {}", attempt.number);
    panel(
        &title,
        &status::outcome(&attempt.outcome),
        &html! {
            (facts(&[
                ("When", time::both(attempt.attempted_at, at.view.now)),
                ("Took", html! { span.number { (time::took(attempt.timing.total)) } }),
                ("Outcome", html! { (attempt.outcome) }),
            ]))
            @if let Some(answer) = answer {
                @let headers = answer.headers.iter().map(|(name, value)| format!("{name}: {value}\n"));
                @let headers: String = headers.collect();
                (code::block("The answer", &format!("{headers}\n{}", code::pretty(&answer.body))))
            }
        },
    )
}

/// What the built-in receiver got, if it was the one that was asked.
pub(crate) fn echoed(at: &InApp, url: &str, message: &str) -> Markup {
    if !url.starts_with(echo::URL) {
        return html! {};
    }
    let received = at.engine().echoed(url);
    let named = |received: &&echo::Received| received.header("webhook-id") == Some(message);
    let Some(received) = received.iter().find(named) else {
        return html! {};
    };
    let line = (received.method, received.url.as_str());
    let text = code::request(line, &received.headers, &received.body);
    panel(
        "What the built-in receiver got",
        &html! {},
        &code::block("The request", &text),
    )
}

//! The first run: an application, an endpoint, an event, and the proof that it came.
//!
//! What each step made is named in the address, so the tour can be left and taken up again.

use axum::response::{IntoResponse as _, Redirect};
use maud::{Markup, html};
use watchfire_domain::id::{ApplicationId, EndpointId, EventType, MessageId, OrganizationId};
use watchfire_engine::echo;
use watchfire_engine::service::Edit;
use watchfire_engine::service::applications::{self, ApplicationInput};
use watchfire_engine::service::endpoints::{self, EndpointInput};
use watchfire_engine::service::messages::{self, Example};
use watchfire_store::{ApplicationRef, EndpointRef};

use crate::access::{Operator, View};
use crate::failure::{Answer, Failure};
use crate::form::Form;
use crate::params::Fields;
use crate::ui::block::panel;
use crate::ui::control::{self, Text, Weight};
use crate::ui::status::Tone;
use crate::ui::{Draft, Icon, Page, Section, block, code, icon, time};

const PATH: &str = "/dashboard/start";
/// The event type with which any endpoint can be tried.
const PING: &str = "svix.ping";

/// What the steps have made so far.
#[derive(Clone, Copy, Debug, Default)]
struct Made {
    app: Option<ApplicationId>,
    endpoint: Option<EndpointId>,
    message: Option<MessageId>,
}

impl Made {
    fn of(fields: &Fields) -> Self {
        Self {
            app: fields.text("app").parse().ok(),
            endpoint: fields.text("endpoint").parse().ok(),
            message: fields.text("message").parse().ok(),
        }
    }

    fn query(self) -> String {
        let named = [
            ("app", self.app.map(|id| id.to_string())),
            ("endpoint", self.endpoint.map(|id| id.to_string())),
            ("message", self.message.map(|id| id.to_string())),
        ];
        let with =
            |fields: Fields, (name, id): &(&str, Option<String>)| fields.with(name, id.as_deref());
        named.iter().fold(Fields::default(), with).query()
    }

    /// The step that comes next, from 0.
    fn next(self) -> usize {
        match (self.app, self.endpoint, self.message) {
            (None, _, _) => 0,
            (_, None, _) => 1,
            (_, _, None) => 2,
            _ => 3,
        }
    }
}

pub(crate) async fn page(operator: Operator, query: Fields) -> Answer {
    let made = Made::of(&query);
    let contract = &operator.view.engine().config().default_contract;
    let draft = Draft::of(&[("name", "My first application"), ("contract", contract)]);
    Ok(show(&operator.view, made, &draft))
}

fn show(view: &View, made: Made, draft: &Draft) -> axum::response::Response {
    let body = html! {
        (steps(made))
        div #step data-live {
            @match made.next() {
                0 => { (application(view, draft)) }
                1 => { (endpoint(view, made)) }
                2 => { (event(view, made)) }
                _ => { (received(view, made)) }
            }
        }
    };
    Page::new(Section::Overview, "Your first event", body)
        .crumb("Overview", "/dashboard")
        .live("/dashboard/live")
        .show(view)
}

fn steps(made: Made) -> Markup {
    let names = ["An application", "An endpoint", "An event"];
    html! {
        ol.steps {
            @for (place, name) in names.iter().enumerate() {
                @let done = place < made.next();
                li.done[done] aria-current=[(place == made.next()).then_some("step")] {
                    span.step-mark { @if done { (icon(Icon::Check)) } @else { (place + 1) } }
                    (name)
                }
            }
        }
    }
}

fn application(view: &View, draft: &Draft) -> Markup {
    let contracts: Vec<_> = view
        .engine()
        .contracts()
        .iter()
        .map(|contract| (contract.name(), contract.manifest().title.as_str()))
        .collect();
    html! {
        section.panel.narrow {
            div.panel-body {
                p { "An application is whoever owns endpoints: a customer, an account, a team. Its contract says how its webhooks look." }
                (control::form(view, "/dashboard/start/app", &html! {
                    (control::faults(draft, &["name", "contract"]))
                    (control::text(draft, Text { name: "name", label: "Name", required: true, ..Text::default() }))
                    (control::choice(draft, "contract", "Contract", "", &contracts))
                    (control::submit(Weight::Primary, Some(Icon::ArrowRight), "Create application"))
                }))
            }
        }
    }
}

pub(crate) async fn create_application(operator: Operator, Form(fields): Form) -> Answer {
    let input = ApplicationInput {
        name: fields.text("name").to_owned(),
        contract: Edit::Set(fields.text("contract").to_owned()),
        ..ApplicationInput::default()
    };
    let view = &operator.view;
    match applications::create(view.engine(), &operator.org, input, None).await {
        Ok(application) => Ok(go_on(Made {
            app: Some(application.id),
            ..Made::default()
        })),
        Err(error) => {
            let draft = Draft::refused(fields, error)?;
            Ok(show(view, Made::default(), &draft))
        }
    }
}

fn go_on(made: Made) -> axum::response::Response {
    Redirect::to(&format!("{PATH}{}", made.query())).into_response()
}

fn hidden(made: Made) -> Markup {
    html! {
        @if let Some(app) = made.app { input type="hidden" name="app" value=(app); }
        @if let Some(endpoint) = made.endpoint { input type="hidden" name="endpoint" value=(endpoint); }
    }
}

fn endpoint(view: &View, made: Made) -> Markup {
    html! {
        section.panel.narrow {
            div.panel-body {
                p { "An endpoint is an address that events are sent to. This one is built in: it answers every request and shows what came, so nothing has to be set up." }
                p { code { (echo_url(made)) } }
                (control::form(view, "/dashboard/start/endpoint", &html! {
                    (hidden(made))
                    (control::submit(Weight::Primary, Some(Icon::ArrowRight), "Create endpoint"))
                }))
            }
        }
    }
}

/// The built-in receiver's address for an application.
fn echo_url(made: Made) -> String {
    let app = made.app.map(|app| app.to_string());
    format!("{}{}", echo::URL, app.unwrap_or_default())
}

pub(crate) async fn create_endpoint(operator: Operator, Form(fields): Form) -> Answer {
    let made = Made::of(&fields);
    let engine = operator.view.engine();
    let app = snapshot(&operator, &operator.org, made).await?;
    let input = EndpointInput {
        url: echo_url(made),
        description: "The built-in receiver".to_owned(),
        ..EndpointInput::default()
    };
    let endpoint = endpoints::create(engine, &app, input, None).await?;
    Ok(go_on(Made {
        endpoint: Some(endpoint.stored.endpoint.identity.id),
        ..made
    }))
}

async fn snapshot(
    operator: &Operator,
    org: &OrganizationId,
    made: Made,
) -> Result<std::sync::Arc<watchfire_engine::Snapshot>, Failure> {
    let app = made.app.ok_or(Failure::NotFound)?;
    let reference = ApplicationRef::Id(app);
    Ok(applications::find(operator.view.engine(), org, &reference).await?)
}

fn event(view: &View, made: Made) -> Markup {
    html! {
        section.panel.narrow {
            div.panel-body {
                p { "Now send it an event. It goes the way of every event: onto the disk, through the contract, signed, delivered, recorded." }
                (control::form(view, "/dashboard/start/event", &html! {
                    (hidden(made))
                    (control::submit(Weight::Primary, Some(Icon::Delivery), "Send a test event"))
                }))
            }
        }
    }
}

pub(crate) async fn send(operator: Operator, Form(fields): Form) -> Answer {
    let made = Made::of(&fields);
    let app = snapshot(&operator, &operator.org, made).await?;
    let endpoint = made.endpoint.ok_or(Failure::NotFound)?;
    let listed = app.contract.event_types().next();
    let name = listed.map_or(PING, |event| event.name.as_str());
    let event_type: EventType = name.parse().map_err(|_| Failure::NotFound)?;
    let example = Example {
        event_type,
        index: 0,
        payload: None,
    };
    let reference = EndpointRef::Id(endpoint);
    let engine = operator.view.engine();
    let message = messages::send_example(engine, &app, &reference, example, None).await?;
    Ok(go_on(Made {
        message: Some(message.id),
        ..made
    }))
}

fn received(view: &View, made: Made) -> Markup {
    let (Some(app), Some(endpoint), Some(message)) = (made.app, made.endpoint, made.message) else {
        return html! {};
    };
    let id = message.to_string();
    let echoed = view.engine().echoed(&echo_url(made));
    let came = echoed
        .iter()
        .find(|received| received.header("webhook-id") == Some(&id));
    let path = format!("/dashboard/apps/{app}/endpoints/{endpoint}");
    let Some(came) = came else {
        return block::callout(
            Tone::Busy,
            "On its way",
            &html! {
                p { "What the receiver gets appears here. It can also be seen at "
                    a href={ (path) "/test/" (id) } { "the event itself" } "." }
            },
        );
    };
    let line = (came.method, came.url.as_str());
    let request = code::request(line, &came.headers, &came.body);
    html! {
        div.stack.wide {
            (block::callout(Tone::Good, "Received", &html! {
                p { "The built-in receiver got it " (time::relative(came.at, view.now))
                    ", signed so that it can be verified." }
            }))
            (panel("What came", &html! {}, &code::block("The request", &request)))
            div.row {
                (control::link(Weight::Primary, Some(Icon::Endpoint), "Go to the endpoint", &path))
                (control::link(Weight::Plain, Some(Icon::Plus), "Add a real endpoint", &format!("/dashboard/apps/{app}/endpoints/new")))
                (control::link(Weight::Plain, Some(Icon::Key), "Make an API key", "/dashboard/keys/new"))
            }
        }
    }
}

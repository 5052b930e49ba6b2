//! Applications: list, create, edit, delete. The list is the model for other lists.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::response::{IntoResponse as _, Redirect};
use maud::{Markup, html};
use watchfire_domain::health::State;
use watchfire_domain::id::ApplicationId;
use watchfire_domain::scope::Scope;
use watchfire_engine::service::Edit;
use watchfire_engine::service::activity;
use watchfire_engine::service::applications::{self, ApplicationInput, ApplicationPatch};
use watchfire_engine::{Engine, Snapshot};
use watchfire_store::{
    ActivityCounts, AppKey, ApplicationFilter, ApplicationRef, Owner, Step, StoredApplication,
};

use crate::access::{InApp, Operator, View};
use crate::failure::{Answer, Failure};
use crate::form::Form;
use crate::paging::Paging;
use crate::params::Fields;
use crate::ui::control::{Ask, Text, Weight};
use crate::ui::status::{Tone, badge};
use crate::ui::table::{Row, column, number, pager, table};
use crate::ui::{Draft, Icon, Page, Section, block, code, control, time};

const TITLE: &str = "Applications";
const PATH: &str = "/dashboard/apps";

pub(crate) async fn list(operator: Operator, query: Fields) -> Answer {
    let Operator { view, org } = &operator;
    let paging = Paging::<ApplicationId>::of(&query);
    let found = applications::list(
        view.engine(),
        org,
        &ApplicationFilter::default(),
        paging.range(),
    )
    .await?;
    let page = paging.cut(found, &query, |stored| stored.application.id);
    let mut rows = Vec::with_capacity(page.items.len());
    for stored in &page.items {
        rows.push(row(view, stored).await?);
    }
    let columns = [
        column("Name"),
        column("Contract"),
        number("Endpoints"),
        number("Messages, 24 h"),
        number("Success"),
        column("Health"),
        column("Created"),
    ];
    let body = html! {
        @if rows.is_empty() { (nothing_yet(view)) } @else {
            section.panel.flush { (table(TITLE, &columns, &rows)) }
            (pager(&page))
        }
    };
    let mut shown = Page::new(Section::Applications, TITLE, body);
    if view.may(Scope::Admin) {
        let new = format!("{PATH}/new");
        let link = control::link(Weight::Primary, Some(Icon::Plus), "New application", &new);
        shown = shown.actions(link);
    }
    Ok(shown.show(view))
}

fn nothing_yet(view: &View) -> Markup {
    block::empty(
        Icon::Apps,
        "No applications yet",
        &html! {
            p { "An application is a customer, or whoever else owns endpoints of their own." }
            @if view.may(Scope::Admin) {
                (control::link(Weight::Primary, Some(Icon::Plus), "New application", "/dashboard/apps/new"))
            }
        },
    )
}

async fn row(view: &View, stored: &StoredApplication) -> Result<Row, Failure> {
    let application = &stored.application;
    let snapshot = view.engine().application_by_key(stored.key).await?;
    let endpoints = snapshot.as_ref().map_or(0, |app| app.endpoints.len());
    let contract = snapshot
        .as_ref()
        .map(|app| app.contract.manifest().title.clone());
    let volume = volume(view, stored.key).await?;
    let settled = volume.delivered + volume.exhausted + volume.skipped;
    let cells = vec![
        html! {
            strong { (application.settings.name) }
            @if let Some(uid) = &application.uid { " " span.muted { (uid) } }
        },
        html! { (contract.unwrap_or_default()) },
        html! { (endpoints) },
        html! {
            @if volume.accepted == 0 { span.muted { "–" } } @else { (block::grouped(volume.accepted)) }
        },
        html! { (block::share(volume.delivered, settled)) },
        snapshot
            .as_deref()
            .map_or_else(|| html! {}, health_at_a_glance),
        time::relative(application.created_at, view.now),
    ];
    Ok(Row {
        href: Some(format!("{PATH}/{}/endpoints", application.id)),
        cells,
    })
}

/// What happened in an application within the last day.
async fn volume(view: &View, app: AppKey) -> Result<ActivityCounts, Failure> {
    let owner = Owner::Application(app);
    let span = (view.now - Duration::from_hours(24), view.now);
    let chart = activity::chart(view.engine(), &owner, span, Step::Hour).await?;
    Ok(chart.total)
}

/// The worst of an application's endpoints, and how many are as bad.
pub(crate) fn health_at_a_glance(app: &Snapshot) -> Markup {
    let on = app.endpoints.iter();
    let on: Vec<_> = on
        .filter(|endpoint| !endpoint.stored.endpoint.settings.disabled)
        .map(|endpoint| endpoint.health())
        .collect();
    let count = |state: State| on.iter().filter(|health| health.state() == state).count();
    let failing = on
        .iter()
        .filter(|health| health.trouble().is_some())
        .count();
    match (count(State::Disabled), count(State::Suspended), failing) {
        (0, 0, 0) if on.is_empty() => html! { span.muted { "–" } },
        (0, 0, 0) => badge(Tone::Good, "All well"),
        (0, 0, failing) => badge(Tone::Warn, &format!("{failing} failing")),
        (0, suspended, _) => badge(Tone::Warn, &format!("{suspended} suspended")),
        (disabled, _, _) => badge(Tone::Bad, &format!("{disabled} disabled")),
    }
}

pub(crate) async fn new(operator: Operator) -> Answer {
    let contract = &operator.view.engine().config().default_contract;
    let draft = Draft::of(&[("contract", contract)]);
    Ok(new_page(&operator.view, &draft))
}

fn new_page(view: &View, draft: &Draft) -> axum::response::Response {
    let body = html! {
        section.panel.narrow {
            div.panel-body {
                (control::form(view, "/dashboard/apps/new", &html! {
                    (fields(view.engine(), draft))
                    div.form-foot {
                        (control::submit(Weight::Primary, None, "Create application"))
                        (control::link(Weight::Quiet, None, "Cancel", PATH))
                    }
                }))
            }
        }
    };
    Page::new(Section::Applications, "New application", body)
        .crumb(TITLE, PATH)
        .show(view)
}

fn fields(engine: &Engine, draft: &Draft) -> Markup {
    let contracts: Vec<_> = engine
        .contracts()
        .iter()
        .map(|contract| (contract.name(), contract.manifest().title.as_str()))
        .collect();
    html! {
        (control::faults(draft, &["name", "uid", "contract", "throttleRate", "administrators"]))
        (control::text(draft, Text {
            name: "name",
            label: "Name",
            hint: "Who this is: a customer, an account, a team.",
            required: true,
            ..Text::default()
        }))
        (control::choice(
            draft,
            "contract",
            "Contract",
            "How its webhooks look and behave: the request, the retries, the event types.",
            &contracts,
        ))
        (control::text(draft, Text {
            name: "uid",
            label: "Your own id",
            hint: "Lets your programs name it without storing ours.",
            placeholder: "customer-4711",
            is_code: true,
            ..Text::default()
        }))
        (control::text(draft, Text {
            name: "rate",
            fault: Some("throttleRate"),
            label: "Rate limit",
            hint: "Deliveries a second to all its endpoints together.",
            kind: "number",
            ..Text::default()
        }))
        (control::text(draft, Text {
            name: "administrators",
            label: "Administrators",
            hint: "E-mail addresses, separated by commas: told when an endpoint is in trouble.",
            placeholder: "oncall@example.com",
            ..Text::default()
        }))
    }
}

/// E-mail addresses, however they are separated.
fn addresses(text: &str) -> Vec<String> {
    let parts = text.split([',', ';', '\n', '\r', ' ']).map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(ToOwned::to_owned)
        .collect()
}

/// What was typed; a rate that is no number is noted as a fault.
fn input(fields: &Fields) -> Result<ApplicationInput, Box<Draft>> {
    let rate = fields.filled("rate").map(str::parse);
    let rate = rate.transpose().map_err(|_| {
        let reason = "must be a whole number";
        Box::new(Draft::wrong(fields.clone(), "throttleRate", reason))
    })?;
    Ok(ApplicationInput {
        name: fields.text("name").to_owned(),
        uid: fields.filled("uid").map(ToOwned::to_owned),
        throttle_rate: rate,
        metadata: BTreeMap::new(),
        contract: fields
            .filled("contract")
            .map_or(Edit::Keep, |name| Edit::Set(name.to_owned())),
        instance: Edit::Keep,
        administrators: Edit::Set(addresses(fields.text("administrators"))),
    })
}

pub(crate) async fn create(operator: Operator, Form(fields): Form) -> Answer {
    let Operator { view, org } = &operator;
    let input = match input(&fields) {
        Ok(input) => input,
        Err(draft) => return Ok(new_page(view, &draft)),
    };
    match applications::create(view.engine(), org, input, None).await {
        Ok(made) => {
            let path = format!("{PATH}/{}/endpoints?done=created", made.id);
            Ok(Redirect::to(&path).into_response())
        }
        Err(error) => Ok(new_page(view, &Draft::refused(fields, error)?)),
    }
}

pub(crate) async fn edit(at: InApp) -> Answer {
    let application = &at.app.stored.application;
    let settings = &application.settings;
    let rate = settings.throttle_rate.map(|rate| rate.to_string());
    let addresses: Vec<_> = settings
        .administrators
        .iter()
        .map(ToString::to_string)
        .collect();
    let draft = Draft::of(&[
        ("administrators", &addresses.join(", ")),
        ("name", settings.name.as_str()),
        ("contract", at.app.contract.name()),
        (
            "uid",
            application.uid.as_ref().map_or("", |uid| uid.as_str()),
        ),
        ("rate", rate.as_deref().unwrap_or_default()),
    ]);
    Ok(edit_page(&at, &draft))
}

fn edit_page(at: &InApp, draft: &Draft) -> axum::response::Response {
    let application = &at.app.stored.application;
    let body = html! {
        section.panel.narrow {
            div.panel-body {
                (control::form(&at.view, &at.path("/edit"), &html! {
                    (fields(at.engine(), draft))
                    div.form-foot {
                        (control::submit(Weight::Primary, None, "Save"))
                        (control::link(Weight::Quiet, None, "Cancel", &at.path("/endpoints")))
                    }
                }))
            }
        }
        section.panel.narrow {
            header.panel-head { h2 { "Delete" } }
            div.panel-body.split {
                p.muted {
                    "Its endpoints stop at once. What was delivered stays in the history until its \
                     retention ends."
                }
                (control::ask(&at.view, &Ask {
                    id: "delete",
                    weight: Weight::Danger,
                    icon: Icon::Trash,
                    text: "Delete application",
                    title: "Delete this application?",
                    action: &at.path("/delete"),
                    body: html! {
                        p {
                            "“" (application.settings.name) "” and its "
                            (at.app.endpoints.len()) " endpoints will get nothing any more."
                        }
                    },
                    confirm: "Delete it",
                }))
            }
        }
    };
    Page::new(Section::Applications, "Settings of the application", body)
        .crumb(TITLE, PATH)
        .crumb(&application.settings.name, &at.path("/endpoints"))
        .beside(code::id(&application.id.to_string()))
        .show_in(at)
}

pub(crate) async fn save(at: InApp, Form(fields): Form) -> Answer {
    let input = match input(&fields) {
        Ok(input) => input,
        Err(draft) => return Ok(edit_page(&at, &draft)),
    };
    let patch = ApplicationPatch {
        // This form does not show them.
        metadata: Edit::Keep,
        ..ApplicationPatch::from(input)
    };
    let reference = ApplicationRef::Id(at.id());
    match applications::patch(at.engine(), at.org(), &reference, patch).await {
        Ok(_) => {
            let next = at.path("/endpoints?done=saved");
            Ok(Redirect::to(&next).into_response())
        }
        Err(error) => Ok(edit_page(&at, &Draft::refused(fields, error)?)),
    }
}

pub(crate) async fn delete(at: InApp, Form(_): Form) -> Answer {
    applications::delete(at.engine(), &at.app).await?;
    Ok(Redirect::to(PATH).into_response())
}

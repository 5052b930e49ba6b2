//! API keys: list, make, revoke. A key's text is shown once, when it is made.

use std::time::Duration;

use axum::extract::Path;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use watchfire_domain::id::KeyId;
use watchfire_domain::scope::Scope;
use watchfire_engine::service::keys::{self, KeyInput};
use watchfire_store::{ApplicationRef, StoredApiKey};

use crate::access::{Operator, View};
use crate::failure::{Answer, Failure};
use crate::form::Form;
use crate::paging::Paging;
use crate::params::Fields;
use crate::ui::control::{self, Ask, Text, Weight};
use crate::ui::status::{Tone, badge};
use crate::ui::table::{Row, column, pager, table};
use crate::ui::{Draft, Icon, Page, Section, block, code, time};

const TITLE: &str = "API keys";
const PATH: &str = "/dashboard/keys";

/// What each scope lets its key do.
const SCOPES: [(Scope, &str); 6] = [
    (Scope::EventsWrite, "Send events."),
    (Scope::EndpointsRead, "Look at everything but secrets."),
    (
        Scope::EndpointsWrite,
        "Create, change and delete endpoints.",
    ),
    (Scope::SecretsRead, "Read the secrets that sign deliveries."),
    (Scope::Replay, "Have events delivered again."),
    (Scope::Admin, "Everything, also applications and keys."),
];
/// How long a key lives: seconds, and the words for them.
const LIVES: [(&str, &str); 4] = [
    ("7776000", "90 days"),
    ("2592000", "30 days"),
    ("31536000", "A year"),
    ("", "Until it is revoked"),
];

pub(crate) async fn list(operator: Operator, query: Fields) -> Answer {
    page(&operator, &query, &html! {}).await
}

async fn page(operator: &Operator, query: &Fields, above: &Markup) -> Answer {
    let Operator { view, org } = operator;
    let paging = Paging::<KeyId>::of(query);
    let found = keys::list(view.engine(), org, paging.range()).await?;
    let page = paging.cut(found, query, |stored| stored.key.id);
    let rows: Vec<_> = page.items.iter().map(|stored| row(view, stored)).collect();
    let columns = [
        column("Name"),
        column("May"),
        column("Reaches"),
        column("Last used"),
        column("Ends"),
        column(""),
    ];
    let body = html! {
        (above)
        @if query.text("done") == "revoked" { (block::done("The key was revoked: it opens nothing any more.")) }
        @if rows.is_empty() {
            (block::empty(Icon::Key, "No keys yet", &html! {
                p { "A key is what a program proves with who it is. Give each program its own." }
            }))
        } @else {
            section.panel.flush { (table(TITLE, &columns, &rows)) }
            (pager(&page))
        }
    };
    let new = control::link(
        Weight::Primary,
        Some(Icon::Plus),
        "New key",
        "/dashboard/keys/new",
    );
    Ok(Page::new(Section::Keys, TITLE, body)
        .actions(new)
        .show(view))
}

fn row(view: &View, stored: &StoredApiKey) -> Row {
    let key = &stored.key;
    let id = key.id.to_string();
    let dialog = format!("revoke-{id}");
    let ended = key.expires_at.is_some_and(|at| at <= view.now);
    Row {
        href: None,
        cells: vec![
            html! { strong { (key.name) } span.hint { code { (id) } } },
            html! { ul.chips { @for scope in key.scopes.granted() { li { code { (scope) } } } } },
            html! {
                @match key.application {
                    Some(app) => { a href={ "/dashboard/apps/" (app) "/endpoints" } { "One application" } }
                    None => { "Everything" }
                }
            },
            html! {
                @match stored.last_used_at {
                    Some(at) => { (time::relative(at, view.now)) }
                    None => { span.muted { "never" } }
                }
            },
            html! {
                @match key.expires_at {
                    Some(_) if ended => { (badge(Tone::Quiet, "Ended")) }
                    Some(at) => { (time::relative(at, view.now)) }
                    None => { span.muted { "when revoked" } }
                }
            },
            control::ask(
                view,
                &Ask {
                    id: &dialog,
                    weight: Weight::Danger,
                    icon: Icon::Trash,
                    text: "Revoke",
                    title: "Revoke this key?",
                    action: &format!("{PATH}/{id}/revoke"),
                    body: html! {
                        p { "“" (key.name) "” opens nothing from then on, and who signed in with it is signed out." }
                    },
                    confirm: "Revoke it",
                },
            ),
        ],
    }
}

pub(crate) async fn new(operator: Operator) -> Response {
    let draft = Draft::of(&[("life", "7776000")]);
    new_page(&operator.view, &draft)
}

fn new_page(view: &View, draft: &Draft) -> Response {
    let chosen: Vec<_> = draft.fields().all("scope").collect();
    let fault = draft.fault("scopes");
    let body = html! {
        section.panel.narrow {
            div.panel-body {
                (control::form(view, "/dashboard/keys/new", &html! {
                    (control::faults(draft, &["name", "scopes", "applicationId", "expiresAt"]))
                    (control::text(draft, Text {
                        name: "name",
                        label: "Name",
                        hint: "Which program it is for.",
                        required: true,
                        ..Text::default()
                    }))
                    fieldset.field {
                        legend.legend { "It may" }
                        @for (scope, about) in SCOPES {
                            (control::tick("scope", scope.name(), scope.name(), about, chosen.contains(&scope.name())))
                        }
                        @if let Some(fault) = &fault { div.fault role="alert" { (fault) } }
                    }
                    (control::text(draft, Text {
                        name: "application",
                        fault: Some("applicationId"),
                        label: "Only this application",
                        hint: "Its id or uid; the key reaches everything if this is empty.",
                        is_code: true,
                        ..Text::default()
                    }))
                    (control::choice(draft, "life", "It ends after", "", &LIVES))
                    div.form-foot {
                        (control::submit(Weight::Primary, None, "Make the key"))
                        (control::link(Weight::Quiet, None, "Cancel", PATH))
                    }
                }))
            }
        }
    };
    Page::new(Section::Keys, "New key", body)
        .crumb(TITLE, PATH)
        .show(view)
}

pub(crate) async fn create(operator: Operator, Form(fields): Form) -> Answer {
    let Operator { view, org } = &operator;
    let application = match fields.filled("application").map(reference) {
        Some(None) => {
            let draft = Draft::wrong(fields, "applicationId", "names no application");
            return Ok(new_page(view, &draft));
        }
        named => named.flatten(),
    };
    let life = fields
        .filled("life")
        .and_then(|seconds| seconds.parse().ok());
    let input = KeyInput {
        name: fields.text("name").to_owned(),
        application,
        scopes: fields.all("scope").map(ToOwned::to_owned).collect(),
        expires_at: life.map(|seconds| view.now + Duration::from_secs(seconds)),
    };
    match keys::create(view.engine(), org, input).await {
        Ok(made) => {
            let above = block::callout(
                Tone::Good,
                "Copy the key now: it is not shown again",
                &html! {
                    (code::block(&made.stored.key.name, made.text.expose()))
                },
            );
            page(&operator, &Fields::default(), &above).await
        }
        Err(error) => Ok(new_page(view, &Draft::refused(fields, error)?)),
    }
}

/// An application's id or uid.
fn reference(text: &str) -> Option<ApplicationRef> {
    match text.parse() {
        Ok(id) => Some(ApplicationRef::Id(id)),
        Err(_) => text.parse().ok().map(ApplicationRef::Uid),
    }
}

pub(crate) async fn revoke(operator: Operator, Path(id): Path<String>, Form(_): Form) -> Answer {
    let id: KeyId = id.parse().map_err(|_| Failure::NotFound)?;
    keys::revoke(operator.view.engine(), &operator.org, id).await?;
    Ok(Redirect::to("/dashboard/keys?done=revoked").into_response())
}

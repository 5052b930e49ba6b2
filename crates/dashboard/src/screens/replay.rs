//! Many deliveries at once: looked at before, followed while they are made, and ended early.

mod progress;

use axum::extract::Path;
use axum::response::{IntoResponse as _, Redirect};
use maud::{Markup, html};
use serde::Deserialize;
use watchfire_domain::id::{EndpointId, TaskId};
use watchfire_domain::limit;
use watchfire_domain::scope::Scope;
use watchfire_engine::service::Error;
use watchfire_engine::service::tasks::{self, Owner, Preview, TaskInput};
use watchfire_store::{EndpointRef, Steering, Task, TaskFilter, TaskKind, TaskState};

use super::deliveries::list::{endpoint_name, short};
use super::deliveries::moment;
use crate::access::InApp;
use crate::failure::{Answer, Failure, explain};
use crate::form::Form;
use crate::paging::Paging;
use crate::params::{Fields, encoded};
use crate::ui::block::{self, flush_panel, grouped, panel};
use crate::ui::control::{self, Ask, Weight, csrf};
use crate::ui::status::Tone;
use crate::ui::table::{Row, column, number, pager, table};
use crate::ui::{Icon, Page, Section, time};

/// What a task about the whole application does.
const PURGE: &str = "Remove all payloads";

/// What can be done, as forms name it, and what it means.
const KINDS: [(&str, &str, TaskKind); 4] = [
    ("failed", "Send again what failed", TaskKind::Recover),
    ("missing", "Send what it never got", TaskKind::ReplayMissing),
    ("all", "Send everything again", TaskKind::BulkReplay),
    ("waiting", "Cancel what waits", TaskKind::CancelMessages),
];
const FIELDS: [&str; 6] = ["kind", "endpoint", "since", "until", "type", "once"];

/// What a form asks for.
struct Asked {
    kind: TaskKind,
    words: &'static str,
    endpoint: EndpointId,
    input: TaskInput,
}

fn read(fields: &Fields) -> Option<Asked> {
    let name = fields.text("kind");
    let (_, words, kind) = KINDS.into_iter().find(|(known, ..)| *known == name)?;
    let at = |name| fields.filled(name).and_then(moment);
    let types = fields.text("type").split([',', ' ']);
    Some(Asked {
        kind,
        words,
        endpoint: fields.text("endpoint").parse().ok()?,
        input: TaskInput {
            since: at("since"),
            until: at("until"),
            event_types: types.filter_map(|name| name.parse().ok()).collect(),
            once: fields.filled("once").is_some(),
            ..TaskInput::default()
        },
    })
}

fn owner(at: &InApp) -> Owner {
    Owner {
        org: at.org().clone(),
        app: Some(at.app.stored.key),
    }
}

pub(crate) async fn page(at: InApp, fields: Fields) -> Answer {
    let paging = Paging::<TaskId>::of(&fields);
    let filter = TaskFilter::default();
    let found = tasks::list(at.engine(), &owner(&at), filter, paging.range()).await?;
    let page = paging.cut(found, &fields, |task| task.id);
    let may = at.view.may(Scope::Replay);
    let asked = if may { read(&fields) } else { None };
    let preview = match &asked {
        Some(asked) => Some(look(&at, asked, &fields).await?),
        None => None,
    };
    let body = html! {
        @if let Some(done) = fields.filled("done") { (block::done(done)) }
        @if may {
            (panel("New", &html! {}, &html! {
                (form(&at, &fields))
                @if let Some(preview) = &preview { (preview) }
            }))
        }
        div.stack #tasks data-live {
            @if page.items.is_empty() { (nothing()) } @else {
                (flush_panel("Under way and done", &html! {}, &listed(&at, &page.items)))
                (pager(&page))
            }
        }
    };
    Ok(Page::new(Section::Replay, "Replay", body)
        .crumb("Deliveries", &at.path("/deliveries"))
        .live(&at.path("/live"))
        .show_in(&at))
}

fn nothing() -> Markup {
    let body = html! {
        p { "When a receiver was away, everything it missed can be sent again here, at a rate that holds nobody else up." }
    };
    block::empty(Icon::Replay, "Nothing was replayed yet", &body)
}

fn form(at: &InApp, fields: &Fields) -> Markup {
    let endpoints: Vec<_> = at
        .app
        .endpoints
        .iter()
        .map(|endpoint| {
            let stored = &endpoint.stored.endpoint;
            (stored.identity.id.to_string(), short(&stored.settings.url))
        })
        .collect();
    let endpoints: Vec<_> = endpoints
        .iter()
        .map(|(id, text)| (id.as_str(), text.as_str()))
        .collect();
    let kinds = KINDS.map(|(name, words, _)| (name, words));
    let field = |label, name: &str, placeholder| {
        html! {
            label.field {
                span { (label) }
                input.input type="text" name=(name) value=(fields.text(name)) placeholder=(placeholder)
                    spellcheck="false" autocomplete="off";
            }
        }
    };
    html! {
        form.form method="get" action=(at.path("/replay")) {
            div.fields {
                label.field { span { "What" } (control::select(fields.text("kind"), "kind", &kinds)) }
                label.field { span { "Endpoint" } (control::select(fields.text("endpoint"), "endpoint", &endpoints)) }
                (field("From (UTC)", "since", "2026-11-21T15:00"))
                (field("Until (UTC)", "until", "now"))
                (field("Event types", "type", "all"))
            }
            (control::tick("once", "yes", "One attempt each", "Whatever the retry schedule says.", fields.filled("once").is_some()))
            div.form-foot { (control::submit(Weight::Primary, Some(Icon::Eye), "Preview")) }
        }
    }
}

/// What would be done, and the button that does it.
async fn look(at: &InApp, asked: &Asked, fields: &Fields) -> Result<Markup, Failure> {
    let endpoint = EndpointRef::Id(asked.endpoint);
    let work = (asked.kind, asked.input.clone());
    let preview = match tasks::preview(at.engine(), &at.app, &endpoint, work).await {
        Ok(preview) => preview,
        Err(error @ Error::Invalid(_)) => {
            let body = html! { p { (explain(&error)) } };
            return Ok(block::callout(Tone::Bad, "This can't be done", &body));
        }
        Err(error) => return Err(error.into()),
    };
    if preview.found == 0 && !preview.more {
        let body = html! { p { "Looked at " (grouped(preview.looked)) " messages." } };
        return Ok(block::callout(Tone::Quiet, "There is nothing to do", &body));
    }
    let body = html! {
        p { (asked.words) " at " (endpoint_name(at, asked.endpoint)) ". Looked at " (grouped(preview.looked)) " messages." }
        p { "It goes at most " (limit::TASK_DELIVERIES_PER_SECOND) " a second, behind everything that is new, and can be paused." }
        form.row method="post" action=(at.path("/replay")) {
            (csrf(&at.view))
            @for name in FIELDS {
                @if let Some(text) = fields.filled(name) { input type="hidden" name=(name) value=(text); }
            }
            (control::submit(Weight::Primary, Some(Icon::Play), "Start"))
        }
    };
    Ok(block::callout(Tone::Busy, &counted(&preview), &body))
}

fn counted(preview: &Preview) -> String {
    let many = if preview.found == 1 {
        "delivery"
    } else {
        "deliveries"
    };
    let more = if preview.more { " or more" } else { "" };
    format!("{}{more} {many}", grouped(preview.found))
}

pub(crate) async fn start(at: InApp, Form(fields): Form) -> Answer {
    let asked = read(&fields).ok_or(Failure::Form("It does not say what to send again."))?;
    let endpoint = EndpointRef::Id(asked.endpoint);
    // How much there is to look at, as far as it can be told: for the time it will take.
    let work = (asked.kind, asked.input.clone());
    let preview = tasks::preview(at.engine(), &at.app, &endpoint, work).await?;
    let input = TaskInput {
        messages: (!preview.more).then_some(preview.looked),
        ..asked.input
    };
    let work = (asked.kind, input);
    tasks::create(at.engine(), &at.app, &endpoint, work, None).await?;
    Ok(back(&at, "It has begun."))
}

/// The task a path names.
#[derive(Deserialize)]
pub(crate) struct TaskPath {
    task_id: String,
}

pub(crate) async fn pause(at: InApp, Path(path): Path<TaskPath>, Form(_): Form) -> Answer {
    steer(&at, &path, Steering::Pause).await?;
    Ok(back(&at, "It rests where it is."))
}

pub(crate) async fn resume(at: InApp, Path(path): Path<TaskPath>, Form(_): Form) -> Answer {
    steer(&at, &path, Steering::Resume).await?;
    Ok(back(&at, "It goes on."))
}

pub(crate) async fn cancel(at: InApp, Path(path): Path<TaskPath>, Form(_): Form) -> Answer {
    steer(&at, &path, Steering::Cancel).await?;
    Ok(back(&at, "It was ended; what it did stays."))
}

async fn steer(at: &InApp, path: &TaskPath, steering: Steering) -> Result<Task, Failure> {
    let id = path.task_id.parse().map_err(|_| Failure::NotFound)?;
    Ok(tasks::steer(at.engine(), &owner(at), id, steering).await?)
}

fn back(at: &InApp, done: &str) -> axum::response::Response {
    let path = at.path(&format!("/replay?done={}", encoded(done)));
    Redirect::to(&path).into_response()
}

fn listed(at: &InApp, items: &[Task]) -> Markup {
    let columns = [
        column("What"),
        column("Endpoint"),
        column("Progress"),
        number("Deliveries"),
        column("Begun"),
        column(""),
    ];
    let rows: Vec<_> = items.iter().map(|task| row(at, task)).collect();
    table("Replays", &columns, &rows)
}

fn row(at: &InApp, task: &Task) -> Row {
    let words = KINDS.iter().find(|(.., kind)| *kind == task.kind);
    let words = words.map_or(PURGE, |(_, words, _)| words);
    let live = at.app.endpoints.iter();
    let mut live = live.filter(|endpoint| Some(endpoint.stored.key) == task.endpoint());
    let endpoint = live
        .next()
        .map(|endpoint| endpoint.stored.endpoint.identity.id);
    Row {
        href: None,
        cells: vec![
            html! { (words) span.hint { (span_of(task)) } },
            match (endpoint, task.endpoint()) {
                (Some(endpoint), _) => endpoint_name(at, endpoint),
                (None, Some(_)) => html! { span.muted { "(deleted)" } },
                (None, None) => html! { span.muted { "(all)" } },
            },
            progress::shown(task, at.app.stored.application.created_at, at.view.now),
            html! { (grouped(task.progress.done)) },
            time::relative(task.created_at, at.view.now),
            html! { @if at.view.may(Scope::Replay) { (steered(at, task)) } },
        ],
    }
}

/// What can be done about a task.
fn steered(at: &InApp, task: &Task) -> Markup {
    let to = |deed: &str| at.path(&format!("/replay/{}/{deed}", task.id));
    let rests = match task.state {
        TaskState::Running => false,
        TaskState::Paused => true,
        TaskState::Finished | TaskState::Failed(_) | TaskState::Cancelled => return html! {},
    };
    let end = Ask {
        id: &format!("end-{}", task.id),
        weight: Weight::Danger,
        icon: Icon::Stop,
        text: "End",
        title: "End it for good?",
        action: &to("cancel"),
        body: html! { p { "What it did stays. It can't be resumed; a new one can be started." } },
        confirm: "End it",
    };
    html! {
        div.row {
            @if rests {
                (control::act(&at.view, &to("resume"), Weight::Plain, Icon::Play, "Resume"))
            } @else {
                (control::act(&at.view, &to("pause"), Weight::Plain, Icon::Pause, "Pause"))
            }
            (control::ask(&at.view, &end))
        }
    }
}

fn span_of(task: &Task) -> Markup {
    let since = task.arguments.since;
    html! {
        @if since > watchfire_domain::time::Timestamp::EPOCH { "since " (time::absolute(since)) }
        @else { "from the beginning" }
    }
}

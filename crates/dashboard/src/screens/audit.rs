//! Who changed what, before and after.

use maud::{Markup, html};
use serde_json::{Map, Value};
use watchfire_domain::audit::Actor;
use watchfire_domain::id::{ApplicationId, AuditId};
use watchfire_engine::service::audit;
use watchfire_store::{AuditEntry, AuditFilter};

use crate::access::{Operator, View};
use crate::failure::Answer;
use crate::paging::Paging;
use crate::params::{Fields, encoded};
use crate::ui::block;
use crate::ui::control::{self, Weight};
use crate::ui::table::{Row, column, pager, table};
use crate::ui::{Icon, Page, Section, time};

const PATH: &str = "/dashboard/audit";

pub(crate) async fn page(operator: Operator, fields: Fields) -> Answer {
    let Operator { view, org } = &operator;
    let filter = AuditFilter {
        application: fields
            .filled("app")
            .and_then(|id| id.parse::<ApplicationId>().ok()),
        object: fields.filled("object").map(str::to_owned),
    };
    let is_filtered = filter != AuditFilter::default();
    let paging = Paging::<AuditId>::of(&fields);
    let found = audit::list(view.engine(), org, &filter, paging.range()).await?;
    let page = paging.cut(found, &fields, |entry| entry.id);
    let rows: Vec<_> = page.items.iter().map(|entry| row(view, entry)).collect();
    let columns = [
        column("What"),
        column("Who"),
        column("Change"),
        column("When"),
    ];
    let body = html! {
        form.filters method="get" role="search" {
            (control::search("object", "Id or name", fields.text("object")))
            (control::submit(Weight::Plain, Some(Icon::Search), "Show"))
            @if is_filtered { (control::link(Weight::Quiet, None, "Clear", PATH)) }
        }
        @if rows.is_empty() {
            (block::empty(Icon::Audit, "Nothing was changed", &html! {
                p { "Every change of the configuration stands here, with who made it. Secrets never do." }
            }))
        } @else {
            section.panel.flush { (table("Changes", &columns, &rows)) }
            (pager(&page))
        }
    };
    Ok(Page::new(Section::Audit, "Audit log", body).show(view))
}

fn row(view: &View, entry: &AuditEntry) -> Row {
    let object = format!("{PATH}?object={}", encoded(&entry.object));
    Row {
        href: None,
        cells: vec![
            html! {
                (entry.action.description().trim_end_matches('.'))
                span.hint { a href=(object) { code { (entry.object) } } }
            },
            html! {
                (who(&entry.author.actor))
                @if let Some(address) = entry.author.address { span.hint { "from " code { (address) } } }
            },
            change(entry),
            time::relative(entry.at, view.now),
        ],
    }
}

fn who(actor: &Actor) -> Markup {
    match actor {
        Actor::Server => html! { span.muted { "The server" } },
        Actor::CommandLine => html! { "Command line" },
        Actor::Key { id, name } => html! { (name) span.hint { code { (id) } } },
        Actor::Token { subject } => html! { "Token" span.hint { code { (subject) } } },
        Actor::Session { user } => html! { "Dashboard" span.hint { (user) } },
        Actor::Portal { application } => html! { "Portal" span.hint { (application) } },
    }
}

/// What differs, member by member.
fn change(entry: &AuditEntry) -> Markup {
    let read = |text: &Option<String>| -> Map<String, Value> {
        let text = text.as_deref().unwrap_or("{}");
        serde_json::from_str(text).unwrap_or_default()
    };
    let (before, after) = (read(&entry.before), read(&entry.after));
    let mut names: Vec<_> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let shown = |value: Option<&Value>| match value {
        None => html! {},
        Some(Value::String(text)) => html! { (cut(text)) },
        Some(value) => html! { (cut(&value.to_string())) },
    };
    if names.is_empty() {
        return html! { span.muted { "–" } };
    }
    html! {
        details.diff {
            summary { (names.len()) @if names.len() == 1 { " field" } @else { " fields" } }
            dl {
                @for name in names {
                    div {
                        dt { (name) }
                        dd {
                            @if before.contains_key(name) { del { (shown(before.get(name))) } " " }
                            @if after.contains_key(name) { ins { (shown(after.get(name))) } }
                        }
                    }
                }
            }
        }
    }
}

fn cut(text: &str) -> String {
    const MOST: usize = 200;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

//! The inbox: what happened to endpoints and messages, a line for each kind until it is read.

use axum::extract::Path;
use axum::response::{IntoResponse as _, Redirect};
use maud::{Markup, html};
use serde::Deserialize;
use watchfire_domain::id::NoticeId;
use watchfire_domain::notice::NoticeKind;
use watchfire_domain::scope::Scope;
use watchfire_engine::service::applications;
use watchfire_engine::service::notices;
use watchfire_store::{ApplicationRef, InboxLine, Reading};

use super::deliveries::list::short;
use crate::access::Operator;
use crate::failure::{Answer, Failure};
use crate::form::Form;
use crate::paging::Paging;
use crate::params::Fields;
use crate::ui::block::{self, grouped};
use crate::ui::control::{self, Weight};
use crate::ui::status::{Tone, badge};
use crate::ui::table::{Row, column, number, pager, table};
use crate::ui::{Icon, Page, Section, time};

const PATH: &str = "/dashboard/notices";

pub(crate) async fn page(operator: Operator, fields: Fields) -> Answer {
    let Operator { view, org } = &operator;
    let reading = match fields.text("show") {
        "all" => Reading::All,
        _ => Reading::Unread,
    };
    let paging = Paging::<NoticeId>::of(&fields);
    let found = notices::inbox(view.engine(), org, reading, paging.range()).await?;
    let page = paging.cut(found, &fields, |line| line.id);
    let mut rows = Vec::with_capacity(page.items.len());
    for line in &page.items {
        rows.push(row(&operator, line).await?);
    }
    let columns = [
        column("What"),
        column("Endpoint"),
        number("Times"),
        column("Last"),
        column(""),
    ];
    let body = html! {
        nav.tabs aria-label="Which notices" {
            a href=(PATH) aria-current=[(reading == Reading::Unread).then_some("page")] { "Unread" }
            a href="?show=all" aria-current=[(reading == Reading::All).then_some("page")] { "All" }
        }
        div.stack #notices data-live {
            @if rows.is_empty() { (nothing(reading)) } @else {
                section.panel.flush { (table("Notices", &columns, &rows)) }
                (pager(&page))
            }
        }
    };
    Ok(Page::new(Section::Notices, "Notices", body)
        .live("/dashboard/live")
        .show(view))
}

fn nothing(reading: Reading) -> Markup {
    let title = match reading {
        Reading::Unread => "Nothing needs you",
        Reading::All => "No notices yet",
    };
    let body = html! { p { "When an endpoint fails for long, is left alone or comes back, it is said here, once." } };
    block::empty(Icon::Bell, title, &body)
}

fn tone(kind: NoticeKind) -> Tone {
    match kind {
        NoticeKind::EndpointDisabled | NoticeKind::AttemptExhausted => Tone::Bad,
        NoticeKind::EndpointSuspended
        | NoticeKind::EndpointFailing
        | NoticeKind::AttemptFailing => Tone::Warn,
        NoticeKind::EndpointRecovered | NoticeKind::AttemptRecovered => Tone::Good,
        NoticeKind::EndpointCreated | NoticeKind::EndpointUpdated | NoticeKind::EndpointDeleted => {
            Tone::Quiet
        }
    }
}

async fn row(operator: &Operator, line: &InboxLine) -> Result<Row, Failure> {
    let Operator { view, org } = operator;
    let reference = ApplicationRef::Id(line.application);
    let app = applications::find(view.engine(), org, &reference)
        .await
        .ok();
    let endpoint = app.as_ref().and_then(|app| {
        let mut endpoints = app.endpoints.iter();
        endpoints.find(|known| known.stored.endpoint.identity.id == line.endpoint_id)
    });
    let href = endpoint.map(|_| {
        format!(
            "/dashboard/apps/{}/deliveries?endpoint={}",
            line.application, line.endpoint_id
        )
    });
    let unread = line.read_at.is_none();
    let action = format!("{PATH}/{}/read", line.id);
    Ok(Row {
        href,
        cells: vec![
            html! {
                (badge(tone(line.kind), line.kind.event_type()))
                span.hint { (line.kind.description()) }
            },
            html! {
                span.clip { (endpoint.map_or_else(|| "(deleted)".to_owned(), |known| short(&known.stored.endpoint.settings.url))) }
                @if let Some(app) = &app { span.hint { (app.stored.application.settings.name) } }
            },
            html! { (grouped(line.count)) },
            time::relative(line.last_at, view.now),
            html! {
                @if unread && view.may(Scope::EndpointsWrite) {
                    (control::act(view, &action, Weight::Quiet, Icon::Check, "Read"))
                }
            },
        ],
    })
}

/// The line a path names.
#[derive(Deserialize)]
pub(crate) struct NoticePath {
    notice_id: String,
}

pub(crate) async fn read(
    operator: Operator,
    Path(path): Path<NoticePath>,
    Form(_): Form,
) -> Answer {
    let id = path.notice_id.parse().map_err(|_| Failure::NotFound)?;
    notices::mark_read(operator.view.engine(), &operator.org, id).await?;
    Ok(Redirect::to(PATH).into_response())
}

//! The start: how things are, and what needs a person.

use maud::html;
use watchfire_engine::service::applications;
use watchfire_store::{Order, Range};

use crate::access::Operator;
use crate::failure::Answer;
use crate::ui::block::{Figure, figures, grouped};
use crate::ui::control::{self, Weight};
use crate::ui::{Icon, Page, Section, block};

pub(crate) async fn page(operator: Operator) -> Answer {
    let Operator { view, org } = &operator;
    let first = Range::from_start(Order::Descending, 1);
    let any = applications::list(view.engine(), org, first).await?;
    let metrics = view.engine().metrics();
    let (in_flight, queued) = view.engine().in_memory();
    let figure = |name, value: u64| Figure {
        name,
        value: grouped(value),
        more: html! { "since the start" },
        href: None,
        tone: None,
    };
    let body = html! {
        @if any.is_empty() {
            (block::empty(Icon::Bolt, "Welcome to Watchfire", &html! {
                p { "Create an application, add an endpoint, and send it a test event." }
                (control::link(Weight::Primary, Some(Icon::Plus), "New application", "/dashboard/apps/new"))
            }))
        }
        div #figures data-live {
            (figures(&[
                figure("Accepted", metrics.accepted.get()),
                figure("Delivered", metrics.delivered()),
                figure("Failed", metrics.failed()),
                figure("Retried", metrics.retried.get()),
                Figure {
                    name: "In memory",
                    value: grouped(u64::try_from(queued).unwrap_or(u64::MAX)),
                    more: html! { (in_flight) " in flight" },
                    href: None,
                    tone: None,
                },
            ]))
        }
    };
    Ok(Page::new(Section::Overview, "Overview", body)
        .live("/dashboard/live")
        .show(view))
}

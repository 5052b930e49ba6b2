//! The store, the nodes, and the settings in force with where they come from.

use maud::{Markup, html};
use watchfire_engine::service::activity;
use watchfire_engine::service::system::{self, State};
use watchfire_store::{Member, Owner};

use super::overview;
use crate::access::Operator;
use crate::failure::Answer;
use crate::state::SettingLine;
use crate::ui::block::{Figure, facts, figures, flush_panel, grouped, panel};
use crate::ui::status::{Tone, badge};
use crate::ui::table::{Row, column, number, table};
use crate::ui::{Page, Section, time};

pub(crate) async fn page(operator: Operator) -> Answer {
    let Operator { view, org } = &operator;
    let state = system::state(view.engine()).await?;
    let owed = activity::owing(view.engine(), &Owner::Organization(org.clone())).await?;
    let oldest = owed.oldest.map(|oldest| oldest.accepted_at);
    let body = html! {
        div #state data-live {
            (figures(&[
                store(&state),
                figure("In flight", count(state.in_flight), html! { "attempts on this node" }),
                figure("In memory", count(state.queued), html! { "deliveries on this node" }),
                figure("Retried", view.engine().metrics().retried.get(), html! { "by this node since its start" }),
                figure("Owed", owed.now.deliveries, html! {
                    @match oldest {
                        Some(at) => { "the oldest from " (time::relative(at, view.now)) }
                        None => { "nothing waits" }
                    }
                }),
            ]))
        }
        (panel("Database", &html! {}, &facts(&overview::footprint(&state))))
        (flush_panel("Nodes", &html! {}, &nodes(&state)))
        (flush_panel("Settings in force", &html! {}, &settings(view.state.settings())))
    };
    Ok(Page::new(Section::System, "System", body)
        .live("/dashboard/live")
        .show(view))
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn figure(name: &'static str, value: u64, more: Markup) -> Figure<'static> {
    Figure {
        name,
        value: grouped(value),
        more,
        href: None,
        tone: None,
    }
}

fn store(state: &State) -> Figure<'static> {
    let (value, more, tone) = match &state.store {
        Ok(took) => (
            "Well".to_owned(),
            html! { "wrote and read in " (time::took(*took)) },
            Tone::Good,
        ),
        Err(reason) => ("Unwell".to_owned(), html! { (reason) }, Tone::Bad),
    };
    Figure {
        name: "Store",
        value,
        more,
        href: None,
        tone: Some(tone),
    }
}

fn nodes(state: &State) -> Markup {
    let columns = [
        column("Node"),
        column("State"),
        column("Version"),
        number("In flight"),
        number("Queued"),
        number("Behind"),
    ];
    let members = &state.members;
    let row = |member: &Member| Row {
        href: None,
        cells: vec![
            html! { code { (member.life.node.0) } },
            if member.lease_until > members.now {
                badge(Tone::Good, "Alive")
            } else {
                badge(Tone::Bad, "Silent")
            },
            html! { (member.version) },
            html! { (member.load.in_flight) },
            html! { (member.load.queued) },
            html! { (member.load.lag) },
        ],
    };
    let rows: Vec<_> = members.members.iter().map(row).collect();
    table("Nodes", &columns, &rows)
}

fn settings(lines: &[SettingLine]) -> Markup {
    let columns = [column("Setting"), column("Value"), column("From")];
    let rows: Vec<_> = lines
        .iter()
        .map(|line| Row {
            href: None,
            cells: vec![
                html! { code { (line.key) } span.hint { (line.about.replace('`', "")) } },
                html! {
                    @if line.is_secret { span.muted title="A secret" { "••••••" } }
                    @else if line.value.is_empty() { span.muted { "–" } }
                    @else { span.wrap { (line.value) } }
                },
                html! {
                    @match &line.origin {
                        Some(origin) => { (origin) }
                        None => { span.muted { "Default" } }
                    }
                },
            ],
        })
        .collect();
    table("Settings", &columns, &rows)
}

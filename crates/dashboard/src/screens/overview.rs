//! The start: how things are, and what needs a person.

use std::time::Duration;

use maud::{Markup, html};
use watchfire_domain::id::OrganizationId;
use watchfire_domain::scope::Scope;
use watchfire_domain::time::Timestamp;
use watchfire_engine::service::activity::{self, Chart, Owing};
use watchfire_engine::service::system::{self, State};
use watchfire_engine::service::{applications, notices};
use watchfire_store::{
    ApplicationFilter, ApplicationRef, InboxLine, Member, Order, Owner, Range, Reading, Step,
};

use crate::access::{Operator, View};
use crate::failure::{Answer, Failure};
use crate::params::Fields;
use crate::ui::block::{Figure, figures, flush_panel, grouped, panel, share};
use crate::ui::chart::{self, Bar};
use crate::ui::control::{self, Weight};
use crate::ui::status::{Tone, badge};
use crate::ui::table::{Row, column, number, table};
use crate::ui::{Icon, Page, Section, block, time};

/// Lines of the inbox that are shown.
const NEEDS: usize = 8;

/// A span to look at: its name, the word for it, its length and the width of a bar.
struct Span {
    name: &'static str,
    word: &'static str,
    length: Duration,
    step: Step,
}

const SPANS: [Span; 3] = [
    Span {
        name: "day",
        word: "24 hours",
        length: Duration::from_hours(24),
        step: Step::Hour,
    },
    Span {
        name: "hour",
        word: "Hour",
        length: Duration::from_hours(1),
        step: Step::Minute,
    },
    Span {
        name: "week",
        word: "7 days",
        length: Duration::from_hours(7 * 24),
        step: Step::Hour,
    },
];

pub(crate) async fn page(operator: Operator, query: Fields) -> Answer {
    let Operator { view, org } = &operator;
    let first = Range::from_start(Order::Descending, 1);
    if applications::list(view.engine(), org, &ApplicationFilter::default(), first)
        .await?
        .is_empty()
    {
        return Ok(welcome(view));
    }
    let asked = SPANS.iter().find(|span| span.name == query.text("span"));
    let span = asked.unwrap_or(&SPANS[0]);
    let owner = Owner::Organization(org.clone());
    let until = view.now;
    let chart = activity::chart(
        view.engine(),
        &owner,
        (until - span.length, until),
        span.step,
    )
    .await?;
    let owing = activity::owing(view.engine(), &owner).await?;
    let range = Range::from_start(Order::Descending, NEEDS);
    let mut needs = Vec::new();
    for line in notices::inbox(view.engine(), org, Reading::Unread, range).await? {
        needs.push(Need::about(view, org, line).await?);
    }
    let state = system::state(view.engine()).await?;
    let body = html! {
        div #figures data-live { (numbers(view, span, &chart, &owing)) }
        div #activity data-live { (activity_panel(span, &chart)) }
        div.grid {
            div.stack.wide #needs data-live { (needs_a_person(view, &needs)) (system_panel(view, &state)) }
            div #latency data-live { (latency(view, &chart)) }
        }
    };
    Ok(Page::new(Section::Overview, "Overview", body)
        .actions(spans(span))
        .live("/dashboard/live")
        .show(view))
}

fn welcome(view: &View) -> axum::response::Response {
    let body = block::empty(
        Icon::Bolt,
        "Welcome to Watchfire",
        &html! {
            p { "See an event go all the way in three steps: signed, delivered, received. It takes a minute." }
            (control::link(Weight::Primary, Some(Icon::ArrowRight), "Start", "/dashboard/start"))
        },
    );
    Page::new(Section::Overview, "Overview", body).show(view)
}

fn spans(chosen: &Span) -> Markup {
    html! {
        nav.switch aria-label="Span" {
            @for span in &SPANS {
                @let here = span.name == chosen.name;
                a href={ "/dashboard?span=" (span.name) } aria-current=[here.then_some("true")] { (span.word) }
            }
        }
    }
}

fn numbers(view: &View, span: &Span, chart: &Chart, owing: &Owing) -> Markup {
    let behind = format!(
        "/dashboard/activity?since={}&until={}",
        view.now - span.length,
        view.now
    );
    let total = &chart.total;
    let failed = total.exhausted + total.skipped;
    let settled = total.delivered + failed;
    let figure = |name, value: u64, tone| Figure {
        name,
        value: grouped(value),
        more: html! {},
        href: (value > 0).then(|| behind.clone()),
        tone,
    };
    figures(&[
        figure("Accepted", total.accepted, None),
        figure("Delivered", total.delivered, None),
        figure("Failed", failed, (failed > 0).then_some(Tone::Bad)),
        Figure {
            name: "Success",
            value: share(total.delivered, settled),
            more: html! { "of what is settled" },
            href: None,
            tone: None,
        },
        Figure {
            name: "Waiting now",
            value: grouped(owing.now.deliveries),
            more: html! {
                @match owing.oldest {
                    Some(oldest) => { "oldest from " (time::relative(oldest.accepted_at, view.now)) }
                    None => { "nothing is owed" }
                }
            },
            href: None,
            tone: (owing.now.deliveries > 0).then_some(Tone::Warn),
        },
    ])
}

fn activity_panel(span: &Span, chart: &Chart) -> Markup {
    let label = |at| match span.step {
        Step::Minute => time::clock(at),
        Step::Hour => time::hour(at),
    };
    let bars: Vec<_> = chart
        .points
        .iter()
        .map(|point| Bar {
            label: label(point.begins_at),
            parts: vec![
                point.counts.delivered,
                point.counts.exhausted + point.counts.skipped,
            ],
            href: Some(window(point.begins_at, span.step)),
            failed: None,
        })
        .collect();
    let series = [("Delivered", "good"), ("Failed", "bad")];
    panel(
        "Deliveries",
        &html! {},
        &chart::bars("Deliveries", &series, &bars),
    )
}

/// The page about one step of the chart.
fn window(begins_at: Timestamp, step: Step) -> String {
    let end = begins_at + Duration::from_secs(step.seconds().unsigned_abs());
    format!("/dashboard/activity?since={begins_at}&until={end}")
}

/// What all of it stands on, in a word each; the page about the system has more.
fn system_panel(view: &View, state: &State) -> Markup {
    let members = &state.members;
    let alive = |member: &&Member| member.lease_until > members.now;
    let count = members.members.iter().filter(alive).count();
    let silent = members.members.len() - count;
    let behind = members.members.iter().filter(alive).map(|one| one.load.lag);
    let store = match &state.store {
        Ok(took) => {
            html! { (badge(Tone::Good, "Well")) " " span.muted { "wrote and read in " (time::took(*took)) } }
        }
        Err(reason) => html! { (badge(Tone::Bad, "Unwell")) " " span.muted { (reason) } },
    };
    let nodes = html! {
        span.number { (count) } " alive"
        @if silent > 0 { " " (badge(Tone::Bad, &format!("{silent} silent"))) }
    };
    let more = if view.may(Scope::Admin) {
        control::link(Weight::Quiet, None, "System", "/dashboard/system")
    } else {
        html! {}
    };
    panel(
        "Store and nodes",
        &more,
        &block::facts(&[
            ("Store", store),
            ("Nodes", nodes),
            (
                "Furthest behind",
                html! { span.number { (behind.max().unwrap_or(0)) } " messages" },
            ),
        ]),
    )
}

fn latency(view: &View, chart: &Chart) -> Markup {
    let lag = &chart.total.lag;
    let quantile = |share: f64| {
        html! {
            span.number { (lag.quantile(share).map_or_else(|| "–".to_owned(), time::took)) }
        }
    };
    let (in_flight, queued) = view.engine().in_memory();
    let metrics = view.engine().metrics();
    panel(
        "From accepted to delivered",
        &html! {},
        &html! {
            (block::facts(&[
                ("Half within", quantile(0.5)),
                ("95 % within", quantile(0.95)),
                ("99 % within", quantile(0.99)),
                ("In flight now", html! { span.number { (in_flight) } }),
                ("Queued in memory", html! { span.number { (queued) } }),
                ("Retried since the start", html! { span.number { (grouped(metrics.retried.get())) } }),
            ]))
        },
    )
}

/// A line of the inbox, with the names of what it is about.
struct Need {
    line: InboxLine,
    application: String,
    address: String,
}

impl Need {
    async fn about(view: &View, org: &OrganizationId, line: InboxLine) -> Result<Self, Failure> {
        let reference = ApplicationRef::Id(line.application);
        // What was deleted since has no name any more.
        let app = view.engine().application(org, &reference).await?;
        let endpoints = app.iter().flat_map(|app| &app.endpoints);
        let endpoint = endpoints
            .map(|endpoint| &endpoint.stored.endpoint)
            .find(|endpoint| endpoint.identity.id == line.endpoint_id);
        let address = endpoint.map(|endpoint| endpoint.settings.url.clone());
        Ok(Self {
            application: app.map_or_else(String::new, |app| {
                app.stored.application.settings.name.clone()
            }),
            address: address.unwrap_or_else(|| line.endpoint_id.to_string()),
            line,
        })
    }
}

fn needs_a_person(view: &View, needs: &[Need]) -> Markup {
    let columns = [column("What"), number("Times"), column("Last")];
    let rows: Vec<_> = needs
        .iter()
        .map(|need| Row {
            href: Some(format!(
                "/dashboard/apps/{}/endpoints/{}",
                need.line.application, need.line.endpoint_id
            )),
            cells: vec![
                html! {
                    strong.clip { (need.address) }
                    span.hint { (need.application) ": " (need.line.kind.description()) }
                },
                html! { (grouped(need.line.count)) },
                time::relative(need.line.last_at, view.now),
            ],
        })
        .collect();
    flush_panel(
        "Needs a person",
        &html! {},
        &html! {
            @if rows.is_empty() {
                (block::empty(Icon::Check, "All is well", &html! {
                    p { "Nothing has happened that somebody should look at." }
                }))
            } @else { (table("What needs a person", &columns, &rows)) }
        },
    )
}

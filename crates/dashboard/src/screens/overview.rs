//! The start: how things are, and what needs a person.

use std::time::Duration;

use maud::{Markup, html};
use watchfire_domain::id::{ApplicationId, EndpointId, OrganizationId};
use watchfire_domain::scope::Scope;
use watchfire_domain::time::Timestamp;
use watchfire_engine::service::activity::{self, Chart, Owing};
use watchfire_engine::service::system::{self, State};
use watchfire_engine::service::{applications, health, notices};
use watchfire_engine::{Endpoint, Snapshot};
use watchfire_store::{
    ApplicationFilter, ApplicationRef, InboxLine, Member, Order, Owner, Range, Reading, Step,
};

use crate::access::{Operator, View};
use crate::failure::{Answer, Failure};
use crate::params::Fields;
use crate::ui::block::{Figure, figures, flush_panel, grouped, panel, share};
use crate::ui::chart::{self, Bar};
use crate::ui::control::{self, Weight};
use crate::ui::status::{self, Tone, badge};
use crate::ui::table::{Row, column, table};
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

/// The second is shown unless another is asked for.
const SPANS: [Span; 3] = [
    Span {
        name: "hour",
        word: "Hour",
        length: Duration::from_hours(1),
        step: Step::Minute,
    },
    Span {
        name: "day",
        word: "24 hours",
        length: Duration::from_hours(24),
        step: Step::Hour,
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
    let span = asked.unwrap_or(&SPANS[1]);
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
    let needs = needs(view, org).await?;
    let state = system::state(view.engine()).await?;
    let body = html! {
        div #figures data-live { (numbers(view, span, &chart, &owing)) }
        div #activity data-live { (activity_panel(span, &chart)) }
        div.grid {
            div #needs data-live { (needs_a_person(view, &needs)) }
            div.stack.wide #state data-live { (latency(&chart)) (system_panel(view, &state)) }
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
    let given_up = total.exhausted + total.skipped;
    let settled = total.delivered + given_up;
    let figure = |name, value: u64, more, tone| Figure {
        name,
        value: grouped(value),
        more: html! { (more) },
        href: (value > 0).then(|| behind.clone()),
        tone,
    };
    let failing = (total.attempts_failed > 0).then_some(Tone::Warn);
    let failing = if given_up > 0 {
        Some(Tone::Bad)
    } else {
        failing
    };
    let lost = format!("attempts; {} given up", grouped(given_up));
    figures(&[
        figure("Accepted", total.accepted, "messages".to_owned(), None),
        figure(
            "Delivered",
            total.delivered,
            "to endpoints".to_owned(),
            None,
        ),
        figure("Failing", total.attempts_failed, lost, failing),
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
    let series = [("Delivered", "good"), ("Given up", "bad")];
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
            html! { (badge(Tone::Good, "Well")) " " span.muted.nowrap { "answers in " (time::took(*took)) } }
        }
        Err(reason) => html! { (badge(Tone::Bad, "Unwell")) " " span.muted { (reason) } },
    };
    let nodes = html! {
        span.number { (count) } " alive"
        @if silent > 0 { " " (badge(Tone::Bad, &format!("{silent} silent"))) }
    };
    let more = if view.may(Scope::Admin) {
        html! { a href="/dashboard/system" { "System" } }
    } else {
        html! {}
    };
    let behind = html! { span.number { (behind.max().unwrap_or(0)) } " messages behind" };
    let known = [("Store", store), ("Nodes", nodes), ("Furthest", behind)];
    let known: Vec<_> = known.into_iter().chain(footprint(state)).collect();
    panel("Store and nodes", &more, &block::facts(&known))
}

/// What the database takes and has, and its schema; nothing while it can't be read.
pub(super) fn footprint(state: &State) -> Vec<(&'static str, Markup)> {
    let Some(footprint) = &state.footprint else {
        return Vec::new();
    };
    let mut known = vec![(
        "Size",
        html! { span.number { (block::bytes(footprint.bytes)) } },
    )];
    if let Some(free) = footprint.free_bytes {
        known.push(("Free disk", html! { span.number { (block::bytes(free)) } }));
    }
    known.push(("Schema", html! { "Migration " (footprint.schema) }));
    known
}

fn latency(chart: &Chart) -> Markup {
    let lag = &chart.total.lag;
    let quantile = |share: f64, words: &str| {
        html! {
            span.number { (lag.quantile(share).map_or_else(|| "–".to_owned(), time::took)) }
            " " span.muted { (words) }
        }
    };
    panel(
        "From accepted to delivered",
        &html! {},
        &block::facts(&[
            ("p50", quantile(0.5, "or less for half")),
            ("p95", quantile(0.95, "for 95 %")),
            ("p99", quantile(0.99, "for 99 %")),
        ]),
    )
}

/// An endpoint somebody should look at: because of how it is, or of what was noted about it.
struct Need {
    endpoint: EndpointId,
    application: ApplicationId,
    customer: String,
    address: String,
    badge: Markup,
    reason: String,
    since: Timestamp,
}

/// Endpoints that are not active, and those with unread notices.
async fn needs(view: &View, org: &OrganizationId) -> Result<Vec<Need>, Failure> {
    let unwell = health::unwell(view.engine(), org, NEEDS).await?;
    let mut needs: Vec<_> = unwell
        .iter()
        .map(|(app, endpoint)| Need::of_health(view, app, endpoint))
        .collect();
    let range = Range::from_start(Order::Descending, NEEDS);
    for line in notices::inbox(view.engine(), org, Reading::Unread, range).await? {
        if needs.iter().all(|need| need.endpoint != line.endpoint_id) {
            needs.push(Need::of_notice(view, org, line).await?);
        }
    }
    needs.truncate(NEEDS);
    Ok(needs)
}

impl Need {
    fn of_health(view: &View, app: &Snapshot, endpoint: &Endpoint) -> Self {
        let stored = &endpoint.stored.endpoint;
        let health = endpoint.health();
        let outcome = health
            .trouble()
            .map(|trouble| trouble.last_outcome.to_string());
        let reason = outcome.or_else(|| health.note().map(|note| note.to_string()));
        Self {
            endpoint: stored.identity.id,
            application: app.stored.application.id,
            customer: app.stored.application.settings.name.clone(),
            address: stored.settings.url.clone(),
            badge: status::health(&health, stored.settings.disabled),
            reason: reason.unwrap_or_default(),
            since: health.since().unwrap_or(view.now),
        }
    }

    async fn of_notice(
        view: &View,
        org: &OrganizationId,
        line: InboxLine,
    ) -> Result<Self, Failure> {
        let reference = ApplicationRef::Id(line.application);
        // What was deleted since has no name any more.
        let app = view.engine().application(org, &reference).await?;
        let endpoints = app.iter().flat_map(|app| &app.endpoints);
        let endpoint = endpoints
            .map(|endpoint| &endpoint.stored.endpoint)
            .find(|endpoint| endpoint.identity.id == line.endpoint_id);
        let address = endpoint.map(|endpoint| endpoint.settings.url.clone());
        let times = grouped(line.count);
        Ok(Self {
            endpoint: line.endpoint_id,
            application: line.application,
            customer: app.map_or_else(String::new, |app| {
                app.stored.application.settings.name.clone()
            }),
            address: address.unwrap_or_else(|| line.endpoint_id.to_string()),
            badge: badge(
                Tone::Busy,
                if line.count == 1 {
                    "Noted"
                } else {
                    "Noted often"
                },
            ),
            reason: format!(
                "{} ({times} ×)",
                line.kind.description().trim_end_matches('.')
            ),
            since: line.last_at,
        })
    }
}

fn needs_a_person(view: &View, needs: &[Need]) -> Markup {
    let columns = [column("Endpoint"), column("Health"), column("Since")];
    let row = |need: &Need| Row {
        href: Some(format!(
            "/dashboard/apps/{}/endpoints/{}",
            need.application, need.endpoint
        )),
        cells: vec![
            html! {
                strong.clip { (need.address) }
                span.hint { (need.customer) @if !need.reason.is_empty() { ": " (need.reason) } }
            },
            html! { (need.badge) },
            time::relative(need.since, view.now),
        ],
    };
    let rows: Vec<_> = needs.iter().map(row).collect();
    flush_panel(
        "Needs a person",
        &html! { a href="/dashboard/notices" { "All notices" } },
        &html! {
            @if rows.is_empty() {
                (block::empty(Icon::Check, "All is well", &html! {
                    p { "Every endpoint is active, and nothing was noted that nobody has read." }
                }))
            } @else { (table("What needs a person", &columns, &rows)) }
        },
    )
}

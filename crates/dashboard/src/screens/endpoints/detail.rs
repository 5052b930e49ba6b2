//! One endpoint: how it is, what it got, how it is set, and what can be done about it.

use std::time::Duration;

use axum::extract::Path;
use axum::response::Response;
use maud::{Markup, html};
use watchfire_domain::endpoint::Auth;
use watchfire_domain::health::{DisableCause, Health, State, Trouble};
use watchfire_domain::scope::Scope;
use watchfire_domain::time::Timestamp;
use watchfire_engine::service::endpoints::OpenEndpoint;
use watchfire_engine::service::{activity, attempts, headers};
use watchfire_store::{
    AttemptFilter, EndpointHour, EndpointRef, EndpointStanding, Order, Range, StoredAttempt,
};

use super::list::cells;
use super::{actions, named, path_of, preview, short, snippets};
use crate::access::InApp;
use crate::failure::{Answer, Failure};
use crate::params::Fields;
use crate::ui::block::{Figure, facts, figures, flush_panel, grouped, panel, share};
use crate::ui::chart::{self, Bar};
use crate::ui::control::{self, Weight};
use crate::ui::machine::{Switch, machine};
use crate::ui::status::{self, Tone};
use crate::ui::table::{Row, column, number, table};
use crate::ui::{Icon, Page, Section, block, code, time};

/// Attempts that are shown at once; the rest is in the list of deliveries.
const RECENT: usize = 10;
const DAY: Duration = Duration::from_hours(24);

/// All that is known about an endpoint.
pub(super) struct Known {
    pub(super) endpoint: OpenEndpoint,
    hours: Vec<EndpointHour>,
    standing: EndpointStanding,
    recent: Vec<StoredAttempt>,
    /// The secret was asked for and stands at the head of the page.
    pub(super) secret_is_shown: bool,
}

pub(crate) async fn page(at: InApp, Path(ids): Path<(String, String)>, query: Fields) -> Answer {
    let endpoint = named(&at, &ids.1).await?;
    let known = know(&at, endpoint).await?;
    let above = done(query.text("done"));
    Ok(frame(&at, &known, &above)
        .live(&at.path("/live"))
        .show_in(&at))
}

/// The page as the answer to a form: it can't be asked for again, so it does not follow what
/// happens.
pub(super) fn show(at: &InApp, known: &Known, above: &Markup) -> Response {
    frame(at, known, above).show_in(at)
}

pub(super) async fn know(at: &InApp, endpoint: OpenEndpoint) -> Result<Known, Failure> {
    let (engine, app) = (at.engine(), &at.app);
    let key = endpoint.stored.key;
    let id = endpoint.stored.endpoint.identity.id;
    let span = (at.view.now - DAY, at.view.now);
    let mut hours = activity::by_endpoint(engine, app, vec![key], span).await?;
    let store = engine.store();
    let mut standings = store.standings(app.stored.key, vec![key]).await?;
    let filter = AttemptFilter {
        without_content: true,
        ..AttemptFilter::default()
    };
    let range = Range::from_start(Order::Descending, RECENT);
    let reference = EndpointRef::Id(id);
    let recent = attempts::of_endpoint(engine, app, &reference, &filter, range).await?;
    Ok(Known {
        hours: hours.remove(&id).unwrap_or_default(),
        standing: standings.remove(&key).unwrap_or_default(),
        recent: recent.into_iter().map(|view| view.stored).collect(),
        secret_is_shown: false,
        endpoint,
    })
}

fn frame<'a>(at: &InApp, known: &'a Known, above: &Markup) -> Page<'a> {
    let stored = &known.endpoint.stored;
    let settings = &stored.endpoint.settings;
    let id = stored.endpoint.identity.id;
    let switch = if settings.disabled {
        Switch::Off
    } else {
        Switch::On
    };
    let body = html! {
        (above)
        div.stack.wide #standing data-live {
            (trouble(at, known))
            (numbers(at, known))
        }
        div.grid {
            div.stack.wide {
                div #health data-live { (health(at, &stored.health, switch)) }
                div #activity data-live { (day(at, known)) }
                div #recent data-live { (recent(at, known)) }
                (preview::retries(&at.app.contract))
                (snippets::panel(at, id))
            }
            div.stack.wide {
                (setup(at, known))
                @if !known.secret_is_shown { (actions::secret_panel(at, &known.endpoint, None)) }
                (actions::headers_panel(at, &known.endpoint))
                (actions::again_panel(at, id))
                (actions::delete_panel(at, id))
            }
        }
    };
    Page::new(Section::Endpoints, short(&settings.url), body)
        .crumb("Endpoints", &at.path("/endpoints"))
        .beside(status::health(&stored.health, settings.disabled))
        .actions(head_actions(at, &known.endpoint))
}

fn head_actions(at: &InApp, endpoint: &OpenEndpoint) -> Markup {
    let id = endpoint.stored.endpoint.identity.id;
    html! {
        @if at.view.may(Scope::EndpointsWrite) {
            (actions::switch(at, endpoint))
            (control::act(&at.view, &path_of(at, id, "/ping"), Weight::Plain, Icon::Bolt, "Ping"))
            (control::link(Weight::Plain, Some(Icon::Pencil), "Edit", &path_of(at, id, "/edit")))
        }
        @if at.view.may(Scope::EventsWrite) {
            (control::link(Weight::Primary, Some(Icon::Delivery), "Send test event", &path_of(at, id, "/test")))
        }
    }
}

/// What was just done, by its name in the address.
fn done(name: &str) -> Markup {
    block::done(match name {
        "created" => "The endpoint was created. Send it a test event to see that it works.",
        "saved" => "The endpoint was saved.",
        "activated" => "The endpoint is active again; what was held is sent now.",
        "deactivated" => "The endpoint gets nothing until somebody activates it.",
        "rotated" => "The secret was replaced. Show it to copy the new one.",
        "headers" => "The headers were saved.",
        "recovering" => "What failed is being sent again, in the background.",
        "replaying" => "What was missed is being sent, in the background.",
        _ => return html! {},
    })
}

/// The one thing to know first, if something is wrong.
fn trouble(at: &InApp, known: &Known) -> Markup {
    let stored = &known.endpoint.stored;
    let now = at.view.now;
    let trouble = stored.health.trouble();
    if stored.endpoint.settings.disabled {
        return block::callout(
            Tone::Quiet,
            "Switched off",
            &html! {
                p { "Its owner switched it off. New events pass it by." }
                @if let Some(trouble) = trouble {
                    p { "Before that: " (failures(trouble, now)) }
                }
            },
        );
    }
    let Some(trouble) = trouble else {
        return html! {};
    };
    let first = time::absolute(trouble.first_error_at);
    let (title, tone) = if stored.health.state() == State::Disabled {
        (
            "Disabled: nothing is sent until somebody activates it".to_owned(),
            Tone::Bad,
        )
    } else {
        (format!("Failing since {first}"), Tone::Warn)
    };
    block::callout(
        tone,
        &title,
        &html! {
            p { (failures(trouble, now)) }
            @if let Health::Suspended { check_at, .. } = &stored.health {
                p { "It is left alone for now; it is asked again " (time::countdown(*check_at, now)) "." }
            }
        },
    )
}

fn failures(trouble: &Trouble, now: Timestamp) -> Markup {
    html! {
        (grouped(u64::from(trouble.failures)))
        (if trouble.failures == 1 { " failure" } else { " failures in a row" })
        ", the last " (time::relative(trouble.last_error_at, now)) ": "
        (trouble.last_outcome) "."
    }
}

fn numbers(at: &InApp, known: &Known) -> Markup {
    let sum = |of: fn(&EndpointHour) -> u64| known.hours.iter().map(of).sum::<u64>();
    let (delivered, failed) = (sum(|hour| hour.delivered), sum(|hour| hour.failed));
    let id = known.endpoint.stored.endpoint.identity.id;
    let list = |status: &str| Some(at.path(&format!("/deliveries?endpoint={id}&status={status}")));
    let day = || html! { "last 24 hours" };
    let oldest = known
        .standing
        .oldest_owed
        .map(|message| message.ksuid().created_at());
    figures(&[
        Figure {
            name: "Delivered",
            value: grouped(delivered),
            more: day(),
            href: list("delivered"),
            tone: None,
        },
        Figure {
            name: "Given up",
            value: grouped(failed),
            more: day(),
            href: list("failed"),
            tone: (failed > 0).then_some(Tone::Bad),
        },
        Figure {
            name: "Success",
            value: share(delivered, delivered + failed),
            more: day(),
            href: None,
            tone: None,
        },
        Figure {
            name: "Waiting",
            value: grouped(known.standing.owed),
            more: html! {
                @match oldest {
                    Some(oldest) => { "oldest from " (time::relative(oldest, at.view.now)) }
                    None => { "nothing is owed" }
                }
            },
            href: list("pending"),
            tone: (known.standing.owed > 0).then_some(Tone::Warn),
        },
    ])
}

fn health(at: &InApp, health: &Health, switch: Switch) -> Markup {
    let now = at.view.now;
    let note = health.note().map(|note| note.to_string());
    let mut known = Vec::new();
    if let Some(since) = health.since() {
        known.push(("Since", time::both(since, now)));
    }
    if let Some(note) = note {
        known.push(("Because", html! { (note) }));
    }
    if let Health::Suspended { check_at, .. } = health {
        known.push(("Asked again", time::countdown(*check_at, now)));
    }
    if let Some(trouble) = health.trouble() {
        known.push(("First failure", time::both(trouble.first_error_at, now)));
        known.push(("Last failure", time::both(trouble.last_error_at, now)));
    }
    panel(
        "Health",
        &html! {},
        &html! {
            (machine(health.state(), came_from(health), switch))
            @if switch == Switch::Off {
                p.muted { "Its owner switched it off. Its health stays as it was until it is switched on." }
            }
            @if !known.is_empty() {
                (facts(&known))
            } @else if switch == Switch::On {
                p.muted { "No failure since the last success." }
            }
        },
    )
}

/// The state before this one, as far as it can be told.
fn came_from(health: &Health) -> Option<State> {
    match health {
        Health::Active { note, .. } => note.as_ref().map(|_| State::Probation),
        Health::Suspended { step, .. } if *step > 0 => Some(State::Probation),
        Health::Suspended { .. } => Some(State::Active),
        Health::Probation { .. } => Some(State::Suspended),
        Health::Disabled { cause, .. } => match cause {
            DisableCause::NoSuccess => Some(State::Suspended),
            DisableCause::Gone | DisableCause::PermanentFailure | DisableCause::Person => {
                Some(State::Active)
            }
        },
    }
}

fn day(at: &InApp, known: &Known) -> Markup {
    let id = known.endpoint.stored.endpoint.identity.id;
    let bars: Vec<_> = cells(at, &known.hours)
        .into_iter()
        .map(|cell| {
            let end = cell.begins_at + Duration::from_hours(1);
            let list =
                |more: &str| at.path(&format!("/deliveries?endpoint={id}&until={end}{more}"));
            Bar {
                label: cell.label,
                parts: vec![cell.good, cell.bad],
                href: Some(list(&format!("&since={}", cell.begins_at))),
                // What fails now may have been accepted long before.
                failed: (cell.bad > 0).then(|| list("&status=failed")),
            }
        })
        .collect();
    let series = [("Delivered", "good"), ("Given up", "bad")];
    panel(
        "Last 24 hours",
        &html! {},
        &chart::bars("Deliveries", &series, &bars),
    )
}

fn recent(at: &InApp, known: &Known) -> Markup {
    let id = known.endpoint.stored.endpoint.identity.id;
    let all = at.path(&format!("/deliveries?endpoint={id}"));
    let columns = [
        column("Event"),
        column("Outcome"),
        number("Attempt"),
        number("Took"),
        column("When"),
    ];
    let rows: Vec<_> = known
        .recent
        .iter()
        .map(|stored| Row {
            href: Some(at.path(&format!("/messages/{}/{id}", stored.message_id))),
            cells: vec![
                html! { code { (stored.event_type) } },
                status::outcome(&stored.attempt.outcome),
                html! { (stored.attempt.number) },
                html! { (time::took(stored.attempt.timing.total)) },
                time::relative(stored.attempt.attempted_at, at.view.now),
            ],
        })
        .collect();
    flush_panel(
        "Last attempts",
        &html! { a href=(all) { "All deliveries" } },
        &html! {
            @if rows.is_empty() {
                (block::empty(Icon::Delivery, "Nothing was sent yet", &html! {
                    p { "The first event that matches goes out at once." }
                }))
            } @else { (table("Last attempts", &columns, &rows)) }
        },
    )
}

fn setup(at: &InApp, known: &Known) -> Markup {
    let stored = &known.endpoint.stored.endpoint;
    let settings = &stored.settings;
    let subscription = &settings.subscription;
    let method = settings
        .method
        .unwrap_or(at.app.contract.manifest().request.method);
    let mut known_facts = vec![
        ("Address", html! { code { (settings.url) } }),
        ("Id", code::id(&stored.identity.id.to_string())),
        ("Contract", html! { (at.app.contract.manifest().title) }),
        ("Method", html! { (method.as_str()) }),
        (
            "Events",
            html! {
                @if subscription.event_types.is_empty() { "All" } @else {
                    ul.chips { @for name in &subscription.event_types { li { code { (name) } } } }
                }
            },
        ),
        ("Authentication", auth(&known.endpoint.secrets.auth)),
    ];
    if !settings.description.is_empty() {
        known_facts.insert(0, ("Description", html! { (settings.description) }));
    }
    if !subscription.channels.is_empty() {
        known_facts.push(("Channels", html! { (subscription.channels.join(", ")) }));
    }
    if let Some(rate) = settings.throttle_rate {
        known_facts.push(("Rate limit", html! { (rate) " a second" }));
    }
    if let Some(timeout_ms) = settings.timeout_ms {
        let deadline = Duration::from_millis(timeout_ms.into());
        known_facts.push(("Deadline", html! { (time::long(deadline)) }));
    }
    if let Some(owner) = &settings.owner {
        known_facts.push(("Belongs to", html! { (owner) }));
    }
    if let Some(uid) = &stored.identity.uid {
        known_facts.push(("Your id", code::id(uid.as_str())));
    }
    known_facts.push((
        "Created",
        time::both(stored.identity.created_at, at.view.now),
    ));
    panel("Settings", &html! {}, &facts(&known_facts))
}

fn auth(auth: &Auth) -> Markup {
    html! {
        @match auth {
            Auth::None => { span.muted { "None beside the signature" } }
            Auth::Basic { username, .. } => { "Basic, as " code { (username) } }
            Auth::Bearer { .. } => { "Bearer token" }
            Auth::Header { name, .. } => { "Header " code { (name) } }
        }
    }
}

/// Whether a header's value may be shown.
pub(super) fn shown_header(name: &str, value: &str) -> String {
    if headers::is_sensitive(name) {
        "••••••••".to_owned()
    } else {
        value.to_owned()
    }
}

//! One delivery: its attempts over time, and one of them in full: the request and the answer side by
//! side, what it was spent on, what to do about it, and whether a signature is ours.

use axum::extract::Path;
use axum::response::{IntoResponse as _, Redirect};
use maud::{Markup, html};
use serde::Deserialize;
use watchfire_domain::attempt::{AfterAttempt, Attempt, Response, Trigger};
use watchfire_domain::id::{AttemptId, EndpointId};
use watchfire_domain::limit;
use watchfire_domain::scope::Scope;
use watchfire_domain::time::Timestamp;
use watchfire_engine::service::requests::{self, Made, Shown, SignatureVerdict, Unshown};
use watchfire_engine::service::{attempts, cancel, messages};
use watchfire_store::{
    AttemptFilter, DeliveryStatus, DeliveryView, EndpointKey, EndpointRef, MessageRef, Order, Owed,
    Range, StoredMessage,
};

use super::deliveries::list::{endpoint_name, held, waits};
use crate::access::InApp;
use crate::failure::{Answer, Failure};
use crate::form::Form;
use crate::params::{Fields, encoded};
use crate::ui::advice::advice;
use crate::ui::attempts::{Point, line};
use crate::ui::block::{self, facts, panel};
use crate::ui::control::{self, Ask, Weight};
use crate::ui::status::{self, Tone};
use crate::ui::{Icon, Page, Section, code, icon, time};

/// The delivery a path names.
#[derive(Deserialize)]
pub(crate) struct DeliveryPath {
    msg_id: String,
    endpoint_id: String,
}

impl DeliveryPath {
    fn message(&self) -> Result<MessageRef, Failure> {
        let id = self.msg_id.parse();
        id.map(MessageRef::Id).map_err(|_| Failure::NotFound)
    }

    fn endpoint(&self) -> Result<EndpointId, Failure> {
        self.endpoint_id.parse().map_err(|_| Failure::NotFound)
    }
}

/// What is known about a delivery.
struct Known {
    stored: StoredMessage,
    endpoint: EndpointId,
    key: EndpointKey,
    /// Absent once the endpoint was deleted.
    url: Option<String>,
    view: DeliveryView,
    /// In their order, without the answers.
    attempts: Vec<Attempt>,
}

async fn read(at: &InApp, path: &DeliveryPath) -> Result<Known, Failure> {
    let stored = messages::find(at.engine(), &at.app, &path.message()?).await?;
    let endpoint = path.endpoint()?;
    let store = at.engine().store();
    let app = at.app.stored.key;
    let views = store.deliveries_of(app, stored.seq).await?;
    let keys = views.iter().map(|view| view.endpoint).collect();
    let ids = store.endpoint_ids(app, keys).await?;
    let view = views
        .into_iter()
        .find(|view| ids.get(&view.endpoint) == Some(&endpoint));
    let view = view.ok_or(Failure::NotFound)?;
    let filter = AttemptFilter {
        endpoint: Some(view.endpoint),
        without_content: true,
        ..AttemptFilter::default()
    };
    let range = Range::from_start(Order::Ascending, limit::PAGE_ITEMS_MAX);
    let found = store
        .attempts_of_message(app, stored.seq, &filter, range)
        .await?;
    let live = at.app.endpoints.iter();
    let mut live = live.filter(|known| known.stored.key == view.endpoint);
    let url = live
        .next()
        .map(|known| known.stored.endpoint.settings.url.clone());
    Ok(Known {
        stored,
        endpoint,
        key: view.endpoint,
        url,
        view,
        attempts: found.into_iter().map(|found| found.attempt).collect(),
    })
}

pub(crate) async fn page(at: InApp, Path(path): Path<DeliveryPath>, fields: Fields) -> Answer {
    let known = read(&at, &path).await?;
    let chosen = chosen(&at, &known, &fields).await?;
    // What a held endpoint is owed has no next time.
    let is_held = held(&at, known.view.endpoint).is_some();
    let next = known.view.owed.filter(|_| !is_held);
    let next = next.and_then(Owed::next_at);
    let points: Vec<_> = known.attempts.iter().map(point).collect();
    let body = html! {
        @if let Some(done) = fields.filled("done") { (block::done(done)) }
        (panel("Attempts", &html! {}, &html! {
            div #attempts data-live {
                (line(&points, next, at.view.now))
                (listed(&at, &known, chosen.as_ref()))
            }
        }))
        @if let Some(attempt) = &chosen {
            (told(attempt, at.view.now))
            (sides(&at, &known, attempt, &fields).await?)
        }
    };
    let message = &*known.stored.message;
    let title = message.event_type.to_string();
    Ok(Page::new(Section::Deliveries, &title, body)
        .tab(&format!("Delivery of {title}"))
        .beside(html! { (status::delivery(known.view.status)) span.muted { "to" } (endpoint_name(&at, known.endpoint)) })
        .crumb("Deliveries", &at.path("/deliveries"))
        .crumb("Message", &at.path(&format!("/messages/{}", message.id)))
        .actions(actions(&at, &known))
        .live(&at.path("/live"))
        .show_in(&at))
}

fn point(attempt: &Attempt) -> Point<'_> {
    Point {
        at: attempt.attempted_at,
        number: attempt.number,
        outcome: &attempt.outcome,
        href: format!("?attempt={}", attempt.id),
    }
}

/// The attempt that is asked for, or the last one, with its answer.
async fn chosen(at: &InApp, known: &Known, fields: &Fields) -> Result<Option<Attempt>, Failure> {
    let asked = fields.filled("attempt").and_then(|id| id.parse().ok());
    let id: Option<AttemptId> = asked.or_else(|| known.attempts.last().map(|last| last.id));
    let Some(id) = id else {
        return Ok(None);
    };
    let reference = MessageRef::Id(known.stored.message.id);
    let found = attempts::find(at.engine(), &at.app, &reference, id).await?;
    Ok(Some(found.stored.attempt))
}

fn actions(at: &InApp, known: &Known) -> Markup {
    let may = at.view.may(Scope::Replay) && known.url.is_some();
    let path = at.path(&format!(
        "/messages/{}/{}",
        known.stored.message.id, known.endpoint
    ));
    let resend = format!("{path}/resend");
    html! {
        @if at.view.may(Scope::Replay) && known.view.status == DeliveryStatus::Pending {
            (control::ask(&at.view, &Ask {
                id: "cancel",
                weight: Weight::Danger,
                icon: Icon::Cross,
                text: "Cancel",
                title: "Cancel this delivery?",
                action: &format!("{path}/cancel"),
                body: html! { p { "It is not tried again, and the next one of its record goes on. It can be sent again later." } },
                confirm: "Cancel the delivery",
            }))
        }
        @if may && known.stored.message.payload.is_some() {
            (control::act(&at.view, &resend, Weight::Primary, Icon::Replay, "Send again"))
        }
    }
}

/// Sends the message to this endpoint again, under the same id.
pub(crate) async fn resend(at: InApp, Path(path): Path<DeliveryPath>, Form(_): Form) -> Answer {
    let reference = EndpointRef::Id(path.endpoint()?);
    let message = path.message()?;
    attempts::resend(at.engine(), &at.app, &message, &reference, None).await?;
    Ok(back(&at, &path, "It is sent again now, under the same id."))
}

/// Settles it as cancelled, if it is pending.
pub(crate) async fn cancel(at: InApp, Path(path): Path<DeliveryPath>, Form(_): Form) -> Answer {
    let reference = EndpointRef::Id(path.endpoint()?);
    let message = path.message()?;
    cancel::delivery(at.engine(), &at.app, &message, &reference).await?;
    Ok(back(&at, &path, "It was cancelled and is not tried again."))
}

fn back(at: &InApp, path: &DeliveryPath, done: &str) -> axum::response::Response {
    let DeliveryPath {
        msg_id,
        endpoint_id,
    } = path;
    let page = format!("/messages/{msg_id}/{endpoint_id}?done={}", encoded(done));
    Redirect::to(&at.path(&page)).into_response()
}

fn listed(at: &InApp, known: &Known, chosen: Option<&Attempt>) -> Markup {
    let mut before = None;
    let rows: Vec<_> = known
        .attempts
        .iter()
        .map(|attempt| {
            let gap = before.map(|before| attempt.attempted_at.since(before));
            before = Some(attempt.attempted_at);
            (attempt, gap)
        })
        .collect();
    html! {
        ol.attempts {
            @for (attempt, gap) in rows {
                @let here = chosen.is_some_and(|chosen| chosen.id == attempt.id);
                li {
                    a href={ "?attempt=" (attempt.id) } aria-current=[here.then_some("true")] {
                        span.number.muted { (attempt.number) }
                        (status::outcome(&attempt.outcome))
                        span.grow { (time::relative(attempt.attempted_at, at.view.now)) (by(attempt)) }
                        span.number.muted {
                            @match gap { Some(gap) => { "after " (time::long(gap)) } None => {} }
                        }
                        span.number { (time::took(attempt.timing.total)) }
                    }
                }
            }
            @if let Some(owed) = &known.view.owed {
                li.ahead { (icon(Icon::Clock)) (waits(at, known.view.endpoint, owed)) }
            }
            @if known.attempts.is_empty() && known.view.owed.is_none() {
                li.ahead { (icon(Icon::Busy)) "On its way" }
            }
        }
    }
}

fn by(attempt: &Attempt) -> Markup {
    html! {
        @match attempt.trigger {
            Trigger::Scheduled => {}
            Trigger::Manual => { span.muted { " · asked for" } }
            Trigger::Probe => { span.muted { " · a probe" } }
        }
    }
}

/// What an attempt led to, and what somebody can do about it.
fn told(attempt: &Attempt, now: Timestamp) -> Markup {
    let title = {
        let text = attempt.outcome.to_string();
        let mut letters = text.chars();
        let first = letters.next().map(|first| first.to_uppercase().to_string());
        format!("{}{}", first.unwrap_or_default(), letters.as_str())
    };
    let next = match attempt.next {
        AfterAttempt::Retry { due_at } => {
            let verb = if due_at > now { "is" } else { "was" };
            html! { p { "After it the next one " (verb) " due at " (time::absolute(due_at)) "." } }
        }
        AfterAttempt::Settled { .. } => html! {},
    };
    let (tone, _) = status::outcome_look(&attempt.outcome);
    let Some(advice) = advice(&attempt.outcome) else {
        return html! {};
    };
    let tone = if tone == Tone::Quiet { tone } else { Tone::Bad };
    block::callout(tone, &title, &html! { p { (advice) } (next) })
}

async fn sides(
    at: &InApp,
    known: &Known,
    attempt: &Attempt,
    fields: &Fields,
) -> Result<Markup, Failure> {
    let place = (&*at.app, known.key);
    let shown = requests::show(at.engine(), place, &known.stored, attempt).await?;
    let verdict = verdict(at, known, &shown, fields).await?;
    Ok(html! {
        div.halves {
            (panel("Request", &html! {}, &request(&shown, attempt)))
            (panel("Answer", &html! {}, &answer(attempt)))
        }
        div.halves {
            (panel("Where the time went", &html! {}, &html! {
                (crate::ui::attempts::timing(&attempt.timing))
                (facts(&[
                    ("Address", html! {
                        @match attempt.address { Some(address) => { code { (address) } } None => { span.muted { "None was dialled" } } }
                    }),
                    ("Attempt", code::id(&attempt.id.to_string())),
                    ("Began", time::both(attempt.attempted_at, at.view.now)),
                ]))
            }))
            (panel("Check a signature", &html! {}, &signature(attempt, &shown, verdict, fields)))
        }
    })
}

/// A text that is as long as may be shown.
fn cut(bytes: &[u8]) -> (String, bool) {
    let most = limit::PAYLOAD_SHOWN_BYTES;
    let is_cut = bytes.len() > most;
    let text = if is_cut {
        String::from_utf8_lossy(&bytes[..most]).into_owned()
    } else {
        code::pretty(bytes)
    };
    (text, is_cut)
}

fn request(shown: &Result<Shown, Unshown>, attempt: &Attempt) -> Markup {
    let shown = match shown {
        Ok(shown) => shown,
        Err(unshown) => {
            return html! {
                p { code { (attempt.url) } }
                p.muted { "It can't be shown: " (unshown) "." }
            };
        }
    };
    html! {
        p.request-line { strong { (shown.method) } " " code { (attempt.url) } }
        @match shown.made {
            Made::AsThen => {}
            Made::AsToday { changed_since: false } => {
                p.hint { "Made again with the settings of today: the attempt is older than the record of what was sent." }
            }
            Made::AsToday { changed_since: true } => {
                p.hint { "Made again with the settings of today; the endpoint or its application was changed since." }
            }
        }
        dl.headers {
            @for (name, value) in &shown.headers {
                div {
                    dt { (name) }
                    dd {
                        @match value {
                            Some(value) => { (value) }
                            None => { span.muted title="A secret" { "••••••" } }
                        }
                    }
                }
            }
        }
        @match &shown.body {
            None => { p.muted { "The payload was removed, and the body with it." } }
            Some(body) => {
                @let (text, is_cut) = cut(body);
                (code::block("Body", &text))
                @if is_cut { p.hint { "Cut here; it has " (body.len()) " bytes." } }
            }
        }
    }
}

fn answer(attempt: &Attempt) -> Markup {
    let Some(Response {
        headers,
        body,
        truncated,
    }) = &attempt.response
    else {
        let why = html! { p { (attempt.outcome) } };
        return block::empty(Icon::Endpoint, "No answer", &why);
    };
    let (text, is_cut) = cut(body);
    html! {
        p.request-line { (status::outcome(&attempt.outcome)) " after " (time::took(attempt.timing.total)) }
        dl.headers {
            @for (name, value) in headers { div { dt { (name) } dd { (value) } } }
        }
        @if body.is_empty() { p.muted { "Without a body." } } @else { (code::block("Body", &text)) }
        @if *truncated || is_cut {
            p.hint { "Cut here: " (body.len()) " bytes of the answer are kept." }
        }
    }
}

async fn verdict(
    at: &InApp,
    known: &Known,
    shown: &Result<Shown, Unshown>,
    fields: &Fields,
) -> Result<Option<SignatureVerdict>, Failure> {
    let (Ok(shown), Some(signature)) = (shown, fields.filled("signature")) else {
        return Ok(None);
    };
    let reference = EndpointRef::Id(known.endpoint);
    let judged = requests::judge(at.engine(), &at.app, &reference, shown, signature).await?;
    Ok(Some(judged))
}

fn signature(
    attempt: &Attempt,
    shown: &Result<Shown, Unshown>,
    verdict: Option<SignatureVerdict>,
    fields: &Fields,
) -> Markup {
    let Ok(shown) = shown else {
        return html! { p.muted { "There is no request to check it against." } };
    };
    html! {
        @if let Some(prefix) = shown.signed_prefix() {
            p { "Signed are the id, the timestamp and the body, joined by dots:" }
            p { code.wrap { (prefix) "…" } }
        }
        form.form method="get" {
            input type="hidden" name="attempt" value=(attempt.id);
            label.field {
                span { "What the receiver got as webhook-signature" }
                input.input.code-face type="text" name="signature" value=(fields.text("signature"))
                    placeholder="v1,…" spellcheck="false" autocomplete="off";
            }
            (control::submit(Weight::Plain, Some(Icon::Lock), "Check"))
        }
        @match verdict {
            None => {}
            Some(SignatureVerdict::Genuine) => {
                (block::callout(Tone::Good, "It is genuine", &html! { p { "It was made with the endpoint's present secret over this very request." } }))
            }
            Some(SignatureVerdict::GenuineOld) => {
                (block::callout(Tone::Warn, "It is genuine, with the old secret", &html! { p { "That secret was replaced and still signs for a while. Give the receiver the new one." } }))
            }
            Some(SignatureVerdict::Recorded) => {
                (block::callout(Tone::Warn, "It is the one that was sent", &html! { p { "It went out with this very request. It can't be made again: the secret it was made with, or the payload, is gone since." } }))
            }
            Some(SignatureVerdict::Wrong) => {
                (block::callout(Tone::Bad, "It is not ours", &html! { p { "It was made with another secret, or over another id, time or body. Check that the receiver takes the raw bytes of the body." } }))
            }
        }
    }
}

//! Live views: a stream that tells a page when something it shows has changed.
//!
//! The stream carries no data, only the word that there is something new; the page then asks for
//! itself again, with the same permissions as always, and takes over the parts that are marked as
//! live. A stream ends with its session, with the server, or after [`limit::LIVE_VIEW_LIFE`].

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;
use watchfire_domain::limit;
use watchfire_engine::Event;
use watchfire_store::AppKey;

use crate::access::{InApp, Operator, View};
use crate::failure::Answer;

/// The shortest time between two words: a page that changes faster can't be read.
const REST: Duration = Duration::from_secs(2);
/// Without news, a sign of life that proxies let pass.
const QUIET: Duration = Duration::from_secs(25);

/// What is told of all applications.
pub(crate) async fn all(operator: Operator) -> Answer {
    Ok(follow(operator.view, None))
}

/// What is told of one application.
pub(crate) async fn of_application(at: InApp) -> Answer {
    let key = at.app.stored.key;
    Ok(follow(at.view, Some(key)))
}

struct Following {
    view: View,
    only: Option<AppKey>,
    events: Receiver<Event>,
    closing: watch::Receiver<bool>,
    until: Instant,
    /// The next word is not said before then.
    rests_until: Instant,
    greeted: bool,
    _place: OwnedSemaphorePermit,
}

fn follow(view: View, only: Option<AppKey>) -> Response {
    let Ok(place) = view.state.live_places().clone().try_acquire_owned() else {
        let later = [(header::RETRY_AFTER, HeaderValue::from_static("30"))];
        return (StatusCode::SERVICE_UNAVAILABLE, later).into_response();
    };
    let now = Instant::now();
    let following = Following {
        events: view.engine().watch(),
        closing: view.state.closing(),
        view,
        only,
        until: now + limit::LIVE_VIEW_LIFE,
        rests_until: now,
        greeted: false,
        _place: place,
    };
    let words = stream::unfold(following, |mut following| async move {
        let word = following.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from_static(word)), following))
    });
    let kind = HeaderValue::from_static("text/event-stream");
    ([(header::CONTENT_TYPE, kind)], Body::from_stream(words)).into_response()
}

impl Following {
    /// The next word; `None` ends the stream.
    async fn next(&mut self) -> Option<&'static [u8]> {
        if !self.greeted {
            self.greeted = true;
            return Some(b"retry: 5000\n\n");
        }
        let quiet_until = Instant::now() + QUIET;
        let news = tokio::select! {
            news = news(&mut self.events, self.only) => news?,
            () = tokio::time::sleep_until(quiet_until.min(self.until)) => false,
            _ = self.closing.wait_for(|closing| *closing) => return None,
        };
        if Instant::now() >= self.until {
            return None;
        }
        if news {
            tokio::select! {
                () = tokio::time::sleep_until(self.rests_until) => {}
                _ = self.closing.wait_for(|closing| *closing) => return None,
            }
            self.rests_until = Instant::now() + REST;
        }
        let holds = self.view.session.holds(self.view.engine()).await;
        if !holds.unwrap_or(false) {
            return None;
        }
        Some(if news {
            b"data: changed\n\n"
        } else {
            b": quiet\n\n"
        })
    }
}

/// Waits for something a view shows; `None` if the server stops.
async fn news(events: &mut Receiver<Event>, only: Option<AppKey>) -> Option<bool> {
    loop {
        match events.recv().await {
            Ok(event) if only.is_none_or(|only| only == app_of(&event)) => return Some(true),
            Ok(_) => {}
            // Some of what was missed may have been about this view.
            Err(RecvError::Lagged(_)) => return Some(true),
            Err(RecvError::Closed) => return None,
        }
    }
}

fn app_of(event: &Event) -> AppKey {
    match event {
        Event::Accepted { app, .. } | Event::Health { app, .. } => *app,
        Event::Attempted(attempted) => attempted.app,
    }
}

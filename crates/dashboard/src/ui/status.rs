//! States: a shape, a word and a colour, in this order of importance.

use maud::{Markup, html};
use watchfire_domain::health::{Health, State};
use watchfire_domain::outcome::Outcome;
use watchfire_store::DeliveryStatus;

use super::icon::{Icon, icon};

/// What a state means to somebody who looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Warn,
    Busy,
    Quiet,
}

impl Tone {
    pub(crate) const ALL: [Self; 5] = [Self::Good, Self::Bad, Self::Warn, Self::Busy, Self::Quiet];

    /// The class that colours it.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Warn => "warn",
            Self::Busy => "busy",
            Self::Quiet => "quiet",
        }
    }

    /// The shape that tells it without colour.
    pub(crate) fn icon(self) -> Icon {
        match self {
            Self::Good => Icon::Check,
            Self::Bad => Icon::Stop,
            Self::Warn => Icon::Warning,
            Self::Busy => Icon::Clock,
            Self::Quiet => Icon::Pause,
        }
    }
}

/// A state in a word or two.
pub(crate) fn badge(tone: Tone, text: &str) -> Markup {
    badge_with(tone, tone.icon(), text)
}

pub(crate) fn badge_with(tone: Tone, shape: Icon, text: &str) -> Markup {
    html! {
        span class={ "badge " (tone.class()) } { (icon(shape)) (text) }
    }
}

/// An endpoint's health; `switched_off` is its owner's wish.
pub(crate) fn health(health: &Health, switched_off: bool) -> Markup {
    if switched_off {
        return badge_with(Tone::Quiet, Icon::Pause, "Switched off");
    }
    let (tone, shape) = health_look(health);
    badge_with(tone, shape, health_word(health))
}

/// How a health is shown.
pub(crate) fn health_look(health: &Health) -> (Tone, Icon) {
    match (health.state(), health.trouble()) {
        (State::Active, None) => (Tone::Good, Icon::Check),
        (State::Active, Some(_)) => (Tone::Warn, Icon::Warning),
        (State::Suspended, _) => (Tone::Warn, Icon::Pause),
        (State::Probation, _) => (Tone::Busy, Icon::Clock),
        (State::Disabled, _) => (Tone::Bad, Icon::Stop),
    }
}

pub(crate) fn health_word(health: &Health) -> &'static str {
    match (health.state(), health.trouble()) {
        (State::Active, None) => "Active",
        (State::Active, Some(_)) => "Failing",
        (State::Suspended, _) => "Suspended",
        (State::Probation, _) => "On probation",
        (State::Disabled, _) => "Disabled",
    }
}

/// Where a delivery stands.
pub(crate) fn delivery(status: DeliveryStatus) -> Markup {
    let (tone, shape, word) = delivery_look(status);
    badge_with(tone, shape, word)
}

pub(crate) fn delivery_look(status: DeliveryStatus) -> (Tone, Icon, &'static str) {
    match status {
        DeliveryStatus::Delivered => (Tone::Good, Icon::Check, "Delivered"),
        DeliveryStatus::Pending => (Tone::Warn, Icon::Clock, "Waiting"),
        DeliveryStatus::Failed => (Tone::Bad, Icon::Cross, "Failed"),
        DeliveryStatus::Sending => (Tone::Busy, Icon::Busy, "Sending"),
        DeliveryStatus::Cancelled => (Tone::Quiet, Icon::Pause, "Cancelled"),
    }
}

/// How an attempt's outcome is shown.
pub(crate) fn outcome_look(outcome: &Outcome) -> (Tone, Icon) {
    match outcome {
        Outcome::Accepted { .. } => (Tone::Good, Icon::Check),
        Outcome::Skipped { .. } => (Tone::Quiet, Icon::Pause),
        Outcome::Refused { .. }
        | Outcome::TimedOut { .. }
        | Outcome::Unreachable { .. }
        | Outcome::Blocked { .. }
        | Outcome::Oversize
        | Outcome::Malformed => (Tone::Bad, Icon::Cross),
    }
}

/// An attempt's outcome, short: the status code, or what happened instead.
pub(crate) fn outcome(outcome: &Outcome) -> Markup {
    let (tone, shape) = outcome_look(outcome);
    let word = match outcome {
        Outcome::Accepted { status } | Outcome::Refused { status, .. } => status.to_string(),
        Outcome::TimedOut { .. } => "Timed out".to_owned(),
        Outcome::Unreachable { .. } => "Unreachable".to_owned(),
        Outcome::Blocked { .. } => "Blocked".to_owned(),
        Outcome::Oversize => "Too large".to_owned(),
        Outcome::Malformed => "Not HTTP".to_owned(),
        Outcome::Skipped { .. } => "Skipped".to_owned(),
    };
    html! {
        span title=(outcome) { (badge_with(tone, shape, &word)) }
    }
}

//! An endpoint's health, drawn: the four states, the ways between them, and where it is now.

use maud::{Markup, html};
use watchfire_domain::health::State;

/// A state's place in the drawing.
fn place(state: State) -> (u32, u32) {
    match state {
        State::Active => (20, 20),
        State::Suspended => (250, 20),
        State::Probation => (480, 20),
        State::Disabled => (250, 120),
    }
}

fn word(state: State) -> &'static str {
    match state {
        State::Active => "Active",
        State::Suspended => "Suspended",
        State::Probation => "Probation",
        State::Disabled => "Disabled",
    }
}

const STATES: [State; 4] = [
    State::Active,
    State::Suspended,
    State::Probation,
    State::Disabled,
];

/// A way between two states: how it is drawn, its word and where that stands.
struct Way {
    from: State,
    to: State,
    path: &'static str,
    word: &'static str,
    at: (i32, i32),
}

const WAYS: [Way; 6] = [
    Way {
        from: State::Active,
        to: State::Suspended,
        path: "M160 42H244",
        word: "failures",
        at: (202, 34),
    },
    Way {
        from: State::Suspended,
        to: State::Probation,
        path: "M390 42H474",
        word: "probe",
        at: (432, 34),
    },
    Way {
        from: State::Probation,
        to: State::Active,
        path: "M550 20V-2H90V14",
        word: "success",
        at: (320, -7),
    },
    Way {
        from: State::Suspended,
        to: State::Disabled,
        path: "M320 66V114",
        word: "no success",
        at: (364, 94),
    },
    Way {
        from: State::Active,
        to: State::Disabled,
        path: "M50 64V152H244",
        word: "refused for good",
        at: (147, 167),
    },
    Way {
        from: State::Disabled,
        to: State::Active,
        path: "M250 132H90V70",
        word: "a person",
        at: (130, 124),
    },
];

/// Whether an endpoint's health is at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Switch {
    On,
    /// Its owner switched it off: it keeps its state, and nothing changes that.
    Off,
}

/// The machine with the present state and the way that led there.
pub(crate) fn machine(now: State, came_from: Option<State>, switch: Switch) -> Markup {
    let gone = |way: &Way| way.to == now && came_from == Some(way.from);
    // The tips have names of their own: a page may show one of each.
    let (label, tip, tip_gone) = match switch {
        Switch::On => (format!("Health: now {}", word(now)), "tip", "tip-gone"),
        Switch::Off => (
            format!("Health: switched off, kept as {}", word(now)),
            "tip-off",
            "tip-off-gone",
        ),
    };
    html! {
        svg class={ "machine" @if switch == Switch::Off { " off" } } viewBox="0 -20 640 194" role="img"
            aria-label=(label) {
            defs {
                marker id=(tip) viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"
                    orient="auto-start-reverse" { path.tip d="M0 0 8 4 0 8z" {} }
                marker id=(tip_gone) viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7"
                    markerHeight="7" orient="auto-start-reverse" { path.tip.gone d="M0 0 8 4 0 8z" {} }
            }
            @for way in &WAYS {
                @let end = if gone(way) { tip_gone } else { tip };
                path class={ "way" @if gone(way) { " gone" } } d=(way.path)
                    marker-end={ "url(#" (end) ")" } {}
                text.way-word x=(way.at.0) y=(way.at.1) text-anchor="middle" { (way.word) }
            }
            @for state in STATES {
                @let (x, y) = place(state);
                g class={ "state state-" (state.as_str()) @if state == now { " now" } } {
                    rect x=(x) y=(y) width="140" height="44" rx="8" {}
                    text x=(x + 70) y=(y + 27) text-anchor="middle" { (word(state)) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_that_is_switched_off_is_not_shown_at_work() {
        let on = machine(State::Active, None, Switch::On).into_string();
        assert!(on.contains("Health: now Active"), "{on}");
        let off = machine(State::Active, None, Switch::Off).into_string();
        assert!(
            off.contains("Health: switched off, kept as Active"),
            "{off}"
        );
        assert!(off.contains("class=\"machine off\""), "{off}");
    }
}

//! Which events an endpoint gets, as a tree: groups, and the event types in each.

use std::collections::BTreeMap;

use maud::{Markup, html};
use watchfire_engine::identity::Reach;
use watchfire_engine::service::event_types::{self, Sight};
use watchfire_store::{Order, Range};

use crate::access::InApp;
use crate::failure::Failure;
use crate::params::Fields;
use crate::ui::Draft;
use crate::ui::control::{self, Text};

/// Rows of the tree; an organization with more names them in the field below it.
const SHOWN_MAX: usize = 250;
const FIELD: &str = "event";
const OTHERS: &str = "others";
const SCOPE: &str = "events";

/// An event type to choose.
pub(super) struct Choice {
    pub(super) name: String,
    description: String,
    group: String,
}

/// What can be chosen: the contract's event types, and the organization's own.
pub(super) async fn choices(at: &InApp) -> Result<Vec<Choice>, Failure> {
    let flags = &at.view.session.caller.feature_flags;
    let sight = match at.view.session.caller.reach {
        Reach::Everything => Sight::All,
        Reach::Only(_) => Sight::Flags(flags),
    };
    let mut found: BTreeMap<String, Choice> = BTreeMap::new();
    for event in at.app.contract.event_types() {
        let choice = Choice {
            name: event.name.clone(),
            description: event.about.description.clone(),
            group: group(&event.name, event.about.group.as_deref()),
        };
        found.insert(event.name.clone(), choice);
    }
    let contract = at.app.contract.name();
    let range = Range::from_start(Order::Ascending, SHOWN_MAX);
    for record in event_types::list(at.engine(), at.org(), sight, false, range).await? {
        // Another contract's event types are none of this application's.
        let own = record.settings.contract.as_deref();
        if own.is_some_and(|own| own != contract) || found.len() >= SHOWN_MAX {
            continue;
        }
        let name = record.name.to_string();
        let group = group(&name, record.settings.group_name.as_deref());
        found.entry(name.clone()).or_insert(Choice {
            name,
            description: record.settings.description,
            group,
        });
    }
    Ok(found.into_values().collect())
}

/// The group an event type says it is in, else the first part of its name.
fn group(name: &str, said: Option<&str>) -> String {
    let first = name.split(['.', ':', '/']).next().unwrap_or(name);
    said.unwrap_or(if first == name { "Events" } else { first })
        .to_owned()
}

/// The event types of a form: all (none are named), or those that are ticked and typed.
pub(super) fn chosen(fields: &Fields) -> Vec<String> {
    if fields.text(SCOPE) == "all" {
        return Vec::new();
    }
    let typed = fields.text(OTHERS).split([',', ' ', '\n', '\r']);
    let typed = typed.map(str::trim).filter(|name| !name.is_empty());
    fields
        .all(FIELD)
        .chain(typed)
        .map(ToOwned::to_owned)
        .collect()
}

/// The values that show what an endpoint has chosen.
pub(super) fn values(names: &[String], choices: &[Choice]) -> Vec<(&'static str, String)> {
    let scope = if names.is_empty() { "all" } else { "some" };
    let known = |name: &&String| choices.iter().any(|choice| choice.name == **name);
    let others: Vec<_> = names.iter().filter(|name| !known(name)).cloned().collect();
    vec![
        (SCOPE, scope.to_owned()),
        (OTHERS, others.join(", ")),
        ("ticked", names.join(" ")),
    ]
}

/// The tree, with what is chosen so far.
pub(super) fn tree(draft: &Draft, choices: &[Choice]) -> Markup {
    let all = draft.value(SCOPE) != "some";
    let ticked: Vec<&str> = match draft.fields().get("ticked") {
        Some(names) => names.split(' ').collect(),
        None => draft.fields().all(FIELD).collect(),
    };
    let mut groups: BTreeMap<&str, Vec<&Choice>> = BTreeMap::new();
    for choice in choices {
        groups.entry(&choice.group).or_default().push(choice);
    }
    let fault = draft.fault("eventTypes");
    html! {
        fieldset.field {
            legend.legend { "Events" }
            label.tick {
                input type="radio" name=(SCOPE) value="all" checked[all];
                span { "All events" span.hint { "Also those that will come." } }
            }
            label.tick {
                input type="radio" name=(SCOPE) value="some" checked[!all];
                span { "These events" }
            }
            @if let Some(fault) = &fault { div.fault role="alert" { (fault) } }
            div.events {
                @if choices.len() > 8 {
                    input.input type="search" placeholder="Find an event" aria-label="Find an event"
                        data-narrow="event-tree";
                }
                div.event-tree #event-tree {
                    @for (group, choices) in &groups {
                        (branch(group, choices, &ticked))
                    }
                }
                (control::text(draft, Text {
                    name: OTHERS,
                    label: "Further names, or prefixes",
                    hint: "A prefix ends in a star: threat.* is every threat event, also new ones.",
                    placeholder: "threat.*, login.suspicious",
                    is_code: true,
                    ..Text::default()
                }))
            }
        }
    }
}

fn branch(group: &str, choices: &[&Choice], ticked: &[&str]) -> Markup {
    let is_ticked = |choice: &&&Choice| ticked.contains(&choice.name.as_str());
    let count = choices.iter().filter(is_ticked).count();
    html! {
        details.branch open[count > 0 || choices.len() < 6] {
            summary { (group) " " span.muted.number { (count) " of " (choices.len()) } }
            label.tick.whole {
                input type="checkbox" data-group checked[count == choices.len()]
                    aria-label={ "All of " (group) };
                span.muted { "All of them" }
            }
            @for choice in choices {
                div data-name=(choice.name.to_lowercase()) {
                    (control::tick(FIELD, &choice.name, &choice.name, &choice.description,
                        ticked.contains(&choice.name.as_str())))
                }
            }
        }
    }
}

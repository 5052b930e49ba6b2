//! The page about an endpoint's health, made from the machine's own table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use watchfire_contracts::Catalog;
use watchfire_domain::health::{
    Class, Policy, Recovery, Row, Situation, State, Trial, transitions,
};

use super::expect_fresh;

const HEAD: &str = "# Health

An endpoint has one of four states.
One machine moves it between them; its numbers come from the contract's `[health]` table, which [Write a contract](../guides/write-a-contract.md#health) lists.
This page is generated from that machine, in `crates/domain/src/health`.

| state | in DefectDojo's words | means |
|---|---|---|
| active | `active` | It is sent to. |
| suspended | `inactive_tmp` | It failed and is left alone for a while. |
| probation | `active_tmp` | It is sent to again, and watched. |
| disabled | `inactive_permanent` | It is not sent to until a person activates it. |

## What always holds

- Health changes by recorded outcomes, by time and by people, and by nothing else.
- What we refused or failed to send is never charged to an endpoint: a message that can't be rendered, an address the operator does not allow, a kept-alive connection the receiver had closed.
- Answers to requests sent before a suspension do not count while it lasts.
- A clock that is set back brings nothing forward, and holds nobody for longer than one cool-down.
- An endpoint is disabled for lack of success only by a recorded failure, and only after the last warning has been out for the time between it and `disable_after`. A server that was off for a week disables nobody when it returns.
- Every change of state is told to the people the contract names.
";

const STANDARD: &str = "
## Our own policy

Messages are held while an endpoint is suspended or disabled.
Five transient failures in a row suspend it; the cool-down grows from 10 s to 1 h.
When it is over, one real message is sent as the probe; its success begins probation, in which what was held drains at 25 deliveries per second.
People are warned after 1 h, 1 day and 4 days without success; after 5 days the next failure disables.
410 Gone disables at once.
";

const DEFECTDOJO: &str = "
## DefectDojo's policy

Messages to an endpoint that is suspended or disabled are recorded as skipped and can be replayed.
One transient failure suspends for 60 s, and 24 h without an error end probation.
An error more than 24 h after the first one disables, whatever succeeded in between; so does everything that is neither success nor 5xx, 429 or a timeout.
";

const REST: &str = "
## Products without states

dfend, Website Defender, defguard and Defense.com document no states.
Their endpoints stay active whatever happens; failures are remembered and shown, and a person can still disable an endpoint.
";

/// What a trial is called on the page.
fn column(policy: &Policy, trial: Trial) -> &'static str {
    match trial {
        Trial::Outcome(outcome) => match policy.class_of(&outcome) {
            Class::Success => "success",
            Class::Transient => "transient failure",
            Class::Permanent => "permanent failure",
            Class::Neutral => "not sent by us",
        },
        Trial::Time => "time",
        Trial::Activate => "a person activates",
        Trial::Deactivate => "a person deactivates",
    }
}

const COLUMNS: [&str; 7] = [
    "success",
    "transient failure",
    "permanent failure",
    "not sent by us",
    "time",
    "a person activates",
    "a person deactivates",
];

/// Whether time moves the endpoint before the outcome does: an arrow of its own.
fn is_after_time(policy: &Policy, row: &Row) -> bool {
    let is_over = matches!(
        row.from,
        Situation::CooledDown | Situation::CooledDownTooLong
    );
    let is_outcome = matches!(row.trial, Trial::Outcome(_));
    is_over && is_outcome && policy.after_cooldown == Recovery::Probation
}

/// The arrows between different states, each with what leads along it.
fn diagram(policy: &Policy, rows: &[Row]) -> String {
    let mut arrows: BTreeMap<(State, State), BTreeSet<&str>> = BTreeMap::new();
    for row in rows {
        let (from, to) = (row.from.state(), row.decision.next.state());
        if from != to && !is_after_time(policy, row) {
            arrows
                .entry((from, to))
                .or_default()
                .insert(column(policy, row.trial));
        }
    }
    let mut text = String::from("\n```mermaid\nstateDiagram-v2\n    [*] --> active\n");
    for ((from, to), trials) in arrows {
        let trials: Vec<_> = trials.into_iter().collect();
        let (from, to) = (from.as_str(), to.as_str());
        writeln!(text, "    {from} --> {to}: {}", trials.join(", ")).expect("a string grows");
    }
    text.push_str("```\n");
    text
}

/// A line for each situation, a column for each kind of thing that can happen.
fn table(policy: &Policy, rows: &[Row]) -> String {
    let mut lines: Vec<(String, BTreeMap<&str, BTreeSet<State>>)> = Vec::new();
    for row in rows {
        let from = row.from.to_string();
        if lines.last().is_none_or(|(last, _)| *last != from) {
            lines.push((from, BTreeMap::new()));
        }
        let (_, cells) = lines.last_mut().expect("just pushed");
        let cell = cells.entry(column(policy, row.trial)).or_default();
        cell.insert(row.decision.next.state());
    }
    let mut text = format!(
        "\n| | {} |\n|---|{}\n",
        COLUMNS.join(" | "),
        "---|".repeat(COLUMNS.len())
    );
    for (from, cells) in lines {
        write!(text, "| {from} |").expect("a string grows");
        for column in COLUMNS {
            let states = cells.get(column).into_iter().flatten();
            let states: Vec<_> = states.map(|state| state.as_str()).collect();
            write!(text, " {} |", states.join(" or ")).expect("a string grows");
        }
        text.push('\n');
    }
    text
}

fn health_page() -> String {
    let catalog = Catalog::embedded();
    let section = |text: &str, name: &str| {
        let policy = &catalog.contract(name).expect("embedded").manifest().health;
        let rows = transitions(policy);
        format!("{text}{}{}", diagram(policy, &rows), table(policy, &rows))
    };
    let standard = section(STANDARD, "standard");
    let defectdojo = section(DEFECTDOJO, "defectdojo");
    format!("{HEAD}{standard}{defectdojo}{REST}")
}

#[test]
fn the_page_of_health_is_fresh() {
    expect_fresh("docs/concepts/health.md", &health_page());
}

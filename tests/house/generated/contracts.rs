//! A page for each product's contract: how it sends, and every event type with its sample.

use std::fmt::Write as _;

use watchfire_contracts::manifest::{Audience, Https, Urgent, UrgentFixed};
use watchfire_contracts::{Catalog, Contract, EventType};
use watchfire_domain::outcome::SuccessRule;
use watchfire_domain::retry::format_duration;

use super::expect_fresh;

/// Writes a line; a string grows.
macro_rules! line {
    ($page:expr, $($text:tt)+) => {
        writeln!($page, $($text)+).expect("a string grows")
    };
}

fn page(contract: &Contract) -> String {
    let manifest = contract.manifest();
    let name = contract.name();
    let mut page = String::new();
    line!(page, "# {}\n\n{}", manifest.title, manifest.summary);
    line!(page, "This page is generated from `contracts/{name}`.\n");
    for link in &manifest.links {
        line!(page, "- [{}]({})", link.title, link.url);
    }
    line!(page, "\n## How it sends\n\n| what | value |\n|---|---|");
    for (what, value) in facts(contract) {
        line!(page, "| {what} | {} |", value.replace('|', "\\|"));
    }
    if !manifest.variants.is_empty() {
        line!(page, "\n## Variants\n");
        line!(
            page,
            "Choose one under `[contracts.{name}]` with `variant = \"…\"`.\n"
        );
        for variant in &manifest.variants {
            line!(page, "- `{}`: {}", variant.name, variant.description);
        }
    }
    line!(
        page,
        "\n## Event types\n\n| event type | group | level | fires when |\n|---|---|---|---|"
    );
    for event in contract.event_types() {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".to_owned());
        line!(
            page,
            "| `{}` | {} | {} | {} |",
            event.name,
            or_none(&event.about.group),
            or_none(&event.about.level),
            event.about.description
        );
    }
    line!(
        page,
        "\n## Samples\n\nThe payload as it is posted to Watchfire."
    );
    for event in contract.event_types() {
        sample(&mut page, event);
    }
    page
}

fn sample(page: &mut String, event: &EventType) {
    line!(page, "\n### `{}`\n", event.name);
    if event.about.deprecated {
        line!(page, "Deprecated.\n");
    }
    line!(page, "```json\n{}\n```", event.sample.trim_end());
}

fn facts(contract: &Contract) -> Vec<(&'static str, String)> {
    let manifest = contract.manifest();
    let (request, delivery) = (&manifest.request, &manifest.delivery);
    let code = |texts: Vec<String>| {
        if texts.is_empty() {
            return "–".to_owned();
        }
        format!("`{}`", texts.join("`, `"))
    };
    let methods = request
        .methods
        .iter()
        .filter(|method| **method != request.method);
    let methods: Vec<String> = std::iter::once(&request.method)
        .chain(methods)
        .map(|method| method.as_str().to_owned())
        .collect();
    let kinds = manifest.endpoint.auth.iter().map(|kind| {
        let kind = serde_json::to_value(kind).expect("a name");
        kind.as_str().unwrap_or_default().to_owned()
    });
    let headers = request.headers.iter().map(|header| header.name.clone());
    let delays = delivery
        .retry
        .delays()
        .iter()
        .map(|delay| format_duration(*delay));
    let record = manifest.messages.record.iter();
    vec![
        ("method, and what an endpoint may choose", code(methods)),
        (
            "address",
            match manifest.endpoint.https {
                Https::Required => "https only".to_owned(),
                Https::Optional => "http or https".to_owned(),
            },
        ),
        ("authentication", code(kinds.collect())),
        ("headers of its own", code(headers.collect())),
        ("deadline", format_duration(delivery.timeout)),
        (
            "success",
            match delivery.success {
                SuccessRule::Success2xx => "a status from 200 to 299".to_owned(),
                SuccessRule::Below400 => "a status below 400".to_owned(),
                SuccessRule::AnyResponse => "any answer".to_owned(),
            },
        ),
        ("delays before retries", code(delays.collect())),
        (
            "record",
            code(record.map(|pointer| pointer.as_str().to_owned()).collect()),
        ),
        ("urgent", urgent(&manifest.messages.urgent)),
        (
            "told when a message is given up",
            told(manifest.notify.exhausted),
        ),
        ("told of an endpoint's health", told(manifest.notify.health)),
        (
            "ping",
            manifest
                .ping
                .as_ref()
                .map_or_else(|| "–".to_owned(), |ping| format!("`{}`", ping.event_type)),
        ),
    ]
}

fn urgent(urgent: &Urgent) -> String {
    match urgent {
        Urgent::Fixed(UrgentFixed::Always) => "always".to_owned(),
        Urgent::Fixed(UrgentFixed::Never) => "never, unless an event type says so".to_owned(),
        Urgent::ByValue(by) => {
            let values = by.values.join("`, `");
            format!("`{}` is `{values}`", by.pointer.as_str())
        }
    }
}

fn told(audience: Audience) -> String {
    match audience {
        Audience::Admins => "administrators".to_owned(),
        Audience::Nobody => "nobody".to_owned(),
    }
}

#[test]
fn the_pages_of_the_contracts_are_fresh() {
    for contract in Catalog::embedded().iter() {
        if contract.event_types().next().is_some() {
            let path = format!("docs/reference/contracts/{}.md", contract.name());
            expect_fresh(&path, &page(contract));
        }
    }
}

//! Every component of the design language on one page, for whoever builds or judges a screen.

use std::time::Duration;

use maud::{Markup, html};
use watchfire_domain::attempt::Timing;
use watchfire_domain::health::State;
use watchfire_domain::outcome::{Outcome, Phase, SkipReason};
use watchfire_domain::time::Timestamp;
use watchfire_store::DeliveryStatus;

use crate::access::{Operator, View};
use crate::failure::Answer;
use crate::paging::PageOf;
use crate::ui::attempts::{self, Point};
use crate::ui::block::{self, Figure};
use crate::ui::chart::{self, Bar, Cell};
use crate::ui::control::{self, Ask, Text, Weight};
use crate::ui::machine::Switch;
use crate::ui::status::{self, Tone};
use crate::ui::table::{Row, column, number, pager, table};
use crate::ui::{Draft, Icon, Page, Section, code, icon, machine, time, tree};

const SAMPLE: &[u8] = br#"{"id":"thr_8121","risk":"critical","hosts":["web-1","web-2"]}"#;

pub(crate) async fn page(operator: Operator) -> Answer {
    let view = &operator.view;
    let parts: [(&str, Markup); 12] = [
        ("States", states()),
        ("Buttons", buttons(view)),
        ("Fields", fields()),
        ("Figures and facts", figures(view)),
        ("Charts", charts()),
        (
            "Health",
            html! {
                (machine::machine(State::Suspended, Some(State::Active), Switch::On))
                (machine::machine(State::Active, None, Switch::Off))
            },
        ),
        ("Attempts", tries(view)),
        ("A tree", tree::tree(SAMPLE)),
        ("Callouts", callouts()),
        ("Code", codes()),
        ("Empty", nothing()),
        ("Icons", icons()),
    ];
    let body = html! {
        @for (title, part) in &parts {
            (block::panel(title, &html! {}, part))
        }
        (block::flush_panel("A table in a panel", &html! {}, &listing(view)))
    };
    Ok(Page::new(Section::Components, "Components", body)
        .crumb("Overview", "/dashboard")
        .show(view))
}

fn states() -> Markup {
    let deliveries = [
        DeliveryStatus::Delivered,
        DeliveryStatus::Pending,
        DeliveryStatus::Failed,
        DeliveryStatus::Sending,
        DeliveryStatus::Cancelled,
    ];
    let outcomes = [
        Outcome::Accepted { status: 204 },
        Outcome::Refused {
            status: 503,
            retry_after: None,
        },
        Outcome::TimedOut {
            phase: Phase::FirstByte,
        },
        Outcome::Skipped {
            reason: SkipReason::EndpointDisabled,
        },
    ];
    html! {
        div.row {
            @for tone in Tone::ALL { (status::badge(tone, tone.class())) }
        }
        div.row {
            @for delivery in deliveries { (status::delivery(delivery)) }
        }
        div.row {
            @for outcome in &outcomes { (status::outcome(outcome)) }
        }
    }
}

fn buttons(view: &View) -> Markup {
    html! {
        div.row {
            @for weight in Weight::ALL {
                (control::link(weight, Some(Icon::Bolt), &format!("{weight:?}"), "/dashboard/components"))
            }
            (control::act(view, "/dashboard/theme", Weight::Plain, Icon::Play, "Act"))
            (control::ask(view, &Ask {
                id: "example-ask",
                weight: Weight::Plain,
                icon: Icon::Info,
                text: "Ask",
                title: "Is this a dialog?",
                action: "/dashboard/theme",
                body: html! { p { "It opens without a script, and closes with Escape." } },
                confirm: "Yes",
            }))
        }
    }
}

fn fields() -> Markup {
    let draft = Draft::wrong(
        Draft::of(&[("url", "http://localhost")]).fields().clone(),
        "url",
        "the host name is internal",
    );
    html! {
        div.form {
            (control::text(&draft, Text {
                name: "url",
                label: "A field with a fault",
                hint: "A hint says what belongs here.",
                required: true,
                is_code: true,
                ..Text::default()
            }))
            (control::choice(&draft, "kind", "A choice", "One of a few.", &[("a", "First"), ("b", "Second")]))
            (control::tick("tick", "yes", "A box to tick", "With a hint.", true))
            (control::search("q", "Search", ""))
        }
    }
}

fn figures(view: &View) -> Markup {
    let figure = |name, value, tone| Figure {
        name,
        value: block::grouped(value),
        more: html! { "last 24 hours" },
        href: Some("/dashboard/components".into()),
        tone,
    };
    html! {
        (block::figures(&[
            figure("Accepted", 1_284_311, None),
            figure("Delivered", 1_284_190, Some(Tone::Good)),
            figure("Failing", 121, Some(Tone::Bad)),
        ]))
        (block::facts(&[
            ("Since", time::both(view.now - Duration::from_mins(83), view.now)),
            ("Next retry", time::countdown(view.now + Duration::from_secs(95), view.now)),
            ("Took", html! { span.number { (time::took(Duration::from_millis(1_240))) } }),
            ("An hour", html! { (time::hour(view.now)) " to " (time::clock(view.now)) }),
            ("Share", html! { span.number { (block::share(1_284_190, 1_284_311)) } }),
        ]))
        (block::progress("A replay", 340, Some(1_200)))
    }
}

fn charts() -> Markup {
    let bars: Vec<_> = (0..24_u64)
        .map(|hour| Bar {
            label: format!("{hour:02}:00"),
            parts: vec![200 + hour * 37 % 160, hour * 13 % 7 * 4],
            href: Some("/dashboard/components".into()),
            failed: (hour * 13 % 7 > 0).then(|| "/dashboard/components#failed".into()),
        })
        .collect();
    let cells: Vec<_> = (0..24_u64)
        .map(|hour| Cell {
            label: format!("{hour:02}:00"),
            begins_at: Timestamp::EPOCH + Duration::from_hours(hour),
            good: if hour < 3 { 0 } else { 20 + hour * 7 % 30 },
            bad: if hour == 14 { 6 } else { 0 },
        })
        .collect();
    html! {
        (chart::bars("Deliveries", &[("Delivered", "good"), ("Failed", "bad")], &bars))
        (chart::strip("Last 24 hours", &cells))
    }
}

fn tries(view: &View) -> Markup {
    let outcomes = [
        Outcome::Refused {
            status: 503,
            retry_after: None,
        },
        Outcome::TimedOut {
            phase: Phase::FirstByte,
        },
        Outcome::Accepted { status: 204 },
    ];
    let waits = [
        Duration::ZERO,
        Duration::from_mins(5),
        Duration::from_mins(35),
    ];
    let begin = view.now - Duration::from_mins(40);
    let points: Vec<_> = (1..)
        .zip(waits)
        .zip(&outcomes)
        .map(|((number, wait), outcome)| Point {
            at: begin + wait,
            number,
            outcome,
            href: "/dashboard/components".into(),
        })
        .collect();
    let timing = Timing {
        resolve: Some(Duration::from_millis(12)),
        connect: Some(Duration::from_millis(18)),
        tls: Some(Duration::from_millis(41)),
        first_byte: Some(Duration::from_millis(230)),
        total: Duration::from_millis(310),
    };
    html! {
        (attempts::line(&points, Some(view.now + Duration::from_mins(20)), view.now))
        (attempts::timing(&timing))
    }
}

fn callouts() -> Markup {
    html! {
        div.stack {
            @for tone in Tone::ALL {
                (block::callout(tone, "Something to read", &html! { p { "And what to do about it." } }))
            }
            (block::done("The endpoint was saved."))
        }
    }
}

fn listing(view: &View) -> Markup {
    let columns = [
        column("Name"),
        column("State"),
        number("Count"),
        column("When"),
    ];
    let rows: Vec<_> = (1..=3_u64)
        .map(|row| Row {
            href: Some("/dashboard/components".into()),
            cells: vec![
                html! { strong { "Row " (row) } },
                status::delivery(DeliveryStatus::Delivered),
                html! { (block::grouped(row * 12_345)) },
                time::relative(view.now - Duration::from_mins(row * 42), view.now),
            ],
        })
        .collect();
    let page = PageOf {
        items: vec![()],
        newer: None,
        older: Some("?before=x".into()),
    };
    html! { (table("An example", &columns, &rows)) (pager(&page)) }
}

fn codes() -> Markup {
    html! {
        p { (code::id("ep_2LnRxJ3zCk4K9vG1X6Zr3bq0wYt")) }
        (code::block("JSON", &code::pretty(SAMPLE)))
        (code::tabs("example", &[
            ("curl", "curl https://hooks.example.com/api/v1/app".into()),
            ("Python", "svix.Application.list()".into()),
        ]))
    }
}

fn nothing() -> Markup {
    block::empty(
        Icon::Endpoint,
        "Nothing here yet",
        &html! {
            p { "It says what would be here, and what to do next." }
            (control::link(Weight::Primary, Some(Icon::Plus), "Do it", "/dashboard/components"))
        },
    )
}

fn icons() -> Markup {
    html! {
        ul.icons {
            @for one in Icon::ALL { li { (icon(*one)) span { (format!("{one:?}")) } } }
        }
    }
}

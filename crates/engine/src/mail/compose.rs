//! What a mail says.
//!
//! It names endpoints by their host alone: a webhook's path may be its secret. Payloads and what
//! receivers answered stay out.

use std::fmt::Write as _;

use serde_json::Value;
use url::Url;
use watchfire_domain::notice::NoticeKind;
use watchfire_store::DueMail;

use crate::catalog::Snapshot;

/// A mail's words.
pub(super) struct Written {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
}

/// One kind of notice at one endpoint, as people read it.
struct Paragraph {
    headline: String,
    facts: Vec<(&'static str, String)>,
    advice: &'static str,
}

pub(super) fn compose(application: Option<&Snapshot>, mails: &[DueMail]) -> Written {
    let name = application.map(name_of);
    let paragraphs: Vec<_> = mails
        .iter()
        .map(|mail| paragraph(application, mail))
        .collect();
    Written {
        subject: subject(name.as_deref(), mails, application),
        text: text(name.as_deref(), &paragraphs),
        html: html(name.as_deref(), &paragraphs),
    }
}

/// What the application is called, and by which product.
fn name_of(application: &Snapshot) -> String {
    let stored = &application.stored.application;
    let product = &application.contract.manifest().title;
    format!("{} ({product})", stored.settings.name)
}

fn subject(name: Option<&str>, mails: &[DueMail], application: Option<&Snapshot>) -> String {
    let name = name.unwrap_or("Watchfire");
    let Some(first) = mails.first() else {
        return name.to_owned();
    };
    let what = headline(first);
    let place = host_of(application, first).unwrap_or_else(|| first.endpoint_id.to_string());
    match mails.len() - 1 {
        0 => format!("{name}: {what} at {place}"),
        more => format!("{name}: {what} at {place}, and {more} more"),
    }
}

fn headline(mail: &DueMail) -> String {
    match (mail.kind, mail.count) {
        (NoticeKind::AttemptExhausted, 1) => "1 message was given up".to_owned(),
        (NoticeKind::AttemptExhausted, count) => format!("{count} messages were given up"),
        (NoticeKind::AttemptFailing, 1) => "1 message fails".to_owned(),
        (NoticeKind::AttemptFailing, count) => format!("{count} attempts failed"),
        (NoticeKind::AttemptRecovered, count) => format!("{count} delivered after failures"),
        (NoticeKind::EndpointDisabled, _) => "endpoint disabled".to_owned(),
        (NoticeKind::EndpointSuspended, 1) => "endpoint suspended".to_owned(),
        (NoticeKind::EndpointSuspended, count) => format!("endpoint suspended {count} times"),
        (NoticeKind::EndpointFailing, _) => "endpoint failing".to_owned(),
        (NoticeKind::EndpointRecovered, _) => "endpoint works again".to_owned(),
        (NoticeKind::EndpointCreated, _) => "endpoint created".to_owned(),
        (NoticeKind::EndpointUpdated, _) => "endpoint changed".to_owned(),
        (NoticeKind::EndpointDeleted, _) => "endpoint deleted".to_owned(),
    }
}

fn advice(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::AttemptExhausted => {
            "All attempts failed. Repair the receiver, then recover what failed or resend single \
             messages."
        }
        NoticeKind::EndpointDisabled => {
            "Nothing is sent to it until somebody activates it. Repair the receiver, activate the \
             endpoint, then recover what failed."
        }
        NoticeKind::EndpointSuspended => "It is left alone for a while and then tried again.",
        NoticeKind::EndpointFailing => "Repair the receiver before the endpoint is disabled.",
        NoticeKind::EndpointRecovered
        | NoticeKind::AttemptRecovered
        | NoticeKind::EndpointCreated
        | NoticeKind::EndpointUpdated
        | NoticeKind::EndpointDeleted => "There is nothing to do.",
        NoticeKind::AttemptFailing => "It is tried again.",
    }
}

fn paragraph(application: Option<&Snapshot>, mail: &DueMail) -> Paragraph {
    let data: Value = serde_json::from_str(&mail.data).unwrap_or_default();
    let mut facts = vec![("Event", mail.kind.to_string())];
    facts.push(("Endpoint", mail.endpoint_id.to_string()));
    let endpoint = application.and_then(|application| application.endpoint(mail.endpoint));
    if let Some(endpoint) = endpoint {
        let description = &endpoint.stored.endpoint.settings.description;
        if !description.is_empty() {
            facts.push(("Description", description.clone()));
        }
    }
    if let Some(host) = host_of(application, mail) {
        facts.push(("Host", host));
    }
    facts.push(("First", mail.first_at.to_string()));
    if mail.count > 1 {
        facts.push(("Last", mail.last_at.to_string()));
    }
    let fact = |name: &str| data[name].as_str().map(str::to_owned);
    facts.extend(fact("failSince").map(|since| ("Failing since", since)));
    facts.extend(fact("disabledFrom").map(|from| ("Disabled from", from)));
    facts.extend(fact("msgId").map(|id| ("Last message", id)));
    if let Some(status) = data["lastAttempt"]["responseStatusCode"].as_u64() {
        let answer = match status {
            0 => "no answer".to_owned(),
            status => format!("status {status}"),
        };
        facts.push(("Last attempt", answer));
    }
    Paragraph {
        headline: capitalized(&headline(mail)),
        facts,
        advice: advice(mail.kind),
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

/// The host of an endpoint that is still there.
fn host_of(application: Option<&Snapshot>, mail: &DueMail) -> Option<String> {
    let endpoint = application?.endpoint(mail.endpoint)?;
    let url = Url::parse(&endpoint.stored.endpoint.settings.url).ok()?;
    url.host_str().map(str::to_owned)
}

const WHY: &str = "You get this because you are named as an administrator of the application or \
                   of the server.";

fn text(name: Option<&str>, paragraphs: &[Paragraph]) -> String {
    let mut text = String::new();
    let mut line = |line: &str| writeln!(text, "{line}").expect("a string grows");
    if let Some(name) = name {
        line(&format!("Application: {name}"));
        line("");
    }
    for paragraph in paragraphs {
        line(&paragraph.headline);
        for (fact, value) in &paragraph.facts {
            line(&format!("  {fact}: {}", in_one_line(value)));
        }
        line(&format!("  {}", paragraph.advice));
        line("");
    }
    line(WHY);
    text
}

/// A description may have lines that look like ours.
fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn html(name: Option<&str>, paragraphs: &[Paragraph]) -> String {
    let mut html = String::from("<!doctype html><html><body style=\"font-family:sans-serif\">\n");
    let mut line = |line: &str| writeln!(html, "{line}").expect("a string grows");
    if let Some(name) = name {
        line(&format!("<p>Application: <b>{}</b></p>", escaped(name)));
    }
    for paragraph in paragraphs {
        line(&format!(
            "<h3>{}</h3>\n<table>",
            escaped(&paragraph.headline)
        ));
        for (fact, value) in &paragraph.facts {
            let value = escaped(value);
            line(&format!("<tr><td>{fact}</td><td>{value}</td></tr>"));
        }
        line(&format!("</table>\n<p>{}</p>", paragraph.advice));
    }
    line(&format!("<p><small>{WHY}</small></p>\n</body></html>"));
    html
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

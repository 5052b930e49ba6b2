//! The same from a program: ready to paste, with this server's address in it.

use maud::Markup;
use maud::html;
use watchfire_domain::id::EndpointId;

use crate::access::InApp;
use crate::ui::{block, code};

/// How to send an event, and how to check one that came.
pub(super) fn panel(at: &InApp, endpoint: EndpointId) -> Markup {
    let server = at.view.server();
    let (app, event) = (at.id(), event(at));
    let curl = format!(
        "curl {server}/api/v1/app/{app}/endpoint/{endpoint}/send-example \\\n  \
         -H \"Authorization: Bearer $WATCHFIRE_TOKEN\" \\\n  \
         -H 'Content-Type: application/json' \\\n  \
         -d '{{\"eventType\":\"{event}\"}}'"
    );
    let javascript = format!(
        "import {{ Svix }} from \"svix\";\n\n\
         const svix = new Svix(process.env.WATCHFIRE_TOKEN, {{ serverUrl: \"{server}\" }});\n\
         await svix.message.create(\"{app}\", {{\n  eventType: \"{event}\",\n  payload: {{ id: \"1\" }},\n}});"
    );
    let python = format!(
        "import os\nfrom svix.api import Svix, SvixOptions, MessageIn\n\n\
         svix = Svix(os.environ[\"WATCHFIRE_TOKEN\"], SvixOptions(server_url=\"{server}\"))\n\
         svix.message.create(\"{app}\", MessageIn(event_type=\"{event}\", payload={{\"id\": \"1\"}}))"
    );
    let verify = "import { Webhook } from \"standardwebhooks\";\n\n\
         const webhook = new Webhook(process.env.WEBHOOK_SECRET);\n\
         const event = webhook.verify(body, headers); // throws if the signature is not ours"
        .to_owned();
    let texts = [
        ("curl: send a sample to this endpoint", curl),
        ("JavaScript: send an event", javascript),
        ("Python: send an event", python),
        ("JavaScript: verify what came", verify),
    ];
    block::panel("In code", &html! {}, &code::tabs("snippets", &texts))
}

/// An event type to show.
fn event(at: &InApp) -> String {
    let first = at.app.contract.event_types().next();
    first.map_or_else(|| "svix.ping".to_owned(), |event| event.name.clone())
}

//! What is done with many deliveries at once.

use axum::response::{IntoResponse as _, Redirect};
use watchfire_domain::id::{EndpointId, MessageId};
use watchfire_engine::service::{Error, attempts};
use watchfire_store::{EndpointRef, MessageRef};

use super::list::DONE;
use crate::access::InApp;
use crate::failure::{Answer, Failure};
use crate::form::Form;
use crate::params::Fields;

/// Sends those that are ticked again, each under the id it had.
pub(crate) async fn act(at: InApp, Form(fields): Form) -> Answer {
    if fields.text("act") != "resend" {
        return Err(Failure::Form("It does not say what to do."));
    }
    let (mut sent, mut left) = (0_usize, 0_usize);
    for name in fields.all("d") {
        let Some((message, endpoint)) = read(name) else {
            left += 1;
            continue;
        };
        let resent = attempts::resend(at.engine(), &at.app, &message, &endpoint, None).await;
        match resent {
            Ok(()) => sent += 1,
            // Its endpoint was deleted, or its payload has gone.
            Err(Error::NotFound | Error::PayloadGone) => left += 1,
            Err(error) => return Err(error.into()),
        }
    }
    let back = Fields::read(fields.text("back").trim_start_matches('?').as_bytes());
    let back = back.unwrap_or_default();
    let query = back.with(DONE, Some(&said(sent, left))).query();
    Ok(Redirect::to(&at.path(&format!("/deliveries{query}"))).into_response())
}

fn read(name: &str) -> Option<(MessageRef, EndpointRef)> {
    let (message, endpoint) = name.split_once('/')?;
    let message: MessageId = message.parse().ok()?;
    let endpoint: EndpointId = endpoint.parse().ok()?;
    Some((MessageRef::Id(message), EndpointRef::Id(endpoint)))
}

fn said(sent: usize, left: usize) -> String {
    let sent = match sent {
        0 => "Nothing was sent again".to_owned(),
        1 => "One delivery is sent again".to_owned(),
        sent => format!("{sent} deliveries are sent again"),
    };
    match left {
        0 => format!("{sent}."),
        left => format!("{sent}; {left} could not be: the endpoint or the payload is gone."),
    }
}

#[cfg(test)]
mod tests {
    use super::said;

    #[test]
    fn what_was_done_is_said_in_a_sentence() {
        assert_eq!(said(1, 0), "One delivery is sent again.");
        assert_eq!(
            said(0, 2),
            "Nothing was sent again; 2 could not be: the endpoint or the payload is gone."
        );
    }
}

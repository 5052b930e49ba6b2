//! What is done with many deliveries at once.

use axum::response::{IntoResponse as _, Redirect};
use watchfire_domain::id::{EndpointId, MessageId};
use watchfire_engine::service::{Error, attempts, cancel};
use watchfire_store::{EndpointRef, MessageRef};

use super::list::DONE;
use crate::access::InApp;
use crate::failure::{Answer, Failure};
use crate::form::Form;
use crate::params::Fields;

/// What a form asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// Under the id it had.
    Resend,
    Cancel,
}

impl Deed {
    fn named(name: &str) -> Option<Self> {
        match name {
            "resend" => Some(Self::Resend),
            "cancel" => Some(Self::Cancel),
            _ => None,
        }
    }
}

/// Sends those that are ticked again, or cancels those of them that are pending.
pub(crate) async fn act(at: InApp, Form(fields): Form) -> Answer {
    let deed = Deed::named(fields.text("act"));
    let deed = deed.ok_or(Failure::Form("It does not say what to do."))?;
    let (mut done, mut left) = (0_usize, 0_usize);
    for name in fields.all("d") {
        let result = match read(name) {
            Some((message, endpoint)) => carry_out(&at, deed, &message, &endpoint).await,
            None => Err(Error::NotFound),
        };
        match result {
            Ok(()) => done += 1,
            // Its endpoint was deleted, its payload has gone, it has ended or is on its way.
            Err(Error::NotFound | Error::PayloadGone | Error::Ended | Error::InFlight) => left += 1,
            Err(error) => return Err(error.into()),
        }
    }
    let back = Fields::read(fields.text("back").trim_start_matches('?').as_bytes());
    let back = back.unwrap_or_default();
    let query = back.with(DONE, Some(&said(deed, done, left))).query();
    Ok(Redirect::to(&at.path(&format!("/deliveries{query}"))).into_response())
}

async fn carry_out(
    at: &InApp,
    deed: Deed,
    message: &MessageRef,
    endpoint: &EndpointRef,
) -> Result<(), Error> {
    let engine = at.engine();
    match deed {
        Deed::Resend => attempts::resend(engine, &at.app, message, endpoint, None).await,
        Deed::Cancel => cancel::delivery(engine, &at.app, message, endpoint).await,
    }
}

fn read(name: &str) -> Option<(MessageRef, EndpointRef)> {
    let (message, endpoint) = name.split_once('/')?;
    let message: MessageId = message.parse().ok()?;
    let endpoint: EndpointId = endpoint.parse().ok()?;
    Some((MessageRef::Id(message), EndpointRef::Id(endpoint)))
}

fn said(deed: Deed, done: usize, left: usize) -> String {
    let (verb, why) = match deed {
        Deed::Resend => ("sent again", "the endpoint or the payload is gone"),
        Deed::Cancel => ("cancelled", "it had ended or was being sent"),
    };
    let done = match done {
        0 => format!("Nothing was {verb}"),
        1 => format!("One delivery is {verb}"),
        many => format!("{many} deliveries are {verb}"),
    };
    match left {
        0 => format!("{done}."),
        left => format!("{done}; {left} could not be: {why}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_said_in_a_sentence() {
        assert_eq!(said(Deed::Resend, 1, 0), "One delivery is sent again.");
        assert_eq!(
            said(Deed::Resend, 0, 2),
            "Nothing was sent again; 2 could not be: the endpoint or the payload is gone."
        );
        assert_eq!(
            said(Deed::Cancel, 3, 1),
            "3 deliveries are cancelled; 1 could not be: it had ended or was being sent."
        );
    }
}

//! The way into a customer's portal, and how it looks.
//!
//! The link's token stands in the fragment, which browsers send to nobody; the script sends it as a
//! form. Without a script, the token can be pasted.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use watchfire_engine::identity::{ClientAddress, Reach, Refused};

use super::sign_in::later;
use crate::access::InApp;
use crate::failure::{Answer, Failure};
use crate::form::OpenForm;
use crate::params::Fields;
use crate::session::{Look, Place, Session};
use crate::state::DashboardState;
use crate::throttle;
use crate::ui::control::{Text, Weight, submit, text};
use crate::ui::theme::{Accent, Mode};
use crate::ui::{Brand, Draft, shell};

const TOKEN: &str = "token";
/// A stylesheet made from its own address never changes.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

pub(crate) async fn page(State(state): State<DashboardState>, query: Fields) -> Response {
    let look = look(&state, &query);
    let body = form(&query, &Draft::default());
    shell::bare(&state, Brand::Portal, &look, "Webhooks", &body)
}

fn form(query: &Fields, draft: &Draft) -> Markup {
    html! {
        p.muted {
            "The link you came by signs you in. If nothing happens, paste the token it carries "
            "behind " code { "#token=" } "."
        }
        form.form method="post" action="/portal/session" data-fragment=(TOKEN) {
            @for name in ["primaryColor", "darkMode", "next"] {
                input type="hidden" name=(name) value=(draft.fields().get(name)
                    .unwrap_or(query.text(name)));
            }
            (text(draft, Text {
                name: TOKEN,
                label: "Token",
                kind: "password",
                required: true,
                is_code: true,
                ..Text::default()
            }))
            (submit(Weight::Primary, None, "Open"))
        }
    }
}

/// How the portal looks: what the link says, else what the operator set.
fn look(state: &DashboardState, fields: &Fields) -> Look {
    let set = state.portal_look();
    let mode = match fields.text("darkMode") {
        "true" => Mode::Dark,
        "false" => Mode::Light,
        _ => set.mode,
    };
    let accent = fields.text("primaryColor").parse().ok();
    Look {
        mode,
        accent: accent.or(set.accent),
    }
}

/// Exchanges a token for a session of its application's portal.
pub(crate) async fn enter(
    State(state): State<DashboardState>,
    from: Option<Extension<ClientAddress>>,
    OpenForm(fields): OpenForm,
) -> Answer {
    let from = from.map(|Extension(from)| from);
    let look = look(&state, &fields);
    let again = |why: &str| {
        let draft = Draft::wrong(fields.with(TOKEN, None), TOKEN, why);
        shell::bare(
            &state,
            Brand::Portal,
            &look,
            "Webhooks",
            &form(&fields, &draft),
        )
    };
    if let Some(wait) = state.sign_ins().wait(from, state.now()) {
        return Ok(later(again(&throttle::words(wait)), wait));
    }
    let engine = state.engine();
    let credential = fields.text(TOKEN);
    let refused = match state.authenticator().proof(engine, credential).await {
        Ok(proof) => match proof.caller(engine).await?.map(|caller| caller.reach) {
            Some(Reach::Only(app)) => {
                state.sign_ins().passed(from);
                let cookie = Session::begin(&state, Place::Portal(app), proof, look.clone());
                let next = match fields.text("next") {
                    "" => String::new(),
                    next => step(next),
                };
                let to = Redirect::to(&format!("/portal/{app}{next}"));
                return Ok(([(header::SET_COOKIE, cookie)], to).into_response());
            }
            Some(Reach::Everything) => "This token is for all applications: use the dashboard.",
            None => EXPIRED,
        },
        Err(Refused::Service(error)) => return Err(Failure::from(error)),
        Err(_) => EXPIRED,
    };
    state.sign_ins().refused(from, state.now());
    let mut page = again(refused);
    *page.status_mut() = StatusCode::UNAUTHORIZED;
    Ok(page)
}

const EXPIRED: &str = "This link is not valid any more. Please open it again in the product you \
                       came from.";

/// A page of the portal to begin with; anything else leads to its start.
fn step(next: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_');
    if next.starts_with('/') && !next.starts_with("//") && next.chars().all(is_plain) {
        next.to_owned()
    } else {
        String::new()
    }
}

/// The portal's start.
pub(crate) async fn home(at: InApp) -> Redirect {
    Redirect::to(&at.path("/endpoints"))
}

/// A stylesheet that puts one colour in place of ours.
pub(crate) async fn accent(Path(name): Path<String>) -> Response {
    let accent = name
        .strip_suffix(".css")
        .and_then(|digits| digits.parse::<Accent>().ok());
    let Some(accent) = accent else {
        return Failure::NotFound.into_response();
    };
    let kind = HeaderValue::from_static("text/css; charset=utf-8");
    let head = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, FOR_EVER),
    ];
    (head, accent.stylesheet()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_pages_of_the_portal_only() {
        assert_eq!(step("/endpoints/ep_1"), "/endpoints/ep_1");
        for other in [
            "//evil.example",
            "https://evil.example",
            "/../../dashboard",
            "/a?b",
            "x",
        ] {
            assert_eq!(step(other), "", "{other}");
        }
    }
}

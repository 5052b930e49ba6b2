//! Signing in and out, and the switch between light and dark.

use axum::Extension;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use std::sync::Arc;
use std::time::Duration;

use maud::{Markup, html};
use watchfire_engine::identity::{ClientAddress, Proof, Refused, ticket};

use crate::failure::{Answer, Failure};
use crate::form::{Form, OpenForm};
use crate::params::Fields;
use crate::session::{Look, Place, Session, THEME, clear_theme, named, set_theme};
use crate::state::DashboardState;
use crate::throttle;
use crate::ui::control::{Text, Weight, submit, text};
use crate::ui::status::Tone;
use crate::ui::theme::Mode;
use crate::ui::{Brand, Draft, block, shell};

/// Where the field is that takes a credential; the script fills it from the address's fragment.
const CREDENTIAL: &str = "credential";

pub(crate) async fn page(
    State(state): State<DashboardState>,
    headers: HeaderMap,
    query: Fields,
) -> Response {
    let body = form(&query, &Draft::default());
    shell::bare(&state, Brand::Dashboard, &look(&headers), "Sign in", &body)
}

fn form(query: &Fields, draft: &Draft) -> Markup {
    html! {
        p.muted {
            "Paste an API key or a token, or open the link that "
            code { "watchfire login" } " prints on the server."
        }
        form.form method="post" action="/dashboard/sign-in" data-fragment=(CREDENTIAL) {
            input type="hidden" name="next" value=(draft.fields().get("next")
                .unwrap_or(query.text("next")));
            (text(draft, Text {
                name: CREDENTIAL,
                label: "API key, token or sign-in code",
                kind: "password",
                required: true,
                is_code: true,
                ..Text::default()
            }))
            (submit(Weight::Primary, None, "Sign in"))
        }
    }
}

pub(crate) async fn sign_in(
    State(state): State<DashboardState>,
    headers: HeaderMap,
    from: Option<Extension<ClientAddress>>,
    OpenForm(fields): OpenForm,
) -> Answer {
    let from = from.map(|Extension(from)| from);
    if let Some(wait) = state.sign_ins().wait(from, state.now()) {
        let draft = Draft::wrong(
            fields.with(CREDENTIAL, None),
            CREDENTIAL,
            throttle::words(wait),
        );
        let page = shell::bare(
            &state,
            Brand::Dashboard,
            &look(&headers),
            "Sign in",
            &form(&fields, &draft),
        );
        return Ok(later(page, wait));
    }
    match proof(&state, fields.text(CREDENTIAL)).await {
        Ok(proof) => {
            state.sign_ins().passed(from);
            let next = local(fields.text("next"));
            let cookie = Session::begin(&state, Place::Dashboard, proof, Look::default());
            Ok(([(header::SET_COOKIE, cookie)], Redirect::to(next)).into_response())
        }
        Err(Refused::Service(error)) => Err(Failure::from(error)),
        Err(refused) => {
            state.sign_ins().refused(from, state.now());
            tracing::warn!(
                error = &refused as &dyn std::error::Error,
                "a sign-in was refused"
            );
            let kept = fields.with(CREDENTIAL, None);
            let draft = Draft::wrong(kept, CREDENTIAL, why(&refused));
            let body = form(&fields, &draft);
            let mut page = shell::bare(&state, Brand::Dashboard, &look(&headers), "Sign in", &body);
            *page.status_mut() = StatusCode::UNAUTHORIZED;
            Ok(page)
        }
    }
}

/// The page for somebody who has to wait.
pub(super) fn later(mut page: Response, wait: Duration) -> Response {
    *page.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    let wait = HeaderValue::from(throttle::seconds(wait));
    page.headers_mut().insert(header::RETRY_AFTER, wait);
    page
}

/// What a text proves: a credential, or the code of a link that signs in once.
async fn proof(state: &DashboardState, text: &str) -> Result<Proof, Refused> {
    let engine = state.engine();
    match state.authenticator().proof(engine, text).await {
        Err(Refused::NotValid) => ticket::redeem(engine, text).await,
        proof => proof,
    }
}

fn why(refused: &Refused) -> &'static str {
    match refused {
        Refused::SigningSecret => {
            "This is the secret that signs tokens, not a token: mint one with `watchfire token`."
        }
        Refused::NotValid
        | Refused::NoSubject
        | Refused::BadSubject
        | Refused::BadClaim { .. }
        | Refused::Service(_) => {
            "This is not valid: it is mistyped, has expired, was revoked, or its link was used \
             before. `watchfire login` prints a new link."
        }
    }
}

/// An address of ours to go to; anything else leads to the start.
fn local(next: &str) -> &str {
    let is_ours = next == "/dashboard" || next.starts_with("/dashboard/");
    let is_plain = next.chars().all(|c| c.is_ascii_graphic() && c != '\\');
    if is_ours && is_plain {
        next
    } else {
        "/dashboard"
    }
}

pub(crate) async fn sign_out(
    State(state): State<DashboardState>,
    session: Option<Extension<Arc<Session>>>,
    OriginalUri(asked): OriginalUri,
    form: Result<Form, Failure>,
) -> Answer {
    // Whoever is signed out already is where they wanted to be.
    let Some(Extension(session)) = session else {
        let portal = asked.path().starts_with("/portal");
        return Err(Failure::SignIn { portal, next: None });
    };
    let Form(_) = form?;
    session.end(state.engine()).await?;
    let gone = Session::forget(&state, session.place);
    let gone = [(header::SET_COOKIE, gone)];
    match session.place {
        Place::Dashboard => Ok((gone, Redirect::to("/dashboard/sign-in")).into_response()),
        Place::Portal(_) => {
            let body = block::callout(
                Tone::Good,
                "You are signed out",
                &html! {
                    p { "To come back, open the link again in the product you came from." }
                },
            );
            let page = shell::bare(&state, Brand::Dashboard, &session.look, "Signed out", &body);
            Ok((gone, page).into_response())
        }
    }
}

pub(crate) async fn theme(Form(fields): Form) -> Response {
    let mode = fields.text("mode").parse().unwrap_or(Mode::Auto);
    let cookie = match mode {
        Mode::Auto => clear_theme(),
        Mode::Light | Mode::Dark => set_theme(mode),
    };
    let next = local(fields.text("next"));
    ([(header::SET_COOKIE, cookie)], Redirect::to(next)).into_response()
}

fn look(headers: &HeaderMap) -> Look {
    let mode = named(headers, THEME).and_then(|name| name.parse().ok());
    Look {
        mode: mode.unwrap_or(Mode::Auto),
        accent: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_leads_to_our_own_pages_only() {
        assert_eq!(local("/dashboard/apps?x=1"), "/dashboard/apps?x=1");
        for other in [
            "",
            "/",
            "//evil.example",
            "https://evil.example",
            "/dashboardx",
            "/\\evil.example",
            "/dashboard/\\x",
            "/dashboard/\r\nset-cookie: a=b",
        ] {
            assert_eq!(local(other), "/dashboard", "{other}");
        }
    }
}

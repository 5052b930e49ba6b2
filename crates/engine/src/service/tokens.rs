//! Ends signed tokens before their time.
//!
//! A token is not stored, so what is stored is which ones are void: one by its hash, or all of a
//! session, an application or an organization that were made until now.

use std::time::Duration;

use watchfire_domain::audit::Action;
use watchfire_domain::id::{ApplicationId, OrganizationId};
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{Change, TokenMark, TokenSet, TokenVoid};

use super::Result;
use super::audit::{Deed, Seen};
use super::check::Faults;
use crate::{Engine, Snapshot};

/// Which tokens of an application to end, as somebody typed it.
#[derive(Clone, Debug, Default)]
pub struct ExpireInput {
    /// Only those made for one of these; all of the application if empty.
    pub sessions: Vec<String>,
    /// How long they may go on.
    pub grace: Duration,
}

/// Ends one token, which is valid until `until`: on this node it works no more when this returns.
pub async fn sign_out(engine: &Engine, token: &TokenMark, until: Timestamp) -> Result<()> {
    let now = engine.clock().now();
    let void = TokenVoid {
        org: token.org.clone(),
        sets: vec![TokenSet::One(token.hash)],
        issued_until: Timestamp::MAX,
        void_from: now,
        said_at: now,
        forget_at: (until < Timestamp::MAX).then_some(until),
    };
    let subject = subject(&token.org, token.application);
    let deed = Deed::of(&token.org, Action::TokenSignedOut, &subject).about(token.application);
    let noted = deed.noted(engine, Seen::NOTHING, Seen::NOTHING);
    let changes = vec![Change::VoidTokens(Box::new(void)), noted];
    engine.apply(changes).await?;
    tracing::info!(token.subject = %subject, "a token was ended");
    Ok(())
}

/// Ends tokens of an application that were made until now.
pub async fn expire_of_application(
    engine: &Engine,
    app: &Snapshot,
    input: ExpireInput,
) -> Result<()> {
    check(&input)?;
    let id = app.stored.application.id;
    let of_session = |session| TokenSet::Session {
        application: id,
        session,
    };
    let sets: Vec<_> = if input.sessions.is_empty() {
        vec![TokenSet::Application(id)]
    } else {
        input.sessions.into_iter().map(of_session).collect()
    };
    expire(engine, &app.stored.org, Some(id), sets, input.grace).await
}

/// Ends all tokens of an organization and its applications that were made until now.
pub async fn expire_of_organization(engine: &Engine, org: &OrganizationId) -> Result<()> {
    let all = vec![TokenSet::Organization];
    expire(engine, org, None, all, Duration::ZERO).await
}

async fn expire(
    engine: &Engine,
    org: &OrganizationId,
    application: Option<ApplicationId>,
    sets: Vec<TokenSet>,
    grace: Duration,
) -> Result<()> {
    let now = engine.clock().now();
    let of_sessions = matches!(sets.first(), Some(TokenSet::Session { .. }));
    let void = TokenVoid {
        org: org.clone(),
        sets,
        issued_until: now,
        void_from: now + grace,
        said_at: now,
        // Only this server names sessions, and its tokens live no longer.
        forget_at: of_sessions.then(|| now + crate::identity::APPLICATION_TOKEN_LIFE_MAX),
    };
    let subject = subject(org, application);
    let deed = Deed::of(org, Action::TokensExpired, &subject).about(application);
    let noted = deed.noted(engine, Seen::NOTHING, Seen::NOTHING);
    let changes = vec![Change::VoidTokens(Box::new(void)), noted];
    engine.apply(changes).await?;
    tracing::info!(token.subject = %subject, "tokens were ended");
    Ok(())
}

fn check(input: &ExpireInput) -> Result<()> {
    let mut faults = Faults::default();
    if input.grace > limit::TOKEN_GRACE_MAX {
        let max = limit::TOKEN_GRACE_MAX.as_secs();
        faults.add(
            "expiry",
            format_args!("must be between 0 and {max} seconds"),
        );
    }
    if input.sessions.len() > limit::TOKEN_SESSIONS_MAX {
        let max = limit::TOKEN_SESSIONS_MAX;
        faults.add("sessionIds", format_args!("may have at most {max} items"));
        return faults.finish();
    }
    for (index, session) in input.sessions.iter().enumerate() {
        if let Err(reason) = check_session(session) {
            faults.add_at("sessionIds", format!("[{index}]"), reason);
        }
    }
    faults.finish()
}

/// Whether a text can name a session.
///
/// # Errors
///
/// What is wrong with it.
pub fn check_session(session: &str) -> Result<(), String> {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '@' | '_' | '-');
    let max = limit::TOKEN_SESSION_CHARS_MAX;
    if session.is_empty() || session.chars().count() > max {
        Err(format!("must have 1 to {max} characters"))
    } else if !session.chars().all(known) {
        Err("may have letters, digits, `@`, `_` and `-` only".to_owned())
    } else {
        Ok(())
    }
}

/// Whom tokens speak for, as the audit log names them.
fn subject(org: &OrganizationId, application: Option<ApplicationId>) -> String {
    application.map_or_else(|| org.to_string(), |id| id.to_string())
}

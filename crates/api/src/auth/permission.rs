//! The permissions a route can ask for, each an extractor.

use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, RawPathParams};
use axum::http::request::Parts;
use watchfire_domain::id::{ApplicationId, OrganizationId};
use watchfire_domain::scope::Scope;
use watchfire_domain::time::Timestamp;
use watchfire_engine::Snapshot;
use watchfire_engine::identity::{Caller, Proof, Reach, Refused};
use watchfire_engine::service::event_types::Sight;
use watchfire_engine::service::{applications, notices, tasks};
use watchfire_store::{ApplicationRef, TokenMark};

use super::bearer;
use crate::error::{ApiError, ApiResult, Code};
use crate::routes::scope_of;
use crate::state::ApiState;
use watchfire_engine::identity::ClientAddress;

/// All of an organization.
pub(crate) struct Org(pub(crate) OrganizationId);

/// The application in the path: its own credential, or its organization's.
pub(crate) struct App {
    pub(crate) org: OrganizationId,
    pub(crate) snapshot: Arc<Snapshot>,
}

/// The application in the path, which must exist; an organization's credential only.
pub(crate) struct OrgApp {
    pub(crate) org: OrganizationId,
    pub(crate) snapshot: Arc<Snapshot>,
}

/// An organization's credential, and the name of an application that may not exist yet.
pub(crate) struct OrgFor {
    pub(crate) org: OrganizationId,
    pub(crate) reference: ApplicationRef,
}

/// Who may send messages to the application in the path: its own key, or its organization's
/// credential, for which it may not exist yet.
pub(crate) struct Sender {
    pub(crate) scope: OrgFor,
    /// Whether the application may be created along the way.
    pub(crate) may_create: bool,
}

/// The application that gets an organization's operational webhooks; an organization's token only.
pub(crate) struct Operational(pub(crate) App);

/// What everyone in an organization may read.
pub(crate) struct ReadAll {
    pub(crate) org: OrganizationId,
    caller: Arc<Caller>,
}

/// The background tasks of the caller's application, or of all of its organization.
pub(crate) struct OwnTasks(pub(crate) tasks::Owner);

/// The application's token that asks.
pub(crate) struct OwnToken {
    pub(crate) mark: TokenMark,
    pub(crate) until: Timestamp,
}

impl ReadAll {
    pub(crate) fn sight(&self) -> Sight<'_> {
        match self.caller.reach {
            Reach::Everything => Sight::All,
            Reach::Only(_) => Sight::Flags(&self.caller.feature_flags),
        }
    }
}

/// The state whose engine acts for the caller: what is changed through it is noted in their name.
/// A permission stands beside it; this is none.
pub(crate) struct By(pub(crate) ApiState);

impl FromRequestParts<ApiState> for By {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> ApiResult<Self> {
        let caller = known(parts, state).await?;
        let from = parts.extensions.get::<ClientAddress>().copied();
        Ok(Self(state.acting_for(Arc::clone(&caller.actor), from)))
    }
}

/// Whom the credential belongs to; looked up once a request.
async fn known(parts: &mut Parts, state: &ApiState) -> ApiResult<Arc<Caller>> {
    if let Some(caller) = parts.extensions.get::<Arc<Caller>>() {
        return Ok(Arc::clone(caller));
    }
    let credential = bearer(&parts.headers).ok_or(Code::AuthenticationFailed)?;
    let (throttle, now) = (state.throttle(), state.now());
    let from = parts.extensions.get::<ClientAddress>().copied();
    throttle.may_try(from, credential, now)?;
    let authenticator = state.authenticator();
    let caller = authenticator.caller(state.engine(), credential).await;
    let caller = caller.inspect_err(|refused| {
        if !matches!(refused, Refused::Service(_)) {
            throttle.refused(from, now);
        }
    })?;
    throttle.passed(credential, &caller.org, now)?;
    parts.extensions.insert(Arc::clone(&caller));
    Ok(caller)
}

/// Who is calling, if they may do what the route does.
async fn caller(parts: &mut Parts, state: &ApiState) -> ApiResult<Arc<Caller>> {
    let caller = known(parts, state).await?;
    let route = parts.extensions.get::<MatchedPath>();
    let scope = route.and_then(|route| scope_of(&parts.method, route.as_str()));
    caller.require(scope.ok_or(Code::InsufficientAccess)?)?;
    Ok(caller)
}

async fn organization(parts: &mut Parts, state: &ApiState) -> ApiResult<OrganizationId> {
    let caller = caller(parts, state).await?;
    Ok(caller.organization()?.clone())
}

/// The application the path names.
async fn application_in(parts: &mut Parts, state: &ApiState) -> ApiResult<ApplicationRef> {
    let params = RawPathParams::from_request_parts(parts, state).await;
    let params = params.map_err(|error| ApiError::new(Code::Generic, error.body_text()))?;
    let text = params
        .iter()
        .find(|(name, _)| *name == "app_id")
        .map(|(_, text)| text);
    text.and_then(application_ref)
        .ok_or_else(|| Code::NotFound.into())
}

/// A text that can't name an application names none.
pub(crate) fn application_ref(text: &str) -> Option<ApplicationRef> {
    if text.starts_with(ApplicationId::PREFIX) {
        text.parse().ok().map(ApplicationRef::Id)
    } else {
        text.parse().ok().map(ApplicationRef::Uid)
    }
}

impl FromRequestParts<ApiState> for Operational {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> ApiResult<Self> {
        let org = organization(parts, state).await?;
        let snapshot = notices::operational(state.engine(), &org).await?;
        Ok(Self(App { org, snapshot }))
    }
}

impl FromRequestParts<ApiState> for Org {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> ApiResult<Self> {
        organization(parts, state).await.map(Self)
    }
}

impl FromRequestParts<ApiState> for App {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> ApiResult<Self> {
        let caller = caller(parts, state).await?;
        let reference = application_in(parts, state).await?;
        let snapshot = within_reach(&caller, state, &reference).await?;
        Ok(Self {
            org: caller.org.clone(),
            snapshot,
        })
    }
}

/// The application, if there is one and the caller reaches it.
async fn within_reach(
    caller: &Caller,
    state: &ApiState,
    reference: &ApplicationRef,
) -> ApiResult<Arc<Snapshot>> {
    let snapshot = applications::find(state.engine(), &caller.org, reference).await?;
    if caller.reaches(snapshot.stored.application.id) {
        Ok(snapshot)
    } else {
        Err(Code::NotFound.into())
    }
}

impl FromRequestParts<ApiState> for Sender {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> ApiResult<Self> {
        let caller = caller(parts, state).await?;
        let reference = application_in(parts, state).await?;
        let may_create = match caller.reach {
            Reach::Everything => caller.scopes.allow(Scope::Admin),
            Reach::Only(_) => {
                within_reach(&caller, state, &reference).await?;
                false
            }
        };
        let org = caller.org.clone();
        Ok(Self {
            scope: OrgFor { org, reference },
            may_create,
        })
    }
}

impl FromRequestParts<ApiState> for OrgApp {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> ApiResult<Self> {
        let OrgFor { org, reference } = OrgFor::from_request_parts(parts, state).await?;
        let snapshot = applications::find(state.engine(), &org, &reference).await?;
        Ok(Self { org, snapshot })
    }
}

impl FromRequestParts<ApiState> for OrgFor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> ApiResult<Self> {
        let org = organization(parts, state).await?;
        let reference = application_in(parts, state).await?;
        Ok(Self { org, reference })
    }
}

impl FromRequestParts<ApiState> for OwnTasks {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> ApiResult<Self> {
        let caller = caller(parts, state).await?;
        let app = match caller.reach {
            Reach::Everything => None,
            Reach::Only(id) => {
                let own = ApplicationRef::Id(id);
                let own = applications::find(state.engine(), &caller.org, &own).await?;
                Some(own.stored.key)
            }
        };
        let org = caller.org.clone();
        Ok(Self(tasks::Owner { org, app }))
    }
}

impl FromRequestParts<ApiState> for OwnToken {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> ApiResult<Self> {
        caller(parts, state).await?;
        let credential = bearer(&parts.headers).ok_or(Code::AuthenticationFailed)?;
        let proof = state.authenticator().proof(state.engine(), credential);
        match proof.await? {
            Proof::Token { mark, until, .. } if mark.application.is_some() => {
                Ok(Self { mark, until })
            }
            Proof::Token { .. } | Proof::Key(_) => Err(ApiError::new(
                Code::InsufficientAccess,
                "Only an application's token can be ended by itself. End an organization's tokens \
                 with auth/expire-all, and delete an API key.",
            )),
        }
    }
}

impl FromRequestParts<ApiState> for ReadAll {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> ApiResult<Self> {
        let caller = caller(parts, state).await?;
        Ok(Self {
            org: caller.org.clone(),
            caller,
        })
    }
}

//! Applications, endpoints and event types.

mod api_key;
mod application;
mod change_log;
mod endpoint;
mod event_type;
mod page;
mod token_void;

use std::collections::BTreeMap;

use async_trait::async_trait;
use rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE;
use serde::Serialize;
use watchfire_domain::id::{ApplicationId, EndpointId, EventType, OrganizationId, Uid};
use watchfire_store::{
    AppKey, ApplicationFilter, ApplicationRef, ApplyError, Change, ChangeNumber, Configuration,
    Conflict, EndpointKey, EndpointRef, EventTypeRecord, Logged, Range, ShardSet, StoreResult,
    StoredApplication, StoredEndpoint,
};

use crate::audit;
use crate::fault::{FaultResult, Refusal};
use crate::ledger::{remember, remembered};
use crate::notices;
use crate::open::Sqlite;
use crate::task;
use crate::writer::{Rows, Tx};

pub(crate) use change_log::prune as prune_change_log;
pub(crate) use endpoint::{belongs, write_health};
pub(crate) use page::page;

#[async_trait]
impl Configuration for Sqlite {
    async fn apply(&self, changes: Vec<Change>) -> Result<(), ApplyError> {
        let rows = Rows(changes.len());
        let work = move |tx: &mut Tx<'_>| {
            changes.iter().try_for_each(|change| {
                apply(tx, change)?;
                Ok(change_log::note(tx, change)?)
            })
        };
        Ok(self.writer.run::<_, Refusal, _>(rows, work).await?)
    }

    async fn application(
        &self,
        org: &OrganizationId,
        reference: &ApplicationRef,
    ) -> StoreResult<Option<StoredApplication>> {
        let (org, reference) = (org.clone(), reference.clone());
        self.readers
            .run(move |connection| application::find(connection, &org, &reference))
            .await
    }

    async fn application_by_key(&self, key: AppKey) -> StoreResult<Option<StoredApplication>> {
        self.readers
            .run(move |connection| application::by_key(connection, key))
            .await
    }

    async fn applications(
        &self,
        org: &OrganizationId,
        filter: &ApplicationFilter,
        range: Range<ApplicationId>,
    ) -> StoreResult<Vec<StoredApplication>> {
        let (org, filter) = (org.clone(), filter.clone());
        self.readers
            .run(move |connection| application::list(connection, &org, &filter, &range))
            .await
    }

    async fn endpoints_of(&self, app: AppKey) -> StoreResult<Vec<StoredEndpoint>> {
        self.readers
            .run(move |connection| endpoint::all(connection, app))
            .await
    }

    async fn endpoint(
        &self,
        app: AppKey,
        reference: &EndpointRef,
    ) -> StoreResult<Option<StoredEndpoint>> {
        let reference = reference.clone();
        self.readers
            .run(move |connection| endpoint::find(connection, app, &reference))
            .await
    }

    async fn endpoints(
        &self,
        app: AppKey,
        range: Range<EndpointId>,
    ) -> StoreResult<Vec<StoredEndpoint>> {
        self.readers
            .run(move |connection| endpoint::list(connection, app, &range))
            .await
    }

    async fn endpoints_unwell(
        &self,
        shards: ShardSet,
        after: Option<EndpointKey>,
        limit: usize,
    ) -> StoreResult<Vec<(EndpointKey, AppKey)>> {
        self.readers
            .run(move |connection| endpoint::unwell(connection, shards, after, limit))
            .await
    }

    async fn endpoint_ids(
        &self,
        app: AppKey,
        keys: Vec<EndpointKey>,
    ) -> StoreResult<BTreeMap<EndpointKey, EndpointId>> {
        self.readers
            .run(move |connection| endpoint::ids(connection, app, &keys))
            .await
    }

    async fn contracts_in_use(&self) -> StoreResult<Vec<(OrganizationId, Option<String>)>> {
        self.readers.run(application::contracts_in_use).await
    }

    async fn event_type(
        &self,
        org: &OrganizationId,
        name: &EventType,
    ) -> StoreResult<Option<EventTypeRecord>> {
        let (org, name) = (org.clone(), name.clone());
        self.readers
            .run(move |connection| event_type::find(connection, &org, &name))
            .await
    }

    async fn event_types(
        &self,
        org: &OrganizationId,
        include_archived: bool,
        range: Range<EventType>,
    ) -> StoreResult<Vec<EventTypeRecord>> {
        let org = org.clone();
        let which = event_type::Which::archived_too(include_archived);
        self.readers
            .run(move |connection| event_type::list(connection, &org, which, &range))
            .await
    }

    async fn changed_after(&self, after: ChangeNumber, limit: usize) -> StoreResult<Vec<Logged>> {
        self.readers
            .run(move |connection| change_log::after(connection, after, limit))
            .await
    }

    async fn newest_change(&self) -> StoreResult<ChangeNumber> {
        self.readers.run(change_log::newest).await
    }
}

fn apply(tx: &Tx<'_>, change: &Change) -> Result<(), Refusal> {
    match change {
        Change::CreateApplication { org, application } => application::create(tx, org, application),
        Change::UpdateApplication {
            key,
            revision,
            application,
        } => application::update(tx, *key, *revision, application),
        Change::DeleteApplication { key, now } => application::delete(tx, *key, *now),
        Change::CreateEndpoint {
            application,
            endpoint,
        } => endpoint::create(tx, *application, endpoint),
        Change::UpdateEndpoint {
            key,
            revision,
            endpoint,
        } => endpoint::update(tx, *key, *revision, endpoint),
        Change::DeleteEndpoint { key, now } => endpoint::delete(tx, *key, *now),
        Change::SetHealth {
            key,
            health,
            revision,
        } => endpoint::set_health(tx, *key, health, *revision),
        Change::CreateEventType { org, event_type } => event_type::create(tx, org, event_type),
        Change::PutEventType { org, event_type } => event_type::put(tx, org, event_type),
        Change::DeleteEventType { org, name } => event_type::delete(tx, org, name),
        Change::CreateApiKey { key } => api_key::create(tx, key),
        Change::RevokeApiKey { org, id } => api_key::revoke(tx, org, *id),
        Change::NoteApiKeyUse { id, at } => Ok(api_key::note_use(tx, *id, *at)?),
        Change::VoidTokens(void) => token_void::write(tx, void),
        Change::Tell(notice) => Ok(notices::write(tx, notice)?),
        Change::Audit(entry) => Ok(audit::write(tx, entry)?),
        Change::CreateTask(task) => task::create(tx, task),
        Change::Remember { answer, now } => match remembered(tx.connection(), &answer.key, *now)? {
            Some(before) => Err(Conflict::Repeated(before).into()),
            None => Ok(remember(tx, answer)?),
        },
    }
}

/// A unique index was in the way: of the uid, if there is one, because ids are drawn at random.
fn conflict_over(uid: Option<&Uid>, error: rusqlite::Error, conflict: Conflict) -> Refusal {
    let code = error.sqlite_error().map(|cause| cause.extended_code);
    if uid.is_some() && code == Some(SQLITE_CONSTRAINT_UNIQUE) {
        conflict.into()
    } else {
        error.into()
    }
}

pub(crate) fn json_text(settings: &impl Serialize) -> FaultResult<String> {
    serde_json::to_string(settings)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()).into())
}

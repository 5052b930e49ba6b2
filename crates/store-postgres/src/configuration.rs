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
use watchfire_domain::id::{ApplicationId, EndpointId, EventType, KeyId, OrganizationId, Uid};
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    AppKey, ApplicationFilter, ApplicationRef, ApplyError, Change, ChangeNumber, Configuration,
    Conflict, EndpointKey, EndpointRef, EventTypeRecord, Logged, NewNotice, Range, Remembered,
    ShardSet, StoreResult, StoredApplication, StoredEndpoint,
};

use crate::audit;
use crate::fault::{Fault, Refusal};
use crate::ledger::{remember, remembered};
use crate::notices;
use crate::open::Postgres;
use crate::session::{Mode, Tx, in_transaction};
use crate::task;

pub(crate) use change_log::prune as prune_change_log;
pub(crate) use endpoint::{belongs, ids_of, lock_health, write_health};
pub(crate) use page::Page;

#[async_trait]
impl Configuration for Postgres {
    async fn apply(&self, changes: Vec<Change>) -> Result<(), ApplyError> {
        let work = in_transaction!(self.people, Mode::Write, tx => apply_all(&tx, &changes));
        Ok(work.await?)
    }

    async fn application(
        &self,
        org: &OrganizationId,
        reference: &ApplicationRef,
    ) -> StoreResult<Option<StoredApplication>> {
        let work =
            in_transaction!(self.people, Mode::Read, tx => application::find(&tx, org, reference));
        Ok(work.await?)
    }

    async fn application_by_key(&self, key: AppKey) -> StoreResult<Option<StoredApplication>> {
        let work = in_transaction!(self.people, Mode::Read, tx => application::by_key(&tx, key));
        Ok(work.await?)
    }

    async fn applications(
        &self,
        org: &OrganizationId,
        filter: &ApplicationFilter,
        range: Range<ApplicationId>,
    ) -> StoreResult<Vec<StoredApplication>> {
        let work = in_transaction!(
            self.people, Mode::Read, tx => application::list(&tx, org, filter, &range)
        );
        Ok(work.await?)
    }

    async fn endpoints_of(&self, app: AppKey) -> StoreResult<Vec<StoredEndpoint>> {
        let work = in_transaction!(self.people, Mode::Read, tx => endpoint::all(&tx, app));
        Ok(work.await?)
    }

    async fn endpoint(
        &self,
        app: AppKey,
        reference: &EndpointRef,
    ) -> StoreResult<Option<StoredEndpoint>> {
        let work =
            in_transaction!(self.people, Mode::Read, tx => endpoint::find(&tx, app, reference));
        Ok(work.await?)
    }

    async fn endpoints(
        &self,
        app: AppKey,
        range: Range<EndpointId>,
    ) -> StoreResult<Vec<StoredEndpoint>> {
        let work = in_transaction!(self.people, Mode::Read, tx => endpoint::list(&tx, app, &range));
        Ok(work.await?)
    }

    async fn endpoints_unwell(
        &self,
        shards: ShardSet,
        after: Option<EndpointKey>,
        limit: usize,
    ) -> StoreResult<Vec<(EndpointKey, AppKey)>> {
        let work = in_transaction!(
            self.people, Mode::Read, tx => endpoint::unwell(&tx, shards, after, limit)
        );
        Ok(work.await?)
    }

    async fn endpoint_ids(
        &self,
        app: AppKey,
        keys: Vec<EndpointKey>,
    ) -> StoreResult<BTreeMap<EndpointKey, EndpointId>> {
        let work = in_transaction!(self.people, Mode::Read, tx => ids_of(&tx, app, &keys));
        Ok(work.await?)
    }

    async fn contracts_in_use(&self) -> StoreResult<Vec<(OrganizationId, Option<String>)>> {
        let work =
            in_transaction!(self.people, Mode::Read, tx => application::contracts_in_use(&tx));
        Ok(work.await?)
    }

    async fn event_type(
        &self,
        org: &OrganizationId,
        name: &EventType,
    ) -> StoreResult<Option<EventTypeRecord>> {
        let work = in_transaction!(self.people, Mode::Read, tx => event_type::find(&tx, org, name));
        Ok(work.await?)
    }

    async fn event_types(
        &self,
        org: &OrganizationId,
        include_archived: bool,
        range: Range<EventType>,
    ) -> StoreResult<Vec<EventTypeRecord>> {
        let which = event_type::Which::archived_too(include_archived);
        let work = in_transaction!(
            self.people, Mode::Read, tx => event_type::list(&tx, org, which, &range)
        );
        Ok(work.await?)
    }

    async fn changed_after(&self, after: ChangeNumber, limit: usize) -> StoreResult<Vec<Logged>> {
        let work =
            in_transaction!(self.ledger, Mode::Read, tx => change_log::after(&tx, after, limit));
        Ok(work.await?)
    }

    async fn newest_change(&self) -> StoreResult<ChangeNumber> {
        let work = in_transaction!(self.ledger, Mode::Read, tx => change_log::newest(&tx));
        Ok(work.await?)
    }
}

async fn apply_all(tx: &Tx, changes: &[Change]) -> Result<(), Refusal> {
    // Uses of keys come by the thousand; they are written at once, behind everything else.
    let mut uses: Vec<(KeyId, Timestamp)> = Vec::new();
    let mut told: Vec<&NewNotice> = Vec::new();
    for change in changes {
        match change {
            Change::NoteApiKeyUse { id, at } => uses.push((*id, *at)),
            Change::Tell(notice) => told.push(notice),
            other => apply(tx, other).await?,
        }
    }
    api_key::note_uses(tx, &uses).await?;
    notices::write(tx, &told).await?;
    // Last, since it keeps other changes waiting until the commit.
    Ok(change_log::note(tx, changes).await?)
}

async fn apply(tx: &Tx, change: &Change) -> Result<(), Refusal> {
    match change {
        Change::CreateApplication { org, application } => {
            application::create(tx, org, application).await
        }
        Change::UpdateApplication {
            key,
            revision,
            application,
        } => application::update(tx, *key, *revision, application).await,
        Change::DeleteApplication { key, now } => application::delete(tx, *key, *now).await,
        Change::CreateEndpoint {
            application,
            endpoint,
        } => endpoint::create(tx, *application, endpoint).await,
        Change::UpdateEndpoint {
            key,
            revision,
            endpoint,
        } => endpoint::update(tx, *key, *revision, endpoint).await,
        Change::DeleteEndpoint { key, now } => endpoint::delete(tx, *key, *now).await,
        Change::SetHealth {
            key,
            health,
            revision,
        } => endpoint::set_health(tx, *key, health, *revision).await,
        Change::CreateEventType { org, event_type } => {
            event_type::create(tx, org, event_type).await
        }
        Change::PutEventType { org, event_type } => event_type::put(tx, org, event_type).await,
        Change::DeleteEventType { org, name } => event_type::delete(tx, org, name).await,
        Change::CreateApiKey { key } => api_key::create(tx, key).await,
        Change::RevokeApiKey { org, id } => api_key::revoke(tx, org, *id).await,
        Change::NoteApiKeyUse { id, at } => Ok(api_key::note_uses(tx, &[(*id, *at)]).await?),
        Change::VoidTokens(void) => token_void::write(tx, void).await,
        Change::Tell(notice) => Ok(notices::write(tx, &[notice]).await?),
        Change::Audit(entry) => Ok(audit::write(tx, entry).await?),
        Change::CreateTask(task) => task::create(tx, task).await,
        Change::Remember { answer, now } => remember_once(tx, answer, *now).await,
    }
}

async fn remember_once(tx: &Tx, answer: &Remembered, now: Timestamp) -> Result<(), Refusal> {
    match remembered(tx, &answer.key, now).await? {
        Some(before) => Err(Conflict::Repeated(before).into()),
        None => Ok(remember(tx, answer, now).await?),
    }
}

/// A unique index was in the way: of the uid, if there is one, because ids are drawn at random.
fn conflict_over(uid: Option<&Uid>, fault: Fault, conflict: Conflict) -> Refusal {
    if uid.is_some() && fault.violated_unique().is_some() {
        conflict.into()
    } else {
        fault.into()
    }
}

pub(crate) fn json_text(settings: &impl serde::Serialize) -> Result<String, Fault> {
    Ok(serde_json::to_string(settings)?)
}

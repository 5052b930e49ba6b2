//! Applications: the tenants.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchfire_domain::audit::Action;
use watchfire_domain::id::{ApplicationId, OrganizationId};
use watchfire_domain::limit;
use watchfire_store::{
    Application, ApplicationFilter, ApplicationRef, ApplicationSettings, Change, Range,
    StoredApplication,
};

use super::audit::{self, Deed, Seen};
use super::check::Faults;
use super::event_types::following;
use super::{Edit, Error, Existing, Put, Repeatable, Result, UPDATE_TRIES_MAX};
use crate::{Engine, Snapshot};

/// A whole application as somebody typed it.
#[derive(Clone, Debug, Default)]
pub struct ApplicationInput {
    pub name: String,
    pub uid: Option<String>,
    pub throttle_rate: Option<u32>,
    pub metadata: BTreeMap<String, String>,
    /// What clients written for other servers do not know is kept unless it is mentioned.
    pub contract: Edit<String>,
    pub instance: Edit<BTreeMap<String, String>>,
    pub administrators: Edit<Vec<String>>,
}

/// A change of an application as somebody typed it.
#[derive(Clone, Debug, Default)]
pub struct ApplicationPatch {
    pub name: Edit<String>,
    pub uid: Edit<String>,
    pub throttle_rate: Edit<u32>,
    pub metadata: Edit<BTreeMap<String, String>>,
    pub contract: Edit<String>,
    pub instance: Edit<BTreeMap<String, String>>,
    pub administrators: Edit<Vec<String>>,
}

impl From<ApplicationInput> for ApplicationPatch {
    /// A replacement as a change of every field.
    fn from(input: ApplicationInput) -> Self {
        Self {
            name: Edit::Set(input.name),
            uid: Edit::replace(input.uid),
            throttle_rate: Edit::replace(input.throttle_rate),
            metadata: Edit::Set(input.metadata),
            contract: input.contract,
            instance: input.instance,
            administrators: input.administrators,
        }
    }
}

impl ApplicationPatch {
    /// The application after the change.
    fn applied_to(self, mut old: Application, engine: &Engine) -> Result<Application> {
        let mut faults = Faults::default();
        match self.uid {
            Edit::Keep => {}
            Edit::Clear => old.uid = None,
            Edit::Set(uid) => old.uid = faults.uid("uid", Some(uid), ApplicationId::PREFIX),
        }
        let settings = &mut old.settings;
        self.name.apply_or_default(&mut settings.name);
        self.throttle_rate.apply(&mut settings.throttle_rate);
        self.metadata.apply_or_default(&mut settings.metadata);
        self.contract.apply(&mut settings.contract);
        self.instance.apply_or_default(&mut settings.instance);
        match self.administrators {
            Edit::Keep => {}
            Edit::Clear => settings.administrators.clear(),
            Edit::Set(list) => settings.administrators = faults.addresses("administrators", &list),
        }
        faults.chars("name", &settings.name, 1, limit::NAME_CHARS_MAX);
        faults.rate("throttleRate", settings.throttle_rate);
        faults.texts("metadata", &settings.metadata);
        faults.texts("instance", &settings.instance);
        if let Some(name) = &settings.contract
            && engine.contracts().contract(name).is_none()
        {
            faults.add("contract", format_args!("no contract is named {name}"));
        }
        faults.finish()?;
        old.updated_at = engine.clock().now();
        Ok(old)
    }
}

/// Creates an application.
///
/// # Errors
///
/// [`Error::Exists`] if its uid is taken.
pub async fn create(
    engine: &Engine,
    org: &OrganizationId,
    input: ApplicationInput,
    repeatable: Option<Repeatable<'_, Application>>,
) -> Result<Application> {
    let now = engine.clock().now();
    let blank = Application {
        id: ApplicationId::new(now, engine.entropy()),
        uid: None,
        created_at: now,
        updated_at: now,
        settings: ApplicationSettings::default(),
    };
    let application = ApplicationPatch::from(input).applied_to(blank, engine)?;
    // The key comes first: a repetition must find its answer, not the conflict with itself.
    let remember = repeatable.map(|r| r.remember(now, &application));
    let create = Change::CreateApplication {
        org: org.clone(),
        application: application.clone(),
    };
    let mut changes: Vec<_> = remember.into_iter().chain([create]).collect();
    let deed = Deed::of(org, Action::ApplicationCreated, &application.id);
    let deed = deed.about(Some(application.id));
    changes.push(deed.noted(engine, Seen::NOTHING, audit::application(&application)));
    changes.extend(event_types(engine, org, &application).await?);
    engine.apply(changes).await?;
    Ok(application)
}

/// What makes the event types of an application's contract known in its organization.
async fn event_types(
    engine: &Engine,
    org: &OrganizationId,
    application: &Application,
) -> Result<Vec<Change>> {
    let named = application.settings.contract.as_deref();
    let name = named.unwrap_or(&engine.config().default_contract);
    match engine.contracts().contract(name) {
        Some(contract) => following(engine, org, contract).await,
        None => Ok(Vec::new()),
    }
}

pub async fn list(
    engine: &Engine,
    org: &OrganizationId,
    filter: &ApplicationFilter,
    range: Range<ApplicationId>,
) -> Result<Vec<StoredApplication>> {
    Ok(engine.store().applications(org, filter, range).await?)
}

pub async fn find(
    engine: &Engine,
    org: &OrganizationId,
    reference: &ApplicationRef,
) -> Result<Arc<Snapshot>> {
    let found = engine.application(org, reference).await?;
    found.ok_or(Error::NotFound)
}

/// The application, made from `input` if there is none.
pub async fn find_or_create(
    engine: &Engine,
    org: &OrganizationId,
    reference: &ApplicationRef,
    input: Option<ApplicationInput>,
) -> Result<Arc<Snapshot>> {
    match (find(engine, org, reference).await, input) {
        (Err(Error::NotFound), Some(input)) => match create(engine, org, input, None).await {
            // Somebody else made it at the same moment.
            Ok(_) | Err(Error::Exists(Existing::ApplicationUid)) => {
                find(engine, org, reference).await
            }
            Err(error) => Err(error),
        },
        (found, _) => found,
    }
}

/// Replaces an application, or creates it.
pub async fn put(
    engine: &Engine,
    org: &OrganizationId,
    reference: &ApplicationRef,
    input: ApplicationInput,
) -> Result<(Application, Put)> {
    match patch(engine, org, reference, input.clone().into()).await {
        Ok(application) => Ok((application, Put::Updated)),
        Err(Error::NotFound) => {
            let input = named_by(input, reference);
            let created = create(engine, org, input, None).await?;
            Ok((created, Put::Created))
        }
        Err(error) => Err(error),
    }
}

/// The uid in the path names what is created, so that the same put again finds it.
fn named_by(mut input: ApplicationInput, reference: &ApplicationRef) -> ApplicationInput {
    if let (None, ApplicationRef::Uid(uid)) = (&input.uid, reference) {
        input.uid = Some(uid.to_string());
    }
    input
}

pub async fn patch(
    engine: &Engine,
    org: &OrganizationId,
    reference: &ApplicationRef,
    patch: ApplicationPatch,
) -> Result<Application> {
    let mut contended = Error::NotFound;
    for _ in 0..UPDATE_TRIES_MAX {
        let stored = engine.store().application(org, reference).await?;
        let stored = stored.ok_or(Error::NotFound)?;
        let contract = stored.application.settings.contract.clone();
        let before = audit::application(&stored.application);
        let application = patch.clone().applied_to(stored.application, engine)?;
        let update = Change::UpdateApplication {
            key: stored.key,
            revision: stored.revision,
            application: application.clone(),
        };
        let deed = Deed::of(org, Action::ApplicationUpdated, &application.id);
        let deed = deed.about(Some(application.id));
        let noted = deed.noted(engine, before, audit::application(&application));
        let mut changes = vec![update, noted];
        if application.settings.contract != contract {
            changes.extend(event_types(engine, org, &application).await?);
        }
        match engine.apply(changes).await.map_err(Error::from) {
            Ok(()) => return Ok(application),
            Err(Error::Contended) => contended = Error::Contended,
            Err(error) => return Err(error),
        }
    }
    Err(contended)
}

/// Deletes an application with all its endpoints; what they owe is settled by the engine.
pub async fn delete(engine: &Engine, snapshot: &Snapshot) -> Result<()> {
    let delete = Change::DeleteApplication {
        key: snapshot.stored.key,
        now: engine.clock().now(),
    };
    let application = &snapshot.stored.application;
    let deed = Deed::within(snapshot, Action::ApplicationDeleted, &application.id);
    let noted = deed.noted(engine, audit::application(application), Seen::NOTHING);
    Ok(engine.apply(vec![delete, noted]).await?)
}

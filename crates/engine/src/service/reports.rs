//! Tasks about all of an application, or all of an organization: they remove payloads, or report
//! what they found.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use watchfire_domain::audit::Action;
use watchfire_domain::id::{ApplicationId, OrganizationId, TaskId, Uid};
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{ApplicationRef, Change, StoreError, Subject, Task, TaskArguments, TaskKind};

use super::audit::{self, Deed, Seen};
use super::check::Faults;
use super::{Repeatable, Result};
use crate::{Engine, Snapshot};

/// How much an application was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub application: ApplicationId,
    pub uid: Option<Uid>,
    /// Deliveries that were settled, however they ended.
    pub deliveries: u64,
}

/// What an application's endpoints subscribe to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscriptions {
    pub application: ApplicationId,
    /// Names, and prefixes that end in `*`, ascending.
    pub event_types: Vec<String>,
    /// An endpoint gets all event types.
    pub everything: bool,
}

/// Whose usage to report.
#[derive(Clone, Debug)]
pub struct UsageInput {
    pub since: Timestamp,
    pub until: Timestamp,
    /// Ids and uids; all applications of the organization if absent.
    pub applications: Option<Vec<String>>,
}

/// A report that was asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    pub task: Task,
    /// The names that name no application.
    pub unresolved: Vec<String>,
}

/// Removes the payloads of all messages that an application has now.
pub async fn purge(
    engine: &Engine,
    app: &Snapshot,
    repeatable: Option<Repeatable<'_, Task>>,
) -> Result<Task> {
    let now = engine.clock().now();
    let arguments = TaskArguments::of_span(Timestamp::EPOCH, now + super::tasks::ID_STEP);
    let subject = Subject::Application(app.stored.key);
    let owner = (app.stored.org.clone(), subject);
    let id = TaskId::new(now, engine.entropy());
    let task = Task::new(id, owner, (TaskKind::PurgeContent, arguments), now);
    let remember = repeatable.map(|repeatable| repeatable.remember(now, &task));
    let deed = Deed::within(app, Action::TaskCreated, &id);
    begin(engine, &task, deed, remember).await?;
    Ok(task)
}

/// Reports the deliveries of applications in a span.
///
/// # Errors
///
/// [`super::Error::Invalid`] if applications are named and none of them exists.
pub async fn usage(
    engine: &Engine,
    org: &OrganizationId,
    input: UsageInput,
    repeatable: Option<Repeatable<'_, Asked>>,
) -> Result<Asked> {
    let now = engine.clock().now();
    check(&input)?;
    let mut arguments = TaskArguments::of_span(input.since, input.until);
    let mut unresolved = Vec::new();
    if let Some(names) = input.applications {
        (arguments.applications, unresolved) = resolved(engine, org, names).await?;
        if arguments.applications.is_empty() {
            let mut faults = Faults::default();
            faults.add("appIds", "name no application");
            return Err(faults.into_error());
        }
    }
    let id = TaskId::new(now, engine.entropy());
    let owner = (org.clone(), Subject::Organization);
    let task = Task::new(id, owner, (TaskKind::Usage, arguments), now);
    let asked = Asked { task, unresolved };
    let remember = repeatable.map(|repeatable| repeatable.remember(now, &asked));
    let deed = Deed::of(org, Action::TaskCreated, &id);
    begin(engine, &asked.task, deed, remember).await?;
    Ok(asked)
}

/// Reports what all applications of an organization subscribe to.
pub async fn subscriptions(engine: &Engine, org: &OrganizationId) -> Result<Task> {
    let now = engine.clock().now();
    let id = TaskId::new(now, engine.entropy());
    let owner = (org.clone(), Subject::Organization);
    let arguments = TaskArguments::of_span(Timestamp::EPOCH, now);
    let task = Task::new(id, owner, (TaskKind::Subscriptions, arguments), now);
    let deed = Deed::of(org, Action::TaskCreated, &id);
    begin(engine, &task, deed, None).await?;
    Ok(task)
}

async fn begin(engine: &Engine, task: &Task, deed: Deed, remember: Option<Change>) -> Result<()> {
    let create = Change::CreateTask(Box::new(task.clone()));
    let noted = deed.noted(engine, Seen::NOTHING, audit::task(task));
    let changes = remember.into_iter().chain([create, noted]);
    Ok(engine.apply(changes.collect()).await?)
}

fn check(input: &UsageInput) -> Result<()> {
    let mut faults = Faults::default();
    if input.until < input.since {
        faults.add("until", "must not be before `since`");
    }
    let max = limit::TASK_APPLICATIONS_NAMED_MAX;
    if input
        .applications
        .as_ref()
        .is_some_and(|names| names.len() > max)
    {
        faults.add("appIds", format_args!("may have at most {max} items"));
    }
    faults.finish()
}

/// The ids of the applications, ascending, and the names that name none.
async fn resolved(
    engine: &Engine,
    org: &OrganizationId,
    names: Vec<String>,
) -> Result<(Vec<ApplicationId>, Vec<String>)> {
    let (mut ids, mut unresolved) = (Vec::new(), Vec::new());
    for name in names {
        let reference = if name.starts_with(ApplicationId::PREFIX) {
            name.parse().ok().map(ApplicationRef::Id)
        } else {
            name.parse().ok().map(ApplicationRef::Uid)
        };
        let found = match &reference {
            Some(reference) => engine.store().application(org, reference).await?,
            None => None,
        };
        match found {
            Some(stored) => ids.push(stored.application.id),
            None => unresolved.push(name),
        }
    }
    ids.sort_unstable();
    ids.dedup();
    Ok((ids, unresolved))
}

/// What a task has found out so far: [`Usage`] or [`Subscriptions`], as its kind says.
pub async fn found<T: DeserializeOwned>(engine: &Engine, task: &Task) -> Result<Vec<T>> {
    let parts = engine.store().task_report(&task.org, task.id).await?;
    let mut all = Vec::new();
    for part in parts {
        let some: Vec<T> =
            serde_json::from_str(&part).map_err(|error| StoreError::Unavailable(error.into()))?;
        all.extend(some);
    }
    Ok(all)
}

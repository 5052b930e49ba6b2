//! A tour of everything the SDK and Watchfire have in common.

use std::collections::BTreeMap;

use serde_json::json;
use svix::api::{MessageGetOptions, MessageListOptions, Svix};
use svix::models::{
    AppPortalAccessIn, ApplicationIn, ApplicationPatch, BackgroundTaskStatus, BulkReplayIn,
    EndpointHeadersIn, EndpointHeadersPatchIn, EndpointIn, EndpointPatch, EndpointSecretRotateIn,
    EndpointUpsertIn, EventExampleIn, EventTypeIn, EventTypePatch, EventTypeUpsertIn,
    MessageAttemptTriggerType, MessageIn, MessageStatus, OperationalWebhookEndpointIn, RecoverIn,
    ReplayIn,
};

use crate::{client, eventually, refused};

/// More than the longest page of a list.
const MANY: usize = 260;
/// This generation leaves payloads out unless it is told.
const WITH_CONTENT: Option<MessageGetOptions> = Some(MessageGetOptions {
    with_content: Some(true),
});

fn text(text: &str) -> String {
    text.to_owned()
}

fn app() -> String {
    text("acme")
}

pub(crate) async fn whole(api: &Svix, receiver: &str) {
    api.health().get().await.expect("the server is well");
    applications(api).await;
    event_types(api).await;
    endpoints(api, receiver).await;
    secrets_and_headers(api).await;
    let message = messages(api).await;
    attempts(api, &message).await;
    again(api, &message).await;
    operational(api, receiver).await;
    pages(api).await;
    tokens(api).await;
    farewell(api, &message).await;
}

async fn applications(api: &Svix) {
    let wanted = ApplicationIn {
        uid: Some(app()),
        metadata: Some(BTreeMap::from([(text("a"), text("b"))])),
        ..ApplicationIn::new(text("Acme"))
    };
    let applications = api.application();
    let made = applications
        .create(wanted.clone(), None)
        .await
        .expect("created");
    assert!(made.id.starts_with("app_") && made.uid == Some(app()));
    refused(
        409,
        Some("conflict"),
        applications.create(wanted.clone(), None).await,
    );
    let found = applications
        .get_or_create(wanted.clone(), None)
        .await
        .expect("found");
    assert_eq!(found.id, made.id);
    let patch = ApplicationPatch {
        name: Some(text("Acme Ltd")),
        ..ApplicationPatch::new()
    };
    let changed = applications.patch(app(), patch).await.expect("changed");
    assert_eq!(
        (changed.name.as_str(), changed.metadata.len()),
        ("Acme Ltd", 1)
    );
    let replaced = ApplicationIn {
        metadata: None,
        ..wanted
    };
    let replaced = applications
        .upsert(app(), replaced)
        .await
        .expect("replaced");
    assert!(replaced.id == made.id && replaced.metadata.is_empty());
    refused(
        404,
        Some("not_found"),
        applications.get(text("nobody")).await,
    );
}

async fn event_types(api: &Svix) {
    let schema = json!({"1": {"type": "object", "examples": [{"id": "thr_1"}, {"id": "thr_2"}]}});
    let wanted = EventTypeIn {
        schemas: Some(schema),
        feature_flags: Some([text("beta")].into()),
        ..EventTypeIn::new(text("threat.created"), text("A threat"))
    };
    let types = api.event_type();
    let made = types.create(wanted.clone(), None).await.expect("created");
    assert_eq!(made.feature_flags, Some([text("beta")].into()));
    refused(
        409,
        Some("event_type_exists"),
        types.create(wanted, None).await,
    );
    let patch = EventTypePatch {
        description: Some(text("New")),
        ..EventTypePatch::new()
    };
    let changed = types
        .patch(made.name.clone(), patch)
        .await
        .expect("changed");
    assert_eq!(
        (changed.description.as_str(), changed.schemas),
        ("New", made.schemas)
    );
    let closed = EventTypeUpsertIn::new(text("Closed"));
    types
        .upsert(text("threat.closed"), closed)
        .await
        .expect("created");
    let listed = types.list(None).await.expect("listed").data;
    let names: Vec<_> = listed.iter().map(|known| known.name.as_str()).collect();
    assert_eq!(names, ["threat.closed", "threat.created"]);
}

async fn endpoints(api: &Svix, receiver: &str) {
    let endpoints = api.endpoint();
    let wanted = EndpointIn {
        uid: Some(text("healthy")),
        event_types: Some([text("threat.created")].into()),
        channels: Some([text("prod")].into()),
        headers: Some(BTreeMap::from([(text("X-First"), text("1"))])),
        ..EndpointIn::new(format!("{receiver}/healthy"))
    };
    let made = endpoints
        .create(app(), wanted, None)
        .await
        .expect("created");
    assert_eq!(made.event_types, Some([text("threat.created")].into()));
    let headers = endpoints
        .get_headers(app(), text("healthy"))
        .await
        .expect("headers");
    assert_eq!(
        headers.headers,
        BTreeMap::from([(text("X-First"), text("1"))])
    );
    for url in ["http://169.254.169.254/", "http://10.0.0.1/", "no"] {
        let wanted = EndpointIn::new(text(url));
        refused(422, None, endpoints.create(app(), wanted, None).await);
    }
    let patch = EndpointPatch {
        description: Some(text("One")),
        ..EndpointPatch::new()
    };
    let changed = endpoints
        .patch(app(), text("healthy"), patch)
        .await
        .expect("changed");
    assert_eq!(changed.description, "One");
    let replacement = EndpointUpsertIn {
        uid: Some(text("healthy")),
        ..EndpointUpsertIn::new(made.url)
    };
    let replaced = endpoints
        .upsert(app(), text("healthy"), replacement)
        .await
        .expect("replaced");
    assert!(
        replaced.id == made.id && replaced.event_types.is_none() && replaced.channels.is_none()
    );
    let flaky = EndpointIn {
        uid: Some(text("flaky")),
        ..EndpointIn::new(format!("{receiver}/flaky"))
    };
    endpoints.create(app(), flaky, None).await.expect("created");
}

async fn secrets_and_headers(api: &Svix) {
    let endpoints = api.endpoint();
    let id = || text("healthy");
    let first = endpoints
        .get_secret(app(), id())
        .await
        .expect("a secret")
        .key;
    // The open server answers nothing here, which this generation can't read.
    let rotated = endpoints
        .rotate_secret(app(), id(), EndpointSecretRotateIn::new(), None)
        .await
        .expect("rotated");
    let second = endpoints
        .get_secret(app(), id())
        .await
        .expect("a secret")
        .key;
    assert!(second.starts_with("whsec_") && second != first);
    assert_eq!(json!(rotated)["key"], json!(second));

    let headers = BTreeMap::from([
        (text("X-Team"), text("soc")),
        (text("X-Api-Key"), text("hush")),
    ]);
    endpoints
        .set_headers(app(), id(), EndpointHeadersIn::new(headers))
        .await
        .expect("set");
    let known = endpoints.get_headers(app(), id()).await.expect("headers");
    assert_eq!(
        known.headers,
        BTreeMap::from([(text("X-Team"), text("soc"))])
    );
    assert_eq!(known.sensitive.len(), 1);
    let patch = EndpointHeadersPatchIn {
        delete_headers: Some(vec![text("X-Team")]),
        ..EndpointHeadersPatchIn::new(BTreeMap::from([(text("X-More"), text("1"))]))
    };
    endpoints
        .patch_headers(app(), id(), patch)
        .await
        .expect("patched");
    let known = endpoints.get_headers(app(), id()).await.expect("headers");
    assert_eq!(known.headers, BTreeMap::from([(text("X-More"), text("1"))]));
}

/// Sends a message to both endpoints, one of which refuses it once.
async fn messages(api: &Svix) -> String {
    let messages = api.message();
    let event = MessageIn {
        event_id: Some(text("first")),
        channels: Some([text("prod")].into()),
        tags: Some([text("urgent")].into()),
        payload_retention_hours: Some(12),
        ..MessageIn::new(
            text("threat.created"),
            json!({"id": "thr_1", "text": "größer"}),
        )
    };
    let sent = messages
        .create(app(), event.clone(), None)
        .await
        .expect("accepted");
    assert!(sent.id.starts_with("msg_"));
    refused(
        409,
        Some("conflict"),
        messages.create(app(), event.clone(), None).await,
    );
    let found = messages
        .get(app(), text("first"), None)
        .await
        .expect("found");
    assert_eq!(
        (found.id.as_str(), found.tags),
        (sent.id.as_str(), event.tags)
    );
    let wrong = MessageIn::new(text("no spaces, please"), json!({}));
    refused(422, None, messages.create(app(), wrong, None).await);
    let nobody = MessageIn::new(text("threat.created"), json!({}));
    refused(
        404,
        Some("not_found"),
        messages.create(text("nobody"), nobody, None).await,
    );
    sent.id
}

async fn attempts(api: &Svix, message: &str) {
    let attempts = api.message_attempt();
    eventually("both endpoints are delivered to", || async {
        let places = attempts
            .list_attempted_destinations(app(), text(message), None)
            .await;
        let places = places.expect("listed").data;
        let delivered = |status| status == MessageStatus::Success;
        (places.len() == 2 && places.iter().all(|place| delivered(place.status))).then_some(())
    })
    .await;
    let tries = attempts
        .list_by_endpoint(app(), text("flaky"), None)
        .await
        .expect("listed")
        .data;
    let codes: Vec<_> = tries.iter().map(|one| one.response_status_code).collect();
    assert_eq!(codes, [204, 503]);
    let failed = attempts
        .get(app(), text(message), tries[1].id.clone(), None)
        .await
        .expect("found");
    assert_eq!(
        (failed.status, failed.response.as_str()),
        (MessageStatus::Fail, "not now")
    );
    assert_eq!(
        attempts
            .list_by_msg(app(), text(message), None)
            .await
            .expect("listed")
            .data
            .len(),
        3
    );
    let listed = attempts
        .list_attempted_messages(app(), text("healthy"), None)
        .await;
    assert_eq!(listed.expect("listed").data[0].id, message);
    let stats = api
        .endpoint()
        .get_stats(app(), text("healthy"), None)
        .await
        .expect("counted");
    assert_eq!((stats.success, stats.fail, stats.pending), (1, 0, 0));
    attempts
        .expunge_content(app(), text(message), failed.id.clone())
        .await
        .expect("removed");
    let gone = attempts
        .get(app(), text(message), failed.id, None)
        .await
        .expect("found");
    assert_eq!(gone.response, "EXPUNGED");
}

/// Resend, recover, replay, examples.
async fn again(api: &Svix, message: &str) {
    let attempts = api.message_attempt();
    attempts
        .resend(app(), text(message), text("healthy"), None)
        .await
        .expect("asked");
    let newest = eventually("the message is sent again", || async {
        let listed = attempts
            .list_by_endpoint(app(), text("healthy"), None)
            .await;
        let listed = listed.expect("listed").data;
        (listed.len() == 2)
            .then(|| listed.into_iter().next())
            .flatten()
    })
    .await;
    assert_eq!(newest.trigger_type, MessageAttemptTriggerType::Manual);

    let since = newest.timestamp - std::time::Duration::from_secs(3_600);
    let endpoints = api.endpoint();
    let recover = endpoints
        .recover(app(), text("flaky"), RecoverIn::new(since), None)
        .await;
    let task = recover.expect("recovering").id;
    let (missing, bulk) = (ReplayIn::new(since), BulkReplayIn::new(since));
    endpoints
        .replay_missing(app(), text("flaky"), missing, None)
        .await
        .expect("replaying");
    endpoints
        .bulk_replay(app(), text("healthy"), bulk, None)
        .await
        .expect("replaying");
    eventually("the task ends", || async {
        let task = api
            .background_task()
            .get(task.clone())
            .await
            .expect("found");
        (task.status == BackgroundTaskStatus::Finished).then_some(())
    })
    .await;
    assert_eq!(
        api.background_task()
            .list(None)
            .await
            .expect("listed")
            .data
            .len(),
        3
    );
    let too_long_ago = RecoverIn::new(since - std::time::Duration::from_secs(15 * 24 * 3_600));
    refused(
        422,
        None,
        endpoints
            .recover(app(), text("flaky"), too_long_ago, None)
            .await,
    );

    let second = EventExampleIn {
        example_index: Some(1),
        ..EventExampleIn::new(text("threat.created"))
    };
    let sent = endpoints
        .send_example(app(), text("healthy"), second, None)
        .await
        .expect("sent");
    let stored = api
        .message()
        .get(app(), sent.id, WITH_CONTENT)
        .await
        .expect("found");
    assert_eq!(stored.payload, json!({"id": "thr_2"}));
    let none = EventExampleIn {
        example_index: Some(2),
        ..EventExampleIn::new(text("threat.created"))
    };
    refused(
        422,
        None,
        endpoints
            .send_example(app(), text("healthy"), none, None)
            .await,
    );
}

async fn operational(api: &Svix, receiver: &str) {
    let operational = api.operational_webhook();
    let endpoints = operational.endpoint();
    let wanted = OperationalWebhookEndpointIn::new(format!("{receiver}/operational"));
    let made = endpoints.create(wanted, None).await.expect("created");
    assert_eq!(
        endpoints.get(made.id.clone()).await.expect("found").url,
        made.url
    );
    assert!(
        endpoints
            .get_secret(made.id.clone())
            .await
            .expect("found")
            .key
            .starts_with("whsec_")
    );
    endpoints.delete(made.id).await.expect("deleted");
    assert!(endpoints.list(None).await.expect("listed").data.is_empty());
}

async fn pages(api: &Svix) {
    let many = ApplicationIn {
        uid: Some(text("many")),
        ..ApplicationIn::new(text("Many"))
    };
    api.application().create(many, None).await.expect("created");
    let mut made = Vec::new();
    for number in 0..MANY {
        let event = MessageIn::new(text("threat.created"), json!({"number": number}));
        made.push(
            api.message()
                .create(text("many"), event, None)
                .await
                .expect("accepted")
                .id,
        );
    }
    // Ids made within the same few milliseconds are in no order of time.
    made.sort();
    made.reverse();
    let page = |iterator| async {
        let options = MessageListOptions {
            limit: Some(100),
            iterator,
            ..Default::default()
        };
        api.message()
            .list(text("many"), Some(options))
            .await
            .expect("listed")
    };
    let mut pages = vec![page(None).await];
    while let Some(last) = pages.last().filter(|last| !last.done) {
        let next = page(last.iterator.clone()).await;
        pages.push(next);
    }
    let seen: Vec<_> = pages
        .iter()
        .flat_map(|page| &page.data)
        .map(|one| one.id.clone())
        .collect();
    assert_eq!(seen, made);
    let mut back = pages.pop().expect("a last page");
    let mut seen: Vec<_> = back.data.iter().map(|one| one.id.clone()).collect();
    while seen.len() < made.len() {
        back = page(back.prev_iterator.clone()).await;
        assert!(
            !back.data.is_empty(),
            "the way back ends before the beginning"
        );
        seen.splice(0..0, back.data.iter().map(|one| one.id.clone()));
    }
    assert_eq!(seen, made);
    let options = MessageListOptions {
        limit: Some(251),
        ..Default::default()
    };
    let too_many = api.message().list(text("many"), Some(options)).await;
    assert!(
        matches!(too_many, Err(svix::error::Error::Validation(_))),
        "{too_many:?}"
    );
}

async fn tokens(api: &Svix) {
    refused(
        401,
        Some("authentication_failed"),
        client("nonsense").application().list(None).await,
    );
    let access = api
        .authentication()
        .app_portal_access(app(), AppPortalAccessIn::new(), None)
        .await;
    let tenant = client(&access.expect("minted").token);
    assert_eq!(
        tenant.application().get(app()).await.expect("its own").uid,
        Some(app())
    );
    refused(
        404,
        Some("not_found"),
        tenant.application().get(text("many")).await,
    );
    let other = ApplicationIn::new(text("No"));
    refused(
        403,
        Some("insufficient access"),
        tenant.application().create(other, None).await,
    );
}

async fn farewell(api: &Svix, message: &str) {
    api.message()
        .expunge_content(app(), text(message))
        .await
        .expect("removed");
    let gone = api
        .message()
        .get(app(), text(message), WITH_CONTENT)
        .await
        .expect("found");
    assert_eq!(gone.payload, json!({"expired": true}));
    let again = api
        .message_attempt()
        .resend(app(), text(message), text("healthy"), None)
        .await;
    refused(400, Some("missing_payload"), again);
    api.endpoint()
        .delete(app(), text("healthy"))
        .await
        .expect("deleted");
    api.application().delete(app()).await.expect("deleted");
    refused(
        404,
        Some("not_found"),
        api.application().delete(app()).await,
    );
}

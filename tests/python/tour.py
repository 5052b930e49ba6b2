"""Uses Watchfire through Svix's own SDK, of whichever version this environment has.

WATCHFIRE_URL is where the server listens, WATCHFIRE_TOKEN a token of an organization, and
RECEIVER_URL a receiver that answers 204, but 503 to the first request below /flaky.
"""

import json
import os
import time
from datetime import datetime, timedelta, timezone

import svix
from svix import models
from svix.api import (
    ApplicationListOptions,
    EndpointListOptions,
    EventTypeListOptions,
    MessageAttemptListByEndpointOptions,
    MessageAttemptListByMsgOptions,
    MessageListOptions,
    Svix,
    SvixOptions,
)
from svix.api.application import ApplicationCreateOptions
from svix.api.message import MessageGetOptions
from svix.exceptions import HTTPValidationError, HttpError

FIRST_GENERATION = int(svix.__version__.split(".")[0]) < 2
PATIENCE_SECONDS = 60
# More than the longest page of a list.
MANY = 260

receiver_url = os.environ["RECEIVER_URL"]


def client(token):
    options = SvixOptions(server_url=os.environ["WATCHFIRE_URL"], retry_schedule=[])
    return Svix(token, options)


def eventually(expectation, look):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited in vain: {expectation}")


def refused(status, code, act):
    """`act` has to be refused, with this status and code."""
    try:
        act()
    except HTTPValidationError as error:
        assert (status, code) == (422, None), f"422: {error}"
        return error
    except HttpError as error:
        assert (error.status_code, error.code) == (status, code), error
        return error
    raise AssertionError(f"was not refused: {status} {code}")


def applications(api):
    made = api.application.create(models.ApplicationIn(name="Acme", uid="acme", metadata={"a": "b"}))
    assert made.id.startswith("app_") and made.uid == "acme" and made.metadata == {"a": "b"}
    assert abs(datetime.now(timezone.utc) - made.created_at) < timedelta(minutes=5)

    again = models.ApplicationIn(name="Other", uid="acme")
    refused(409, "conflict", lambda: api.application.create(again))
    if FIRST_GENERATION:
        found = api.application.get_or_create(again)
    else:
        found = api.application.get_or_create(again, ApplicationCreateOptions())
    assert found.id == made.id and found.name == "Acme"

    assert api.application.get("acme").id == made.id
    changed = api.application.patch("acme", models.ApplicationPatch(name="Acme Ltd"))
    assert changed.name == "Acme Ltd" and changed.metadata == {"a": "b"}
    put = api.application.update if FIRST_GENERATION else api.application.upsert
    replaced = put("acme", models.ApplicationIn(name="Acme Inc", uid="acme"))
    assert replaced.id == made.id and replaced.metadata == {}

    # The same key, the same answer: nothing is made twice.
    options = ApplicationCreateOptions(idempotency_key="the-same")
    first = api.application.create(models.ApplicationIn(name="Once"), options)
    second = api.application.create(models.ApplicationIn(name="Once"), options)
    assert first.id == second.id
    api.application.delete(first.id)
    refused(404, "not_found", lambda: api.application.get(first.id))
    return made


def event_types(api):
    schema = {
        "1": {
            "type": "object",
            "required": ["id"],
            "properties": {"id": {"type": "string"}},
            "examples": [{"id": "thr_1"}],
        }
    }
    event = models.EventTypeIn(name="threat.created", description="A threat", schemas=schema)
    assert api.event_type.create(event).name == "threat.created"
    refused(409, "event_type_exists", lambda: api.event_type.create(event))
    changed = api.event_type.patch("threat.created", models.EventTypePatch(description="New"))
    assert changed.description == "New" and changed.schemas == schema
    api.event_type.create(models.EventTypeIn(name="threat.closed", description="Closed"))
    api.event_type.create(models.EventTypeIn(name="gone", description="Soon gone"))
    api.event_type.delete("gone")
    names = [known.name for known in api.event_type.list().data]
    assert names == ["threat.closed", "threat.created"], names
    archived = api.event_type.list(EventTypeListOptions(include_archived=True))
    assert "gone" in [known.name for known in archived.data]


def endpoint_in(url, event_types=None, **settings):
    key = "filter_types" if FIRST_GENERATION else "event_types"
    if event_types:
        settings[key] = event_types
    return models.EndpointIn(url=url, **settings)


def event_types_of(endpoint):
    return endpoint.filter_types if FIRST_GENERATION else endpoint.event_types


def endpoints(api):
    made = api.endpoint.create(
        "acme",
        endpoint_in(
            f"{receiver_url}/healthy",
            event_types=["threat.created"],
            uid="healthy",
            description="The first",
            metadata={"team": "soc"},
            channels=["prod"],
        ),
    )
    assert made.id.startswith("ep_") and event_types_of(made) == ["threat.created"]
    assert made.channels == ["prod"] and made.metadata == {"team": "soc"} and not made.disabled

    for url in ["http://169.254.169.254/latest", "http://10.0.0.1/", "ftp://example.com/", "no"]:
        refused(422, None, lambda: api.endpoint.create("acme", endpoint_in(url)))
    unknown = endpoint_in(f"{receiver_url}/x", event_types=["never.heard"])
    error = refused(422, None, lambda: api.endpoint.create("acme", unknown))
    assert error.detail[0].loc[0] == "body", error
    refused(409, "conflict", lambda: api.endpoint.create("acme", endpoint_in(receiver_url, uid="healthy")))
    refused(404, "not_found", lambda: api.endpoint.get("acme", "nobody"))

    changed = api.endpoint.patch("acme", "healthy", models.EndpointPatch(channels=None, description="One"))
    assert not changed.channels and changed.description == "One"
    if FIRST_GENERATION:
        replacement = models.EndpointUpdate(url=made.url, uid="healthy")
        replaced = api.endpoint.update("acme", "healthy", replacement)
    else:
        replacement = models.EndpointUpsertIn(url=made.url, uid="healthy")
        replaced = api.endpoint.upsert("acme", "healthy", replacement)
    assert replaced.id == made.id and not event_types_of(replaced)

    headers = {"X-Team": "soc", "X-Api-Key": "hush"}
    put = api.endpoint.update_headers if FIRST_GENERATION else api.endpoint.set_headers
    put("acme", "healthy", models.EndpointHeadersIn(headers=headers))
    known = api.endpoint.get_headers("acme", "healthy")
    assert known.headers == {"X-Team": "soc"}, known
    assert [name.lower() for name in known.sensitive] == ["x-api-key"], known
    merged = models.EndpointHeadersPatchIn(headers={"X-More": "1"})
    api.endpoint.patch_headers("acme", "healthy", merged)
    assert api.endpoint.get_headers("acme", "healthy").headers == {"X-Team": "soc", "X-More": "1"}

    first = api.endpoint.get_secret("acme", "healthy").key
    assert first.startswith("whsec_")
    api.endpoint.rotate_secret("acme", "healthy", models.EndpointSecretRotateIn())
    second = api.endpoint.get_secret("acme", "healthy").key
    assert second.startswith("whsec_") and second != first
    own = "whsec_" + "QUJD" * 8
    api.endpoint.rotate_secret("acme", "healthy", models.EndpointSecretRotateIn(key=own))
    assert api.endpoint.get_secret("acme", "healthy").key == own

    flaky = api.endpoint.create("acme", endpoint_in(f"{receiver_url}/flaky", uid="flaky"))
    return made, flaky


def messages(api, healthy, flaky):
    event = models.MessageIn(
        event_type="threat.created",
        event_id="first",
        payload={"id": "thr_1", "text": "größer"},
        channels=["prod"],
        tags=["urgent"],
    )
    sent = api.message.create("acme", event)
    assert sent.id.startswith("msg_") and sent.event_id == "first"
    error = refused(409, "conflict", lambda: api.message.create("acme", event))
    assert error.detail, error
    with_content = MessageGetOptions(with_content=True)
    found = api.message.get("acme", "first", with_content)
    assert found.id == sent.id and found.payload == event.payload
    assert found.channels == ["prod"], found
    refused(404, "not_found", lambda: api.message.get("acme", "never"))
    refused(404, "not_found", lambda: api.message.create("nobody", event))
    wrong = models.MessageIn(event_type="no spaces, please", payload={})
    refused(422, None, lambda: api.message.create("acme", wrong))

    def settled():
        found = api.message_attempt.list_attempted_destinations("acme", sent.id).data
        return len(found) == 2 and all(place.status == 0 for place in found) and found

    places = eventually("both endpoints are delivered to", settled)
    assert {place.id for place in places} == {healthy.id, flaky.id}

    by_message = api.message_attempt.list_by_msg("acme", sent.id).data
    of_flaky = MessageAttemptListByMsgOptions(endpoint_id="flaky")
    tries = api.message_attempt.list_by_msg("acme", sent.id, of_flaky).data
    assert len(by_message) == 3 and [one.response_status_code for one in tries] == [204, 503]
    assert [int(one.status) for one in tries] == [0, 2]
    failed = MessageAttemptListByEndpointOptions(status=models.MessageStatus(2))
    assert [one.id for one in api.message_attempt.list_by_endpoint("acme", "flaky", failed).data] == [tries[1].id]
    one = api.message_attempt.get("acme", sent.id, tries[1].id)
    assert one.response == "not now" and one.url.endswith("/flaky") and int(one.trigger_type) == 0
    listed = api.message_attempt.list_attempted_messages("acme", "healthy").data
    assert [(message.id, int(message.status)) for message in listed] == [(sent.id, 0)]

    stats = api.endpoint.get_stats("acme", "healthy")
    assert (stats.success, stats.fail, stats.pending) == (1, 0, 0), stats

    api.message_attempt.resend("acme", sent.id, "healthy")
    by_endpoint = lambda: api.message_attempt.list_by_endpoint("acme", "healthy").data
    again = eventually("the message is sent again", lambda: len(by_endpoint()) == 2 and by_endpoint())
    assert [int(attempt.trigger_type) for attempt in again] == [1, 0]

    recovering = models.RecoverIn(since=datetime.now(timezone.utc) - timedelta(hours=1))
    task = api.endpoint.recover("acme", "flaky", recovering)
    assert task.id.startswith("qtask_") and task.task == "endpoint.recover", task
    too_long_ago = models.RecoverIn(since=datetime.now(timezone.utc) - timedelta(days=15))
    refused(422, None, lambda: api.endpoint.recover("acme", "flaky", too_long_ago))

    api.message_attempt.expunge_content("acme", sent.id, tries[1].id)
    assert api.message_attempt.get("acme", sent.id, tries[1].id).response == "EXPUNGED"
    api.message.expunge_content("acme", sent.id)
    assert api.message.get("acme", sent.id, with_content).payload == {"expired": True}
    refused(400, "missing_payload", lambda: api.message_attempt.resend("acme", sent.id, "healthy"))


def send_example(api):
    event = models.EventExampleIn(event_type="threat.created")
    sent = api.endpoint.send_example("acme", "healthy", event)
    attempts = lambda: api.message_attempt.list_by_msg("acme", sent.id).data
    eventually("the example arrives", lambda: [int(one.status) for one in attempts()] == [0])
    without = models.EventExampleIn(event_type="threat.closed")
    refused(422, None, lambda: api.endpoint.send_example("acme", "healthy", without))


def walk(list_page):
    """Goes forward through a list and back again, and returns the ids as seen forward."""
    pages = [list_page(None)]
    while not pages[-1].done:
        pages.append(list_page(pages[-1].iterator))
    seen = [item for page in pages for item in ids(page)]
    assert len(seen) == len(set(seen))
    back = ids(pages[-1])
    last = pages[-1]
    while len(back) < len(seen):
        last = list_page(last.prev_iterator)
        assert last.data, "the way back ends before the beginning"
        back = ids(last) + back
    assert back == seen
    return seen


def ids(page):
    return [getattr(item, "id", None) or item.name for item in page.data]


def pages(api):
    api.application.create(models.ApplicationIn(name="Many", uid="many"))
    made = []
    for number in range(MANY):
        event = models.MessageIn(event_type="threat.created", payload={"id": str(number)})
        made.append(api.message.create("many", event).id)
    for limit in (250, 100):
        page = lambda iterator: api.message.list("many", MessageListOptions(limit=limit, iterator=iterator))
        # Ids made within the same few milliseconds are in no order of time.
        assert walk(page) == sorted(made, reverse=True)
    without = api.message.list("many", MessageListOptions(limit=1, with_content=False))
    assert without.data[0].payload == {}
    refused(422, None, lambda: api.message.list("many", MessageListOptions(limit=251)))
    none = MessageListOptions(before=datetime(2020, 1, 1, tzinfo=timezone.utc))
    assert api.message.list("many", none).data == []
    other = MessageListOptions(event_types=["threat.closed"])
    assert api.message.list("many", other).data == []

    for number in range(7):
        api.application.create(models.ApplicationIn(name=f"App {number}"))
        api.endpoint.create("many", endpoint_in(f"{receiver_url}/{number}", disabled=True))
    everyone = walk(lambda it: api.application.list(ApplicationListOptions(limit=2, iterator=it)))
    assert len(everyone) == 9
    places = walk(lambda it: api.endpoint.list("many", EndpointListOptions(limit=3, iterator=it)))
    assert len(places) == 7
    ascending = EndpointListOptions(order=models.Ordering.ASCENDING)
    assert ids(api.endpoint.list("many", ascending)) == places[::-1]
    walk(lambda it: api.event_type.list(EventTypeListOptions(limit=1, iterator=it)))


def tokens(api):
    for token in ("", "nonsense", "a.b.c"):
        refused(401, "authentication_failed", lambda: client(token or "x").application.list())
    access = api.authentication.app_portal_access("acme", models.AppPortalAccessIn())
    tenant = client(access.token)
    assert tenant.application.get("acme").uid == "acme"
    assert tenant.endpoint.list("acme").data
    refused(404, "not_found", lambda: tenant.application.get("many"))
    refused(404, "not_found", lambda: tenant.endpoint.list("many"))
    refused(403, "insufficient access", lambda: tenant.application.create(models.ApplicationIn(name="No")))


def farewell(api):
    api.endpoint.delete("acme", "healthy")
    refused(404, "not_found", lambda: api.endpoint.get("acme", "healthy"))
    api.application.delete("acme")
    refused(404, "not_found", lambda: api.message.list("acme"))
    refused(404, "not_found", lambda: api.application.delete("acme"))


def main():
    api = client(os.environ["WATCHFIRE_TOKEN"])
    api.health.get()
    applications(api)
    event_types(api)
    healthy, flaky = endpoints(api)
    messages(api, healthy, flaky)
    send_example(api)
    pages(api)
    tokens(api)
    farewell(api)
    print(json.dumps({"sdk": svix.__version__}))


main()

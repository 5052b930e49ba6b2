"""Calls every method of Svix's SDK, of whichever version this environment has.

Each is called twice, with as few and with as many arguments as it takes, on objects of its own. The
server must do what is asked, and the SDK must be able to read the answer; what the server does not
offer must be answered with 501, and must be one of `NOT_OFFERED`.

WATCHFIRE_URL is where the server listens, WATCHFIRE_TOKEN a token of an organization, and
RECEIVER_URL a receiver that answers 204.
"""

import dataclasses
import enum
import inspect
import itertools
import os
import time
import types
import typing
from datetime import datetime, timedelta, timezone

import pydantic
from svix import models
from svix.api import Svix, SvixOptions
from svix.exceptions import HttpError

PATIENCE_SECONDS = 60
# Other products behind the same SDK.
NOT_OFFERED = (
    "authentication.get_stream_",
    "authentication.rotate_stream_",
    "authentication.stream_",
    "auto_config_subscription.",
    "autoconfig_subscription.",
    "connector.",
    "destination.",
    "endpoint.patch_transformation",
    "endpoint.transformation",
    "ingest.",
    "integration.",
    "message.poller.",
    "streaming.",
)

number = itertools.count()
receiver_url = os.environ["RECEIVER_URL"]


def client(token):
    options = SvixOptions(server_url=os.environ["WATCHFIRE_URL"], retry_schedule=[])
    return Svix(token, options)


def unique(word):
    return f"{word}-{next(number)}"


def eventually(look):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError("waited in vain")


class Furnished:
    """Objects of one call's own, made when they are asked for."""

    def __init__(self, api):
        self.api = api
        self.app = api.application.create(models.ApplicationIn(name="Acme", uid=unique("app")))
        self.made = {"app_id": self.app.id}

    def __getitem__(self, name):
        if name not in self.made:
            self.made[name] = getattr(self, name)()
        return self.made[name]

    def endpoint_id(self):
        endpoint = models.EndpointIn(url=f"{receiver_url}/every", uid=unique("ep"))
        return self.api.endpoint.create(self.app.id, endpoint).id

    def event_type_name(self):
        schema = {"type": "object", "examples": [{"a": 1}]}
        event_type = models.EventTypeIn(
            name=unique("type"), description="", schemas={"1": schema}
        )
        return self.api.event_type.create(event_type).name

    def msg_id(self):
        self["endpoint_id"]
        message = models.MessageIn(event_type="a.b", payload={"a": 1}, event_id=unique("event"))
        sent = self.api.message.create(self.app.id, message)
        eventually(lambda: self.attempts(sent.id))
        return sent.id

    def attempts(self, message):
        return self.api.message_attempt.list_by_msg(self.app.id, message).data

    def attempt_id(self):
        return self.attempts(self["msg_id"])[0].id

    def task_id(self):
        since = datetime.now(timezone.utc) - timedelta(hours=1)
        self["msg_id"]
        recover = models.RecoverIn(since=since)
        return self.api.endpoint.recover(self.app.id, self["endpoint_id"], recover).id

    def operational(self):
        endpoint = models.OperationalWebhookEndpointIn(
            url=f"{receiver_url}/operational", uid=unique("op")
        )
        return self.api.operational_webhook.endpoint.create(endpoint).id


def text(name, owner, furnished):
    """A text that fits where it stands."""
    known = {
        "url": f"{receiver_url}/every",
        "key": "whsec_" + "QUJD" * 8,
        "secret": "whsec_" + "QUJD" * 8,
        "name": unique("name"),
        "spec_raw": "webhooks: {from.text: {post: {description: Told}}}",
        "session_id": unique("session"),
        "channel": "blue",
        "tag": "red",
    }
    if name == "event_type":
        return furnished["event_type_name"] if owner == "EventExampleIn" else "a.b"
    if name.endswith("uid") or name == "event_id":
        return unique("id")
    return known.get(name, unique("text"))


# What a type alone does not say. `None` leaves the field out.
SPECIAL = {
    ("AppUsageStatsIn", "app_ids"): lambda f: [f.app.id, "nobody"],
    ("AppPortalAccessIn", "application"): None,
    ("ApplicationTokenExpireIn", "expiry"): lambda f: 60,
    ("BulkExpungeContentsIn", "ids"): lambda f: [f["msg_id"], "nobody"],
    ("BulkReplayIn", "status"): lambda f: models.MessageStatus.SUCCESS,
    ("EndpointHeadersPatchIn", "delete_headers"): lambda f: ["x-old"],
    ("EnvironmentIn", "connectors"): lambda f: [],
    ("EnvironmentIn", "settings"): lambda f: {},
    ("EventExampleIn", "example_index"): lambda f: 0,
    ("EventTypeImportOpenApiIn", "spec"): None,
    ("MessageIn", "application"): None,
    ("MessageIn", "deliver_at"): lambda f: datetime.now(timezone.utc),
    ("MessageIn", "payload_retention_hours"): None,
    ("MessageIn", "payload_retention_period"): lambda f: 5,
    ("MessageIn", "transformations_params"): lambda f: {"rawPayload": "{}"},
}
# The same, whatever they belong to.
NAMED = {"schemas": lambda f: {"1": {"type": "object"}}}


def past(name):
    hours = {"since": 2, "after": 2, "start": 2}.get(name, 0)
    return datetime.now(timezone.utc) - timedelta(hours=hours)


def sample(kind, name, owner, furnished, whole):
    """A value of a type, for the field `name` of `owner`."""
    if name in ("event_types", "filter_types") and owner != "EnvironmentIn":
        is_notice = owner.startswith("Operational")
        return ["endpoint.created" if is_notice else furnished["event_type_name"]]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    go = lambda kind: sample(kind, name, owner, furnished, whole)
    if origin in (typing.Union, getattr(types, "UnionType", typing.Union)):
        return go(next(one for one in arguments if one is not type(None)))
    if origin in (list, set):
        return [go(arguments[0])]
    if origin is dict:
        return {"x-name": go(arguments[1])} if arguments[1] is not typing.Any else {"a": 1}
    if origin is typing.Literal:
        return arguments[0]
    if kind is bool:
        return False
    if kind in (int, float):
        return {"limit": 5, "expiry": 3600, "grace_period_seconds": 60}.get(name, 100)
    if kind is datetime:
        return past(name)
    if kind is str:
        return text(name, owner, furnished)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return list(kind)[0]
    if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
        return model(kind, furnished, whole)
    return {}


def model(kind, furnished, whole):
    """An input with what it must have, or with all it may have."""
    chosen = {}
    for name, field in kind.model_fields.items():
        special = SPECIAL.get((kind.__name__, name), NAMED.get(name, ...))
        if special is None or not (whole or field.is_required()):
            continue
        if special is ...:
            chosen[name] = sample(field.annotation, name, kind.__name__, furnished, whole)
        else:
            chosen[name] = special(furnished)
    if kind.__name__ == "EventTypeImportOpenApiIn" and not whole:
        chosen["spec"] = {"webhooks": {"from.spec": {"post": {}}}}
    if kind.__name__ == "BulkExpungeContentsIn":
        chosen["ids"] = SPECIAL[("BulkExpungeContentsIn", "ids")](furnished)
    return kind(**chosen)


def options(kind, furnished):
    """Everything a call may be told besides."""
    hints = typing.get_type_hints(kind)
    chosen = {}
    for field in dataclasses.fields(kind):
        if field.name in ("iterator", "status_code_class", "before"):
            continue
        if field.name == "status":
            continue
        if field.name == "endpoint_id":
            chosen[field.name] = furnished["endpoint_id"]
        else:
            chosen[field.name] = sample(hints[field.name], field.name, "", furnished, True)
    return kind(**chosen)


def arguments(path, method, furnished, whole):
    hints = typing.get_type_hints(method)
    chosen = {}
    for name, parameter in inspect.signature(method).parameters.items():
        kind = hints.get(name, str)
        if name.endswith("_id") or name == "event_type_name":
            chosen[name] = named(path, name, furnished)
        elif name == "options" or dataclasses.is_dataclass(kind):
            if whole:
                chosen[name] = options(kind, furnished)
        elif parameter.default is inspect.Parameter.empty or whole:
            chosen[name] = sample(kind, name, method.__name__, furnished, whole)
    return chosen


def named(path, name, furnished):
    if path.startswith("operational_webhook"):
        return furnished["operational"]
    try:
        return furnished[name]
    except AttributeError:
        # Of a product that is not offered.
        return "nobody"


def resources(owner, path=""):
    """Everything that has methods, with the way to it."""
    for name in sorted(dir(owner)):
        if name.startswith("_"):
            continue
        attribute = getattr(owner, name)
        module = type(attribute).__module__
        if module.startswith("svix.api") and hasattr(attribute, "_client"):
            yield f"{path}{name}", attribute
            yield from resources(attribute, f"{path}{name}.")


def methods(api):
    for path, resource in resources(api):
        for name, method in inspect.getmembers(resource, inspect.ismethod):
            if not name.startswith("_"):
                yield f"{path}.{name}", method


def asked(api, path, whole):
    """Calls a method. Returns whether the server offers it."""
    furnished = Furnished(api)
    caller = api
    if path == "authentication.logout":
        access = api.authentication.app_portal_access(furnished.app.id, models.AppPortalAccessIn())
        caller = client(access.token)
    method = dict(methods(caller))[path]
    chosen = arguments(path, method, furnished, whole)
    try:
        method(**chosen)
    except HttpError as error:
        assert error.status_code == 501, f"{path}({chosen}): {error}"
        assert error.code == "not_implemented" and error.detail, error
        return False
    return True


def main():
    api = client(os.environ["WATCHFIRE_TOKEN"])
    done = wrong = 0
    for path in sorted(dict(methods(api))):
        for whole in (False, True):
            try:
                offered = asked(api, path, whole)
            except Exception as error:
                wrong += 1
                print(f"{path} ({whole=}): {type(error).__name__}: {error}", flush=True)
                continue
            expected = not path.startswith(NOT_OFFERED)
            if offered != expected:
                wrong += 1
                print(f"{path}: offered: {offered}, expected: {expected}", flush=True)
            done += offered
    print(f"{done} calls done, {wrong} wrong")
    assert done > 100 and not wrong


main()

"""Runs a server and a fuzzer that reads its document.

Arguments: the server's program, an empty folder, and `--alone` if this runs in a network of its
own, as under `unshare --net`. The fuzzer makes up the URLs of endpoints, which nobody may be sent
anything at, so without that no endpoints are made up.
"""

import fcntl
import http.server
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request

PROGRAM, FOLDER = sys.argv[1:3]
ALONE = sys.argv[3:] == ["--alone"]
READY = "Watchfire is ready: "
PATIENCE_SECONDS = 60
# Cases for each operation and phase.
EXAMPLES = "8"
# A run that fails can be repeated, and one that does not fail does not begin to by chance.
SEED = "1"

# Operations find something to work on. Those that would take it away from the others get
# something of their own.
CONFIGURATION = """
continue-on-failure = true
# Python 3.11 fails now and then when two threads parse code, as the fuzzer does.
workers = 1

[parameters]
app_id = "{app}"
endpoint_id = "{endpoint}"
msg_id = "{message}"
attempt_id = "{attempt}"
event_type_name = "threat.created"
contract_name = "dfend"
key_id = "{key}"

[warnings]
fail-on = ["unresolvable_reference", "unsupported_regex", "missing_deserializer"]

[checks]
enabled = false
not_a_server_error.enabled = true
status_code_conformance.enabled = true
content_type_conformance.enabled = true
response_schema_conformance.enabled = true
response_headers_conformance.enabled = true
allow_header_conformance.enabled = true
unsupported_method.enabled = true
ignored_auth.enabled = true

[[operations]]
include-operation-id = "v1.application.delete"
parameters = {{ app_id = "{doomed_app}" }}

[[operations]]
include-operation-id = "v1.endpoint.delete"
parameters = {{ endpoint_id = "{doomed_endpoint}" }}

[[operations]]
include-operation-id = "v1.event-type.delete"
parameters = {{ event_type_name = "doomed" }}

[[operations]]
include-operation-id = "v1.api-key.delete"
parameters = {{ key_id = "{doomed_key}" }}

[[operations]]
include-path-regex = "^/api/v1/operational-webhook/"
exclude-method = "DELETE"
parameters = {{ endpoint_id = "{operational}" }}
"""

# Take the URL of an endpoint.
LEADING_ELSEWHERE = [
    "v1.endpoint.create",
    "v1.endpoint.update",
    "v1.endpoint.patch",
    "v1.operational-webhook.endpoint.create",
    "v1.operational-webhook.endpoint.upsert",
]


def bring_up_loopback():
    """What `ip link set lo up` does, on machines that lack it."""
    interface_flags = struct.pack("16sH14s", b"lo", 0x1 | 0x40, b"")
    set_flags = 0x8914
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, set_flags, interface_flags)


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


class Api:
    def __init__(self, url, token):
        self.url, self.token = url, token

    def __call__(self, path, body=None):
        request = urllib.request.Request(
            f"{self.url}api/v1{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": f"Bearer {self.token}", "content-type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)


def furnished(api, receiver):
    """Makes what the configuration names."""
    app = api("/app", {"name": "Acme"})["id"]
    endpoint = api(f"/app/{app}/endpoint", {"url": receiver})["id"]
    event = {"eventType": "threat.created", "payload": {"id": "thr_1"}}
    message = api(f"/app/{app}/msg", event)["id"]
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (attempts := api(f"/app/{app}/attempt/msg/{message}")["data"]):
        assert time.monotonic() < deadline, "the message is not delivered"
        time.sleep(0.02)
    for name in ("threat.created", "doomed"):
        api("/event-type", {"name": name, "description": ""})
    return CONFIGURATION.format(
        app=app,
        endpoint=endpoint,
        message=message,
        attempt=attempts[0]["id"],
        key=api("/auth/key", {"name": "Key", "scopes": ["admin"]})["id"],
        doomed_key=api("/auth/key", {"name": "Doomed", "scopes": ["admin"]})["id"],
        operational=api("/operational-webhook/endpoint", {"url": receiver})["id"],
        doomed_app=api("/app", {"name": "Doomed"})["id"],
        doomed_endpoint=api(f"/app/{app}/endpoint", {"url": receiver})["id"],
    )


def fuzz(url, key, configuration):
    file = os.path.join(FOLDER, "schemathesis.toml")
    with open(file, "w") as written:
        written.write(configuration)
    program = os.path.join(os.path.dirname(sys.executable), "schemathesis")
    command = [program, "--config-file", file, "run", f"{url}api/v1/openapi.json"]
    command += ["--header", f"Authorization: Bearer {key}"]
    command += ["--phases", "coverage,fuzzing", "--max-examples", EXAMPLES, "--seed", SEED]
    for operation in [] if ALONE else LEADING_ELSEWHERE:
        command += ["--exclude-operation-id", operation]
    return subprocess.run(command, cwd=FOLDER).returncode


def main():
    if ALONE:
        bring_up_loopback()
    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    data = ["--data", os.path.join(FOLDER, "data")]
    serve = ["serve", *data, "--listen", "127.0.0.1:0", "--allow-cidr", "127.0.0.0/8"]
    log = open(os.path.join(FOLDER, "log"), "w+")
    server = subprocess.Popen([PROGRAM, *serve], stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        url = server.stdout.readline().strip().removeprefix(READY)
        token = subprocess.check_output([PROGRAM, "token", *data], text=True).strip()
        port = receiver.server_address[1]
        owner = Api(url, token)
        configuration = furnished(owner, f"http://127.0.0.1:{port}/")
        # A token could end itself in the middle of the run.
        key = owner("/auth/key", {"name": "Fuzzer", "scopes": ["admin"]})["key"]
        code = fuzz(url, key, configuration)
        server.send_signal(signal.SIGTERM)
        assert server.wait(PATIENCE_SECONDS) == 0, "the server does not stop as it should"
    finally:
        server.kill()
    log.seek(0)
    complaints = [line for line in log if " ERROR " in line or "panicked" in line]
    print("".join(complaints))
    sys.exit(1 if complaints else code)


main()

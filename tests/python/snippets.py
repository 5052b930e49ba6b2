"""Runs the reference page's snippets for Python against a server that takes every call.

WATCHFIRE_URL is where the page is. What the snippets send goes to a server of our own, so that the
SDK checks the call and its body, and nothing depends on what is there.
"""

import html
import http.server
import os
import re
import threading
import urllib.request

BLOCK = re.compile(r'<pre class="python"[^>]*><code>(.*?)</code></pre>', re.S)
SERVER = "http://127.0.0.1:8071"
EXPECTED_MIN = 40


class Taker(http.server.BaseHTTPRequestHandler):
    """Answers anything with 404, which every SDK reads as a refusal."""

    def answer(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b'{"code":"not_found","detail":"Entity not found"}'
        self.send_response(404)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        # Before the SDK can know of the answer.
        self.server.taken.append(f"{self.command} {self.path}")
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def log_message(self, *_):
        pass


def main():
    from svix.exceptions import HttpError

    taker = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Taker)
    taker.taken = []
    threading.Thread(target=taker.serve_forever, daemon=True).start()
    ours = f"http://127.0.0.1:{taker.server_address[1]}"
    with urllib.request.urlopen(os.environ["WATCHFIRE_URL"] + "/docs") as answer:
        page = answer.read().decode()
    snippets = [html.unescape(block) for block in BLOCK.findall(page)]
    assert len(snippets) >= EXPECTED_MIN, len(snippets)
    calls = 0
    for snippet in snippets:
        assert SERVER in snippet, snippet
        before = len(taker.taken)
        try:
            exec(snippet.replace(SERVER, ours), {"TOKEN": "a key"})
        except HttpError as error:
            assert error.status_code == 404, snippet
            calls += 1
            assert len(taker.taken) == before + 1, snippet
    # The first one only makes a client.
    assert calls == len(snippets) - 1, (calls, len(snippets))


main()

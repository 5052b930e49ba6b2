"""Judges deliveries with the Standard Webhooks verifier and with Svix's.

Standard input is a list of {about, secret, headers, body, trusted}, the body in base64.
"""

import base64
import json
import sys

import standardwebhooks
import svix.webhooks


def is_trusted(verifier, case):
    body = base64.b64decode(case["body"])
    try:
        verifier(case["secret"]).verify(body, case["headers"])
    except (standardwebhooks.WebhookVerificationError, svix.webhooks.WebhookVerificationError):
        return False
    return True


cases = json.load(sys.stdin)
assert cases
for case in cases:
    for verifier in (standardwebhooks.Webhook, svix.webhooks.Webhook):
        assert is_trusted(verifier, case) == case["trusted"], (verifier, case)

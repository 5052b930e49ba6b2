"""A mail server that does as it is told and prints what it was sent, one JSON object a line.

Its settings are one JSON object in the first argument:
  port      where to listen on loopback; 0 takes a free one
  tls       "starttls", "tls" or absent
  cert, key PEM files
  username, password   whoever sends must log in as this
  mechanisms           the AUTH mechanisms it offers
  refuse    addresses it never takes mail for
  defer     addresses it takes mail for the second time only
"""

import asyncio
import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

SETTINGS = json.loads(sys.argv[1])
DEFERRED = set(SETTINGS.get("defer", []))


def tell(**what):
    print(json.dumps(what), flush=True)


class Handler:
    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        return responses

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in SETTINGS.get("refuse", []):
            return "550 5.1.1 no such user"
        if address in DEFERRED:
            DEFERRED.remove(address)
            return "450 4.2.1 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        plain = message.get_body(preferencelist=("plain",))
        html = message.get_body(preferencelist=("html",))
        login = session.auth_data
        tell(
            mail={
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "helo": session.host_name,
                "tls": server.transport.get_extra_info("ssl_object") is not None,
                "login": login.login.decode() if login else None,
                "headers": [[name, str(value)] for name, value in message.items()],
                "defects": [str(defect) for part in message.walk() for defect in part.defects],
                "longest": max(len(line) for line in envelope.content.split(b"\r\n")),
                "text": plain.get_content(),
                "html": html.get_content(),
            }
        )
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    if not isinstance(data, LoginPassword):
        return AuthResult(success=False, handled=False)
    right = (
        data.login.decode() == SETTINGS["username"]
        and data.password.decode() == SETTINGS["password"]
    )
    tell(auth={"mechanism": mechanism, "right": right})
    return AuthResult(success=right, handled=False, auth_data=data)


def context():
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(SETTINGS["cert"], SETTINGS["key"])
    return made


async def main():
    tls = SETTINGS.get("tls")
    options = {"hostname": "mail.test", "enable_SMTPUTF8": False}
    if tls == "starttls":
        options |= {"tls_context": context(), "require_starttls": True}
    if "username" in SETTINGS:
        offered = SETTINGS.get("mechanisms", ["PLAIN", "LOGIN"])
        left_out = {"PLAIN", "LOGIN"} - set(offered)
        options |= {
            "authenticator": authenticate,
            "auth_required": True,
            "auth_require_tls": tls == "starttls",
            "auth_exclude_mechanism": left_out,
        }
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(Handler(), **options),
        host="127.0.0.1",
        port=SETTINGS.get("port", 0),
        ssl=context() if tls == "tls" else None,
    )
    tell(port=server.sockets[0].getsockname()[1])
    await server.serve_forever()


asyncio.run(main())

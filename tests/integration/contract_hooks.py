"""Hooks of the contract test for schemathesis: every request carries the credentials that its
operation wants, and what a tenant's key sends is signed. The environment has the keys."""

import hashlib
import hmac
import os
import time

import requests
import schemathesis


SIGNED = set()


def second_to_sign(signed):
    """Now, or an earlier second in which no equal request was signed: a signature is good once."""
    now = when = int(time.time())
    while (when, signed) in SIGNED and when > now - 240:
        when -= 1
    SIGNED.add((when, signed))
    return when


class Credentials(requests.auth.AuthBase):
    """Sets them on the request as it is sent, when its body is known."""

    def __init__(self, security):
        self.schemes = {name for alternative in security for name in alternative}

    def __call__(self, request):
        if "userToken" in self.schemes and request.method in ("GET", "HEAD"):
            request.headers["Authorization"] = "Bearer " + os.environ["CONTRACT_USER_TOKEN"]
        elif "operatorKey" in self.schemes:
            request.headers["X-API-Key"] = os.environ["CONTRACT_OPERATOR_KEY"]
        elif "secretKey" in self.schemes:
            body = request.body or b""
            if isinstance(body, str):
                body = body.encode()
            signed = f"{request.method}.{request.path_url}\n".encode() + body
            at = str(second_to_sign(signed))
            secret = os.environ["CONTRACT_SIGNING_SECRET"].encode()
            mac = hmac.new(secret, at.encode() + b"." + signed, hashlib.sha256).hexdigest()
            request.headers["X-API-Key"] = os.environ["CONTRACT_SECRET_KEY"]
            request.headers["X-Signature"] = f"t={at},v2={mac}"
        elif "userToken" in self.schemes:
            request.headers["Authorization"] = "Bearer " + os.environ["CONTRACT_USER_TOKEN"]
        return request


@schemathesis.hook
def before_call(context, case, kwargs):
    kwargs["auth"] = Credentials(case.operation.definition.raw.get("security", []))

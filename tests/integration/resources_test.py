#!/usr/bin/env python3
"""Triggers, consents, opt-outs and look-ups over REST, from outside, on a real dev with its
PostgreSQL: what is changed counts at once, survives a kill, and is made once for its key."""

import hashlib
import hmac
import json
import re
import signal
import time
import urllib.parse
import urllib.request

import harness
from dev_test import Dev, call, second_to_sign

PHONE = "+254700000001"
TRIGGER = {"event_type": "order.paid", "when": "event.data.amount >= 10", "channel": "sms",
           "recipients": {"field": "data.phone"}, "template": {"body": "Paid {{data.amount}}."},
           "message_class": "transactional"}


def ask(dev, method, path, body=None, **fields):
    """As a tenant's server does: with its secret key, changes signed."""
    data = b"" if body is None else json.dumps(body).encode()
    signed = f"{method}.{path}\n".encode() + data
    at = str(int(time.time()) if method == "GET" else second_to_sign(signed))
    mac = hmac.new(dev.info["signing_secret"].encode(), at.encode() + b"." + signed, hashlib.sha256)
    headers = {"X-API-Key": dev.info["secret_key"], "X-Signature": f"t={at},v2={mac.hexdigest()}"}
    if body is not None:
        headers["Content-Type"] = "application/json"
    headers.update({name.replace("_", "-"): value for name, value in fields.items()})
    return call(method, dev.info["api_url"] + path, data if body is not None else None, headers)


def decide(dev, number, amount):
    status, _, answer = dev.ingest(
        {"event_type": "order.paid", "id": f"o{number}", "data": {"amount": amount, "phone": PHONE}},
        headers={"Prefer": "wait=5"})
    assert status == 200, answer
    return answer["decisions"][0]["outcome"]


def a_trigger_counts_as_soon_as_it_is_answered():
    with harness.Deployment() as deployment:
        dev = Dev(deployment)
        status, fields, made = ask(dev, "POST", "/api/v1/triggers", {"id": "paid", **TRIGGER})
        assert status == 201 and fields["ETag"] == '"1"', (status, made)
        assert decide(dev, 1, 10) == "SEND" and decide(dev, 2, 9) == "NO_MATCH"
        status, fields, changed = ask(dev, "PUT", "/api/v1/triggers/paid",
                                      {**TRIGGER, "when": "event.data.amount >= 5"},
                                      If_Match=fields["ETag"])
        assert status == 200 and changed["version"] == 2, (status, changed)
        assert decide(dev, 3, 9) == "SEND"
        status, _, problem = ask(dev, "PUT", "/api/v1/triggers/paid", TRIGGER, If_Match='"1"')
        assert status == 412 and problem["code"] == "precondition_failed", problem
        status, deleted, _ = ask(dev, "DELETE", "/api/v1/triggers/paid", If_Match=fields["ETag"])
        assert status == 204
        assert decide(dev, 4, 10) == "NO_MATCH"
        status, _, _ = ask(dev, "GET", "/api/v1/triggers/paid",
                           X_Min_Position=deleted["X-Position"])
        assert status == 404
        status, _, versions = ask(dev, "GET", "/api/v1/triggers/paid/versions")
        assert [row["version"] for row in versions["data"]] == [3, 2, 1], versions


def a_killed_server_keeps_triggers_and_keys():
    with harness.Deployment() as deployment:
        dev = Dev(deployment)
        status, _, made = ask(dev, "POST", "/api/v1/triggers", TRIGGER, Idempotency_Key='"k1"')
        assert status == 201, made
        dev.stop(signal.SIGKILL)
        dev = Dev(deployment)
        status, fields, again = ask(dev, "POST", "/api/v1/triggers", TRIGGER, Idempotency_Key="k1")
        assert (status, again) == (201, made), again
        assert fields["Idempotent-Replayed"] == "true"
        status, _, listed = ask(dev, "GET", "/api/v1/triggers?limit=5")
        assert [row["id"] for row in listed["data"]] == [made["id"]], listed


def people_are_asked_for_by_number_and_named_by_id():
    with harness.Deployment() as deployment:
        dev = Dev(deployment)
        consent = {"phone": PHONE, "channel": "sms", "class": "marketing", "status": "granted",
                   "source": "web_form", "evidence": {"kind": "web_form", "written": True}}
        status, fields, recorded = ask(dev, "POST", "/api/v1/consents", consent)
        assert status == 201, recorded
        status, _, found = ask(dev, "POST", "/api/v1/recipients/lookup", {"phone": "00254 700000001"},
                               X_Min_Position=fields["X-Position"])
        assert status == 200 and found["id"] == recorded["recipient"], found
        status, _, out = ask(dev, "POST", "/api/v1/opt-outs",
                             {"recipient": found["id"], "channel": "sms", "status": "active"})
        assert status == 201, out
        status, _, lifted = ask(dev, "POST", "/api/v1/opt-outs",
                                {"phone": PHONE, "channel": "sms", "status": "removed"})
        assert status == 201, lifted
        assert dev.inbound("STOP", PHONE)[0] == 200

        def refused():
            status, _, problem = ask(dev, "POST", "/api/v1/opt-outs",
                                     {"phone": PHONE, "channel": "sms", "status": "removed"})
            return status == 409 and problem["code"] == "opt_out_by_recipient"

        harness.wait_for("STOP to be obeyed", refused, 15)
        dev.stop()
        assert PHONE.lstrip("+") not in deployment.log_of(dev.process)


def the_documentation_asks_no_foreign_host():
    with harness.Deployment() as deployment:
        dev = Dev(deployment)
        url = dev.info["api_url"]
        status, fields, page = call("GET", url + "/api-docs")
        assert status == 200 and "default-src 'none'" in fields["Content-Security-Policy"]
        for place in re.findall(r'(?:src|href)="([^"]+)"', page):
            assert not urllib.parse.urlparse(place).netloc, place
            with urllib.request.urlopen(url + place, timeout=10) as answer:
                assert answer.read(), place
        status, fields, document = call("GET", url + "/openapi.json")
        assert status == 200 and fields["Content-Type"] == "application/json"
        assert document == json.loads(deployment.run("openapi").stdout)


if __name__ == "__main__":
    harness.main([a_trigger_counts_as_soon_as_it_is_answered, a_killed_server_keeps_triggers_and_keys,
                  people_are_asked_for_by_number_and_named_by_id,
                  the_documentation_asks_no_foreign_host])

#!/usr/bin/env python3
"""A user's first day: register, a website, its key, a trigger, a consent, events, a STOP, what was
used, the plan's end, and everything taken home as a file. Over REST only, as the user; the number
that messages leave from is the operator's to give."""

import csv
import hashlib
import hmac
import io
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

import harness  # noqa: E402
from dev_test import Dev, call  # noqa: E402

ADA = "+16465550101"
BOB = "+16465550102"
CARL = "+16465550103"  # Only ever asks for help.
NUMBER = "+15005550007"
PLAN = 3  # Messages a month.


class User:
    """Who works with the API in a browser or a script: an access token, and JSON."""

    def __init__(self, dev, email, password):
        self.url = dev.info["api_url"] + "/api/v1/"
        status, _, session = self.ask("POST", "auth/register", {
            "email": email, "password": password, "tenant_name": "Ada's bakery"})
        assert status == 201, session
        self.email, self.password = email, password
        self.tenant, self.token = session["tenant"], session["access_token"]
        self.refresh_token = session["refresh_token"]
        assert session["role"] == "owner", session

    token = None

    def ask(self, method, path, body=None, headers=None):
        fields = {"Content-Type": "application/json"} if body is not None else {}
        if self.token:
            fields["Authorization"] = "Bearer " + self.token
        return call(method, self.url + path, body, {**fields, **(headers or {})})

    def get(self, path, headers=None):
        status, _, answer = self.ask("GET", path, headers=headers)
        assert status == 200, (path, status, answer)
        return answer

    def make(self, path, body, headers=None, status=201):
        got, _, answer = self.ask("POST", path, body, headers)
        assert got == status, (path, got, answer)
        return answer


class Shop:
    """The website's server, with its secret key."""

    def __init__(self, dev, key):
        self.dev, self.key, self.events = dev, key, 0

    def order(self, phone, amount=20):
        self.events += 1
        body = json.dumps({"event_type": "order.ready", "id": f"o{self.events}",
                           "data": {"phone": phone, "amount": amount}}).encode()
        when = int(time.time())
        mac = hmac.new(self.key["signing_secret"].encode(), f"{when}.".encode() + body,
                       hashlib.sha256).hexdigest()
        status, _, answer = call("POST", self.dev.info["api_url"] + "/api/v1/ingest", body, {
            "Content-Type": "application/json", "X-API-Key": self.key["key"],
            "X-Signature": f"t={when},v1={mac}", "Prefer": "wait=5"})
        assert status == 200, (status, answer)
        return answer["decisions"][0]


def give_number_and_plan(dev, deployment, tenant):
    """What the operator does for a new tenant: a number to send from, and a plan."""
    keys = deployment.data / "keys.toml"
    changed = deployment.data / "keys.new"  # Replaced whole: half a file would be taken as it is.
    changed.touch(mode=0o600)
    changed.write_text(keys.read_text() + f"""
[[number]]
provider = "twilio"
account = "main"
number = "{NUMBER}"
tenant = "{tenant}"
""")
    changed.rename(keys)
    status, _, answer = call("POST", dev.info["api_url"] + "/api/v1/control/events", {
        "tenant": tenant,
        "events": [
            {"kind": "sender", "id": "bakery", "provider": "twilio", "account": "main",
             "number": NUMBER, "default": True},
            {"kind": "plan", "id": "starter", "sends_per_month_max": PLAN},
            {"kind": "tenant", "id": tenant, "status": "active", "plan": "starter"}]},
        {"Content-Type": "application/json", "X-API-Key": dev.info["operator_key"]})
    assert status == 200, (status, answer)
    assert [each["status"] for each in answer["results"]] == ["accepted"] * 3, answer
    # The file is looked at once a second; then who writes to the number is answered.
    harness.wait_for("the number to be known", lambda: help_answered(dev), 10)


def inbound(dev, sender, text):
    status, _, answer = call("POST", dev.info["provider_url"] + "/inbound",
                             {"from": sender, "to": NUMBER, "body": text})
    assert status == 200, answer


def help_answered(dev):
    inbound(dev, CARL, "HELP")
    time.sleep(0.3)
    return messages_to(dev, CARL)


def a_day():
    with harness.Deployment() as deployment:
        dev = Dev(deployment)
        user = User(dev, "ada@bakery.example", "correct horse battery staple")
        give_number_and_plan(dev, deployment, user.tenant)

        site = user.make("websites", {"url": "https://bakery.example", "name": "The bakery"})
        assert [each["id"] for each in user.get("websites")["data"]] == [site["id"]]
        key = user.make(f"websites/{site['id']}/keys", {"kind": "secret", "name": "till"})
        assert key["key"].startswith("as_sk_") and key["signing_secret"], sorted(key)
        listed = user.get(f"websites/{site['id']}/keys")
        assert key["key"] not in json.dumps(listed) and len(listed["data"]) == 1, listed
        shop = Shop(dev, key)

        trigger = {"id": "ready", "event_type": "order.ready", "when": "event.data.amount >= 10",
                   "recipients": {"field": "data.phone"}, "channel": "sms",
                   "template": {"body": "Your order of {{data.amount}} is ready."},
                   "message_class": "informational"}
        wrong = user.make("triggers/validate", {**trigger, "when": "event.data.amount >="}, status=200)
        assert wrong["valid"] is False and wrong["errors"][0]["pointer"] == "#/when", wrong
        made = user.make("triggers", trigger)
        assert made["version"] == 1, made

        # Nobody has agreed to anything yet; then Ada and Bob do.
        held = harness.wait_for("the key to be known", lambda: try_order(shop), 10)
        assert (held["outcome"], held["reason"]) == ("SUPPRESS", "consent_missing"), held
        for phone in (ADA, BOB):
            consent = user.make("consents", {
                "phone": phone, "channel": "sms", "class": "informational", "status": "granted",
                "source": "web_form", "evidence": {"kind": "web_form"}})
            assert consent["status"] == "granted", consent
        assert shop.order(ADA)["outcome"] == "SEND"
        sent = shop.order(BOB)
        assert sent["outcome"] == "SEND", sent
        assert shop.order(BOB, amount=5)["outcome"] == "NO_MATCH"
        arrived = harness.wait_for(
            "two messages", lambda: messages_to(dev, ADA) and messages_to(dev, BOB), 10)
        assert arrived[0]["from"] == NUMBER, arrived
        assert arrived[0]["body"] == "Your order of 20 is ready.", arrived

        # Bob has had enough. Only he can take that back.
        inbound(dev, BOB, "Stop.")
        harness.wait_for("the answer to Bob's STOP", lambda: len(messages_to(dev, BOB)) == 2, 10)
        stopped = shop.order(BOB, amount=30)
        assert stopped["reason"] == "opted_out", stopped
        status, _, problem = user.ask("POST", "opt-outs", {
            "phone": BOB, "channel": "sms", "status": "removed", "reason": "he is a good customer"})
        assert (status, problem["code"]) == (409, "opt_out_by_recipient"), problem
        bob = user.make("recipients/lookup", {"phone": BOB}, status=200)["id"]
        opt_outs = harness.wait_for("the STOP to be shown",
                                    lambda: user.get("recipients/" + bob)["opt_outs"], 10)
        assert opt_outs[0]["by"] == "recipient", opt_outs
        why = user.get(f"notifications/{sent['notification_id']}/explain")
        assert why["decision"]["outcome"] == "send", why

        # By hand, until the plan is used up. Answers to STOP and HELP are no part of it.
        told = user.make("notifications", {"phone": ADA, "trigger": "ready", "data": {"amount": 7}},
                         {"Idempotency-Key": '"one"'}, status=200)
        assert told["decision"]["outcome"] == "send", told
        status, fields, problem = user.ask("POST", "notifications", {
            "phone": ADA, "channel": "sms", "class": "transactional",
            "template": {"body": "Your code is {{data.code}}"}, "data": {"code": 4711}})
        assert (status, problem["code"]) == (429, "quota_exceeded"), problem
        assert problem["remaining"] == 0 and problem["limit"] == PLAN, problem
        assert int(fields["Retry-After"]) > 0 and problem["resets_at"].endswith("-01T00:00:00.000Z")
        usage = user.get("usage", {"X-Min-Position": fields["X-Position"]})
        assert (usage["sends"], usage["left"]) == (PLAN, 0), usage

        # Home, with everything.
        rows = list(csv.DictReader(io.StringIO(user.get("notifications", {"Accept": "text/csv"}))))
        assert len([row for row in rows if row["trigger"] == "ready"]) == PLAN, rows
        assert {row["trigger"] for row in rows} == {"ready", ""}, rows  # Answers have none.
        assert ADA not in json.dumps(rows) and BOB not in json.dumps(rows)
        actions = {each["action"] for each in user.get("audit?limit=100")["data"]}
        assert {"trigger.change", "consent.change"} <= actions, actions
        status, _, session = user.ask("POST", "auth/logout", {"refresh_token": user.refresh_token})
        assert status == 204, session
        status, _, refused = user.ask("POST", "auth/refresh", {"refresh_token": user.refresh_token})
        assert status == 401, refused

        audit = deployment.audit()
        assert audit["mismatches"] == 0, audit
        # The address and the number of a person stand in no log of the program.
        assert dev.stop() == 0
        words = deployment.log_of(dev.process)
        assert not [each for each in (ADA, BOB, "ada@bakery") if each in words], words[-2000:]


def try_order(shop):
    """The decision of an order; nothing while the key is not known to the server."""
    try:
        return shop.order(ADA)
    except AssertionError as refused:
        if "401" in str(refused):
            return None
        raise


def messages_to(dev, phone):
    return [each for each in call("GET", dev.info["provider_url"] + "/messages")[2]["messages"]
            if each["to"] == phone]


if __name__ == "__main__":
    harness.main([a_day])

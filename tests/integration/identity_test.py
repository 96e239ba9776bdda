#!/usr/bin/env python3
"""Users, websites and API keys over REST, against `alertstream dev` with its database: registering,
logging in, refresh tokens that are used twice, roles, revocation within five seconds, and a
database that is gone."""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import signal
import time
import urllib.parse

import harness
from dev_test import Dev, call, second_to_sign

PASSWORD = "correct horse battery"


class Api:
    def __init__(self, dev):
        self.dev = dev
        self.url = dev.info["api_url"] + "/api/v1/"

    def post(self, path, body, token=None, **headers):
        fields = {"Content-Type": "application/json", **headers}
        if token:
            fields["Authorization"] = "Bearer " + token
        return call("POST", self.url + path, body, fields)

    def get(self, path, token=None, key=None):
        return call("GET", self.url + path, None, credentials(token, key))

    def delete(self, path, token):
        return call("DELETE", self.url + path, None, credentials(token, None))

    def register(self, email, name="Jane's Shop"):
        status, _, answer = self.post(
            "auth/register", {"email": email, "password": PASSWORD, "tenant_name": name})
        assert status == 201, (status, answer)
        return answer

    def login(self, email, password=PASSWORD, **more):
        return self.post("auth/login", {"email": email, "password": password, **more})


def credentials(token, key):
    return {**({"Authorization": "Bearer " + token} if token else {}),
            **({"X-API-Key": key} if key else {})}


def signed(api, key, event):
    body = json.dumps(event).encode()
    when = int(time.time())
    mac = hmac.new(key["signing_secret"].encode(), f"{when}.".encode() + body, hashlib.sha256)
    return call("POST", api.url + "ingest", body, {
        "Content-Type": "application/json", "X-API-Key": key["key"],
        "X-Signature": f"t={when},v1={mac.hexdigest()}"})


def a_tenant_registers_and_its_keys_work():
    with harness.Deployment() as deployment:
        api = Api(Dev(deployment))
        me = api.register("Jane@Shop.Example")
        assert me["role"] == "owner" and me["tenant"].startswith("jane-s-shop-"), me
        assert me["token_type"] == "Bearer" and 890 <= me["expires_in"] <= 900, me
        token = me["access_token"]
        status, _, answer = api.post("auth/register",
                                     {"email": "jane@shop.example", "password": PASSWORD})
        assert status == 409 and answer["code"] == "conflict", answer

        assert api.get("websites", token)[2]["data"] == []
        status, fields, site = api.post("websites", {"url": "https://shop.example", "name": "Shop"},
                                        token)
        assert status == 201 and site["id"] == "shop.example", (status, site)
        assert fields["Location"] == "/api/v1/websites/shop.example"
        assert api.post("websites", {"url": "https://shop.example"}, token)[0] == 409
        assert [each["id"] for each in api.get("websites", token)[2]["data"]] == ["shop.example"]
        keys = "websites/shop.example/keys"
        status, _, key = api.post(keys, {"kind": "secret", "name": "server"}, token)
        assert status == 201 and key["key"].startswith("as_sk_live_"), key
        listed = api.get(keys, token)[2]["data"]
        assert [each["id"] for each in listed] == [key["id"]] and listed[0]["status"] == "active"
        assert key["key"] not in json.dumps(listed), "a key is shown once"

        status, _, answer = signed(api, key, {"event_type": "form.sent", "id": "e1", "data": {}})
        assert status == 202, (status, answer)
        # Another tenant's secret of the same form, and a stranger's key.
        assert signed(api, {**key, "signing_secret": "as_ss_x"},
                      {"event_type": "form.sent", "id": "e2", "data": {}})[0] == 403
        assert api.get("websites", key=key["key"])[0] == 200
        assert api.get("websites", key=key["key"] + "x")[0] == 401

        status, _, fresh = api.post(keys + "/" + key["id"] + "/rotate",
                                    {"overlap_seconds": 3600}, token)
        assert status == 200 and fresh["key"] != key["key"], (status, fresh)
        for each in (key, fresh):
            assert signed(api, each, {"event_type": "form.sent", "id": each["id"], "data": {}})[0] == 202
        assert api.post(keys + "/" + key["id"] + "/rotate", {}, token)[0] == 409
        status, _, secret = api.post(keys + "/" + fresh["id"] + "/rotate",
                                     {"what": "signing_secret"}, token)
        assert status == 200 and secret["key"] is None, (status, secret)
        for one in (fresh["signing_secret"], secret["signing_secret"]):
            event = {"event_type": "form.sent", "id": one[-9:], "data": {}}
            assert signed(api, {"key": fresh["key"], "signing_secret": one}, event)[0] == 202

        # A website that is deleted takes its keys along.
        assert api.delete("websites/shop.example", token)[0] == 204
        assert api.get("websites/shop.example", token)[2]["status"] == "disabled"
        assert signed(api, fresh, {"event_type": "form.sent", "id": "late", "data": {}})[0] == 401
        assert api.delete("websites/shop.example", token)[0] == 404
        actions = [each["action"] for each in api.get("audit?limit=100", token)[2]["data"]]
        for action in ("tenant.register", "key.create", "key.rotate", "key.rotate_secret",
                       "key.revoke"):
            assert action in actions, (action, actions)


def who_comes_in_and_who_does_not():
    with harness.Deployment() as deployment:
        api = Api(Dev(deployment))
        email = "jane@shop.example"
        first = api.register(email)
        unknown, wrong = [], []
        for number in range(4):
            begun = time.monotonic()
            refused = api.login(email, "wrong horse battery")
            wrong.append(time.monotonic() - begun)
            begun = time.monotonic()
            nobody = api.login(f"nobody{number}@shop.example", "wrong horse battery")
            unknown.append(time.monotonic() - begun)
            for status, fields, answer in (refused, nobody):
                assert status == 401 and fields["WWW-Authenticate"], (status, answer)
                assert answer["detail"] == refused[2]["detail"], answer
        print(f"login refused: known {sorted(wrong)[1] * 1000:.0f} ms, "
              f"unknown {sorted(unknown)[1] * 1000:.0f} ms")
        assert api.login(email)[0] == 200
        for _ in range(6):
            assert api.login(email, "wrong horse battery")[0] == 401
        status, fields, answer = api.login(email)
        assert status == 429 and answer["code"] == "rate_limited", (status, answer)
        assert int(fields["Retry-After"]) >= 1
        time.sleep(int(fields["Retry-After"]) + 0.1)
        status, _, session = api.login(email)
        assert status == 200, session

        # A refresh token is used once; again at once is a lost answer, again later is theft.
        status, _, second = api.post("auth/refresh", {"refresh_token": session["refresh_token"]})
        assert status == 200 and second["refresh_token"] != session["refresh_token"]
        status, _, again = api.post("auth/refresh", {"refresh_token": session["refresh_token"]})
        assert status == 200 and again["refresh_token"] == second["refresh_token"]
        status, _, third = api.post("auth/refresh", {"refresh_token": second["refresh_token"]})
        assert status == 200
        assert api.post("auth/refresh", {"refresh_token": session["refresh_token"]})[0] == 401
        assert api.post("auth/refresh", {"refresh_token": third["refresh_token"]})[0] == 401
        harness.wait_for("the family's access token is refused",
                         lambda: api.get("websites", third["access_token"])[0] == 401, 5)
        assert api.get("websites", first["access_token"])[0] == 200, "another session goes on"

        assert api.post("auth/logout", {"refresh_token": first["refresh_token"]})[0] == 204
        assert api.get("websites", first["access_token"])[0] == 401
        for body in ({}, {"email": 1, "password": "x"}, {"email": email, "passwort": PASSWORD},
                     {"email": "no address", "password": PASSWORD}, []):
            status, _, answer = api.post("auth/login", body)
            assert status == 422 and answer["errors"], (body, answer)
        assert api.post("auth/login", b"{")[0] == 400
        assert api.post("auth/login", b"a=1", **{"Content-Type": "text/plain"})[0] == 415
        log = deployment.log_of(api.dev.process)
        for secret in (email, PASSWORD, first["refresh_token"], first["access_token"]):
            assert secret not in log


def roles_decide_and_tenants_are_apart():
    with harness.Deployment() as deployment:
        dev = Dev(deployment)
        api = Api(dev)
        assert dev.info["user_email"] == "demo@alertstream.local"
        status, _, demo = api.login(dev.info["user_email"], dev.info["user_password"])
        assert status == 200 and demo["role"] == "owner" and demo["tenant"] == "demo", demo
        tokens = {"owner": demo["access_token"]}
        password = deployment.directory / "password"
        password.write_text(PASSWORD)
        password.chmod(0o600)
        users = {}
        for role in ("admin", "editor", "viewer", "auditor"):
            made = deployment.run("users", "create", "--email", f"{role}@shop.example", "--role",
                                  role, "--password-file", password, "-o", "json")
            users[role] = json.loads(made.stdout)["id"]
            tokens[role] = api.login(f"{role}@shop.example")[2]["access_token"]
        may = {("GET", "websites"): set(tokens),
               ("GET", "websites/shop/keys"): {"owner", "admin"},
               ("POST", "websites/shop/keys"): {"owner", "admin"},
               ("GET", "audit"): {"owner", "admin", "auditor"},
               ("GET", "usage"): set(tokens)}
        for (method, path), roles in may.items():
            for role, token in tokens.items():
                status = (api.get(path, token) if method == "GET" else
                          api.post(path, {"kind": "secret"}, token))[0]
                assert (status < 300) == (role in roles), (method, path, role, status)
                assert status < 300 or status == 403, (method, path, role, status)
        assert api.get("websites")[0] == 401

        # Another tenant's website is not even there.
        stranger = api.register("joe@other.example", "Other")["access_token"]
        for path in ("websites/shop", "websites/shop/keys"):
            assert api.get(path, stranger)[0] == 404, path
        assert api.post("websites/shop/keys", {"kind": "secret"}, stranger)[0] == 404
        assert api.delete("websites/shop", stranger)[0] == 404

        # A role that is taken away is gone within five seconds; so is a user.
        deployment.run("users", "set-role", users["admin"], "--role", "viewer")
        harness.wait_for("the old token is refused",
                         lambda: api.get("websites", tokens["admin"])[0] == 401, 5)
        status, _, again = api.login("admin@shop.example")
        assert status == 200 and again["role"] == "viewer"
        deployment.run("users", "disable", users["editor"])
        harness.wait_for("the disabled user is refused",
                         lambda: api.get("websites", tokens["editor"])[0] == 401, 5)
        assert api.login("editor@shop.example")[0] == 401
        listed = json.loads(deployment.run("users", "list", "-o", "json").stdout)
        assert {each["status"] for each in listed if each["id"] == users["editor"]} == {"disabled"}


def a_revocation_holds_within_five_seconds():
    with harness.Deployment() as deployment:
        api = Api(Dev(deployment))
        key = json.loads(deployment.run("keys", "create", "--name", "cli", "-o", "json").stdout)
        harness.wait_for("the key is known", lambda: api.get("websites", key=key["key"])[0] == 200, 5)
        begun = time.monotonic()
        deployment.run("keys", "revoke", key["id"])
        harness.wait_for("the key is refused", lambda: api.get("websites", key=key["key"])[0] == 401, 5)
        print(f"revoked elsewhere: refused after {time.monotonic() - begun:.2f} s")
        rows = json.loads(deployment.run("keys", "list", "-o", "json").stdout)
        assert [row["status"] for row in rows] == ["revoked"], rows

        limited = json.loads(deployment.run("keys", "create", "--network", "192.0.2.0/24", "-o",
                                            "json").stdout)
        harness.wait_for("the key of another network is refused",
                         lambda: api.get("websites", key=limited["key"])[0] == 403, 5)


def without_the_database_keys_serve_on():
    with harness.Deployment() as deployment:
        dev = Dev(deployment)
        api = Api(dev)
        token = api.register("jane@shop.example")["access_token"]
        assert api.post("websites", {"url": "https://shop.example"}, token)[0] == 201
        key = api.post("websites/shop.example/keys", {"kind": "secret"}, token)[2]
        socket = urllib.parse.parse_qs(urllib.parse.urlparse(dev.info["postgres_url"]).query)["host"][0]
        pid = int((pathlib.Path(socket).parent / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGSTOP)
        try:
            for number in range(5):
                event = {"event_type": "form.sent", "id": f"down{number}", "data": {}}
                assert signed(api, key, event)[0] == 202, "events are taken by keys in memory"
        finally:
            os.kill(pid, signal.SIGCONT)
        os.kill(pid, signal.SIGKILL)
        event = {"event_type": "form.sent", "id": "killed", "data": {}}
        assert signed(api, key, event)[0] == 202
        # The dev starts its cluster anew.
        harness.wait_for("logins work again",
                         lambda: api.login("jane@shop.example")[0] == 200, 60)
        assert api.get("websites", token)[0] == 200


TWILIO_TOKEN = "an-auth-token-of-the-test-1"
ACCOUNT_NUMBER = "+15005550042"
PERSON = "+16465550042"
SENDS_THROUGH_MINE = """
kind: sender
id: mine
channel: sms
provider: twilio
account: mine
number: "%s"
---
kind: trigger
id: paid
event_type: payment.failed
recipients: {field: data.phone}
channel: sms
sender: mine
template: {body: "Payment failed."}
message_class: transactional
""" % ACCOUNT_NUMBER


def twilio_calls(dev, account, kind, fields, token=TWILIO_TOKEN, base=None):
    """A webhook as Twilio signs it: over the URL and the fields in their order."""
    path = f"/webhooks/twilio/{account}/{kind}"
    text = (base or dev.info["api_url"]) + path + "".join(n + fields[n] for n in sorted(fields))
    mac = base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()
    return call("POST", dev.info["api_url"] + path, urllib.parse.urlencode(fields).encode(), {
        "Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": mac})


def inbound(number, text, sid):
    return {"AccountSid": "AC" + "0" * 31 + "9", "MessageSid": sid, "From": PERSON, "To": number,
            "Body": text, "NumMedia": "0", "SmsStatus": "received"}


def fire(dev, number):
    status, _, answer = dev.ingest(
        {"event_type": "payment.failed", "id": f"p{number}", "data": {"phone": PERSON}},
        headers={"Prefer": "wait=5"})
    assert status == 200, (status, answer)
    return answer["decisions"]


def an_account_and_a_number_of_the_tables_carry_messages():
    with harness.Deployment() as deployment:
        dev = Dev(deployment)
        api = Api(dev)
        token = api.login(dev.info["user_email"], dev.info["user_password"])[2]["access_token"]
        file = deployment.directory / "twilio.token"
        file.write_text(TWILIO_TOKEN + "\n")
        file.chmod(0o600)
        # Where the simulator is, only whoever runs the deployment may say.
        made = deployment.run(
            "providers", "accounts", "add", "mine", "--tenant", "demo", "--account-sid",
            "AC" + "0" * 31 + "9", "--auth-token-file", file, "--base-url",
            "http://provider.invalid", "--public-url", "http://dev.invalid", "-o", "json")
        account = json.loads(made.stdout)["id"]
        status, _, claim = api.post("numbers", {"account": "mine", "number": ACCOUNT_NUMBER}, token)
        assert status == 201 and claim["number"] == ACCOUNT_NUMBER, (status, claim)
        rules = deployment.directory / "rules.yaml"
        rules.write_text(SENDS_THROUGH_MINE)
        deployment.run("triggers", "apply", "-f", rules, "--tenant", "demo")

        # The server within five seconds; the simulator, which is told of accounts, within one more.
        harness.wait_for("the account is known", lambda: deployment.run(
            "providers", "test", "mine", "--to", "+16465550043", "--from", ACCOUNT_NUMBER,
            expect=None).returncode == 0, 6)
        before = dev.messages()["total"]
        decisions = fire(dev, 1)
        assert [d["outcome"] for d in decisions] == ["SEND"], decisions
        harness.wait_for("the SMS", lambda: dev.messages()["total"] == before + 1, 10)
        assert {each["from"] for each in dev.messages()["messages"]} == {ACCOUNT_NUMBER}
        harness.wait_for("its receipt", lambda: any(
            row["status"] == "delivered" for row in json.loads(deployment.run(
                "notifications", "list", "-o", "json").stdout)), 10)

        # Signed with another token; then the STOP, which has to find its tenant.
        message = inbound(ACCOUNT_NUMBER, "STOP", "SM" + "0" * 31 + "1")
        assert twilio_calls(dev, "mine", "inbound", message, "another-auth-token")[0] == 403
        status, _, answer = twilio_calls(dev, "mine", "inbound", message)
        assert status == 200, (status, answer)
        harness.wait_for("the STOP is obeyed", lambda: [
            (d["outcome"], d["reason"].lower()) for d in fire(dev, time.time())
        ] == [("SUPPRESS", "opted_out")], 10)

        # A new token counts everywhere within seconds, the one before for the overlap.
        file.write_text("another-auth-token-of-the-test\n")
        deployment.run("providers", "accounts", "rotate", "mine", "--auth-token-file", file,
                       "--overlap", "0s")
        harness.wait_for("the old token is refused", lambda: twilio_calls(
            dev, "mine", "inbound", inbound(ACCOUNT_NUMBER, "hello", "SM" + "0" * 31 + "2"))[0]
            == 403, 5)
        assert twilio_calls(dev, "mine", "inbound",
                            inbound(ACCOUNT_NUMBER, "hello", "SM" + "0" * 31 + "2"),
                            "another-auth-token-of-the-test")[0] == 200

        assert api.delete("provider-accounts/" + account, token)[0] == 409, "its number is claimed"
        assert api.delete("numbers/" + claim["id"], token)[0] == 204
        deployment.run("providers", "accounts", "remove", "mine")
        harness.wait_for("its webhooks are nobody's", lambda: twilio_calls(
            dev, "mine", "inbound", message, "another-auth-token-of-the-test")[0] == 404, 5)
        actions = {each["action"] for each in api.get("audit?limit=100", token)[2]["data"]}
        assert {"provider_account.add", "provider_account.rotate", "provider_account.remove",
                "number.claim", "number.release"} <= actions, actions
        said = deployment.log_of(dev.process)
        for secret in (TWILIO_TOKEN, "another-auth-token-of-the-test", ACCOUNT_NUMBER, PERSON):
            assert secret not in said


def accounts_and_numbers_are_their_tenants():
    with harness.Deployment() as deployment:
        dev = Dev(deployment)
        api = Api(dev)
        demo = api.login(dev.info["user_email"], dev.info["user_password"])[2]["access_token"]
        stranger = api.register("joe@other.example", "Other")["access_token"]
        ask = {"account_sid": "AC1", "auth_token": TWILIO_TOKEN, "public_url": "https://a.example"}
        status, _, account = api.post("provider-accounts", {"name": "own", **ask}, demo)
        assert status == 201 and TWILIO_TOKEN not in json.dumps(account), (status, account)
        assert api.post("provider-accounts", {"name": "own", **ask}, stranger)[0] == 409
        # `main` is in the file of keys.
        status, _, problem = api.post("provider-accounts", {"name": "main", **ask}, demo)
        assert status == 409 and "file of keys" in problem["detail"], problem
        status, _, problem = api.post("provider-accounts",
                                      {"name": "x", "base_url": "http://10.0.0.1", **ask}, demo)
        assert status == 422, problem
        assert api.post("provider-accounts", {"name": "theirs", **ask}, stranger)[0] == 201
        status, _, claim = api.post("numbers", {"account": "own", "number": ACCOUNT_NUMBER}, demo)
        assert status == 201, claim
        assert api.post("numbers", {"account": "own", "number": ACCOUNT_NUMBER},
                        demo)[2]["id"] == claim["id"]
        status, _, problem = api.post("numbers", {"account": "theirs", "number": ACCOUNT_NUMBER},
                                      stranger)
        assert status == 409 and problem["code"] == "conflict", problem
        assert "demo" not in json.dumps(problem) and "555" not in json.dumps(problem), problem
        for name in ("own", "main", "none"):
            body = {"account": name, "number": "+15005550043"}
            assert api.post("numbers", body, stranger)[0] == 404, name
        # Another tenant's are not even there.
        others = api.get("provider-accounts", stranger)[2]["data"]
        assert [each["name"] for each in others] == ["theirs"], others
        assert api.get("numbers", stranger)[2]["data"] == []
        assert api.delete("numbers/" + claim["id"], stranger)[0] == 404
        assert api.delete("provider-accounts/" + account["id"], stranger)[0] == 404
        assert api.post(f"provider-accounts/{account['id']}/rotate",
                        {"auth_token": TWILIO_TOKEN}, stranger)[0] == 404
        # Roles.
        password = deployment.directory / "password"
        password.write_text(PASSWORD)
        password.chmod(0o600)
        for role in ("admin", "editor", "viewer", "auditor"):
            deployment.run("users", "create", "--email", f"{role}@shop.example", "--role", role,
                           "--password-file", password)
            token = api.login(f"{role}@shop.example")[2]["access_token"]
            for path in ("provider-accounts", "numbers"):
                expected = 200 if role == "admin" else 403
                assert api.get(path, token)[0] == expected, (role, path)
                assert (api.post(path, {}, token)[0] == 403) == (role != "admin"), (role, path)
                assert api.delete(f"{path}/x", token)[0] == (404 if role == "admin" else 403)
        for path in ("provider-accounts", "numbers"):
            assert api.get(path)[0] == 401 and api.delete(path + "/x", None)[0] == 401
            assert api.post(path, {})[0] == 401
        listed = deployment.run("numbers", "list", "-o", "json").stdout
        assert [row["tenant"] for row in json.loads(listed)] == ["demo"], listed


def a_key_may_what_its_scopes_say():
    with harness.Deployment() as deployment:
        api = Api(Dev(deployment))
        token = api.register("jane@shop.example")["access_token"]
        assert api.post("websites", {"url": "https://shop.example"}, token)[0] == 201
        keys = "websites/shop.example/keys"
        status, _, only = api.post(keys, {"kind": "secret", "scopes": ["ingest"]}, token)
        assert status == 201, only
        assert api.post(keys, {"kind": "publishable", "scopes": ["read"]}, token)[0] == 422
        assert api.post(keys, {"kind": "secret", "scopes": []}, token)[0] == 422
        assert signed(api, only, {"event_type": "form.sent", "id": "e1", "data": {}})[0] == 202
        status, _, problem = api.get("triggers", key=only["key"])
        assert status == 403 and "scopes" in problem["detail"], problem
        reading = api.post(keys, {"kind": "secret", "scopes": ["read"]}, token)[2]
        assert api.get("triggers", key=reading["key"])[0] == 200
        assert signed(api, reading, {"event_type": "form.sent", "id": "e2", "data": {}})[0] == 403
        listed = {each["id"]: each["scopes"] for each in api.get(keys, token)[2]["data"]}
        assert listed == {only["id"]: ["ingest"], reading["id"]: ["read"]}, listed


def a_key_gives_no_more_than_it_holds():
    with harness.Deployment() as deployment:
        dev = Dev(deployment)
        api = Api(dev)
        token = api.login(dev.info["user_email"], dev.info["user_password"])[2]["access_token"]
        assert api.post("websites", {"url": "https://shop.example"}, token)[0] == 201
        narrow = json.loads(deployment.run("keys", "create", "--scope", "manage", "--network",
                                           "127.0.0.0/8", "-o", "json").stdout)
        keys = "/api/v1/websites/shop.example/keys"

        def ask(path, body, more=None):
            data = json.dumps(body).encode()
            at = second_to_sign(path.encode() + data)
            mac = hmac.new(narrow["signing_secret"].encode(),
                           f"{at}.POST.{path}\n".encode() + data, hashlib.sha256).hexdigest()
            fields = {"Content-Type": "application/json", "X-API-Key": narrow["key"],
                      "X-Signature": f"t={at},v2={mac}", **(more or {})}

            def send():
                return call("POST", dev.info["api_url"] + path, data, fields)

            return send(), send

        harness.wait_for("the key is known", lambda: ask(keys, {})[0][0] != 401, 10)
        (status, _, problem), _ = ask(keys, {"kind": "secret"})
        assert status == 403 and problem["code"] == "exceeds_own_key", problem
        within = {"kind": "secret", "scopes": ["manage"], "networks": ["127.0.0.1"]}
        (status, _, made), again = ask(keys, within, {"Idempotency-Key": "once"})
        assert status == 201, made
        # No answer is kept where it would hold a secret, so a field makes no request come again.
        status, _, problem = again()
        assert status == 403 and problem["code"] == "bad_signature", problem
        status, _, strong = api.post("websites/shop.example/keys", {"kind": "secret"}, token)
        assert status == 201, strong
        for what in ("key", "signing_secret"):
            (status, _, problem), _ = ask(f"{keys}/{strong['id']}/rotate", {"what": what})
            assert status == 403 and problem["code"] == "exceeds_own_key", problem
        (status, _, problem), _ = ask(f"{keys}/{made['id']}/rotate", {})
        assert status == 200, problem


if __name__ == "__main__":
    harness.main([
        a_tenant_registers_and_its_keys_work,
        who_comes_in_and_who_does_not,
        roles_decide_and_tenants_are_apart,
        a_revocation_holds_within_five_seconds,
        without_the_database_keys_serve_on,
        an_account_and_a_number_of_the_tables_carry_messages,
        accounts_and_numbers_are_their_tenants,
        a_key_may_what_its_scopes_say,
        a_key_gives_no_more_than_it_holds,
    ])

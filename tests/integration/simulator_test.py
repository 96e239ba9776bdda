#!/usr/bin/env python3
"""The provider simulator over real HTTP, seen by a foreign client: Python's standard library sends
as Twilio's libraries do, takes the callbacks and checks their signatures with a few lines of its
own and, where it was fetched, with Twilio's helper for Node (fetch_twilio_helper.sh)."""

import base64
import hashlib
import hmac
import http.client
import http.server
import json
import pathlib
import re
import shutil
import socket
import subprocess
import threading
import urllib.parse
import urllib.request

import harness
from harness import ROOT, program, wait_for

SID = "AC" + "0" * 31 + "7"
TOKEN = "an auth token of the test"
HELPER = ROOT / "build" / "twilio-helper" / "webhooks.js"
# Checks, or makes, a signature: {"token","url","params","signature"?} on stdin.
HELPER_CALL = """
const { validateRequest, getExpectedTwilioSignature } = require(process.argv[1]);
const r = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(r.signature === undefined ? getExpectedTwilioSignature(r.token, r.url, r.params)
                                      : validateRequest(r.token, r.signature, r.url, r.params));
"""


def key(n):
    return "ntf_01JD3J" + f"{n:020d}"


def signature(url, fields, token=TOKEN):
    """Twilio's, written anew from its description."""
    values = {}
    for name, value in fields:
        values.setdefault(name, set()).add(value)
    text = url + "".join(n + v for n in sorted(values) for v in sorted(values[n]))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def by_helper(**request):
    done = subprocess.run(["node", "-e", HELPER_CALL, str(HELPER)], input=json.dumps(request),
                          capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()


class Receiver:
    """Takes callbacks: (path with query, headers, fields). Answers the next ones as told."""

    def __init__(self):
        self.taken = []
        self.answers = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                fields = urllib.parse.parse_qsl(body, keep_blank_values=True, strict_parsing=True)
                receiver.taken.append((self.path, self.headers, fields))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def statuses(self, n):
        """What the callbacks of a notification said, in the order they came."""
        return [dict(fields)["MessageStatus"] for path, _, fields in list(self.taken)
                if path.endswith(key(n))]


class Simulator:
    def __init__(self, *arguments):
        self.log = open(harness.Logs.of_deployment() / "simulator.log", "w")
        self.process = subprocess.Popen(
            [program(), "providers", "simulate", "--port", "0", "--callback-delay", "5ms",
             "-o", "json", *arguments], stdout=subprocess.PIPE, stdin=subprocess.PIPE,
            stderr=self.log, text=True)

    def start(self, token=None):
        if token:
            self.process.stdin.write(token + "\n")
            self.process.stdin.flush()
        self.url = json.loads(self.process.stdout.readline())["url"]
        self.host = self.url.removeprefix("http://")
        return self

    def call(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.host, timeout=20)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            text = answer.read().decode()
            return answer.status, json.loads(text) if text else None, answer.headers
        finally:
            connection.close()

    def send(self, n=1, sid=SID, user=SID, token=TOKEN, callback=None, **fields):
        form = {"To": "+15558675310", "From": "+15005550006", "Body": "hello", **fields}
        if callback:
            form["StatusCallback"] = (
                f"{callback}/webhooks/twilio/main/status?notification_id={key(n)}")
        basic = base64.b64encode(f"{user}:{token}".encode()).decode()
        return self.call("POST", f"/2010-04-01/Accounts/{sid}/Messages.json",
                         urllib.parse.urlencode({k: v for k, v in form.items() if v is not None}),
                         {"Authorization": "Basic " + basic,
                          "Content-Type": "application/x-www-form-urlencoded"})

    def fault(self, name, count=1):
        status, _, _ = self.call("POST", "/faults", json.dumps({"fault": name, "count": count}))
        assert status == 200, (name, status)

    def messages(self):
        return self.call("GET", "/messages")[1]


def with_simulator(*arguments, token=None):
    def decorate(test):
        def run():
            simulator, receiver = Simulator(*arguments), Receiver()
            try:
                test(simulator.start(token), receiver)
                simulator.process.terminate()
                assert simulator.process.wait(timeout=10) == 0
            finally:
                simulator.process.kill()
                simulator.process.wait()
                receiver.close()
        run.__name__ = test.__name__
        return run
    return decorate


@with_simulator()
def a_message_is_accepted_sent_and_delivered(simulator, receiver):
    for attempt in (1, 2):
        status, message, _ = simulator.send(1, callback=receiver.url, Body="olé 👍")
        assert status == 201, (status, message)
        assert re.fullmatch("SM[0-9a-f]{32}", message["sid"]), message
        assert message["status"] == "queued" and message["num_segments"] == "1", message
        assert message["account_sid"] == SID and message["error_code"] is None, message
        listed = simulator.messages()
        assert listed["distinct_keys"] == 1 and len(listed["messages"]) == attempt, listed
        last = listed["messages"][-1]
        assert last["key"] == key(1) and last["sid"] == message["sid"], last
        assert last["attempt"] == attempt and last["body"] == "olé 👍", last
        wait_for("callbacks", lambda: len(receiver.taken) == 2 * attempt, 10)
        assert receiver.statuses(1)[-2:] == ["sent", "delivered"], receiver.taken
    for path, headers, fields in receiver.taken:
        assert path == f"/webhooks/twilio/main/status?notification_id={key(1)}", path
        assert headers["X-Twilio-Signature"] == signature(receiver.url + path, fields)
        values = dict(fields)
        assert values["AccountSid"] == SID and values["From"] == "+15005550006", values
        assert values["MessageSid"] in {m["sid"] for m in listed["messages"]}, values
    assert simulator.call("DELETE", "/messages")[0] == 204
    assert simulator.messages()["messages"] == []


@with_simulator("--account-sid", SID, "--auth-token-file", "-", token=TOKEN)
def twilios_errors_are_answered(simulator, receiver):
    for code, status, change in (
            (20003, 401, {"token": "wrong"}),
            (20003, 401, {"user": "AC" + "0" * 32}),
            (20003, 401, {"sid": "AC" + "0" * 32}),
            (21604, 400, {"To": None}),
            (21211, 400, {"To": "12"}),
            (21211, 400, {"To": "+15005550001"}),
            (21610, 400, {"To": "+15005550004"}),
            (21603, 400, {"From": None}),
            (21212, 400, {"From": "+15005550001"}),
            (21602, 400, {"Body": None}),
            (21617, 400, {"Body": "x" * 1601}),
            (21609, 400, {"StatusCallback": "http://a_b/"})):
        got, body, headers = simulator.send(**change)
        assert (got, body["code"], body["status"]) == (status, code, status), (change, got, body)
        assert body["more_info"] == f"https://www.twilio.com/docs/errors/{code}", body
        assert headers["Content-Type"] == "application/json", headers
    assert simulator.send()[0] == 201
    assert simulator.call("GET", "/2010-04-01/Accounts/x/Calls.json")[1]["code"] == 20404
    requests = simulator.call("GET", "/requests")[1]["requests"]
    assert [r["status"] for r in requests] == [401] * 3 + [400] * 9 + [201, 404], requests
    assert len(simulator.messages()["messages"]) == 1


@with_simulator()
def faults_happen_as_often_as_ordered(simulator, receiver):
    for name, status, code in (("http_429", 429, 20429), ("http_500", 500, 20500),
                               ("opt_out_21610", 400, 21610)):
        simulator.fault(name, 2)
        answers = [simulator.send()[:2] for _ in range(3)]
        assert [a[0] for a in answers] == [status, status, 201], (name, answers)
        assert answers[0][1]["code"] == code, answers
    simulator.call("DELETE", "/messages")

    simulator.fault("reset")
    try:
        simulator.send(2)
        raise AssertionError("the connection was not cut")
    except (http.client.RemoteDisconnected, ConnectionError):
        pass
    assert simulator.messages()["messages"] == []

    for n, name, accepted in ((3, "hang", 0), (4, "accept_then_hang", 1)):
        simulator.fault(name)
        connection = http.client.HTTPConnection(simulator.host, timeout=0.5)
        basic = base64.b64encode(f"{SID}:{TOKEN}".encode()).decode()
        connection.request(
            "POST", f"/2010-04-01/Accounts/{SID}/Messages.json",
            urllib.parse.urlencode({
                "To": "+15558675310", "From": "+15005550006", "Body": "hello", "StatusCallback":
                f"{receiver.url}/webhooks/twilio/main/status?notification_id={key(n)}"}),
            {"Authorization": "Basic " + basic,
             "Content-Type": "application/x-www-form-urlencoded"})
        try:
            connection.getresponse()
            raise AssertionError(f"{name}: it answered")
        except socket.timeout:
            pass
        connection.close()
        assert simulator.messages()["distinct_keys"] == accepted, name
    wait_for("callbacks", lambda: receiver.statuses(4) == ["sent", "delivered"], 10)
    assert receiver.statuses(3) == []

    simulator.fault("duplicate_callbacks")
    simulator.send(5, callback=receiver.url)
    wait_for("callbacks", lambda: len(receiver.statuses(5)) == 4, 10)
    assert receiver.statuses(5) == ["sent", "sent", "delivered", "delivered"]
    simulator.fault("reorder_callbacks")
    simulator.send(6, callback=receiver.url)
    wait_for("callbacks", lambda: len(receiver.statuses(6)) == 2, 10)
    assert receiver.statuses(6) == ["delivered", "sent"]


@with_simulator()
def a_callback_that_fails_is_repeated_with_the_same_token(simulator, receiver):
    receiver.answers = [503]
    simulator.send(7, callback=receiver.url)
    wait_for("callbacks", lambda: len(receiver.statuses(7)) == 3, 10)
    assert receiver.statuses(7) == ["sent", "sent", "delivered"]
    tokens = [headers["I-Twilio-Idempotency-Token"] for _, headers, _ in receiver.taken]
    assert tokens[0] == tokens[1] != tokens[2], tokens


@with_simulator()
def a_person_answers(simulator, receiver):
    order = json.dumps({"from": "+15558675310", "to": "+15005550006", "body": "STOP"})
    assert simulator.call("POST", "/inbound", order)[0] == 404  # Nobody has sent anything.
    simulator.send(8, callback=receiver.url)
    wait_for("callbacks", lambda: len(receiver.taken) == 2, 10)
    receiver.answers = [200]
    status, answer, _ = simulator.call("POST", "/inbound", order)
    assert status == 200 and answer["status"] == 200, (status, answer)
    receiver.answers = [403]
    status, refused, _ = simulator.call("POST", "/inbound", order)
    assert status == 502 and refused["code"] == "webhook_refused", (status, refused)
    path, headers, fields = receiver.taken[-2]
    assert path == "/webhooks/twilio/main/inbound", path
    assert headers["X-Twilio-Signature"] == signature(receiver.url + path, fields)
    values = dict(fields)
    assert values["MessageSid"] == answer["message_sid"], values
    assert (values["From"], values["To"], values["Body"], values["AccountSid"]) == (
        "+15558675310", "+15005550006", "STOP", SID), values


@with_simulator()
def it_keeps_up_with_many_clients(simulator, receiver):
    clients, each = 8, 250
    failures = []

    def send(client):
        connection = http.client.HTTPConnection(simulator.host, timeout=20)
        basic = base64.b64encode(f"{SID}:{TOKEN}".encode()).decode()
        for i in range(each):
            callback = f"{receiver.url}/webhooks/twilio/main/status?notification_id="
            connection.request(
                "POST", f"/2010-04-01/Accounts/{SID}/Messages.json",
                urllib.parse.urlencode({
                    "To": "+15558675310", "From": "+15005550006", "Body": "hello",
                    "StatusCallback": callback + key(client * each + i)}),
                {"Authorization": "Basic " + basic,
                 "Content-Type": "application/x-www-form-urlencoded"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 201:
                failures.append(answer.status)
        connection.close()

    threads = [threading.Thread(target=send, args=(c,)) for c in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[:5]
    listed = simulator.call("GET", "/messages?limit=10")[1]
    assert listed["distinct_keys"] == listed["total"] == clients * each, listed
    assert len(listed["messages"]) == 10
    wait_for("callbacks", lambda: len(receiver.taken) == 2 * clients * each, 60)


@with_simulator()
def twilios_own_helper_agrees(simulator, receiver):
    if not HELPER.exists() or not shutil.which("node"):
        print(f"not checked: no node, or no {HELPER}; fetch_twilio_helper.sh fetches it")
        return
    simulator.send(9, callback=receiver.url, Body="it's a 'test' & more ü")
    wait_for("callbacks", lambda: len(receiver.taken) == 2, 10)
    for path, headers, fields in receiver.taken:
        made = headers["X-Twilio-Signature"]
        assert by_helper(token=TOKEN, signature=made, url=receiver.url + path,
                         params=dict(fields)) == "true", path
        assert by_helper(token=TOKEN + "x", signature=made, url=receiver.url + path,
                         params=dict(fields)) == "false", path

    # And we take what it makes.
    body = pathlib.Path(harness.tempfile.mkdtemp(prefix="alertstream-test-")) / "body"
    params = {"Body": "olé 👍 & more", "From": "+15558675310", "To": "+15005550006"}
    body.write_text(urllib.parse.urlencode(params))
    for url in ("https://alerts.example.com/webhooks/twilio/main/inbound",
                "https://alerts.example.com:8443/webhooks/twilio/main/status?notification_id=a%27b"):
        made = by_helper(token=TOKEN, url=url, params=params)
        for token, expected in ((TOKEN, 0), (TOKEN + "x", 5)):
            done = subprocess.run(
                [program(), "webhook", "verify", "twilio", "--url", url, "--body",
                 str(body), "--signature", made, "--secret-file", "-"],
                input=token + "\n", capture_output=True, text=True, timeout=30)
            assert done.returncode == expected, (url, done.returncode, done.stdout, done.stderr)
    shutil.rmtree(body.parent)


if __name__ == "__main__":
    harness.main([
        a_message_is_accepted_sent_and_delivered,
        twilios_errors_are_answered,
        faults_happen_as_often_as_ordered,
        a_callback_that_fails_is_repeated_with_the_same_token,
        a_person_answers,
        it_keeps_up_with_many_clients,
        twilios_own_helper_agrees,
    ])

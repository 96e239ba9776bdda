#!/usr/bin/env python3
"""`alertstream dev` from outside: a client in plain Python signs events, the simulator receives the
SMS, receipts and STOP come back, and nothing is sent twice when the process is killed."""

import hashlib
import hmac
import json
import os
import pathlib
import signal
import stat
import subprocess
import time
import urllib.error
import urllib.request

import harness

PHONE = "+16465550001"
NUMBER = "+15005550006"

RULES = """
kind: trigger
id: paid
event_type: payment.failed
when: event.data.amount >= 10
recipients: {field: data.phone}
channel: sms
template: {body: "Payment of {{data.amount}} failed."}
message_class: transactional
"""


def call(method, url, body=None, headers=None, timeout=15):
    """Status, headers and JSON (or text) of the answer; no exception for an error status."""
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            status, fields, text = answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        status, fields, text = error.code, error.headers, error.read()
    try:
        return status, fields, json.loads(text)
    except ValueError:
        return status, fields, text.decode()


SIGNED = set()


def second_to_sign(signed):
    """Now, or an earlier second in which no equal request was signed: a signature is good once."""
    when = int(time.time())
    while (when, signed) in SIGNED:
        when -= 1
    SIGNED.add((when, signed))
    return when


class Dev:
    """One `alertstream dev` on the data directory of a deployment."""

    def __init__(self, deployment, *arguments, port=0):
        self.deployment = deployment
        log = deployment.open_log("dev")
        self.process = subprocess.Popen(
            [harness.program(), "dev", "--port", str(port), "-o", "json", *arguments], cwd=harness.ROOT,
            env=deployment.environment, stdout=subprocess.PIPE, stderr=log, text=True)
        self.process.log = log
        deployment.processes.append(self.process)
        begun = time.monotonic()
        line = self.process.stdout.readline()
        self.seconds = time.monotonic() - begun
        if not line:
            raise AssertionError("dev ended: " + deployment.log_of(self.process))
        info = json.loads(line)
        if "error" in info:
            raise AssertionError("dev ended: " + line + deployment.log_of(self.process))
        self.info = info
        self.process.metrics_url = self.info["api_url"] + "/metrics"

    def ingest(self, event, secret=None, headers=None, at=None):
        body = json.dumps(event).encode()
        when = int(time.time() if at is None else at)
        key = (secret or self.info["signing_secret"]).encode()
        mac = hmac.new(key, f"{when}.".encode() + body, hashlib.sha256).hexdigest()
        return call("POST", self.info["api_url"] + "/api/v1/ingest", body, {
            "Content-Type": "application/json", "X-API-Key": self.info["secret_key"],
            "X-Signature": f"t={when},v1={mac}", **(headers or {})})

    def messages(self):
        return call("GET", self.info["provider_url"] + "/messages")[2]

    def inbound(self, text, sender=PHONE):
        return call("POST", self.info["provider_url"] + "/inbound",
                    {"from": sender, "to": NUMBER, "body": text})

    def stop(self, how=signal.SIGTERM, seconds=15):
        self.deployment.stop(self.process, how, seconds)
        return self.process.returncode


def add_rules(deployment):
    """Through the dev that owns the log."""
    path = deployment.directory / "rules.yaml"
    path.write_text(RULES)
    deployment.run("triggers", "apply", "-f", path, "--tenant", "demo")


def fire(dev, number, wait=5, phone=PHONE):
    status, _, answer = dev.ingest(
        {"event_type": "payment.failed", "id": f"e{number}", "data": {"amount": 49, "phone": phone}},
        headers={"Prefer": f"wait={wait}"})
    assert status == 200, (status, answer)
    return answer["decisions"]


def statuses(deployment, limit=50):
    rows = json.loads(
        deployment.run("notifications", "list", "-o", "json", "--limit", limit).stdout)
    return {row["notification_id"]: row["status"] for row in rows}


def an_event_becomes_one_sms_and_a_stop_is_obeyed():
    with harness.Deployment() as deployment:
        dev = Dev(deployment)
        assert dev.seconds < 5, dev.seconds
        file = deployment.data / "dev.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert json.loads(file.read_text()) == dev.info
        assert dev.info["pid"] == dev.process.pid and dev.info["log"] == "local"
        keys = deployment.data / "keys.toml"
        assert stat.S_IMODE(keys.stat().st_mode) == 0o600
        add_rules(deployment)
        assert dev.stop() == 0
        assert not file.exists()

        again = Dev(deployment)
        assert again.info["secret_key"] == dev.info["secret_key"], "keys are made once"
        dev = again
        decisions = fire(dev, 1)
        assert [d["outcome"] for d in decisions] == ["SEND"], decisions
        notification = decisions[0]["notification_id"]
        harness.wait_for("the SMS", lambda: dev.messages()["total"] == 1, 10)
        message = dev.messages()["messages"][0]
        assert message["key"] == notification and message["to"] == PHONE, message
        assert message["from"] == NUMBER and message["attempt"] == 1
        assert message["body"] == "Payment of 49 failed."
        harness.wait_for("its receipt", lambda: statuses(deployment)[notification] == "delivered", 10)
        one = json.loads(
            deployment.run("notifications", "get", notification[:12], "-o", "json").stdout)
        assert one["status"] == "delivered" and one["provider_message_id"] == message["sid"]

        # A duplicate is answered like the first and sends nothing.
        status, fields, _ = dev.ingest({"event_type": "payment.failed", "id": "e1",
                                        "data": {"amount": 49, "phone": PHONE}})
        assert (status, fields["Idempotent-Replayed"]) == (202, "true"), (status, fields.items())

        status, _, answer = dev.inbound("STOP")
        assert status == 200, (status, answer)
        harness.wait_for("the confirmation", lambda: dev.messages()["total"] == 2, 10)
        decisions = fire(dev, 2)
        assert [(d["outcome"], d["reason"].lower()) for d in decisions] == [
            ("SUPPRESS", "opted_out")], decisions
        assert dev.inbound("START")[0] == 200
        assert [d["outcome"] for d in fire(dev, 3)] == ["SEND"]
        harness.wait_for("the SMS", lambda: dev.messages()["total"] == 3, 10)
        assert dev.stop() == 0
        assert deployment.audit()["mismatches"] == 0


def what_is_wrong_with_a_request_is_said():
    with harness.Deployment() as deployment:
        dev = Dev(deployment)
        event = {"event_type": "payment.failed", "data": {}}
        for expected, arguments in [(403, {"secret": "0" * 64}), (403, {"at": time.time() - 301})]:
            status, fields, problem = dev.ingest(event, **arguments)
            assert status == expected, (status, problem)
            assert fields["Content-Type"] == "application/problem+json"
            assert problem["request_id"] == fields["X-Request-Id"], problem
        status, _, problem = dev.ingest({"data": {}})
        assert status == 422 and problem["errors"][0]["pointer"] == "#/event_type", problem
        for path, expected in [("/health/live", 200), ("/health/ready", 200), ("/metrics", 200),
                               ("/nothing", 404)]:
            status, fields, _ = call("GET", dev.info["api_url"] + path)
            assert status == expected, (path, status)
        # Twilio's webhook without its signature.
        status, _, _ = call("POST", dev.info["api_url"] + "/webhooks/twilio/main/inbound",
                            b"From=%2B1&Body=STOP",
                            {"Content-Type": "application/x-www-form-urlencoded"})
        assert status == 400, status


def a_killed_dev_sends_nothing_twice():
    with harness.Deployment() as deployment:
        # The simulator outlives the dev, so that it can tell what it was asked for.
        simulator = subprocess.Popen(
            [harness.program(), "providers", "simulate", "-o", "json"], env=deployment.environment,
            stdout=subprocess.PIPE, stderr=deployment.open_log("simulator"), text=True)
        deployment.processes.append(simulator)
        url = json.loads(simulator.stdout.readline())["url"]
        sent = 0
        port = harness.free_port()  # Always the same: it is where receipts go.
        for kill in range(3):
            dev = Dev(deployment, "--provider-url", url, port=port)
            assert dev.seconds < 5, dev.seconds
            if kill == 0:
                add_rules(deployment)
            for _ in range(20):
                sent += 1
                status, _, answer = dev.ingest(
                    {"event_type": "payment.failed", "id": f"k{sent}",
                     "data": {"amount": sent + 10, "phone": f"+1646555{sent:04d}"}})
                assert status == 202, (status, answer)
            if kill < 2:
                dev.stop(signal.SIGKILL)

        def settled():
            now = list(statuses(deployment, sent + 10).values())
            # A receipt that came while nobody listened for long is lost.
            known = {"accepted", "queued", "sending", "sent", "delivered", "unknown_outcome"}
            return now if len(now) == sent and set(now) <= known else None

        states = harness.wait_for("every notification's end", settled, 30)
        messages = call("GET", url + "/messages?limit=1000")[2]["messages"]
        keys = [message["key"] for message in messages]
        assert len(keys) == len(set(keys)), "a notification was sent twice"
        # Whether a call that was under way at the kill arrived nobody knows; its class waits.
        assert sent - states.count("unknown_outcome") <= len(keys) <= sent, (states, len(keys))
        assert states.count("unknown_outcome") <= sent // 2, states
        dev.stop()
        assert deployment.audit()["mismatches"] == 0


def a_second_dev_is_refused_and_reset_empties_only_what_is_ours():
    with harness.Deployment() as deployment:
        dev = Dev(deployment)
        done = deployment.run("dev", "--port", "0", expect=6)
        assert str(dev.info["pid"]) in done.stderr and dev.info["api_url"] in done.stderr
        assert dev.stop(signal.SIGINT) == 0
        done = deployment.run("dev", "--port", "0", "--reset", expect=1)
        assert "--yes" in done.stderr
        mine = deployment.data / "mine.txt"
        mine.write_text("mine")
        done = deployment.run("dev", "--port", "0", "--reset", "--yes", expect=6)
        assert "mine.txt" in done.stderr and (deployment.data / "log").exists()
        mine.unlink()
        server = deployment.serve()
        done = deployment.run("dev", "--port", "0", "--reset", "--yes", expect=6)
        assert str(server.pid) in done.stderr and "nothing was removed" in done.stderr, done.stderr
        deployment.stop(server)
        deployment.audit()
        # A killed dev leaves its file behind; its pid may be anybody's by now.
        (deployment.data / "dev.json").write_text(json.dumps({**dev.info, "pid": os.getpid()}))
        (deployment.data / "dev.json").chmod(0o600)
        deployment.run("fire", "payment.failed", expect=4)
        fresh = Dev(deployment, "--reset", "--yes")
        assert fresh.info["secret_key"] != dev.info["secret_key"]
        fresh.stop()
        done = deployment.run("fire", "payment.failed", expect=4)
        assert "--api-url" in done.stderr


def the_demo_is_there_within_five_seconds():
    with harness.Deployment() as deployment:
        dev = Dev(deployment, "--seed", "demo")
        # The history takes longer where the machine is busy; ops/test may be.
        assert dev.seconds < (5 if os.environ.get("ALERTSTREAM_TEST_STRICT") else 20), dev.seconds
        fired = deployment.run("fire", "order.shipped", "--to", "+16465550009",
                               "--set", "customer.phone=+16465550009", "--set", "courier=true",
                               "--set", "eta_minutes=25", "--set", "order=A-1", "--wait")
        assert "SEND" in fired.stdout, fired.stdout
        harness.wait_for("the SMS", lambda: dev.messages()["total"] == 1, 10)
        deployment.run("inbound", "--from", "+16465550009", "--text", "stop please")
        deployment.run("inbound", "--from", "+16465550009", "--text", "STOP")
        fired = deployment.run("fire", "payment.failed", "--to", "+16465550009",
                               "--set", "amount=49", "--set", "currency=USD", "--wait=5s")
        assert "opted_out" in fired.stdout.lower(), fired.stdout
        assert "delivered" in deployment.run("notifications", "list", "--limit", "3").stdout
        rows = json.loads(deployment.run("providers", "list", "-o", "json").stdout)
        assert [(row["name"], row["breaker"]) for row in rows] == [("main", "closed")], rows
        before = dev.messages()["total"]
        assert "accepted" in deployment.run("providers", "test", "main", "--to", PHONE).stdout
        assert dev.messages()["total"] == before + 1
        deployment.run("providers", "test", "none", "--to", PHONE, expect=4)
        assert "closed" in deployment.run("providers", "breaker", "reset", "main").stdout
        status, _, problem = call("GET", dev.info["api_url"] + "/api/v1/control/providers", None,
                                  {"X-API-Key": dev.info["secret_key"]})
        assert status == 403, problem
        secret = pathlib.Path(deployment.directory / "secret")
        secret.write_text(dev.info["signing_secret"] + "\n")
        secret.chmod(0o600)
        body = deployment.directory / "body"
        body.write_text("{}")
        header = deployment.run("webhook", "sign", "ingest", "--body", body, "--secret-file",
                                secret).stdout
        value = header.removeprefix("X-Signature: ").strip()
        assert deployment.run("webhook", "verify", "ingest", "--body", body, "--signature",
                              value).stdout == "valid\n"
        deployment.run("webhook", "verify", "ingest", "--signature", value, expect=5)
        # What the routes that change something take, and no other route or method.
        target = dev.info["api_url"] + "/api/v1/websites/none"

        def delete(request):
            header = deployment.run("webhook", "sign", "ingest", "--request", request,
                                    "--secret-file", secret).stdout.strip()
            return call("DELETE", target, None, {"X-API-Key": dev.info["secret_key"],
                                                 "X-Signature": header.split(": ", 1)[1]})[0]

        assert delete("DELETE /api/v1/websites/some") == 403
        assert delete("DELETE /api/v1/websites/none") == 404
        # A signature of an event is none of a change, whatever its body.
        event = deployment.run("webhook", "sign", "ingest", "--secret-file", secret).stdout.strip()
        status, _, problem = call("DELETE", target, None, {
            "X-API-Key": dev.info["secret_key"], "X-Signature": event.split(": ", 1)[1]})
        assert status == 403 and problem["code"] == "bad_signature", problem
        dev.stop()


if __name__ == "__main__":
    harness.main([
        an_event_becomes_one_sms_and_a_stop_is_obeyed,
        what_is_wrong_with_a_request_is_said,
        a_killed_dev_sends_nothing_twice,
        a_second_dev_is_refused_and_reset_empties_only_what_is_ours,
        the_demo_is_there_within_five_seconds,
    ])

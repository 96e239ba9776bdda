#!/usr/bin/env python3
"""`serve`: all of it in one process on a local log, and processor, API and dispatcher as processes of
their own over Kafka, each of which may be killed, and ends in time when it is asked to."""

import json
import os
import pathlib
import random
import secrets
import signal
import subprocess
import time

import harness
from dev_test import NUMBER, Dev, call

RULES = f"""
kind: tenant
id: acme
status: active
plan: p
---
kind: plan
id: p
sends_per_month_max: 100000
---
kind: sender
id: main
provider: twilio
account: main
number: "{NUMBER}"
default: true
---
kind: trigger
id: paid
event_type: payment.failed
recipients: {{field: data.phone}}
channel: sms
template: {{body: "Payment of {{{{data.amount}}}} failed."}}
message_class: transactional
"""


class Servers(Dev):
    """A process for each target, with a keys file and a provider simulator."""

    def __init__(self, deployment, targets):
        self.deployment = deployment
        self.processes = {}
        simulator = subprocess.Popen(
            [harness.program(), "providers", "simulate", "-o", "json"], env=deployment.environment,
            stdout=subprocess.PIPE, stderr=deployment.open_log("simulator"), text=True)
        deployment.processes.append(simulator)
        self.ports = {name: harness.free_port() for name in targets}
        self.api_port = harness.free_port()
        self.info = {
            "api_url": f"http://127.0.0.1:{self.api_port}",
            "provider_url": json.loads(simulator.stdout.readline())["url"],
            "secret_key": "as_sk_" + secrets.token_hex(12),
            "signing_secret": secrets.token_hex(24),
            "operator_key": "as_op_" + secrets.token_hex(12),
        }
        keys = deployment.directory / "keys.toml"
        keys.touch(0o600)
        keys.write_text(f"""
[[key]]
id = "server"
kind = "secret"
key = "{self.info['secret_key']}"
tenant = "acme"
signing_secrets = ["{self.info['signing_secret']}"]

[[key]]
id = "ops"
kind = "operator"
key = "{self.info['operator_key']}"

[[account]]
provider = "twilio"
name = "main"
account_sid = "AC{secrets.token_hex(16)}"
auth_tokens = ["{secrets.token_hex(16)}"]
base_url = "{self.info['provider_url']}"
public_url = "{self.info['api_url']}"

[[number]]
provider = "twilio"
account = "main"
number = "{NUMBER}"
tenant = "acme"
""")
        deployment.environment["ALERTSTREAM_KEYS_FILE"] = str(keys)

    def start(self, name):
        log = self.deployment.open_log(name)
        process = subprocess.Popen(
            [harness.program(), "serve", f"--target={name}", "--instance", name, "--take-over",
             "--metrics-port", str(self.ports[name]), "--port", str(self.api_port)],
            cwd=harness.ROOT, env=self.deployment.environment, stdout=log, stderr=log)
        process.log = log
        process.metrics_url = f"http://127.0.0.1:{self.ports[name]}/metrics"
        self.processes[name] = process
        self.deployment.processes.append(process)

    def wait_until_ready(self):
        for name, port in self.ports.items():
            def ready(process=self.processes[name], port=port):
                if process.poll() is not None:
                    raise AssertionError("serve ended: " + self.deployment.log_of(process))
                try:
                    return call("GET", f"http://127.0.0.1:{port}/health/ready")[0] == 200
                except OSError:
                    return False
            harness.wait_for(f"{name} ready", ready, 60)

    def end(self, name, how):
        process = self.processes[name]
        if how != signal.SIGKILL:
            harness.keep_metrics(process.metrics_url)
        process.send_signal(how)
        begun = time.monotonic()
        process.wait(timeout=30)
        return process.returncode, time.monotonic() - begun


def all_of_it_in_one_process_on_a_local_log():
    with harness.Deployment() as deployment:
        done = deployment.run("serve", "--target=api", expect=1)
        assert "--target=all" in done.stderr
        done = deployment.run("serve", "--target=all", "--port", "0", "--metrics-port", "0",
                              expect=4)
        assert "keys.toml" in done.stderr, done.stderr
        servers = Servers(deployment, ("all",))
        servers.start("all")
        servers.wait_until_ready()
        rules = deployment.directory / "rules.yaml"
        rules.write_text(RULES)
        # Without a dev.json: the server and an operator's key are named.
        deployment.environment["ALERTSTREAM_API_URL"] = servers.info["api_url"]
        deployment.environment["ALERTSTREAM_OPERATOR_KEY"] = servers.info["operator_key"]
        deployment.run("triggers", "apply", "-f", rules)
        status, _, answer = servers.ingest(
            {"event_type": "payment.failed", "data": {"amount": 1, "phone": "+16465550001"}},
            headers={"Prefer": "wait=5"})
        assert status == 200 and answer["decisions"][0]["outcome"] == "SEND", answer
        harness.wait_for("the SMS", lambda: servers.messages()["total"] == 1, 10)

        # A broken keys file changes nothing, a good one is taken within a second or two.
        keys = pathlib.Path(deployment.environment["ALERTSTREAM_KEYS_FILE"])
        text = keys.read_text()
        keys.write_text("[[key]]\n")

        def reloads(result):
            text = call("GET", servers.info["api_url"] + "/metrics")[2]
            line = f'alertstream_keys_reloads_total{{result="{result}"}} '
            return float(text.split(line)[1].split()[0])

        harness.wait_for("the refusal", lambda: reloads("failed") > 0, 10)
        event = {"event_type": "other", "data": {}}
        assert servers.ingest(event)[0] == 202
        secret = secrets.token_hex(24)
        keys.write_text(text.replace(servers.info["signing_secret"], secret))
        harness.wait_for("the change", lambda: servers.ingest(event, secret=secret)[0] == 202, 10)
        assert servers.ingest(event)[0] == 403
        code, seconds = servers.end("all", signal.SIGTERM)
        assert code == 0 and seconds < 10, (code, seconds)
        assert deployment.audit()["mismatches"] == 0


def three_processes_do_the_same_and_survive_kills():
    with harness.Deployment(kafka=harness.broker()) as deployment:
        servers = Servers(deployment, ("api", "processor", "dispatcher"))
        deployment.run("topics", "apply")
        for name in servers.ports:
            servers.start(name)
        servers.wait_until_ready()
        rules = deployment.directory / "rules.yaml"
        rules.write_text(RULES)
        deployment.run("triggers", "apply", "-f", rules)

        chosen = random.Random(4)
        sent = 0
        for _ in range(4):
            for _ in range(10):
                sent += 1
                status, _, answer = servers.ingest(
                    {"event_type": "payment.failed", "id": f"e{sent}",
                     "data": {"amount": sent, "phone": f"+1646555{sent:04d}"}})
                assert status == 202, (status, answer)
            name = chosen.choice(["processor", "dispatcher", "api"])
            servers.end(name, signal.SIGKILL)
            servers.start(name)
            servers.wait_until_ready()

        def settled():
            rows = json.loads(deployment.run("notifications", "list", "-o", "json", "--limit",
                                             sent + 10).stdout)
            now = [row["status"] for row in rows]
            known = {"accepted", "queued", "sending", "sent", "delivered", "unknown_outcome"}
            return now if len(now) == sent and set(now) <= known else None

        states = harness.wait_for("every notification's end", settled, 60)
        keys = [m["key"] for m in call(
            "GET", servers.info["provider_url"] + "/messages?limit=1000")[2]["messages"]]
        assert len(keys) == len(set(keys)), "a notification was sent twice"
        assert sent - states.count("unknown_outcome") <= len(keys) <= sent, (states, len(keys))

        # The simulator's first try may meet a connection of a process that was killed.
        harness.wait_for(
            "a STOP", lambda: servers.inbound("STOP", sender="+16465550001")[0] == 200, 5)

        def stopped():
            status, _, answer = servers.ingest(
                {"event_type": "payment.failed", "data": {"phone": "+16465550001", "amount": 1}},
                headers={"Prefer": "wait=5"})
            return status == 200 and answer["decisions"][0]["reason"].lower() == "opted_out"

        harness.wait_for("the STOP", stopped, 20)
        for name in ("api", "dispatcher", "processor"):
            code, seconds = servers.end(name, signal.SIGTERM)
            assert code == 0 and seconds < 10, (name, code, seconds)
        assert deployment.audit()["mismatches"] == 0


if __name__ == "__main__":
    tests = [all_of_it_in_one_process_on_a_local_log]
    if os.environ.get("ALERTSTREAM_TEST_KAFKA"):
        tests.append(three_processes_do_the_same_and_survive_kills)
    else:
        print("without ALERTSTREAM_TEST_KAFKA only on the local log")
    harness.main(tests)

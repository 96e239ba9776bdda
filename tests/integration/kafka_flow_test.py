#!/usr/bin/env python3
"""The processor over a real Kafka, fed by a foreign client (kcat): every event is decided exactly
once, wherever it was written, and whatever happens to the process."""

import collections
import json
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import time

import harness
from harness import Deployment, wait_for

RULES = "ops/examples/payments/rules"


def cloud_event(number, **data):
    payload = {"order": f"A-{number}", "amount": 1500, "currency": "KES",
               "phone": f"+2547{number:08d}"}
    payload.update(data)
    return json.dumps({"specversion": "1.0", "id": f"k-{number}", "source": "/shop",
                       "type": "payment.failed", "data": payload})


def started():
    deployment = Deployment(kafka=harness.broker())
    deployment.run("topics", "apply")
    return deployment


def decided_by_event(deployment):
    """CloudEvents id -> decision records, joined by where the event lies."""
    ids = {}
    for partition, offset, key, value in deployment.consume("site-events"):
        if key != "_log":
            ids[(partition, offset)] = json.loads(value)["id"]
    decided = collections.defaultdict(list)
    for record in deployment.decisions():
        decided[ids[(record["partition"], record["offset"])]].append(record)
    return decided


def wait_decided(deployment, count, seconds=30):
    return wait_for(f"{count} decisions",
                    lambda: (lambda all: all if len(all) >= count else None)(deployment.decisions()),
                    seconds)


def test_a_foreign_client_is_served():
    with started() as deployment:
        process = deployment.serve()
        deployment.run("triggers", "apply", "-f", RULES)
        deployment.produce("site-events", [("acme", cloud_event(n)) for n in range(20)])
        wait_decided(deployment, 20)
        decided = decided_by_event(deployment)
        assert len(decided) == 20, sorted(decided)
        for records in decided.values():
            assert len(records) == 1
            assert records[0]["verdict"] == "accepted"
            assert records[0]["decisions"][0]["outcome"] == "send", records[0]
        status, metrics = deployment.get("/metrics")
        assert status == 200 and "alertstream" in metrics
        assert "+2547" not in deployment.log_of(process), "a number reached the log"
        assert deployment.stop(process) < 10
        assert process.returncode == 0, deployment.log_of(process)
        audit = deployment.audit()
        assert audit["mismatches"] == 0 and audit["records"] >= 20, audit


def test_a_wrong_partition_is_mended_and_bad_input_is_kept():
    with started() as deployment:
        deployment.serve()
        deployment.run("triggers", "apply", "-f", RULES)
        home = {p for p, _, key, _ in deployment.consume("account-changes") if key == "acme"}
        assert len(home) == 1
        wrong = (home.pop() + 1) % 4
        deployment.produce("site-events", [("acme", cloud_event(1))], partition=wrong)
        deployment.produce("site-events", [("acme", "{broken"), ("nobody", cloud_event(2)),
                                           ("NOT A TENANT", cloud_event(3))])
        wait_decided(deployment, 1)
        letters = wait_for(
            "3 dead letters",
            lambda: (lambda all: all if len(all) == 3 else None)(
                deployment.outputs("dead-letters")), 20)
        reasons = sorted(letter["reason"] for letter in letters)
        assert reasons == ["invalid_key", "malformed_json", "unknown_tenant"] or \
            reasons == ["invalid_key", "malformed_cloudevent", "unknown_tenant"], reasons
        records = [r for r in deployment.decisions()]
        assert len(records) == 1 and records[0]["partition"] != wrong, records
        assert deployment.audit()["mismatches"] == 0


def test_killed_again_and_again_every_event_is_decided_once():
    random.seed(20261122)
    with started() as deployment:
        process = deployment.serve()
        deployment.run("triggers", "apply", "-f", RULES)
        count = 0
        for _ in range(4):
            batch = [("acme", cloud_event(n)) for n in range(count, count + 400)]
            count += 400
            deployment.produce("site-events", batch)
            time.sleep(random.uniform(0.0, 0.3))
            deployment.stop(process, signal.SIGKILL)
            process = deployment.serve()
        wait_decided(deployment, count, 60)
        decided = decided_by_event(deployment)
        assert len(decided) == count, len(decided)
        assert all(len(records) == 1 for records in decided.values())
        commands = deployment.outputs("commands")
        sends = [r for records in decided.values() for r in records
                 for d in r["decisions"] if d["outcome"] == "send"]
        assert len(commands) == len(sends) == count, (len(commands), len(sends))
        assert deployment.audit()["mismatches"] == 0


def test_a_second_instance_waits_and_takes_over():
    with started() as deployment:
        first = deployment.serve("--instance", "one")
        deployment.run("triggers", "apply", "-f", RULES)
        other = ("--instance", "two", "--data-dir", str(deployment.directory / "two"))
        second = deployment.serve(*other, ready=False)
        wait_for("the refusal",
                 lambda: "owned by instance 'one'" in deployment.log_of(second) or
                 "owned by instance 'one'" in deployment.get("/health/ready")[1], 30)
        deployment.stop(second, signal.SIGKILL)
        third = deployment.serve(*other, "--take-over")
        deployment.produce("site-events", [("acme", cloud_event(n)) for n in range(50)])
        wait_decided(deployment, 50)
        assert all(len(records) == 1 for records in decided_by_event(deployment).values())
        deployment.stop(third)
        deployment.stop(first)
        assert deployment.audit()["mismatches"] == 0


def test_the_broker_goes_and_comes_back():
    harness.broker()  # Skips where no broker can be had.
    directory = pathlib.Path(tempfile.mkdtemp(prefix="alertstream-broker-"))
    script = harness.ROOT / "ops/kafka/broker"

    def control(*arguments):
        subprocess.run([script, *arguments, "--dir", directory], check=True, timeout=120,
                       stdout=subprocess.DEVNULL)

    try:
        control("start", "--port", str(harness.free_port()))
        address = dict(line.split("=", 1) for line in (directory / "client.env").read_text()
                       .splitlines())["KAFKA_BOOTSTRAP"].strip("'")
        with Deployment(kafka=address) as deployment:
            deployment.run("topics", "apply")
            process = deployment.serve()
            deployment.run("triggers", "apply", "-f", RULES)
            deployment.produce("site-events", [("acme", cloud_event(n)) for n in range(100)])
            wait_decided(deployment, 100)
            control("stop", "--kill")
            wait_for("not ready", lambda: deployment.get("/health/ready")[0] == 503, 30)
            assert process.poll() is None
            control("start")
            wait_for("ready again", deployment.ready, 60)
            deployment.produce("site-events", [("acme", cloud_event(n)) for n in range(100, 200)])
            wait_decided(deployment, 200, 60)
            assert all(len(records) == 1 for records in decided_by_event(deployment).values())
            assert deployment.stop(process) < 10
            assert deployment.audit()["mismatches"] == 0
    finally:
        control("stop", "--kill")
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    harness.main([
        test_a_foreign_client_is_served,
        test_a_wrong_partition_is_mended_and_bad_input_is_kept,
        test_killed_again_and_again_every_event_is_decided_once,
        test_a_second_instance_waits_and_takes_over,
        test_the_broker_goes_and_comes_back,
    ])

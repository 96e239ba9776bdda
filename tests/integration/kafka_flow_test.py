#!/usr/bin/env python3
"""The processor over a real Kafka, fed by a foreign client (kcat): every event is decided exactly
once, wherever it was written, and whatever happens to the process."""

import collections
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time

import harness
from harness import Deployment, wait_for

RULES = "ops/examples/payments/rules"
PLAN_SENDS_MAX = 5000  # A month, of the example's plan.


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
        for _ in range(int(os.environ.get("ALERTSTREAM_TEST_KILLS", "10"))):
            batch = [("acme", cloud_event(n)) for n in range(count, count + 400)]
            count += 400
            deployment.produce("site-events", batch)
            time.sleep(random.uniform(0.0, 0.3))
            deployment.stop(process, signal.SIGKILL)
            process = deployment.serve()
        wait_decided(deployment, count, 120)
        decided = decided_by_event(deployment)
        assert len(decided) == count, len(decided)
        assert all(len(records) == 1 for records in decided.values())
        commands = deployment.outputs("commands")
        sends = [r for records in decided.values() for r in records
                 for d in r["decisions"] if d["outcome"] == "send"]
        assert len(commands) == len(sends) == min(count, PLAN_SENDS_MAX), (len(commands), len(sends))
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
            now = metrics_of(deployment)
            failed = sum(value for series, value in now.items()
                         if series.startswith("alertstream_task_errors_total"))
            held = now['alertstream_held_seconds_total{cause="permission_view"}']
            assert failed > 0 or held > 0, now
            deployment.produce("site-events", [("acme", cloud_event(n)) for n in range(100, 200)])
            wait_decided(deployment, 200, 60)
            assert all(len(records) == 1 for records in decided_by_event(deployment).values())
            assert deployment.stop(process) < 10
            assert deployment.audit()["mismatches"] == 0
    finally:
        control("stop", "--kill")
        shutil.rmtree(directory, ignore_errors=True)


def metrics_of(deployment):
    """Series -> value, as scraped."""
    status, text = deployment.get("/metrics")
    assert status == 200, status
    return {series: float(value) for series, value in
            (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))}


def declared_families():
    source = (harness.ROOT / "processor/base/metrics_prometheus.cc").read_text()
    return set(re.findall(r'"(alertstream_[a-z_]+)"', source))


# What the API, the dispatcher and the projector count; a processor alone has nothing of it.
OTHER_PARTS = re.compile("alertstream_(circuit|dispatch|http|identity|ingest|keys|projection|webhook)_")


def test_every_family_of_metrics_is_fed():
    with started() as deployment:
        process = deployment.serve()
        deployment.run("triggers", "apply", "-f", RULES)
        home = next(p for p, _, key, _ in deployment.consume("account-changes") if key == "acme")
        deployment.produce("site-events", [("acme", cloud_event(n)) for n in range(20)])
        deployment.produce("site-events", [("acme", cloud_event(20))], partition=(home + 1) % 4)
        deployment.produce("site-events", [("acme", "{broken")])
        wait_decided(deployment, 21)
        wait_for("the dead letter", lambda: deployment.outputs("dead-letters"), 20)
        now = wait_for("the gauges", lambda: (lambda all: all if all[
            f'alertstream_state_cache_bytes{{partition="{home}"}}'] > 0 and all[
            f'alertstream_lag_seconds{{partition="{home}"}}'] == 0 else None)(
                metrics_of(deployment)), 10)
        families = {re.sub(r"_(bucket|sum|count)$", "", series.split("{")[0]) for series in now}
        own = {family for family in declared_families() if not OTHER_PARTS.match(family)}
        assert families == own, families ^ own
        for series, value in {
                # With the marker of each partition; the moved one was read twice.
                'records_read_total{topic="site-events"}': 4 + 23,
                'rerouted_total{topic="site-events"}': 1,
                'events_total{verdict="accepted"}': 21,
                'decisions_total{outcome="send",reason="none"}': 21,
                'commands_total{channel="sms"}': 21,
                'facts_total{kind="trigger"}': 4,
                'dead_letters_total{reason="malformed_json",stage="decode"}': 1,
                'ownership_changes_total{change="claimed"}': 4,
                'ownership_changes_total{change="fenced"}': 0,
                'skipped_total{topic="site-events"}': 0,
                f'partition_ready{{partition="{home}"}}': 1,
                f'owner_epoch{{partition="{home}"}}': 1,
                f'lag_seconds{{partition="{home}"}}': 0,
        }.items():
            assert now.get("alertstream_" + series) == value, (series, value, now)
        for series in ('batches_total{kind="batch"}', "commit_seconds_count", "fold_seconds_count",
                       "commit_seconds_sum", "fold_seconds_sum", "batch_records_sum",
                       "event_to_decision_seconds_count",
                       f'journal_seq{{partition="{home}"}}',
                       f'recovery_seconds{{partition="{home}"}}'):
            assert now["alertstream_" + series] > 0, series
        assert now["alertstream_fold_seconds_count"] == now["alertstream_commit_seconds_count"]
        assert deployment.stop(process) < 10


def test_offsets_of_the_group_tell_lag_tools_what_was_consumed():
    with started() as deployment:
        process = deployment.serve()
        deployment.run("triggers", "apply", "-f", RULES)
        deployment.produce("site-events", [("acme", cloud_event(n)) for n in range(30)])
        wait_decided(deployment, 30)

        def not_consumed():
            done = subprocess.run(
                ["kcat", "-C", "-b", deployment.kafka, "-t", deployment.prefix + "site-events",
                 "-o", "stored", "-e", "-q", "-f", "%k\n", "-X", "auto.offset.reset=earliest",
                 "-X", f"group.id={deployment.prefix}alertstream"],
                capture_output=True, text=True, check=True, timeout=60)
            return done.stdout.split()

        # Every few seconds while it serves, and at its end.
        wait_for("offsets of all partitions", lambda: not_consumed() == [], 15)
        deployment.produce("site-events", [("acme", cloud_event(n)) for n in range(30, 40)])
        wait_decided(deployment, 40)
        assert deployment.stop(process) < 10
        assert "group_offsets" not in deployment.log_of(process), deployment.log_of(process)
        assert not_consumed() == []
        deployment.produce("site-events", [("acme", cloud_event(n)) for n in range(40, 45)])
        assert not_consumed() == ["acme"] * 5
        # Nobody of ours goes by them.
        process = deployment.serve()
        wait_decided(deployment, 45)
        assert len(decided_by_event(deployment)) == 45
        deployment.stop(process)


def test_a_poisoned_record_waits_for_a_skip_beside_the_server():
    with started() as deployment:
        process = deployment.serve()
        deployment.run("triggers", "apply", "-f", RULES)
        deployment.stop(process)
        home = next(p for p, _, key, _ in deployment.consume("account-changes") if key == "acme")
        stats = deployment.run("topic", "stats", "-o", "json").stdout
        offset = next(row["end"] for row in json.loads(stats)
                      if (row["topic"], row["partition"]) == ("consent-changes", home))
        harness.mark_as_poison(deployment.data / "state-kafka" / "main" / f"{home}.crash", 2, offset)
        process = deployment.serve()
        grant = subprocess.Popen(
            [harness.program(), "consent", "grant", "+254700000050", "--tenant", "acme"],
            cwd=harness.ROOT, env=deployment.environment, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        deployment.processes.append(grant)
        words = f"consent-changes partition {home} offset {offset} crashed the process 2 times"
        wait_for("the stop", lambda: (lambda answer: answer[0] == 503 and words in answer[1])(
            deployment.get("/health/ready")), 30)
        deployment.produce("site-events", [("acme", cloud_event(n)) for n in range(5)])
        wait_for("the stop's time", lambda: metrics_of(deployment)[
            'alertstream_held_seconds_total{cause="stopped"}'] > 0, 10)
        assert deployment.decisions() == []

        deployment.run("dlq", "skip", f"consent-changes/{home}/{offset}", "--reason", "case 17")
        wait_for("ready again", deployment.ready, 20)
        wait_decided(deployment, 5)
        letters = json.loads(deployment.run("dlq", "list", "-o", "json").stdout)
        assert [(letter["reason"], letter["detail"]) for letter in letters] == [
            ("skipped_by_operator", "case 17")], letters
        now = metrics_of(deployment)
        assert now['alertstream_skipped_total{topic="consent-changes"}'] == 1
        assert now['alertstream_batches_total{kind="skip"}'] == 1
        assert deployment.stop(process) < 10
        assert deployment.audit()["mismatches"] == 0


def secure_broker():
    """The values of the secure broker's client.env; nothing where there is none."""
    path = os.environ.get("ALERTSTREAM_TEST_KAFKA_SECURE")
    if not path:
        return None
    return {name: value.strip("'") for name, value in
            (line.split("=", 1) for line in pathlib.Path(path).read_text().splitlines())}


def log_in(deployment, kafka, user):
    name, password = {"admin": ("KAFKA_ADMIN_USER", "KAFKA_ADMIN_PASSWORD_FILE"),
                      "processor": ("KAFKA_USER", "KAFKA_PASSWORD_FILE")}[user]
    deployment.environment.update({
        "ALERTSTREAM_KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
        "ALERTSTREAM_KAFKA_SASL_MECHANISM": kafka["KAFKA_SASL_MECHANISM"],
        "ALERTSTREAM_KAFKA_SSL_CA_LOCATION": kafka["KAFKA_CA"],
        "ALERTSTREAM_KAFKA_SASL_USERNAME": kafka[name],
        "ALERTSTREAM_KAFKA_SASL_PASSWORD_FILE": kafka[password],
    })


def kafka_acls(deployment, kafka, arguments):
    """Kafka's own kafka-acls.sh, as the administrator."""
    module = "scram.ScramLoginModule" if kafka["KAFKA_SASL_MECHANISM"].startswith("SCRAM") \
        else "plain.PlainLoginModule"
    password = pathlib.Path(kafka["KAFKA_ADMIN_PASSWORD_FILE"]).read_text().strip()
    settings = deployment.directory / "admin.properties"
    settings.write_text(
        f"security.protocol={kafka['KAFKA_SECURITY_PROTOCOL']}\n"
        f"sasl.mechanism={kafka['KAFKA_SASL_MECHANISM']}\n"
        f"ssl.truststore.type=PEM\nssl.truststore.location={kafka['KAFKA_CA']}\n"
        f"sasl.jaas.config=org.apache.kafka.common.security.{module} required "
        f"username=\"{kafka['KAFKA_ADMIN_USER']}\" password=\"{password}\";\n")
    root = pathlib.Path(os.environ.get("ALERTSTREAM_KAFKA_LIBS", harness.ROOT / "build/kafka-libs"))
    jars = next(path for path in sorted(root.iterdir()) if path.is_dir())
    subprocess.run(
        ["java", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", f"{jars}/*",
         "kafka.admin.AclCommand", "--command-config", str(settings), *arguments],
        check=True, timeout=60, stdout=subprocess.DEVNULL)


def doctor(deployment, expect):
    done = deployment.run("doctor", "-o", "json", expect=expect)
    return {row["check"]: (row["result"], row["text"]) for row in json.loads(done.stdout)}


def test_doctor_tries_transactions_and_rights():
    with started() as deployment:
        checks = doctor(deployment, 0)
        assert checks["rights"] == ("ok", "none of 54 is missing"), checks
        result, text = checks["transactions"]
        assert result == "ok" and "readers see the committed one only" in text, checks
        # Nothing that was tried can be seen but the released leases of nobody.
        for topic in ("site-events", "decisions", "journal", "account-changes"):
            assert all(key == "_log" and offset == 0
                       for _, offset, key, _ in deployment.consume(topic)), topic
        process = deployment.serve()
        deployment.run("triggers", "apply", "-f", RULES)
        assert doctor(deployment, 0)["rights"][0] == "ok"
        deployment.produce("site-events", [("acme", cloud_event(n)) for n in range(20)])
        wait_decided(deployment, 20)
        assert deployment.stop(process) < 10
        assert deployment.audit()["mismatches"] == 0


def test_doctor_names_missing_rights_and_how_to_grant_them():
    kafka = secure_broker()
    if kafka is None:
        print("not run: ALERTSTREAM_TEST_KAFKA_SECURE names no broker; ops/test starts one")
        return
    with Deployment(kafka=kafka["KAFKA_BOOTSTRAP"]) as deployment:
        log_in(deployment, kafka, "admin")
        deployment.run("topics", "apply")
        assert doctor(deployment, 0)["rights"] == ("ok", "none of 54 is missing")

        log_in(deployment, kafka, "processor")
        prefix = deployment.prefix
        result, text = doctor(deployment, 1)["rights"]
        assert result == "FAIL", text
        for words in (f"DescribeConfigs, Read, Write on topic {prefix}account-changes, ",
                      f"Read on group {prefix}alertstream",
                      f"Write on transactional-id {prefix}alertstream-",
                      "which topics may be written is not known"):
            assert words in text, text

        # Some of it: what is left is told exactly.
        user = ("--add", "--allow-principal", "User:processor", "--bootstrap-server",
                kafka["KAFKA_BOOTSTRAP"])
        prefixed = ("--resource-pattern-type", "prefixed")
        kafka_acls(deployment, kafka, [*user, "--operation", "All", "--transactional-id", prefix,
                                       "--group", prefix, *prefixed])
        kafka_acls(deployment, kafka, [*user, "--operation", "Read", "--operation",
                                       "DescribeConfigs", "--topic", prefix, *prefixed])
        kafka_acls(deployment, kafka, [*user, "--operation", "Write", "--topic",
                                       prefix + "journal", "--topic", prefix + "ownership"])
        result, text = wait_for(
            "the rights spread",
            lambda: (lambda check: check if "missing: Write on topic" in check[1] else None)(
                doctor(deployment, 1)["rights"]), 20)
        missing, fix = text.split(". Fix, as an administrator of the cluster: ")
        assert prefix + "journal" not in missing and prefix + "ownership" not in missing, missing
        assert missing.count(prefix) == 11, missing

        # The commands do what they say.
        for command in fix.split(" && "):
            assert command.startswith("kafka-acls.sh "), command
            kafka_acls(deployment, kafka, command.split()[1:])
        checks = wait_for("no right missing", lambda: (lambda all: all if all["rights"][0] == "ok"
                                                       else None)(doctor(deployment, None)), 20)
        assert checks["transactions"][0] == "ok", checks
        process = deployment.serve()
        deployment.run("triggers", "apply", "-f", RULES)
        assert deployment.stop(process) < 10
        assert process.returncode == 0, deployment.log_of(process)


if __name__ == "__main__":
    harness.main([
        test_every_family_of_metrics_is_fed,
        test_offsets_of_the_group_tell_lag_tools_what_was_consumed,
        test_a_poisoned_record_waits_for_a_skip_beside_the_server,
        test_doctor_tries_transactions_and_rights,
        test_doctor_names_missing_rights_and_how_to_grant_them,
        test_a_foreign_client_is_served,
        test_a_wrong_partition_is_mended_and_bad_input_is_kept,
        test_killed_again_and_again_every_event_is_decided_once,
        test_a_second_instance_waits_and_takes_over,
        test_the_broker_goes_and_comes_back,
    ])

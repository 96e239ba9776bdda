#!/usr/bin/env python3
"""Every example webhook of GitHub through the program, on the local log and over a real Kafka with
a foreign client: each event is decided as the reference model decides it, and both logs agree to
the gate. tests/model/github_decisions.py makes the events, the failed workflow runs among them."""

import functools
import json
import sys

import harness
from harness import ROOT, Deployment, wait_for

sys.path.insert(0, str(ROOT / "tests" / "model"))

import github_decisions  # noqa: E402

PAYLOADS = ROOT / "build" / "github-payloads"
RULES = "ops/examples/github/rules"
# These saw how long ago something was, which differs from run to run.
GATES_OF_TIME = ("expiry", "cooldown")


@functools.cache
def expected():
    """id -> what the model decides"""
    if not (PAYLOADS / "version").exists():
        harness.skip(f"no payloads in {PAYLOADS}; tests/model/fetch_payloads.sh fetches them")
    wanted = github_decisions.expected(PAYLOADS)
    github_decisions.check_rules(ROOT / RULES)
    github_decisions.check_fires(wanted)
    return wanted


def deployment_of(kafka=None):
    """Both logs get the same token key, so that people have the same tokens."""
    deployment = Deployment(kafka=kafka)
    key = deployment.directory / "shared.key"
    key.write_text("67" * 32)
    key.chmod(0o600)
    deployment.environment["ALERTSTREAM_TOKEN_KEY_FILE"] = str(key)
    return deployment


def texts_of(deployment):
    commands = deployment.directory / "commands.jsonl"
    commands.write_text(
        deployment.run("topic", "dump", "notification-commands", "--show-personal").stdout)
    return github_decisions.read_texts(commands)


def compare_with_model(deployment, records):
    """Verdict, decisions and texts of every event, one by one. Nothing may be refused or left out:
    a payload over a limit would show as a dead letter or as an event without a decision."""
    letters = deployment.outputs("dead-letters")
    assert not letters, letters[:3]
    lines = deployment.directory / "decisions.jsonl"
    lines.write_text("".join(json.dumps(record) + "\n" for record in records))
    found = github_decisions.read_decisions(lines, list(expected()))
    assert len(found) == len(records), "an event was decided twice"
    problems = list(github_decisions.differences(expected(), found, texts_of(deployment)))
    assert not problems, "\n".join(problems[:20])
    return {event_id: decided(record) for event_id, record in found.items()}


def decided(record):
    """What must not depend on the log: all but ids, times and positions."""

    def gates(each):
        return [(gate["gate"], gate["verdict"], gate["limit"],
                 None if gate["gate"] in GATES_OF_TIME else gate["observed"])
                for gate in each["gates"]]

    names = ("trigger", "version", "recipient", "channel", "message_class", "outcome", "reason",
             "segments")
    decisions = [([d[name] for name in names], gates(d)) for d in record["decisions"]]
    return (record["event_type"], record["verdict"], record["candidates"], gates(record), decisions)


def on_the_local_log():
    with deployment_of() as deployment:
        events = deployment.directory / "events.jsonl"
        events.write_text("\n".join(github_decisions.event_lines(PAYLOADS, "native")) + "\n")
        # Exit 8 would say that lines or records were refused.
        records = deployment.lines("decide", "--rules", RULES, "--events", events, "-o", "jsonl")
        compared = compare_with_model(deployment, records)
        assert deployment.audit()["mismatches"] == 0
        return compared


def over_kafka(broker):
    with deployment_of(broker) as deployment:
        deployment.run("topics", "apply")
        process = deployment.serve()
        deployment.run("triggers", "apply", "-f", RULES)
        lines = list(github_decisions.event_lines(PAYLOADS, "cloudevents"))
        deployment.produce("site-events", [(github_decisions.TENANT, line) for line in lines])
        given = {(partition, offset): json.loads(value)["id"]
                 for partition, offset, key, value in deployment.consume("site-events")
                 if key == github_decisions.TENANT}
        assert len(given) == len(lines), "kcat did not write every event"
        wait_for("an outcome of every event",
                 lambda: len(deployment.decisions()) + len(deployment.outputs("dead-letters")) >=
                 len(lines), 60)
        records = [dict(record, event_id_given=given[record["partition"], record["offset"]])
                   for record in deployment.decisions()]
        compared = compare_with_model(deployment, records)
        deployment.stop(process)
        assert process.returncode == 0, deployment.log_of(process)
        assert deployment.audit()["mismatches"] == 0
        return compared


def test_the_local_log_decides_as_the_model():
    expected()
    assert len(on_the_local_log()) == len(expected())


def test_kafka_decides_as_the_model_and_the_local_log():
    expected()
    live = over_kafka(harness.broker())
    local = on_the_local_log()
    different = [event_id for event_id in local if local[event_id] != live.get(event_id)]
    assert not different, [(local[each], live.get(each)) for each in different[:3]]
    assert len(live) == len(local)


if __name__ == "__main__":
    harness.main([
        test_the_local_log_decides_as_the_model,
        test_kafka_decides_as_the_model_and_the_local_log,
    ])

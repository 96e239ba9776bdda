"""The demo's history as a user makes it: seed demo, then what looks at it and what goes on from it.

Runs the program named by ALERTSTREAM_TEST_PROGRAM. Standard library only.
"""

import json
import subprocess

import harness

EVENT = json.dumps({
    "event_type": "payment.failed", "id": "live-1", "site": "shop", "source": "payments",
    "data": {"order": "K-900001", "amount": 25, "currency": "USD", "phone": "+1 212 555 0199"}})


def seeded_history_is_whole_and_live_events_follow(one):
    done = one.run("seed", "demo", "-o", "json")
    report = json.loads(done.stdout)
    print(f"seeded {report['events']} events in {report['seconds']} s")
    assert report["events"] >= 20_000, report
    assert report["notifications"] > 1000, report
    assert report["days"] == 30, report
    assert "events, " in done.stderr, "progress is told: " + done.stderr
    # Four seconds on a machine that has nothing else to do.
    assert report["seconds"] < 20, report

    before = one.audit()
    assert before["mismatches"] == 0 and before["decisions"] == report["decisions"], before
    told = one.run("explain", "last").stdout
    assert "demo" in told and "evt_" in told, told
    triggers = one.run("triggers", "list", "-o", "jsonl").stdout.splitlines()
    assert len(triggers) == 6, triggers

    decided = one.lines("decide", "--events", "-", "--tenant", "demo", "-o", "jsonl", stdin=EVENT)
    assert len(decided) == 1, decided
    outcomes = [decision["outcome"] for decision in decided[0]["decisions"]]
    assert [outcome.lower() for outcome in outcomes] == ["send"], decided
    after = one.audit()
    assert after["mismatches"] == 0 and after["decisions"] == before["decisions"] + 1, after

    refused = one.run("seed", "demo", expect=6)
    assert "already" in refused.stderr, refused.stderr


def an_interrupted_seeding_is_refused_by_every_command(one):
    process = subprocess.Popen(
        [harness.program(), "seed", "demo", "--days", "90"], env=one.environment,
        cwd=harness.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    first = process.stderr.readline()
    assert "seeding:" in first, first
    process.kill()
    process.wait()
    harness.keep("seed", first + process.stderr.read())
    process.stderr.close()
    assert (one.data / "seeding").exists()
    for command in (["status"], ["explain", "last"], ["audit", "verify"], ["seed", "demo"],
                    ["decide", "--events", "-", "--tenant", "demo"]):
        refused = one.run(*command, expect=6, stdin=EVENT)
        assert "not whole" in refused.stderr, (command, refused.stderr)


def a_bad_length_is_an_error_of_usage(one):
    one.run("seed", "demo", "--days", "0", expect=2)
    assert not one.data.exists()
    one.environment["ALERTSTREAM_LOG"] = "kafka://127.0.0.1:1"
    refused = one.run("seed", "demo", expect=1)
    assert "local log only" in refused.stderr, refused.stderr


def with_deployment(test):
    def run():
        with harness.Deployment() as one:
            test(one)
    run.__name__ = test.__name__
    return run


if __name__ == "__main__":
    harness.main([with_deployment(test) for test in (
        seeded_history_is_whole_and_live_events_follow,
        an_interrupted_seeding_is_refused_by_every_command,
        a_bad_length_is_an_error_of_usage)])

#!/usr/bin/env python3
"""A standby beside the owner of a partition, over a real Kafka: it takes over when the owner is killed,
asleep or told to go, and whatever happens every input is decided once. And what survives the loss of a
state: snapshots, and history decided again."""

import collections
import json
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time

import harness
from harness import Deployment, wait_for
from kafka_flow_test import RULES, cloud_event, decided_by_event, metrics_of, wait_decided

PARTITIONS = 4
TAKEN_OVER_WITHIN = 10


class Instance:
    """A processor of its own, with its own metrics port; the data directory is shared."""

    def __init__(self, deployment, name, *arguments):
        self.deployment = deployment
        self.name = name
        self.process = deployment.serve("--instance", name, *arguments, ready=False)
        self.port = deployment.port

    def health(self):
        self.deployment.port = self.port
        status, body = self.deployment.get("/health")
        return json.loads(body)["partitions"] if status in (200, 503) and body else []

    def phases(self):
        return collections.Counter(each["phase"] for each in self.health())

    def is_all(self, phase):
        return self.phases() == {phase: PARTITIONS}

    def owns(self, partition):
        return any(each["partition"] == partition and each["phase"] == "owner"
                   for each in self.health())

    def wait_all(self, phase, seconds=30):
        try:
            wait_for(f"{self.name} is {phase}", lambda: self.is_all(phase), seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.health()}\n{self.log()}") from None

    def log(self):
        return self.deployment.log_of(self.process)

    def metrics(self):
        self.deployment.port = self.port
        return metrics_of(self.deployment)

    def ready(self):
        self.deployment.port = self.port
        return self.deployment.ready()


class Feed:
    """Events at a steady rate from a thread, numbered from 0."""

    def __init__(self, deployment, a_second=200):
        self.deployment = deployment
        self.count = 0
        self.a_second = a_second
        self.running = True
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        step = max(1, self.a_second // 5)
        while self.running:
            events = [("acme", cloud_event(n)) for n in range(self.count, self.count + step)]
            self.deployment.produce("site-events", events)
            self.count += step
            time.sleep(0.2)

    def stop(self):
        self.running = False
        self.thread.join()
        return self.count


def started():
    deployment = Deployment(kafka=harness.broker())
    deployment.run("topics", "apply")
    return deployment


def with_rules(deployment, owner):
    owner.wait_all("owner")
    deployment.run("triggers", "apply", "-f", RULES)


def expect_decided_once(deployment, count):
    wait_decided(deployment, count, 60)
    decided = decided_by_event(deployment)
    assert len(decided) == count, (len(decided), count)
    twice = [event for event, records in decided.items() if len(records) != 1]
    assert not twice, twice[:5]
    assert deployment.audit()["mismatches"] == 0


def test_an_owner_that_is_killed_is_replaced_within_ten_seconds():
    with started() as deployment:
        owner = Instance(deployment, "one")
        with_rules(deployment, owner)
        standby = Instance(deployment, "two", "--standby", "--auto")
        standby.wait_all("standby")
        assert standby.ready()
        # Its first sign may still be on its way to the log.
        wait_for("status names both", lambda: {
            (row["owner"], row["standby"]) for row in deployment.lines("status", "-o", "jsonl")
        } == {("one", "two")}, 10)
        feed = Feed(deployment)
        wait_decided(deployment, 100)
        time.sleep(6)  # A lease's life: an owner that lives is left alone, also under load.
        assert standby.is_all("standby"), standby.health()
        owner.process.send_signal(signal.SIGKILL)
        killed_at = time.monotonic()
        owner.process.wait()
        wait_for("the take-over", lambda: standby.is_all("owner"), TAKEN_OVER_WITHIN)
        took = time.monotonic() - killed_at
        print(f"  taken over {took:.1f} s after kill -9")
        wait_for("a decision of the new owner",
                 lambda: sum(value for series, value in standby.metrics().items()
                             if series.startswith("alertstream_events_total")) > 0, 10)
        count = feed.stop()
        metrics = standby.metrics()
        assert metrics['alertstream_take_overs_total{cause="stale_lease"}'] == PARTITIONS, metrics
        assert metrics["alertstream_followed_batches_total"] > 0
        assert metrics["alertstream_root_mismatches_total"] == 0
        expect_decided_once(deployment, count)


def test_an_owner_that_slept_wakes_up_fenced_and_stands_by():
    with started() as deployment:
        owner = Instance(deployment, "one")
        with_rules(deployment, owner)
        standby = Instance(deployment, "two", "--standby", "--auto")
        standby.wait_all("standby")
        feed = Feed(deployment)
        wait_decided(deployment, 100)
        owner.process.send_signal(signal.SIGSTOP)
        slept_at = time.monotonic()
        wait_for("the take-over", lambda: standby.is_all("owner"), TAKEN_OVER_WITHIN)
        print(f"  taken over {time.monotonic() - slept_at:.1f} s after SIGSTOP")
        time.sleep(1)
        owner.process.send_signal(signal.SIGCONT)
        woke_at = time.monotonic()
        wait_for("the old owner notices",
                 lambda: not owner.phases().get("owner") and owner.phases(), 10)
        print(f"  it noticed {time.monotonic() - woke_at:.1f} s after SIGCONT")
        assert not owner.ready()
        time.sleep(6)  # It tries again after 5 s, sees the lease, and stays away.
        assert standby.is_all("owner"), standby.health()
        assert "owned by instance 'two'" in json.dumps(owner.health()), owner.health()
        expect_decided_once(deployment, feed.stop())


def test_partitions_move_back_and_forth_by_order_under_load():
    with started() as deployment:
        one = Instance(deployment, "one", "--standby")
        two = Instance(deployment, "two", "--standby")
        one.wait_all("standby")
        two.wait_all("standby")
        # An order before both have said that they are there would be good for the one that has.
        wait_for("both are seen", lambda: {
            row["standby"] for row in deployment.lines("status", "-o", "jsonl")
        } == {"one, two"}, 10)
        done = deployment.run("processor", "takeover", "--all", expect=1)
        assert "name one with --to" in done.stderr, done.stderr
        deployment.run("processor", "takeover", "--all", "--to", "one")
        with_rules(deployment, one)
        feed = Feed(deployment, a_second=400)
        wait_decided(deployment, 100)
        rows = json.loads(deployment.run("processor", "takeover", "--partition", "1", "-o",
                                         "json").stdout)
        assert [(row["from"], row["to"]) for row in rows] == [("one", "two")], rows
        print(f"  one partition moved in {rows[0]['seconds']:.1f} s")
        # The old owner stands by again, without being told.
        wait_for("one follows", lambda: one.phases() == {"owner": 3, "standby": 1}, 20)
        for target, name in ((two, "two"), (one, "one")):
            for partition in range(PARTITIONS):
                # Who has just become a standby may not have said so yet.
                wait_for(f"{name} owns partition {partition}",
                         lambda p=partition: target.owns(p) or deployment.run(
                             "processor", "takeover", "--partition", p, "--to", name,
                             expect=None).returncode == 0, 20)
            target.wait_all("owner")
            other = one if target is two else two
            other.wait_all("standby")
        count = feed.stop()
        expect_decided_once(deployment, count)
        for instance in (one, two):
            assert instance.metrics()["alertstream_root_mismatches_total"] == 0
            assert deployment.stop(instance.process) < 10
            assert instance.process.returncode == 0, instance.log()


def test_a_lost_state_comes_back_from_a_snapshot_or_from_the_beginning():
    with started() as deployment:
        settings = ("--set", "runtime.snapshot_every=1s", "--set", "runtime.snapshots_kept=2")
        process = deployment.serve(*settings)
        deployment.run("triggers", "apply", "-f", RULES)
        for begin in (0, 100, 200):
            deployment.produce("site-events",
                               [("acme", cloud_event(n)) for n in range(begin, begin + 100)])
            wait_decided(deployment, begin + 100)
            time.sleep(1.2)
        home = next(p for p, _, key, _ in deployment.consume("account-changes") if key == "acme")

        def snapshots():
            return sorted(deployment.data.glob(f"snapshots/main/*/{home}/*-*"))

        wait_for("snapshots", lambda: len(snapshots()) == 2, 20)
        deployment.stop(process, signal.SIGKILL)
        state = deployment.data / "state-kafka" / "main"
        shutil.rmtree(state / str(home))
        process = deployment.serve(*settings)
        assert re.search(rf"snapshot.*partition={home}.*restored", deployment.log_of(process)), \
            deployment.log_of(process)
        deployment.produce("site-events", [("acme", cloud_event(n)) for n in range(300, 400)])
        wait_decided(deployment, 400)

        # One bit of the newest one's files, which the state shares, is wrong: the next older one.
        deployment.stop(process, signal.SIGKILL)
        for file in snapshots()[-1].glob("state/*.sst"):
            data = bytearray(file.read_bytes())
            data[len(data) // 3] ^= 4
            file.unlink()
            file.write_bytes(data)
        shutil.rmtree(state / str(home))
        process = deployment.serve(*settings)
        log = deployment.log_of(process)
        assert re.search(rf"snapshot.*partition={home}.*refused", log), log
        deployment.produce("site-events", [("acme", cloud_event(n)) for n in range(400, 500)])
        wait_decided(deployment, 500)

        # Without any: from the beginning.
        deployment.stop(process, signal.SIGKILL)
        shutil.rmtree(state)
        shutil.rmtree(deployment.data / "snapshots")
        process = deployment.serve(*settings)
        deployment.produce("site-events", [("acme", cloud_event(n)) for n in range(500, 600)])
        expect_decided_once(deployment, 600)
        deployment.stop(process)
        # What the processor has is what history says, to the key.
        replayed = deployment.directory / "replayed"
        done = deployment.run("replay", "run", "--to-state", replayed)
        assert "no notifications will be sent" in done.stderr
        deployment.run("state", "diff", state, replayed)


def test_the_past_is_read_from_the_log_and_nothing_is_written():
    with started() as deployment:
        process = deployment.serve()
        deployment.run("triggers", "apply", "-f", RULES)
        deployment.produce("site-events", [("acme", cloud_event(1))])
        wait_decided(deployment, 1)
        person = "+254700000001"
        time.sleep(0.1)
        before = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
        time.sleep(2)
        deployment.run("optout", "add", person, "--tenant", "acme", "--reason", "asked by phone")

        def opt_outs(*arguments):
            rows = json.loads(deployment.run("consent", "show", person, "--tenant", "acme", "-o",
                                             "json", *arguments).stdout)
            return [row["status"] for row in rows if row["what"] == "opt_out"]

        assert opt_outs() == ["active"]
        assert opt_outs("--at", before) == []
        now = deployment.directory / "now"
        then = deployment.directory / "then"
        deployment.run("replay", "run", "--to-state", then, "--at", before)
        deployment.run("replay", "run", "--to-state", now)
        assert opt_outs("--state", then) == []
        assert opt_outs("--state", now) == ["active"]
        explained = deployment.run("explain", "last", "--at", before).stdout
        assert "neither opt-outs nor consents" in explained, explained
        explained = deployment.run("explain", "last", "--state", now).stdout
        assert "opt-out on all: active" in explained, explained
        assert person not in explained

        differ = deployment.run("state", "diff", then, now, expect=9)
        assert re.search(r"acme recipient rcp_\S+ +value +version, opt_outs|only right",
                         differ.stdout), differ.stdout
        assert person not in differ.stdout + differ.stderr
        # A state does not go back.
        refused = deployment.run("replay", "run", "--to-state", now, "--at", before, expect=6)
        assert "another directory" in refused.stderr
        deployment.stop(process)
        assert deployment.audit()["mismatches"] == 0


def test_a_standby_has_a_name_of_its_own():
    with started() as deployment:
        refused = deployment.run("serve", "--target=processor", "--standby", "--metrics-port", "0",
                                 expect=None)
        assert refused.returncode != 0 and "--instance NAME" in refused.stderr, refused
        owner = Instance(deployment, "one")
        owner.wait_all("owner")
        namesake = Instance(deployment, "one", "--standby", "--auto", "--set",
                            f"data_dir={deployment.directory / 'elsewhere'}")
        wait_for("the namesake is refused",
                 lambda: "instance name used twice" in json.dumps(namesake.health()), 30)
        assert owner.is_all("owner")


def test_on_a_local_log_there_is_nobody_to_stand_by():
    with Deployment() as deployment:
        deployment.run("topics", "apply")
        refused = deployment.run("serve", "--target=processor", "--standby", "--metrics-port", "0",
                                 expect=None)
        assert refused.returncode != 0 and "a local log" in refused.stderr, refused
        refused = deployment.run("processor", "takeover", "--all", expect=None)
        assert refused.returncode != 0 and "a local log" in refused.stderr, refused


if __name__ == "__main__":
    harness.main([
        test_on_a_local_log_there_is_nobody_to_stand_by,
        test_a_standby_has_a_name_of_its_own,
        test_an_owner_that_is_killed_is_replaced_within_ten_seconds,
        test_an_owner_that_slept_wakes_up_fenced_and_stands_by,
        test_partitions_move_back_and_forth_by_order_under_load,
        test_a_lost_state_comes_back_from_a_snapshot_or_from_the_beginning,
        test_the_past_is_read_from_the_log_and_nothing_is_written,
    ])

#!/usr/bin/env python3
"""Events come in by several clients, messages go out, and whoever does it is killed again and again:
API, processor and dispatcher as processes of their own over Kafka, and a dev on the local log. In the
end every acknowledged event is decided once, and every message was accepted by the provider once -
but those whose outcome was unknown, which are sent again only where their class allows it."""

import collections
import http.client
import os
import random
import signal
import threading
import time

import harness
from dev_test import NUMBER, Dev, call
from faults_test import SILENT, started_simulator
from serve_test import Servers

KILLS = int(os.environ.get("ALERTSTREAM_TEST_KILLS", "10"))
SEED = int(os.environ.get("ALERTSTREAM_TEST_SEED", "20261122"))
CLIENTS = 4
PAUSE_S = 0.08             # Of a client between two events.
EVENTS_MAX = 8000          # Phone numbers end at 10,000.
CONSENTS_PER_REQUEST = 1000
ENDS = {"accepted", "queued", "sending", "sent", "delivered", "unknown_outcome"}


def phone(n):
    return f"+1646555{n:04d}"


def class_of(n):
    return "transactional" if n % 2 == 0 else "informational"


def documents(tenant):
    """What everything else needs, and the rules."""
    return [
        {"kind": "plan", "id": "kill", "sends_per_month_max": 1_000_000},
        {"kind": "tenant", "id": tenant, "status": "active", "plan": "kill", "unknown_wait": "1s"},
        {"kind": "sender", "id": "kitchen", "provider": "twilio", "account": "main",
         "number": NUMBER, "default": True},
        *({"kind": "trigger", "id": name, "event_type": f"{name}.event",
           "recipients": {"field": "data.phone"}, "channel": "sms",
           "template": {"body": "Number {{data.n}}"}, "message_class": name}
          for name in ("transactional", "informational"))]


def prepare(servers, tenant):
    consents = [{"kind": "consent", "phone": phone(n), "channel": "sms", "class": class_of(n),
                 "status": "granted"} for n in range(1, EVENTS_MAX + 1, 2)]
    batches = [documents(tenant)] + [consents[at:at + CONSENTS_PER_REQUEST]
                                     for at in range(0, len(consents), CONSENTS_PER_REQUEST)]
    for events in batches:
        status, _, answer = call(
            "POST", servers.info["api_url"] + "/api/v1/control/events",
            {"tenant": tenant, "events": events},
            {"X-API-Key": servers.info["operator_key"], "Content-Type": "application/json",
             "Prefer": "wait=10"}, timeout=30)
        assert status == 200, (status, answer)
        kinds = {r["status"] for r in answer["results"]}
        assert kinds <= {"accepted", "unchanged"}, [r for r in answer["results"]
                                                    if r["status"] == "rejected"][:3]


class Load:
    """Clients that send one event after another, each until it is acknowledged."""

    def __init__(self, servers):
        self.servers = servers
        self.lock = threading.Lock()
        self.next = 0
        self.answers = {}                          # Event number -> the acknowledgement.
        self.refusals = collections.Counter()
        self.problems = []
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self.client, daemon=True) for _ in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def post(self, n):
        return self.servers.ingest(
            {"event_type": f"{class_of(n)}.event", "data": {"phone": phone(n), "n": n}},
            headers={"Idempotency-Key": f"order-{n}"})

    def client(self):
        while not self.ending.is_set():
            with self.lock:
                if self.next >= EVENTS_MAX:
                    return
                n = self.next
                self.next += 1
            if not self.send(n):
                return
            time.sleep(PAUSE_S)

    def send(self, n):
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                status, _, answer = self.post(n)
            except (OSError, ValueError, http.client.HTTPException) as error:
                status, answer = type(error).__name__, None
            if status == 202:
                with self.lock:
                    self.answers[n] = answer
                return True
            with self.lock:
                self.refusals[status] += 1
            if isinstance(status, int) and status not in (409, 429, 503):
                self.problems.append((n, status, answer))
                return False
            time.sleep(0.05)
        self.problems.append((n, "never acknowledged"))
        return False

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(timeout=150)
        assert not self.problems, self.problems[:5]
        assert len(self.answers) == self.next, "an event was never acknowledged"


def faults(servers, chosen):
    """Makes calls last, fail and end in doubt, so that a kill meets all of it."""
    for name, most in (("accept_then_hang", 2), ("reset", 1), ("http_500", 2), ("http_429", 2)):
        call("POST", servers.info["provider_url"] + "/faults",
             {"fault": name, "count": chosen.randint(0, most)})


def results_of(facts):
    """Notification -> [(attempt, class)], and notification -> its status."""
    results, states = collections.defaultdict(list), {}
    for fact in facts:
        about = fact.get("notification")
        if about is None:
            continue
        key = about["notification_id"]
        if "result" in about:
            results[key].append((about["attempt"], about["result"]))
        if about.get("changed"):
            states[key] = about["status"]
    return results, states


def is_settled(deployment, count):
    results, states = results_of(deployment.outputs("facts"))
    if len(states) < count or not set(states.values()) <= ENDS:
        return None
    # A message in doubt that may arrive twice is sent once more.
    classes = {c["notification_id"]: c["message_class"] for c in deployment.outputs("commands")}
    for key, state in states.items():
        attempts = sorted(set(results[key]))
        if (state == "unknown_outcome" and classes[key] == "transactional" and
                len([a for a in attempts if a[1] == "ambiguous"]) < 2):
            return None
    return results, states, classes


def check_decisions(deployment, load):
    decisions = deployment.decisions()
    accepted = [r for r in decisions if r["verdict"] == "accepted"]
    others = [r for r in decisions if r["verdict"] != "accepted"]
    assert all(r["verdict"] == "duplicate" for r in others), others[:3]
    assert len(accepted) == load.next, (len(accepted), load.next)
    assert len({(r["partition"], r["offset"]) for r in decisions}) == len(decisions)
    by_event = {r["event"]: r for r in decisions}
    firsts = set()
    for n, answer in load.answers.items():
        record = by_event[answer["id"]]
        where = answer["position"]
        assert (record["partition"], record["offset"]) == (where["partition"], where["offset"]), n
        firsts.add(record.get("duplicate_of", record["event"]))
    # Each acknowledged event stands for exactly one that was decided.
    assert firsts == {r["event"] for r in accepted}
    assert len(firsts) == len(load.answers)
    keys = [d["notification"] for r in accepted for d in r["decisions"] if d["outcome"] == "send"]
    assert len(keys) == len(set(keys)) == load.next, (len(keys), load.next)
    print(f"  {load.next} events, {len(others)} of them twice on the log; "
          f"refused or cut: {dict(load.refusals)}")
    return set(keys)


def check_messages(servers, keys, settled):
    results, states, classes = settled
    listed = call("GET", servers.info["provider_url"] + "/messages?limit=100000")[2]
    assert listed["total"] == listed["kept"] == len(listed["messages"]), listed["total"]
    taken, reached = collections.Counter(), collections.defaultdict(set)
    for message in listed["messages"]:
        taken[message["key"]] += 1
        reached[message["to"]].add(message["key"])
    assert set(taken) <= keys and listed["distinct_keys"] == len(taken)
    assert all(len(each) == 1 for each in reached.values()), "a person got two notifications"
    assert set(states) == keys
    doubts = collections.Counter()
    for key in keys:
        unknown = len({attempt for attempt, result in results[key] if result == "ambiguous"})
        story = (key, classes[key], states[key], results[key], taken[key])
        sure = states[key] != "unknown_outcome"
        if unknown == 0:
            assert sure and taken[key] == 1, story
        elif classes[key] == "informational":
            assert unknown == 1 and taken[key] <= 1 and (not sure or taken[key] == 1), story
        else:
            assert unknown <= 2 and taken[key] <= 2 and (not sure or taken[key] >= 1), story
        doubts[classes[key], taken[key]] += unknown > 0
    print(f"  {len(keys)} messages, in doubt by class and times accepted: {dict(doubts)}")


def check(deployment, servers, load):
    call("DELETE", servers.info["provider_url"] + "/faults")
    try:
        settled = harness.wait_for("every message's end",
                                   lambda: is_settled(deployment, load.next), 90)
    except AssertionError:
        _, states = results_of(deployment.outputs("facts"))
        raise AssertionError(collections.Counter(states.values())) from None
    keys = check_decisions(deployment, load)
    check_messages(servers, keys, settled)
    # What was acknowledged is known for what it is, whoever was killed since.
    decided = {r["event"] for r in deployment.decisions() if r["verdict"] == "accepted"}
    for n in random.Random(9).sample(sorted(load.answers), 50):
        status, fields, answer = load.post(n)
        assert (status, fields["Idempotent-Replayed"]) == (202, "true"), (n, status, answer)
        assert answer["id"] in decided, (n, answer)


def three_processes_are_killed_under_load():
    with harness.Deployment(kafka=harness.broker()) as deployment:
        deployment.environment["ALERTSTREAM_DISPATCH_CALL_TIMEOUT"] = "1s"
        servers = Servers(deployment, ("api", "dispatcher", "processor"))
        deployment.run("topics", "apply")
        for name in servers.ports:
            servers.start(name)
        servers.wait_until_ready()
        prepare(servers, "acme")
        chosen = random.Random(SEED)
        load = Load(servers)
        names = sorted(servers.ports) * (KILLS // 3 + 1)
        chosen.shuffle(names)
        for name in names[:KILLS]:
            faults(servers, chosen)
            time.sleep(chosen.uniform(0.3, 1.5))
            servers.end(name, signal.SIGKILL)
            servers.start(name)
            if chosen.random() < 0.7:  # Else the next kill meets it, or another, while it starts.
                servers.wait_until_ready()
        servers.wait_until_ready()
        load.end()
        print(f"  killed: {dict(collections.Counter(names[:KILLS]))}")
        check(deployment, servers, load)
        for name in ("api", "dispatcher", "processor"):
            code, seconds = servers.end(name, signal.SIGTERM)
            assert code == 0 and seconds < 12, (name, code, seconds)
        assert deployment.audit()["mismatches"] == 0


def a_dispatcher_that_was_paused_finds_its_place_taken():
    with harness.Deployment(kafka=harness.broker()) as deployment:
        deployment.environment["ALERTSTREAM_DISPATCH_CALL_TIMEOUT"] = "1s"
        servers = Servers(deployment, ("api", "dispatcher", "processor"))
        deployment.run("topics", "apply")
        for name in servers.ports:
            servers.start(name)
        servers.wait_until_ready()
        prepare(servers, "acme")
        chosen = random.Random(SEED)
        load = Load(servers)
        for _ in range(max(1, KILLS // 3)):
            faults(servers, chosen)
            time.sleep(chosen.uniform(0.3, 1.0))
            paused, old_port = servers.processes["dispatcher"], servers.ports["dispatcher"]
            paused.send_signal(signal.SIGSTOP)
            servers.ports["dispatcher"] = harness.free_port()
            servers.start("dispatcher")
            servers.wait_until_ready()
            time.sleep(chosen.uniform(0.0, 1.0))
            paused.send_signal(signal.SIGCONT)

            def stopped(port=old_port):
                parts = call("GET", f"http://127.0.0.1:{port}/health")[2]["dispatcher"]
                return [p["phase"] for p in parts["partitions"]].count("stopped") > 0

            harness.wait_for("the old dispatcher stops", stopped, 30)
            deployment.stop(paused)
        load.end()
        check(deployment, servers, load)
        assert deployment.audit()["mismatches"] == 0


def a_dev_is_killed_under_load():
    with harness.Deployment() as deployment:
        deployment.environment["ALERTSTREAM_DISPATCH_CALL_TIMEOUT"] = "1s"
        # Without receipts, so that what is in doubt stays so, and is sent again where it may be.
        url = started_simulator(deployment, *SILENT)
        port = harness.free_port()  # Always the same: it is where clients and receipts go.
        dev = Dev(deployment, "--provider-url", url, port=port)
        prepare(dev, "demo")
        chosen = random.Random(SEED)
        load = Load(dev)
        for _ in range(KILLS):
            faults(dev, chosen)
            time.sleep(chosen.uniform(0.2, 1.5))
            dev.stop(signal.SIGKILL)
            dev = Dev(deployment, "--provider-url", url, port=port)
        load.end()
        check(deployment, dev, load)
        assert dev.stop() == 0, deployment.log_of(dev.process)
        assert deployment.audit()["mismatches"] == 0


if __name__ == "__main__":
    tests = [a_dev_is_killed_under_load]
    if os.environ.get("ALERTSTREAM_TEST_KAFKA"):
        tests += [three_processes_are_killed_under_load,
                  a_dispatcher_that_was_paused_finds_its_place_taken]
    else:
        print("without ALERTSTREAM_TEST_KAFKA only on the local log")
    harness.main(tests)

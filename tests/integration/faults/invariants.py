"""I1 to I9 as far as they can be seen from outside: from the log, the provider, the tables and what
clients were told. Each check raises an AssertionError that names what it saw; ops/guarantees.md says
what is promised."""

import collections
import json

import harness
from dev_test import call
from projections_test import is_current, verify
from workload import CAP, CAPPED

RECOVERY_S_MAX = 30
SETTLE_S_MAX = 120
UNSETTLED = {"commanded", "started"}
NAMES = ("I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9")


class Seen:
    """Everything that is on the log, read once for all checks."""

    def __init__(self, system):
        deployment = self.deployment = system.deployment
        self.inputs = [(line["partition"], line["offset"])
                       for line in self.dumped("site-events") if line["key"] != "_log"]
        self.decisions = deployment.decisions()
        self.facts = deployment.outputs("facts")
        self.commands = deployment.outputs("commands")
        self.dead = deployment.outputs("dead-letters")
        self.journal = self.dumped("journal")
        self.results = collections.defaultdict(list)
        self.status = {}
        for fact in self.facts:
            about = fact.get("notification")
            if about is None:
                continue
            if "result" in about:
                self.results[about["notification_id"]].append((about["attempt"], about["result"]))
            if about.get("changed"):
                self.status[about["notification_id"]] = about["status"]
        self.classes = {c["notification_id"]: c.get("message_class") for c in self.commands
                        if c.get("notification_id")}

    def dumped(self, topic):
        lines = self.deployment.run("topic", "dump", topic).stdout.splitlines()
        return [json.loads(line) for line in lines]

    def ambiguous(self, key):
        return len({attempt for attempt, result in self.results[key] if result == "ambiguous"})

    def unsettled(self):
        some = [key for key in self.classes if self.status.get(key, "commanded") in UNSETTLED]
        # What is in doubt and may arrive twice is sent once more.
        some += [key for key, status in self.status.items() if status == "unknown_outcome" and
                 self.classes.get(key) == "transactional" and self.ambiguous(key) < 2]
        return some


def settled(system):
    """What is there when every message has its end."""
    last = None

    def look():
        nonlocal last
        last = Seen(system)
        decided = {(r["partition"], r["offset"]) for r in last.decisions}
        return last if set(last.inputs) <= decided and not last.unsettled() else None

    try:
        return harness.wait_for("every message's end", look, SETTLE_S_MAX)
    except AssertionError as error:
        left = [(key, last.classes.get(key), last.status.get(key), last.results[key])
                for key in last.unsettled()][:5]
        raise AssertionError(f"{error}: {left}") from None


def i1_every_input_is_decided_exactly_once(seen, system, load):
    del system
    firsts = [(r["partition"], r["offset"]) for r in seen.decisions if r["part"] == 0]
    assert len(firsts) == len(set(firsts)), "an input was decided twice"
    assert set(firsts) == set(seen.inputs), (
        f"{len(set(seen.inputs) - set(firsts))} inputs without a decision, "
        f"{len(set(firsts) - set(seen.inputs))} decisions without an input")
    assert not seen.dead, f"dead letters: {[d['reason'] for d in seen.dead][:3]}"
    by_event = {r["event"]: r for r in seen.decisions}
    for n, answer in load.answers.items():
        record, where = by_event[answer["id"]], answer["position"]
        assert (record["partition"], record["offset"]) == (where["partition"], where["offset"]), n
        assert record["verdict"] in ("accepted", "duplicate"), (n, record["verdict"])
    originals = [by_event[a["id"]].get("duplicate_of", a["id"]) for a in load.answers.values()]
    assert len(set(originals)) == len(originals), "two acknowledged events became one"
    assert all(by_event[event]["verdict"] == "accepted" for event in originals)


def i2_the_chain_is_unbroken_and_an_epoch_has_one_owner(seen, system, load):
    del system, load  # That the chain is unbroken `audit verify` has told.
    nonces = collections.defaultdict(set)
    for line in seen.journal:
        record = line["value"]
        if "owner_epoch" in record:
            nonces[line["partition"], record["owner_epoch"]].add(record["owner_nonce"])
    rivals = {where: len(each) for where, each in nonces.items() if len(each) > 1}
    assert not rivals, f"(partition, epoch) with two owners: {rivals}"


def i3_the_audit_from_zero_reproduces_every_root(seen, system, load):
    del load
    report = system.deployment.audit()
    assert report["mismatches"] == 0 and report["decisions"] >= len(seen.decisions), report


def i4_the_state_that_was_recovered_is_the_replayed_one(seen, system, load):
    """The audit folds from zero what was folded by processors that were killed, paused and replaced:
    it compares the state roots in their journal with its own."""
    del system, load
    assert any(line["value"].get("state_root", "0").strip("0") for line in seen.journal), (
        "no state root in the journal")


def i5_nobody_is_sent_to_after_an_opt_out_nor_above_a_cap(seen, system, load):
    del system
    by_event = {r["event"]: r for r in seen.decisions}
    for n, event in load.stopped.items():
        record = by_event[by_event[event].get("duplicate_of", event)]
        sent = [d for d in record["decisions"] if d["outcome"] == "send"]
        assert not sent, f"{n} was written to after its STOP: {event}"
    capped = [d for r in seen.decisions for d in r["decisions"]
              if d["trigger"] == "capped" and d["outcome"] == "send"]
    assert len(capped) <= CAP, f"{len(capped)} messages above a cap of {CAP}"


def i6_the_tables_are_the_fold_of_the_log(seen, system, load):
    del seen, load
    harness.wait_for("everything is projected", lambda: is_current(system.deployment), 60)
    report = verify(system.deployment, expect=None)
    assert report["differences"] == [], report["differences"][:3]


def i8_what_was_committed_stays(seen, system, load):
    assert not load.shrunk, load.shrunk[:3]
    now = {(r["partition"], r["offset"], r["part"]): r["event"] for r in seen.decisions}
    before = getattr(system, "committed", {})
    lost = [where for where, event in before.items() if now.get(where) != event]
    assert not lost, f"decisions that are gone or others now: {lost[:3]}"
    system.committed = now


def i9_a_key_is_taken_twice_only_after_an_unknown(seen, system, load):
    del load
    listed = call("GET", system.simulator_url + "/messages?limit=100000", timeout=30)[2]
    assert listed["total"] == listed["kept"] == len(listed["messages"]), listed["total"]
    taken, people = collections.Counter(), collections.defaultdict(set)
    for message in listed["messages"]:
        taken[message["key"]] += 1
        people[message["key"]].add(message["to"])
    assert listed["distinct_keys"] == len(taken)
    assert set(taken) <= set(seen.classes), "a message that nobody has decided"
    assert all(len(each) == 1 for each in people.values()), "a message went to two people"
    for key, times in taken.items():
        story = (key, seen.classes[key], seen.status.get(key), seen.results[key], times)
        allowed = 1
        if seen.classes[key] == "transactional":
            allowed += min(1, seen.ambiguous(key))
        assert times <= allowed, story
    for key, status in seen.status.items():
        if status in ("accepted", "queued", "sending", "sent", "delivered"):
            assert taken[key] >= 1, (key, status, "was never taken by the provider")
    assert CAPPED in {to for each in people.values() for to in each}


CHECKS = {"I1": i1_every_input_is_decided_exactly_once,
          "I2": i2_the_chain_is_unbroken_and_an_epoch_has_one_owner,
          "I3": i3_the_audit_from_zero_reproduces_every_root,
          "I4": i4_the_state_that_was_recovered_is_the_replayed_one,
          "I5": i5_nobody_is_sent_to_after_an_opt_out_nor_above_a_cap,
          "I6": i6_the_tables_are_the_fold_of_the_log,
          "I8": i8_what_was_committed_stays,
          "I9": i9_a_key_is_taken_twice_only_after_an_unknown}


def check_all(system, load, recovery_s):
    """Invariant -> "" or what is wrong. The audit speaks for I2 and I4 too."""
    found = {}
    try:
        seen = settled(system)
    except AssertionError as error:
        found = dict.fromkeys(CHECKS, "")
        found["I7"] = f"not settled: {error}"
        return found
    for name, check in CHECKS.items():
        try:
            check(seen, system, load)
            found[name] = ""
        except (AssertionError, KeyError) as error:
            found[name] = f"{type(error).__name__}: {error}"
    if found["I3"]:
        for name in ("I2", "I4"):
            found[name] = found[name] or found["I3"]
    found["I7"] = "" if recovery_s is not None and recovery_s <= RECOVERY_S_MAX else (
        f"no progress within {RECOVERY_S_MAX} s of the fault's end")
    return found

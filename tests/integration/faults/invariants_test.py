#!/usr/bin/env python3
"""The checks find what they are for: a small history holds every invariant, and each way of breaking
one is found by the check of that name and by no other."""

import collections
import copy
import pathlib
import sys
import types

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import harness  # noqa: E402
import invariants  # noqa: E402
from workload import CAP, CAPPED  # noqa: E402


def decision(n, outcome="send", trigger="transactional", **more):
    return {"event": f"evt_{n}", "partition": 0, "offset": n, "part": 0, "verdict": "accepted",
            "decisions": [{"trigger": trigger, "outcome": outcome,
                           "notification": f"ntf_{n}" if outcome == "send" else None}], **more}


def claim(seq, epoch, nonce):
    return {"partition": 0, "value": {"seq": seq, "owner_epoch": epoch, "owner_nonce": nonce,
                                      "state_root": f"{seq:032x}"}}


def message(n, to="+16465550001"):
    return {"key": f"ntf_{n}", "to": to}


class World:
    """Three events, one of them sent again; one person who said STOP; one capped message."""

    def __init__(self):
        self.seen = types.SimpleNamespace(
            inputs=[(0, n) for n in range(1, 6)],
            decisions=[decision(1), decision(2), decision(3, "suppress"),
                       decision(4, trigger="capped"),
                       decision(5, verdict="duplicate", duplicate_of="evt_1", decisions=[])],
            dead=[], journal=[claim(1, 1, "a"), claim(2, 2, "b")],
            classes={"ntf_1": "transactional", "ntf_2": "informational",
                     "ntf_4": "transactional"},
            status={"ntf_1": "delivered", "ntf_2": "sent", "ntf_4": "delivered"},
            results=collections.defaultdict(list, {"ntf_1": [(1, "ambiguous"), (2, "accepted")]}))
        self.seen.ambiguous = lambda key: len(
            {attempt for attempt, result in self.seen.results[key] if result == "ambiguous"})
        self.load = types.SimpleNamespace(
            answers={n: {"id": f"evt_{n}", "position": {"partition": 0, "offset": n}}
                     for n in (1, 2)},
            stopped={7: "evt_3"}, shrunk=[])
        self.audit = {"mismatches": 0, "decisions": 99}
        self.differences = []
        self.messages = [message(1), message(1), message(2), message(4, CAPPED)]
        self.system = types.SimpleNamespace(
            deployment=types.SimpleNamespace(audit=lambda: self.audit), simulator_url="")

    def listed(self, *_, **__):
        return 200, {}, {"messages": self.messages, "total": len(self.messages),
                         "kept": len(self.messages),
                         "distinct_keys": len({m["key"] for m in self.messages})}

    def broken(self):
        """The invariants that do not hold."""
        invariants.call = self.listed
        invariants.is_current = lambda _: True
        invariants.verify = lambda *_, **__: {"differences": self.differences}
        found = []
        for name, check in invariants.CHECKS.items():
            try:
                check(self.seen, self.system, self.load)
            except AssertionError:
                found.append(name)
        return found


def lost_decision(world):
    del world.seen.decisions[1]
    world.load.answers.pop(2)


def twice_decided(world):
    world.seen.decisions.append(copy.deepcopy(world.seen.decisions[1]))


def dead_letter(world):
    world.seen.dead.append({"reason": "crashed_process"})


def acknowledged_elsewhere(world):
    world.load.answers[2]["position"]["offset"] = 9


def two_became_one(world):
    world.load.answers[3] = {"id": "evt_5", "position": {"partition": 0, "offset": 5}}


def two_owners(world):
    world.seen.journal.append(claim(3, 2, "c"))


def audit_differs(world):
    world.audit["mismatches"] = 1


def no_root(world):
    for line in world.seen.journal:
        line["value"]["state_root"] = "0" * 32


def written_to_after_stop(world):
    world.seen.decisions[2]["decisions"][0]["outcome"] = "send"


def above_the_cap(world):
    world.seen.decisions[3]["decisions"] *= CAP + 1


def a_row_differs(world):
    world.differences.append({"table": "notifications"})


def the_view_shrank(world):
    world.load.shrunk.append("partition 0: projected 9, then 8")


def a_decision_became_another(world):
    world.system.committed = {(0, 1, 0): "evt_other"}


def sent_twice_without_doubt(world):
    world.seen.results.clear()


def sent_twice_against_its_class(world):
    world.messages.append(message(2))
    world.seen.results["ntf_2"] = [(1, "ambiguous")]


def sent_three_times(world):
    world.messages.append(message(1))


def nobody_decided_it(world):
    world.messages.append(message(99))


def said_to_be_sent_and_was_not(world):
    world.messages.remove(message(2))


BROKEN = {"I1": (lost_decision, twice_decided, dead_letter, acknowledged_elsewhere,
                 two_became_one),
          "I2": (two_owners,), "I3": (audit_differs,), "I4": (no_root,),
          "I5": (written_to_after_stop, above_the_cap), "I6": (a_row_differs,),
          "I8": (the_view_shrank, a_decision_became_another),
          "I9": (sent_twice_without_doubt, sent_twice_against_its_class, sent_three_times,
                 nobody_decided_it, said_to_be_sent_and_was_not)}


def a_sound_history_holds_all():
    assert World().broken() == [], World().broken()


def each_way_of_breaking_one_is_found():
    for name, ways in BROKEN.items():
        for way in ways:
            world = World()
            way(world)
            assert world.broken() == [name], (way.__name__, world.broken())
    assert set(BROKEN) == set(invariants.CHECKS)


if __name__ == "__main__":
    harness.main([a_sound_history_holds_all, each_way_of_breaking_one_is_found])

#!/usr/bin/env python3
"""Property test of the fold: random histories, decided by the engine and by the reference model.

    property_test.py --runner PATH [--seeds N] [--records N] [--first SEED] [--keep DIR]

Each seed gives one history; the engine decides it twice, the second time with a restart before
every batch, to the same state roots. On a difference prints the seed and what each of the two
decided, writes the smallest history found that still shows a difference, and ends with 1.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from itertools import zip_longest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import histories  # noqa: E402
import model  # noqa: E402

TRIES_MAX = 400  # Runs of both while a history is made smaller: some seconds.


def canonical(line):
    """A line of output as an object that does not depend on an order without meaning."""
    found = json.loads(line)
    if not isinstance(found, dict):
        return found
    found.pop("root", None)
    for name in ("dead_letters", "facts", "usage", "answers", "cancels"):
        if name in found:
            found[name] = sorted(found[name], key=json.dumps)
    return found


def places_in(history):
    return [(i, k) for i, line in enumerate(history) for k in range(len(line.get("records", [])))]


def without(history, gone):
    """The history without the records at those places."""
    smaller = history[:1]
    for i, batch in enumerate(history[1:], 1):
        kept = [record for k, record in enumerate(batch["records"]) if (i, k) not in gone]
        smaller.append(dict(batch, records=kept))
    return smaller


class Comparison:
    def __init__(self, runner, folder):
        self.runner = runner
        self.file = Path(folder) / "history.jsonl"

    def run(self, *options):
        ran = subprocess.run([self.runner, *options, self.file], capture_output=True, check=False,
                             encoding="utf-8", timeout=60)
        if ran.returncode != 0:
            return [json.dumps(f"exit {ran.returncode}: {ran.stderr.strip()}")]
        return ran.stdout.splitlines()

    def difference(self, history):
        """What the engine and the other say first differently, or None; and all of the engine's."""
        text = "".join(json.dumps(line) + "\n" for line in history)
        self.file.write_text(text, encoding="utf-8")
        printed = self.run()
        engine = [canonical(line) for line in printed]
        wanted = [canonical(line) for line in model.run_history(text.splitlines())]
        for got, expected in zip_longest(engine, wanted):
            if got != expected:
                return ("model", got, expected), engine
        # After a restart everything is decided as before, down to the root of the state.
        for got, expected in zip_longest(printed, self.run("--restart")):
            if got != expected:
                return ("engine after restarts", json.loads(got), json.loads(expected)), engine
        return None, engine

    def shrink(self, history):
        """Drops records in ever smaller groups while the two differ."""
        tries = 0
        size = max(1, sum(len(batch["records"]) for batch in history[1:]) // 2)
        while size >= 1:
            places = places_in(history)
            at = 0
            while at < len(places) and tries < TRIES_MAX:
                gone = set(places[at : at + size])
                smaller = without(history, gone)
                tries += 1
                if self.difference(smaller)[0]:
                    history = smaller
                    places = places_in(history)
                else:
                    at += size
            size //= 2
        return history[:1] + [batch for batch in history[1:] if batch["records"]]


def parts(got, expected):
    """The differing members only, where both are objects."""
    if not isinstance(got, dict) or not isinstance(expected, dict):
        return got, expected
    names = [n for n in {**got, **expected} if got.get(n) != expected.get(n)]
    return (
        {n: v for n, v in got.items() if n in names + ["event", "batch"]},
        {n: v for n, v in expected.items() if n in names + ["event", "batch"]},
    )


def report(comparison, seed, history, keep):
    print(f"seed {seed}: a difference; making the history smaller")
    smallest = comparison.shrink(history)
    (other, got, expected), _ = comparison.difference(smallest)
    target = Path(keep) / f"difference-{seed}.jsonl"
    target.write_text("".join(json.dumps(line) + "\n" for line in smallest), encoding="utf-8")
    got, expected = parts(got, expected)
    print(f"engine: {json.dumps(got)}\n{other}: {json.dumps(expected)}\nhistory: {target}")


def count(lines, counted):
    for line in lines:
        if not isinstance(line, dict):
            continue
        if "verdict" in line:
            counted[line["verdict"]] += 1
            counted.update(f"{d[4]} {d[5]}".strip() for d in line["decisions"])
        else:
            counted.update(f"{d[2]} {d[3]}" for d in line["dead_letters"])
            counted.update(f"{f[2]} {f[4] or f[3]}" for f in line["facts"])
            counted["answers"] += len(line["answers"])
            counted["cancels"] += len(line["cancels"])


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--runner", required=True, help="the program history_runner")
    arguments.add_argument("--seeds", type=int, default=40, help="how many histories")
    arguments.add_argument("--records", type=int, default=300, help="records a history")
    arguments.add_argument("--first", type=int, default=1, help="the first seed")
    arguments.add_argument("--keep", default=".", help="where a history that differs is written")
    options = arguments.parse_args()
    counted = Counter()
    differing = []
    with tempfile.TemporaryDirectory() as folder:
        comparison = Comparison(options.runner, folder)
        for seed in range(options.first, options.first + options.seeds):
            history = histories.make_history(seed, options.records)
            difference, lines = comparison.difference(history)
            count(lines, counted)
            if difference:
                differing.append(seed)
                report(comparison, seed, history, options.keep)
    last = options.first + options.seeds - 1
    print(f"seeds {options.first} to {last}, {options.records} records each")
    print(", ".join(f"{name}: {times}" for name, times in sorted(counted.items())))
    if differing:
        print(f"{len(differing)} histories differ: {differing}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

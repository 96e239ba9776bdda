#!/usr/bin/env python3
"""The README's words work: every file it names exists, and the commands of its `console` blocks run,
in order, after the job that ops/run runs."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    program = pathlib.Path(os.environ["ALERTSTREAM_TEST_PROGRAM"])
    readme = (ROOT / "README.md").read_text()
    named = set(re.findall(r"`((?:ops|processor|schemas|tests)/[\w./-]+)`", readme))
    missing = [name for name in sorted(named) if not (ROOT / name).exists()]
    assert not missing, f"README.md names what is not there: {missing}"
    for script in ("ops/run", "ops/test", "ops/kafka/broker"):
        assert script in readme and os.access(ROOT / script, os.X_OK), script
    job = (ROOT / "ops/run").read_text()
    example = "--rules ops/examples/payments/rules --events ops/examples/payments/events.jsonl"
    assert example in job.replace("\\\n", " ").replace("  ", " ") or "ops/examples/payments" in job

    commands = []
    for block in re.findall(r"```console\n(.*?)```", readme, re.S):
        commands += [line[2:] for line in block.splitlines() if line.startswith("$ ")]
    assert len(commands) >= 5, commands
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="alertstream-readme-"))
    try:
        (scratch / "ops").symlink_to(ROOT / "ops")
        environment = {key: value for key, value in os.environ.items()
                       if not key.startswith("ALERTSTREAM_")}
        environment["PATH"] = f"{program.parent}:{environment['PATH']}"
        first = f"alertstream decide {example} --data-dir .alertstream"
        for command in [first, *commands]:
            done = subprocess.run(["bash", "-c", command], cwd=scratch, env=environment,
                                  capture_output=True, text=True, timeout=60)
            print(f"$ {command}\n{done.stdout[-600:]}")
            if done.returncode != 0:
                print(done.stderr)
                print(f"FAILED: exit {done.returncode}: {command}")
                return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

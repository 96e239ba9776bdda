#!/usr/bin/env python3
"""The README's words work: every file it names exists, and the commands of its `console` blocks run,
in order, beside the server that ops/run starts."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

import harness  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Scratch:
    """A directory in which `alertstream dev` runs and commands are typed."""

    def __init__(self, program):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="alertstream-readme-"))
        # The user that runs dev's PostgreSQL has to pass, or the cluster would lie elsewhere.
        self.directory.chmod(0o711)
        (self.directory / "ops").symlink_to(ROOT / "ops")
        self.environment = {key: value for key, value in os.environ.items()
                            if not key.startswith("ALERTSTREAM_")}
        self.environment["PATH"] = f"{program.parent}:{self.environment['PATH']}"
        # Whatever listens on 8080 of this machine is not ours.
        self.environment["ALERTSTREAM_API_PORT"] = "0"
        self.servers = []
        self.log = harness.Logs.of_deployment() / "dev.log"

    def close(self):
        for server in self.servers:
            if server.poll() is None:
                server.send_signal(signal.SIGTERM)
                server.wait(timeout=30)
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self, command):
        """A server, until it has written how it is reached."""
        file = self.directory / ".alertstream/dev.json"
        with open(self.log, "a") as log:
            server = subprocess.Popen(["bash", "-c", "exec " + command], cwd=self.directory,
                                      env=self.environment, stdout=subprocess.DEVNULL, stderr=log)
        self.servers.append(server)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and server.poll() is None:
            if file.exists() and json.loads(file.read_text())["pid"] == server.pid:
                return
            time.sleep(0.05)
        raise AssertionError(f"{command}: " + self.log.read_text()[-3000:])

    def run(self, command):
        return subprocess.run(["bash", "-c", command], cwd=self.directory, env=self.environment,
                              capture_output=True, text=True, timeout=60)


def main():
    program = pathlib.Path(os.environ["ALERTSTREAM_TEST_PROGRAM"])
    readme = (ROOT / "README.md").read_text()
    named = set(re.findall(r"`((?:api|ops|processor|schemas|tests)/[\w./-]+)`", readme))
    missing = [name for name in sorted(named) if not (ROOT / name).exists()]
    assert not missing, f"README.md names what is not there: {missing}"
    for script in ("ops/run", "ops/test", "ops/kafka/broker"):
        assert script in readme and os.access(ROOT / script, os.X_OK), script
    job = re.search(r"^exec build/release/bin/(alertstream dev .*)$", (ROOT / "ops/run").read_text(),
                    re.M)
    assert job, "ops/run starts no dev"

    commands = []
    for block in re.findall(r"```console\n(.*?)```", readme, re.S):
        commands += [line[2:] for line in block.splitlines() if line.startswith("$ ")]
    assert len(commands) >= 10, commands
    scratch = Scratch(program)
    try:
        scratch.start(job.group(1))
        outputs = {}
        for command in commands:
            if command.endswith(" &"):
                scratch.start(command.removesuffix(" &"))
                continue
            done = scratch.run(command)
            outputs[command] = done.stdout
            print(f"$ {command}\n{done.stdout[-600:]}")
            if done.returncode != 0:
                print(done.stderr)
                print(f"FAILED: exit {done.returncode}: {command}")
                return 1
        said = " ".join(outputs.values())
        for word in ("SEND", "opted_out", "delivered", "mismatches     0"):
            assert word in said, f"no command printed {word}"
    finally:
        scratch.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

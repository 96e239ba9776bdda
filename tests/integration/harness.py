"""What the integration tests share: the built program, a scratch directory, the real broker, and
one place for what the processes say, which personal_data_test.py reads when all have ended.

Standard library only. A test is a function run by main(); a skipped one exits with 77 and says why.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = 77
METRICS_TIMEOUT_S = 2


def skip(reason):
    print("skipped:", reason)
    keep("skipped", reason + "\n")
    sys.exit(SKIPPED)


def program():
    path = os.environ.get("ALERTSTREAM_TEST_PROGRAM")
    if not path or not pathlib.Path(path).exists():
        raise SystemExit("ALERTSTREAM_TEST_PROGRAM must name the built program")
    return path


def logs_root():
    """Below the build: what the processes of all tests said."""
    return pathlib.Path(program()).resolve().parents[1] / "test-logs"


def is_running(pid):
    return pathlib.Path(f"/proc/{pid}").exists()


class Logs:
    """The directory of this run of this script; what its runs before have left goes."""

    directory = None
    test = "script"
    deployments = 0

    @classmethod
    def begin(cls):
        scripts = logs_root() / pathlib.Path(sys.argv[0]).stem
        for old in scripts.glob("*"):
            if not is_running(old.name):
                shutil.rmtree(old, ignore_errors=True)
        cls.directory = scripts / str(os.getpid())
        cls.directory.mkdir(parents=True, exist_ok=True)

    @classmethod
    def of_deployment(cls):
        if cls.directory is None:
            cls.begin()
        cls.deployments += 1
        made = cls.directory / f"{cls.test}-{cls.deployments}"
        made.mkdir()
        return made


def keep(name, text):
    """Adds what a process said to the logs of this run."""
    if Logs.directory is None:
        Logs.begin()
    with open(Logs.directory / f"{name}.log", "a") as file:
        file.write(text)


def keep_metrics(url):
    """What is counted now, if somebody answers."""
    try:
        with urllib.request.urlopen(url, timeout=METRICS_TIMEOUT_S) as answer:
            keep("metrics", answer.read().decode())
    except (OSError, ValueError):
        pass


def broker():
    address = os.environ.get("ALERTSTREAM_TEST_KAFKA")
    if not address:
        skip("ALERTSTREAM_TEST_KAFKA names no broker; ops/test starts one")
    return address


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(what, condition, seconds):
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


class Deployment:
    """One log, with a data directory and an environment of its own."""

    def __init__(self, kafka=None):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="alertstream-test-"))
        # The user that runs dev's PostgreSQL has to pass, or the cluster would lie elsewhere.
        self.directory.chmod(0o711)
        self.logs = Logs.of_deployment()
        self.data = self.directory / "data"
        self.kafka = kafka
        self.prefix = f"t{uuid.uuid4().hex[:10]}-"
        self.processes = []
        self.environment = {
            key: value for key, value in os.environ.items() if not key.startswith("ALERTSTREAM_")
        }
        self.environment["ALERTSTREAM_DATA_DIR"] = str(self.data)
        self.environment["ALERTSTREAM_PARTITIONS"] = "4"
        if kafka:
            self.environment["ALERTSTREAM_LOG"] = f"kafka://{kafka}"
            self.environment["ALERTSTREAM_KAFKA_TOPIC_PREFIX"] = self.prefix
            key = self.directory / "token.key"
            key.write_text("6b" * 32)
            key.chmod(0o600)
            self.environment["ALERTSTREAM_TOKEN_KEY_FILE"] = str(key)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        self.keep_logs_of_others()
        shutil.rmtree(self.directory, ignore_errors=True)

    def keep_logs_of_others(self):
        """What PostgreSQL and RocksDB wrote beside their data."""
        for pattern in ("server.log", "LOG", "LOG.old.*"):
            for path in self.directory.rglob(pattern):
                place = "-".join(path.relative_to(self.directory).parts)
                with contextlib.suppress(OSError):
                    shutil.copyfile(path, self.logs / f"{place}.log")

    def open_log(self, name):
        """A file for what a process of that name says."""
        return open(self.logs / f"{name}-{len(self.processes)}.log", "w+")

    def run(self, *arguments, expect=0, stdin=None, timeout=120):
        done = subprocess.run(
            [program(), *map(str, arguments)], cwd=ROOT, env=self.environment, input=stdin,
            capture_output=True, text=True, timeout=timeout)
        keep("commands", done.stderr)
        if expect is not None and done.returncode != expect:
            raise AssertionError(
                f"alertstream {' '.join(map(str, arguments))}: exit {done.returncode}, "
                f"expected {expect}\nstdout: {done.stdout[-4000:]}\nstderr: {done.stderr[-4000:]}")
        return done

    def lines(self, *arguments, **options):
        """The JSON objects that a command prints, one a line."""
        text = self.run(*arguments, **options).stdout
        return [json.loads(line) for line in text.splitlines() if line.strip()]

    def serve(self, *arguments, ready=True):
        self.port = free_port()
        environment = dict(self.environment, ALERTSTREAM_METRICS_PORT=str(self.port))
        log = self.open_log("serve")
        process = subprocess.Popen(
            [program(), "serve", "--target=processor", *arguments], cwd=ROOT, env=environment,
            stdout=log, stderr=log)
        process.log = log
        process.metrics_url = f"http://127.0.0.1:{self.port}/metrics"
        self.processes.append(process)
        if ready:
            wait_for("ready", lambda: process.poll() is not None or self.ready(), 60)
            if process.poll() is not None:
                raise AssertionError("serve ended: " + self.log_of(process))
        return process

    def log_of(self, process):
        process.log.flush()
        return pathlib.Path(process.log.name).read_text()

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def ready(self):
        return self.get("/health/ready")[0] == 200

    def stop(self, process, how=signal.SIGTERM, seconds=10):
        if how != signal.SIGKILL and hasattr(process, "metrics_url"):
            keep_metrics(process.metrics_url)
        begun = time.monotonic()
        process.send_signal(how)
        process.wait(timeout=seconds + 20)
        return time.monotonic() - begun

    def produce(self, topic, records, partition=None, headers=()):
        """Writes (key, value) pairs with kcat, a foreign Kafka client."""
        command = ["kcat", "-P", "-b", self.kafka, "-t", self.prefix + topic, "-K", "\t",
                   "-X", "partitioner=murmur2_random"]
        if partition is not None:
            command += ["-p", str(partition)]
        for header in headers:
            command += ["-H", header]
        text = "".join(f"{key}\t{value}\n" for key, value in records)
        subprocess.run(command, input=text.encode(), check=True, timeout=60)

    def consume(self, topic):
        """All records of a topic as (partition, offset, key, value), read with kcat."""
        done = subprocess.run(
            ["kcat", "-C", "-b", self.kafka, "-t", self.prefix + topic, "-e", "-q", "-X",
             "isolation.level=read_committed", "-f", "%p\t%o\t%k\t%R%s"],
            capture_output=True, check=True, timeout=60)
        data, at, records = done.stdout, 0, []
        while at < len(data):
            fields = []
            for _ in range(3):
                end = data.index(b"\t", at)
                fields.append(data[at:end])
                at = end + 1
            size = int.from_bytes(data[at:at + 4], "big")
            at += 4
            records.append((int(fields[0]), int(fields[1]), fields[2].decode(), data[at:at + size]))
            at += size
        return records

    def outputs(self, what):
        """The values of an output topic, released through the journal."""
        return [line.get("value", line) for line in
                self.lines("tail", what, "--from", "beginning", "--no-follow", "-o", "jsonl")]

    def decisions(self):
        return self.outputs("decisions")

    def audit(self):
        return json.loads(self.run("audit", "verify", "-o", "json").stdout)


def mark_as_poison(path, topic, offset, crashes=2):
    """Writes the crash marker of a partition as if its process had died that often on a record."""
    # magic, offset and topic folded last, folding, signal, crashes, the suspect's topic and offset.
    path.write_bytes(struct.pack("<QqIIIII4xq", 0x414C525443525331, offset, topic, 0, 0, crashes,
                                 topic, offset))


def main(tests):
    names = sys.argv[1:]
    Logs.begin()
    for test in tests:
        if names and test.__name__ not in names:
            continue
        Logs.test = test.__name__
        begun = time.monotonic()
        try:
            test()
        except SystemExit:
            raise
        except BaseException:
            traceback.print_exc()
            print(f"FAILED {test.__name__}")
            sys.exit(1)
        print(f"ok {test.__name__} ({time.monotonic() - begun:.1f} s)")

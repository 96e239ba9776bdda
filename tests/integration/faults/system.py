"""What is attacked: three Kafka nodes, PostgreSQL, the provider simulator, and the API, a processor, a
dispatcher and a projector as processes of their own, with a proxy on every way between them."""

import contextlib
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import harness  # noqa: E402
from dev_test import Dev, call  # noqa: E402
from disk import STATE_DISK_MB, mounted  # noqa: E402
from kafka_flow_test import log_in  # noqa: E402
from projections_test import sql  # noqa: E402
from proxied import Proxy  # noqa: E402
from serve_test import Servers  # noqa: E402

NODES = 3
HEAP = "320m"
PARTS = ("api", "processor", "dispatcher", "projector")
SOCKET = ".s.PGSQL.5432"


def values_of(path):
    """The NAME='value' lines of a file."""
    return {name: value.strip("'") for name, value in
            (line.split("=", 1) for line in path.read_text().splitlines())}


class Kafka:
    """Brokers of our own, below a directory that goes with them: a plain cluster, or a single one with
    TLS and passwords."""

    script = harness.ROOT / "ops/kafka/broker"

    def __init__(self, secure=False):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="alertstream-brokers-"))
        self.secure = secure
        self.proxy_ports = [harness.free_port() for _ in range(1 if secure else NODES)]

    def control(self, *arguments):
        done = subprocess.run([self.script, *arguments, "--dir", self.directory, "--heap", HEAP],
                              capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, done.stdout[-500:] + done.stderr[-2000:]

    def __enter__(self):
        try:
            kind = ("--secure", "--port", "0") if self.secure else ("--nodes", str(NODES))
            self.control("start", *kind, "--proxied", ",".join(map(str, self.proxy_ports)))
        except BaseException:
            self.__exit__()
            raise
        self.environment = values_of(self.directory / "client.env")
        return self

    def __exit__(self, *_):
        with contextlib.suppress(AssertionError):
            self.control("stop", "--kill")
        for log in self.directory.glob("**/broker.log"):
            harness.keep("brokers", log.read_text(errors="replace"))
        shutil.rmtree(self.directory, ignore_errors=True)

    def kill(self, node):
        self.control("stop", "--kill", "--node", str(node))

    def start(self, node):
        self.control("start", "--node", str(node))

    def pid(self, node):
        return int((self.directory / f"node-{node}/pid").read_text().split()[0])

    def target(self, node):
        where = self.directory if self.secure else self.directory / f"node-{node}"
        return "127.0.0.1:" + (where / "proxied.port").read_text().strip()


class Postgres:
    """The cluster of a dev that does nothing else; a killed server is started again by it."""

    def __init__(self, lender):
        self.data = lender.data / "postgres"
        dev = Dev(lender)
        self.url = dev.info["postgres_url"]
        harness.wait_for("PostgreSQL", lambda: call("GET", dev.info["api_url"] + "/health")[2]
                         ["postgres"]["status"] == "ready", 60)

    def new_database(self, name):
        sql(self.url.replace("alertstream@/alertstream?", "postgres@/postgres?"),
            f"CREATE DATABASE {name} OWNER alertstream")
        return self.url.replace("@/alertstream?", f"@/{name}?")

    def pids(self):
        server = int((self.data / "data/postmaster.pid").read_text().split()[0])
        children = pathlib.Path(f"/proc/{server}/task/{server}/children").read_text().split()
        return [server, *map(int, children)]

    def signal(self, how):
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)


class System(Servers):
    """`deployment` is over the brokers directly: for commands that look, and change nothing."""

    tenant = "acme"

    def __init__(self, deployment, kafka, postgres):
        self.kafka, self.postgres = kafka, postgres
        deployment.environment["ALERTSTREAM_DISPATCH_CALL_TIMEOUT"] = "1s"
        deployment.environment["ALERTSTREAM_KAFKA_REPLICATION"] = str(len(kafka.proxy_ports))
        if kafka.secure:
            log_in(deployment, kafka.environment, "admin")
        self.direct_url = postgres.new_database("t" + deployment.prefix.rstrip("-"))
        deployment.environment["ALERTSTREAM_POSTGRES_URL"] = self.direct_url
        super().__init__(deployment, PARTS)
        # The user that runs PostgreSQL does not come here, root and we do.
        self.sockets = deployment.directory / "sockets"
        self.sockets.mkdir(mode=0o700)
        ports = {name: harness.free_port() for name in ("provider", "callbacks", "clients")}
        host = "127.0.0.1:"
        routes = {f"kafka-{node}": (host + str(port), kafka.target(node))
                  for node, port in enumerate(kafka.proxy_ports, 1)}
        routes["postgres"] = (f"{self.sockets}/{SOCKET}", f"{self.socket_of_server()}/{SOCKET}")
        routes["provider"] = (host + str(ports["provider"]),
                              self.info["provider_url"].removeprefix("http://"))
        for name in ("callbacks", "clients"):
            routes[name] = (host + str(ports[name]), host + str(self.api_port))
        self.proxy = Proxy(routes, deployment.open_log("proxy"))
        self.lead_through_proxies(ports)
        self.simulator_url = self.info["provider_url"]
        self.environments = {name: self.through_proxies() for name in PARTS}
        # Of its own, for it may lie on a small disk.
        self.state = deployment.directory / "processor"
        self.environments["processor"]["ALERTSTREAM_DATA_DIR"] = str(self.state)

        self.give_clock("processor")

    def give_clock(self, part):
        """The part's wall clock can be made wrong from here on."""
        library = self.deployment.directory / "shifted_clock.so"
        source = pathlib.Path(__file__).with_name("shifted_clock.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
        self.clock = self.deployment.directory / "clock"
        self.shift_clock(0)
        self.environments[part] |= {"LD_PRELOAD": str(library),
                                    "SHIFTED_CLOCK_FILE": str(self.clock)}

    def shift_clock(self, seconds):
        with open(self.clock, "r+b" if self.clock.exists() else "wb") as file:
            file.write(struct.pack("=q", seconds))

    def socket_of_server(self):
        return self.direct_url.split("host=")[1].split("&")[0]

    def lead_through_proxies(self, ports):
        keys = pathlib.Path(self.deployment.environment["ALERTSTREAM_KEYS_FILE"])
        text = keys.read_text()
        text = text.replace(f'base_url = "{self.info["provider_url"]}"',
                            f'base_url = "http://127.0.0.1:{ports["provider"]}"')
        text = text.replace(f'public_url = "{self.info["api_url"]}"',
                            f'public_url = "http://127.0.0.1:{ports["callbacks"]}"')
        keys.write_text(text)
        self.callback_url = f'http://127.0.0.1:{ports["callbacks"]}'
        self.direct_api_url = self.info["api_url"]
        self.info["api_url"] = f'http://127.0.0.1:{ports["clients"]}'

    def through_proxies(self):
        address = self.kafka.environment["PROXIED_BOOTSTRAP"]
        url = self.direct_url.replace(str(self.socket_of_server()), str(self.sockets))
        return {**self.deployment.environment, "ALERTSTREAM_LOG": f"kafka://{address}",
                "ALERTSTREAM_POSTGRES_URL": url}

    def start(self, name):
        kept = self.deployment.environment
        self.deployment.environment = self.environments[name]
        try:
            super().start(name)
        finally:
            self.deployment.environment = kept

    def prepare(self):
        self.deployment.run("migrate", "up")
        self.deployment.run("topics", "apply")
        for name in PARTS:
            self.start(name)
        self.wait_until_ready()

    def health(self, name):
        try:
            return call("GET", f"http://127.0.0.1:{self.ports[name]}/health/ready", timeout=3)
        except (OSError, ValueError):
            return 0, {}, ""

    def all_ready(self):
        return all(self.health(name)[0] == 200 for name in PARTS)

    def ended(self):
        """The processes that should run and do not."""
        return [name for name in PARTS if self.processes[name].poll() is not None]

    def read(self, path):
        return call("GET", self.direct_api_url + "/api/v1/" + path, None,
                    {"X-API-Key": self.info["secret_key"]}, timeout=5)

    def close(self):
        self.proxy.set("none")
        result = {name: self.end(name, signal.SIGTERM) for name in PARTS}
        self.proxy.stop()
        return result


@contextlib.contextmanager
def running(secure=False):
    """A system on brokers and a database of its own."""
    for tool in ("kcat", "psql", "java"):
        if shutil.which(tool) is None:
            harness.skip(f"{tool} is not installed; ops/install brings it")
    with harness.Deployment() as lender, Kafka(secure) as kafka:
        postgres = Postgres(lender)
        address = kafka.environment["KAFKA_BOOTSTRAP"]
        with harness.Deployment(kafka=address) as deployment:
            system = System(deployment, kafka, postgres)
            with mounted(system.state, STATE_DISK_MB) as system.has_small_disk:
                try:
                    system.prepare()
                    yield system
                finally:
                    system.proxy.stop()


def paused(pids, seconds):
    """SIGSTOP for as long."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

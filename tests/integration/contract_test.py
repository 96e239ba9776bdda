#!/usr/bin/env python3
"""The API against its description: schemathesis (PyPI) makes requests from openapi.json, right and
wrong ones, and a running `alertstream dev` may answer none of them with 5xx or as the document does
not say. Skips if PyPI cannot be reached and the packages were not fetched before."""

import hashlib
import json
import os
import pathlib
import subprocess
import sys

import harness
from dev_test import Dev, call

HERE = pathlib.Path(__file__).resolve().parent
REQUIREMENTS = HERE / "contract_requirements.txt"
VENV = harness.ROOT / "build" / "contract-venv"
CHECKS = ["not_a_server_error", "status_code_conformance", "content_type_conformance",
          "response_schema_conformance", "response_headers_conformance", "unsupported_method"]
# Of an operation and phase. ALERTSTREAM_TEST_CONTRACT_CASES makes it a search; then the requests are
# others every time.
CASES = 30


def tools():
    """The folder of the programs, fetched if they are not there or are others."""
    mark = VENV / "requirements.sha256"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if not mark.exists() or mark.read_text() != wanted:
        for command in ([sys.executable, "-m", "venv", "--clear", str(VENV)],
                        [str(VENV / "bin/pip"), "install", "--quiet", "--no-input",
                         "--disable-pip-version-check", "--retries", "1", "--timeout", "20",
                         "--requirement", str(REQUIREMENTS)]):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                words = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
                harness.skip(f"schemathesis cannot be fetched from PyPI: {words[-1]}")
        mark.write_text(wanted)
    return VENV / "bin"


def the_document_is_openapi_3_1():
    with harness.Deployment() as deployment:
        path = deployment.directory / "openapi.json"
        path.write_text(deployment.run("openapi").stdout)
        assert json.loads(path.read_text())["openapi"].startswith("3.1.")
        subprocess.run([tools() / "openapi-spec-validator", str(path)], check=True)


def every_route_is_described_and_nothing_else():
    with harness.Deployment() as deployment:
        dev = Dev(deployment, "--verbose")
        status, _, served = call("GET", dev.info["api_url"] + "/openapi.json")
        assert status == 200 and served == json.loads(deployment.run("openapi").stdout)
        dev.stop()
        faults = [line for line in deployment.log_of(dev.process).splitlines()
                  if "api_description" in line]
        assert not faults, "\n".join(faults)


def prepare(dev):
    """What the examples of the document name, so that their requests find something; and the token
    of a user, who reads, while the tenant's key changes things."""
    key = {"X-API-Key": dev.info["operator_key"]}
    events = [{"kind": "trigger", "id": "receipt", "event_type": "payment.completed",
               "channel": "sms", "recipients": {"field": "data.phone"},
               "template": {"body": "Thank you."}, "message_class": "transactional"},
              {"kind": "event", "event_type": "payment.completed",
               "data": {"phone": "+254712345678", "amount": 7}}]
    status, _, answer = call("POST", dev.info["api_url"] + "/api/v1/control/events",
                             {"tenant": dev.info["tenant_id"], "events": events}, key)
    assert status == 200, answer
    status, _, session = call("POST", dev.info["api_url"] + "/api/v1/auth/login",
                              {"email": dev.info["user_email"],
                               "password": dev.info["user_password"]},
                              {"Content-Type": "application/json"})
    assert status == 200, session
    return session["access_token"]


def no_answer_is_a_fault_or_undescribed():
    programs = tools()
    with harness.Deployment() as deployment:
        dev = Dev(deployment)
        token = prepare(dev)
        document = deployment.directory / "openapi.json"
        document.write_text(deployment.run("openapi").stdout)
        environment = dict(
            os.environ, SCHEMATHESIS_HOOKS="contract_hooks", PYTHONPATH=str(HERE),
            PYTHONDONTWRITEBYTECODE="1", CONTRACT_OPERATOR_KEY=dev.info["operator_key"],
            CONTRACT_SECRET_KEY=dev.info["secret_key"],
            CONTRACT_SIGNING_SECRET=dev.info["signing_secret"], CONTRACT_USER_TOKEN=token)
        cases = os.environ.get("ALERTSTREAM_TEST_CONTRACT_CASES")
        command = [programs / "st", "run", str(document), "--url", dev.info["api_url"], "--checks",
                   ",".join(CHECKS), "--phases", "examples,coverage,fuzzing", "--max-examples",
                   cases or str(CASES), "--continue-on-failure", "--no-shrink", "--no-color",
                   "--warnings", "off", "--request-timeout", "20"]
        if not cases:
            command.append("--generation-deterministic")
        done = subprocess.run(command, cwd=deployment.directory, env=environment,
                              capture_output=True, text=True)
        assert dev.process.poll() is None, "dev ended: " + deployment.log_of(dev.process)[-2000:]
        assert done.returncode == 0, done.stdout[-20000:] + done.stderr[-2000:]
        print(*[line.strip() for line in done.stdout.splitlines() if " passed" in line])


if __name__ == "__main__":
    harness.main([the_document_is_openapi_3_1, every_route_is_described_and_nothing_else,
                  no_answer_is_a_fault_or_undescribed])

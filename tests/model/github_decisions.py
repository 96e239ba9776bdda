#!/usr/bin/env python3
"""Real webhooks of GitHub through the program and through the reference model.

    github_decisions.py events PAYLOADS [--form native|cloudevents] > events.jsonl
    github_decisions.py fold PAYLOADS --runner PATH
    github_decisions.py compare PAYLOADS DECISIONS.jsonl [--commands COMMANDS.jsonl] [--rules DIR]

PAYLOADS is the folder that fetch_payloads.sh filled; without it the program skips (77). `events`
writes one event a line with the type github.<webhook> and an id of edition, webhook and number. No
example is a workflow run that failed, so every workflow_run comes a second time as one: a copy
whose conclusion is "failure", with "-failed" at the end of its id.
`fold` compares the fold alone (history_runner) with the model, texts included. `compare` reads what
the program decided on the events under ops/examples/github/rules, `-o jsonl` of decide or of tail
decisions: a line a decision record with "event_id_given" (without it the records are taken in the
order of "offset"), "verdict", "candidates", "part", "decisions" with "trigger", "version",
"channel", "outcome", "reason" and "segments". With COMMANDS (topic dump notification-commands
--show-personal) the texts are compared as well. Ends with 1 at a difference.
tests/integration/github_flow_test.py does the same for both logs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from itertools import zip_longest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import model  # noqa: E402

RULES = Path(__file__).resolve().parents[2] / "ops" / "examples" / "github" / "rules"
TENANT = "builders"
NOW = 1_795_176_000 * model.SECOND  # The rules say nothing of time within a day.
BATCH_RECORDS = 50
FIRST_ON_CALL, SECOND_ON_CALL = "+14155550110", "+14155550111"

# The rules once more, as the model reads them; `check_rules` holds them against the files.
PLAN = {"id": "team", "sends_per_month_max": 1000}
SENDER = {"id": "ci", "provider": "twilio", "number": "+1 415 555 0101", "is_default": True}
TRIGGERS = [
    {
        "id": "workflow-failed",
        "event_type": "github.workflow_run",
        "when": 'event.data.action == "completed" '
        '&& event.data.workflow_run.conclusion == "failure"',
        "to": [FIRST_ON_CALL, SECOND_ON_CALL],
        "template_body": "{{data.repository.full_name}}: {{data.workflow_run.name}} failed on "
        "{{data.workflow_run.head_branch}} {{data.workflow_run.html_url}}",
    },
    {
        "id": "issue-opened",
        "event_type": "github.issues",
        "when": 'event.data.action == "opened"',
        "to": [FIRST_ON_CALL],
        "template_body": "{{data.repository.full_name}} #{{data.issue.number}} by "
        "{{data.sender.login}}: {{data.issue.title}}",
    },
    {
        "id": "push-to-main",
        "event_type": "github.push",
        "when": 'event.data.ref in ["refs/heads/main", "refs/heads/master"]',
        "to": [SECOND_ON_CALL],
        "template_body": "{{data.pusher.name}} pushed to {{data.repository.full_name}}"
        "{{#data.forced}} WITH FORCE{{/data.forced}}",
        "daily_cap": 50,
    },
]


def payloads(folder):
    """(id, type, payload) of every example, and of the failed workflow runs, in a fixed order."""
    for index in sorted(Path(folder).glob("*/index.json")):
        for webhook in json.loads(index.read_text(encoding="utf-8")):
            for number, payload in enumerate(webhook["examples"]):
                event_id = f"{index.parent.name}-{webhook['name']}-{number}"
                yield event_id, f"github.{webhook['name']}", payload
                if webhook["name"] == "workflow_run":
                    run = dict(payload["workflow_run"], conclusion="failure")
                    yield f"{event_id}-failed", "github.workflow_run", \
                        dict(payload, workflow_run=run)


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def event_lines(folder, form):
    """Every event as a line of JSON: native or cloudevents."""
    for event_id, event_type, payload in payloads(folder):
        if form == "native":
            line = {"event_type": event_type, "id": event_id, "source": "github", "tenant": TENANT}
        else:
            line = {"specversion": "1.0", "type": event_type, "id": event_id, "source": "github"}
        yield compact(dict(line, data=payload))


def check_rules(folder):
    """Stops if the files do not hold the conditions and texts that the model has."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(Path(folder).glob("*.yaml")))
    wanted = [part for trigger in TRIGGERS for part in (trigger["id"], trigger["when"],
                                                        trigger["template_body"])]
    missing = [part for part in wanted + ["sends_per_month_max: 1000"] if part not in text]
    if missing or text.count("kind: trigger") != len(TRIGGERS):
        sys.exit(f"{folder}: the rules are not those of the model any more: {missing}")


def history(folder):
    """The rules and all events as batches (model.py), and the (id, type) of every event."""
    records = []

    def add(topic, offset, envelope):
        head = {"schema_version": 1, "tenant": TENANT, "routing_key": TENANT}
        head["trust"] = "TRUST_SYSTEM"
        records.append({"topic": topic, "offset": offset, "append_time_us": NOW, "key": TENANT,
                        "as": "envelope", "envelope": {**head, **envelope}})

    changes = [{"tenant": {"status": "TENANT_STATUS_ACTIVE", "plan": "team"}}, {"plan": PLAN},
               {"sender": SENDER}]
    for trigger in TRIGGERS:
        entity = {name: value for name, value in trigger.items() if name != "to"}
        entity["recipients"] = {"list": {"addresses": [{"plain": p} for p in trigger["to"]]}}
        entity.update(channel="CHANNEL_SMS", enabled=True)
        entity["message_class"] = "MESSAGE_CLASS_TRANSACTIONAL"
        changes.append({"trigger": entity})
    for offset, change in enumerate(changes):
        add("account-changes", offset, {"account_change": change})
    ids = []
    for event_id, event_type, payload in payloads(folder):
        add("site-events", len(ids), {"id": event_id, "source": "github", "type": event_type,
                                      "site_event": {"data": {"plain": compact(payload)}}})
        ids.append((event_id, event_type))
    steps = range(0, len(records), BATCH_RECORDS)
    return [{"now_us": NOW, "records": records[at : at + BATCH_RECORDS]} for at in steps], ids


def expected(folder):
    """id -> (the model's line of the event, its type)"""
    batches, ids = history(folder)
    decider = model.Model()
    lines = [line for batch in batches for line in decider.run(0, batch)]
    events = [line for line in lines if "event" in line]
    if len(events) != len(ids):
        sys.exit(f"the model refuses events: {[line for line in lines if 'batch' in line]}")
    return {ids[line["event"]][0]: (line, ids[line["event"]][1]) for line in events}


def run_fold(options):
    """The same on the fold alone, texts included."""
    batches, ids = history(options.payloads)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        people = sorted({phone for trigger in TRIGGERS for phone in trigger["to"]})
        for line in [{"addresses": [["PHONE", phone] for phone in people]}, *batches]:
            file.write(json.dumps(line) + "\n")
        file.flush()
        ran = subprocess.run([options.runner, file.name], capture_output=True, check=True,
                             encoding="utf-8")
    lines = [line for line in map(json.loads, ran.stdout.splitlines()) if "event" in line]
    events = expected(options.payloads)
    check_fires(events)
    wanted = [line for line, _ in events.values()]
    differing = [(got, line) for got, line in zip_longest(lines, wanted) if got != line]
    for got, line in differing[:20]:
        print(f"fold:  {got}\nmodel: {line}")
    print(f"{len(ids)} events, {len(differing)} differences")
    return 1 if differing or not ids else 0


def read_decisions(path, ids):
    """id -> the program's record, its parts joined"""
    text = Path(path).read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines() if line]
    if not all("event_id_given" in line for line in lines):
        offsets = sorted({line["offset"] for line in lines})
        order = {offset: ids[rank] for rank, offset in enumerate(offsets) if rank < len(ids)}
        lines = [dict(line, event_id_given=order[line["offset"]]) for line in lines]
    found = {}
    for line in sorted(lines, key=lambda line: line.get("part", 0)):
        record = found.setdefault(line["event_id_given"], dict(line, decisions=[]))
        record["decisions"] += line.get("decisions", [])
    return found


def read_texts(path):
    """(decision id) -> text"""
    commands = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    values = [command.get("value", command) for command in commands]
    return {value["decision_id"]: value["body"] for value in values if "decision_id" in value}


def differences(wanted, found, texts):
    for event_id, (line, event_type) in wanted.items():
        record = found.get(event_id)
        if record is None or "decisions" not in record or "verdict" not in record:
            yield f"{event_id}: no decision record"
            continue
        if record["event_type"] != event_type:
            yield f"{event_id}: type {record['event_type']}"
        got = (record["verdict"].upper(), record["candidates"])
        if got != (line["verdict"], line["candidates"]):
            yield f"{event_id}: {got}, the model says {(line['verdict'], line['candidates'])}"
        decided = [
            (d["trigger"], d["version"], d["channel"].upper(), d["outcome"].upper(),
             (d["reason"] or "").upper(), d["segments"])
            for d in record["decisions"]
        ]
        model_decided = [(d[0], d[1], d[3], d[4], d[5], d[6]) for d in line["decisions"]]
        if decided != model_decided:
            yield f"{event_id}: {decided}, the model says {model_decided}"
        for d, expected_decision in zip(record["decisions"], line["decisions"]):
            if texts is not None and texts.get(d["id"], "") != expected_decision[7]:
                yield f"{event_id}: another text than the model's {expected_decision[7]!r}"
    for event_id in sorted(found.keys() - wanted.keys()):
        yield f"{event_id}: decided, but it was never sent"


def check_fires(wanted):
    """Stops if a trigger never fires: then the comparison would show less than it says."""
    fired = {d[0] for line, _ in wanted.values() for d in line["decisions"] if d[4] == "SEND"}
    silent = {trigger["id"] for trigger in TRIGGERS} - fired
    if silent:
        sys.exit(f"no event fires {sorted(silent)}")


def compare(options):
    check_rules(options.rules)
    wanted = expected(options.payloads)
    check_fires(wanted)
    found = read_decisions(options.decisions, list(wanted))
    texts = read_texts(options.commands) if options.commands else None
    problems = list(differences(wanted, found, texts))
    for problem in problems[:20]:
        print(problem)
    sends = sum(d[4] == "SEND" for line, _ in wanted.values() for d in line["decisions"])
    print(f"{len(wanted)} events, {sends} sends by the model, {len(problems)} differences")
    return 1 if problems else 0


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = arguments.add_subparsers(dest="command", required=True)
    events = commands.add_parser("events", help="write the events")
    events.add_argument("payloads")
    events.add_argument("--form", choices=["native", "cloudevents"], default="native")
    fold = commands.add_parser("fold", help="compare the fold's decisions with the model's")
    fold.add_argument("payloads")
    fold.add_argument("--runner", required=True, help="the program history_runner")
    check = commands.add_parser("compare", help="compare the program's decisions with the model's")
    check.add_argument("payloads")
    check.add_argument("decisions")
    check.add_argument("--commands", help="the commands, to compare the texts too")
    check.add_argument("--rules", default=RULES)
    options = arguments.parse_args()
    if not (Path(options.payloads) / "version").exists():
        print(f"skipped: no payloads in {options.payloads}; fetch_payloads.sh fetches them",
              file=sys.stderr)
        return 77
    if options.command == "events":
        for line in event_lines(options.payloads, options.form):
            print(line)
        return 0
    return run_fold(options) if options.command == "fold" else compare(options)


if __name__ == "__main__":
    sys.exit(main())

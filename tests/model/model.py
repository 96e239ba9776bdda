#!/usr/bin/env python3
"""The independent reference model: what the rules decide for a history of batches.

    model.py HISTORY.jsonl > DECISIONS.jsonl

A small second implementation of the rules in plain Python, to compare with the real fold
(tests/support/history_runner prints the same lines). It keeps plain dictionaries instead of a state
store and knows nothing of journals, roots or ids.

The first line is {"addresses": [[kind, normalised address], ...]}, every person that the history
may name. Every other is a batch: {"now_us": N, "records": [RECORD, ...]}, a RECORD is {"topic",
"offset", "append_time_us", "key", "as": "envelope" | "structured" | "binary" | "raw", "envelope" or
"value"}; the envelope is the message in protobuf's JSON mapping with the fields' own names, except
that personal data is text: {"plain": "+254700000001"}.

The output, by batch, is one JSON object a line, sorted where the order means nothing:
  {"batch", "dead_letters": [[topic, offset, stage, reason]],
   "facts": [[topic, offset, subject, result, reason, version]], "usage": [[tenant, month, sends]],
   "answers": [[tenant, to, body, expires_at_us]],
   "cancels": [[tenant, trigger, recipient, channel, event offset]]}
  {"tenant", "event": offset, "verdict", "candidates", "duplicate_of": offset | null,
   "decisions": [[trigger, version, recipient, channel, outcome, reason, segments, body, sender,
                  expires_at_us]]}
"""

import hashlib
import json
import re
import sys
from datetime import datetime, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import cel  # noqa: E402
import mustache  # noqa: E402
import rules  # noqa: E402

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
DEDUPE_WINDOW = 7 * DAY
CAP_WINDOW = DAY
MAX_AGE_DEFAULT = DAY
ANSWER_WINDOW = 300 * SECOND
OUTSTANDING_MAX = 7 * DAY  # Nothing lives longer; no history tells of an attempt.
SEGMENTS_MAX = 10
RECIPIENTS_MAX = 1000
TENANT_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,47}")
EVENT_TYPE = re.compile(r"[A-Za-z0-9._:/-]+")
SITE_ID = re.compile(r"[A-Za-z0-9._-]+")
ORDER = ["account-changes", "opt-outs", "consent-changes", "inbound-messages", "site-events"]
PERMISSIONS = ORDER[1:4]
TOPIC_NUMBERS = {"consent-changes": 2, "opt-outs": 3, "inbound-messages": 4}
BY_THE_PERSON = ("RECIPIENT", "PROVIDER")
STOP_REPLY = "You are unsubscribed and will receive no further messages."
HELP_REPLY = "Reply STOP to unsubscribe."


class DeadLetter(Exception):
    def __init__(self, stage, reason):
        super().__init__(reason)
        self.stage, self.reason = stage, reason


class Rejected(Exception):
    pass


class Tenant:
    def __init__(self):
        self.record, self.version = {}, 0
        # Id -> (version, record)
        self.sites, self.plans, self.senders, self.triggers = {}, {}, {}, {}
        self.default_sender = ""
        self.people = {}  # (kind, address) -> Person
        self.sends = {}  # (trigger, address, channel) -> [time]
        self.quota = {}  # month -> sends
        self.seen = {}  # (site, trust, source, key) -> (time, body, offset)
        self.out = []  # (time, (kind, address), channel, class, trigger, event offset)


class Person:
    def __init__(self, who=None):
        self.who = who  # (kind, address)
        self.version = 0
        self.consents = {}  # (channel, class) -> (status, written, time)
        self.opt_outs = {}  # channel -> (by, time), active ones only


def word(value, prefix):
    """CHANNEL_SMS -> SMS; absent -> ""."""
    return (value or "").removeprefix(prefix + "_").replace("UNSPECIFIED", "")


def text_of(personal):
    return (personal or {}).get("plain", "")


def month_of(micros):
    date = datetime.fromtimestamp(micros // SECOND, timezone.utc)
    return date.year * 100 + date.month


def kind_of(channel):
    return {"EMAIL": "EMAIL", "PUSH": "PUSH_TOKEN"}.get(channel, "PHONE")


def refuse_duplicates(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate member")
    return found


def refuse_constant(name):
    raise ValueError(name)


def parse_data(text):
    """Event data by the JSON profile."""
    try:
        return json.loads(text, object_pairs_hook=refuse_duplicates, parse_constant=refuse_constant)
    except ValueError:
        raise DeadLetter("SCHEMA", "MALFORMED_JSON") from None


class Model:
    def __init__(self):
        self.tenants = {}
        self.now = 0

    # ---- a batch ----

    def run(self, number, batch):
        """The output lines of a batch."""
        self.now = batch["now_us"]
        self.dead, self.facts, self.answers, self.events = [], [], [], []
        self.cancels = []
        self.used = set()
        for record in self.in_order(batch["records"]):
            self.record = record
            try:
                self.fold(record)
            except DeadLetter as letter:
                self.dead.append([record["topic"], record["offset"], letter.stage, letter.reason])
        usage = []
        for tenant, month in sorted(self.used):
            usage.append([tenant, month, self.tenants[tenant].quota[month]])
        summary = {
            "batch": number,
            "dead_letters": sorted(self.dead),
            "facts": sorted(self.facts),
            "usage": usage,
            "answers": sorted(self.answers),
            "cancels": sorted(self.cancels),
        }
        return [summary] + self.events

    def in_order(self, records):
        def order(record):
            topic = record["topic"]
            if topic not in PERMISSIONS:
                return (ORDER.index(topic), record["offset"])
            permissive = 0 if self.restricts(record) else 1
            return (1, record["append_time_us"], permissive, TOPIC_NUMBERS[topic], record["offset"])

        first = [r for r in records if r["topic"] == "account-changes"]
        last = [r for r in records if r["topic"] == "site-events"]
        between = [r for r in records if r["topic"] in PERMISSIONS]
        return sorted(first, key=order) + sorted(between, key=order) + sorted(last, key=order)

    @staticmethod
    def restricts(record):
        envelope = record.get("envelope", {})
        if record["topic"] == "opt-outs":
            return word(envelope["opt_out_change"].get("status"), "OPT_OUT_STATUS") == "ACTIVE"
        if record["topic"] == "consent-changes":
            return word(envelope["consent_change"].get("status"), "CONSENT_STATUS") == "REVOKED"
        return rules.keyword(text_of(envelope["inbound_message"].get("body"))) == "stop"

    def fold(self, record):
        key = record["key"]
        if not TENANT_ID.fullmatch(key):
            raise DeadLetter("ROUTING", "INVALID_KEY")
        if record.get("as") == "raw":
            json_like = record["value"].startswith("{")
            raise DeadLetter("DECODE", "MALFORMED_JSON" if json_like else "MALFORMED_PROTOBUF")
        envelope = self.check(key, record["envelope"])
        tenant = self.tenants.get(key)
        if "account_change" in envelope:
            self.account_change(key, tenant, envelope["account_change"])
        elif "consent_change" in envelope:
            self.consent_change(tenant, envelope["consent_change"])
        elif "opt_out_change" in envelope:
            self.opt_out_change(tenant, envelope["opt_out_change"])
        elif "inbound_message" in envelope:
            self.inbound(key, tenant, envelope["inbound_message"])
        else:
            self.event(key, tenant, envelope)

    @staticmethod
    def check(key, envelope):
        """The few faults of an envelope that histories hold."""
        if envelope.get("schema_version", 0) == 0:
            raise DeadLetter("SCHEMA", "FIELD_MISSING")
        if envelope["schema_version"] > 1:
            raise DeadLetter("SCHEMA", "FUTURE_SCHEMA_VERSION")
        if envelope.get("tenant") != key or envelope.get("routing_key") != key:
            raise DeadLetter("SCHEMA", "TENANT_MISMATCH")
        if "site_event" in envelope:
            if not envelope.get("type"):
                raise DeadLetter("SCHEMA", "FIELD_MISSING")
            if not EVENT_TYPE.fullmatch(envelope["type"]):
                raise DeadLetter("SCHEMA", "FIELD_INVALID")
        if not envelope.get("trust"):
            raise DeadLetter("SCHEMA", "FIELD_MISSING")
        if not SITE_ID.fullmatch(envelope.get("site") or "x"):
            raise DeadLetter("SCHEMA", "FIELD_INVALID")
        return envelope

    def fact(self, subject, version, reason=""):
        result = "REJECTED" if reason else "ACCEPTED"
        record = self.record
        self.facts.append([record["topic"], record["offset"], subject, result, reason, version])

    # ---- account changes ----

    def account_change(self, key, tenant, change):
        expected = change.get("expected_version", 0)
        subject = next(name for name in change if name not in ("expected_version", "reason"))
        entity = change[subject]
        if subject == "tenant":
            present = tenant.version if tenant else 0
            if expected not in (0, present):
                return self.fact(subject, present, "VERSION_MISMATCH")
            if tenant and tenant.record == entity:
                return self.fact(subject, present)
            tenant = self.tenants.setdefault(key, Tenant())
            tenant.record, tenant.version = entity, present + 1
            return self.fact(subject, tenant.version)
        if tenant is None:
            return self.fact(subject, 0, "UNKNOWN_TENANT")
        table = getattr(tenant, subject + "s")
        present, before = table.get(entity["id"], (0, {}))
        if subject == "trigger":
            try:
                self.check_trigger(entity, before)
            except Rejected as reason:
                return self.fact(subject, present, str(reason))
        if expected not in (0, present):
            return self.fact(subject, present, "VERSION_MISMATCH")
        if subject == "sender":
            # Whoever was asked for last is the default, also if its own record stays the same.
            if entity.get("is_default"):
                tenant.default_sender = entity["id"]
            elif tenant.default_sender == entity["id"]:
                tenant.default_sender = ""
        if before == entity:
            return self.fact(subject, present)
        table[entity["id"]] = (present + 1, entity)
        return self.fact(subject, present + 1)

    @staticmethod
    def check_trigger(trigger, before):
        if trigger.get("deleted"):
            return
        if before.get("deleted"):
            raise Rejected("INVALID_FIELD")
        try:
            if trigger.get("when"):
                cel.compile_condition(trigger["when"])
        except cel.SyntaxFault:
            raise Rejected("INVALID_CONDITION") from None
        try:
            mustache.parse(trigger["template_body"])
        except mustache.TemplateFault:
            raise Rejected("INVALID_TEMPLATE") from None
        field = trigger["recipients"].get("field", "data")
        if field.split(".")[0] != "data":
            raise Rejected("INVALID_FIELD")
        channel = word(trigger["channel"], "CHANNEL")
        listed = trigger["recipients"].get("list", {}).get("addresses", [])
        if any(rules.normalize_address(channel, text_of(a)) is None for a in listed):
            raise Rejected("INVALID_FIELD")

    # ---- permissions ----

    def person_of(self, tenant, kind, address):
        """Who is meant: the normalised address and the person's record."""
        if tenant is None:
            raise DeadLetter("TENANT", "UNKNOWN_TENANT")
        channel = {"EMAIL": "EMAIL", "PUSH_TOKEN": "PUSH"}.get(kind, "SMS")
        address = rules.normalize_address(channel, text_of(address))
        if address is None:
            raise DeadLetter("SCHEMA", "FIELD_INVALID")
        who = (kind, address)
        return address, tenant.people.setdefault(who, Person(who))

    def change_of_person(self, tenant, change, subject, apply):
        kind = word(change["address_kind"], "ADDRESS_KIND")
        _, person = self.person_of(tenant, kind, change["address"])
        try:
            if change.get("expected_version", 0) not in (0, person.version):
                raise Rejected("VERSION_MISMATCH")
            apply(person, change)
        except Rejected as reason:
            self.fact(subject, person.version, str(reason))

    def accept(self, person, subject):
        person.version += 1
        self.fact(subject, person.version)

    def consent_change(self, tenant, change):
        self.change_of_person(tenant, change, "consent", self.apply_consent)

    def apply_consent(self, person, change):
        evidence = change.get("evidence", {})
        # Nobody can have acted after the record that says so was written.
        appended = self.record["append_time_us"]
        at = min(evidence.get("at_us", 0) or appended, appended)
        status = word(change["status"], "CONSENT_STATUS")
        channel = word(change["channel"], "CHANNEL")
        message_class = word(change["message_class"], "MESSAGE_CLASS")
        present = self.consent_in_force(person, channel, message_class)
        if present and at < present[0]:
            raise Rejected("OLDER_THAN_PRESENT")
        every = ["SMS", "WHATSAPP", "EMAIL", "PUSH", "VOICE"] if channel == "ALL" else [channel]
        in_force = {each: self.consent_in_force(person, each, message_class) for each in every}
        person.consents[channel, message_class] = (status, evidence.get("written", False), at)
        self.accept(person, "consent")
        if status == "GRANTED" and evidence.get("kind"):
            self.lift(person, channel, at)
        if status == "REVOKED":
            for each, present in in_force.items():
                if not (present and present[1]):  # What was revoked before took all back then.
                    self.take_back(person, each)

    @staticmethod
    def consent_in_force(person, channel, message_class):
        """(time, revoked, status, written) of the latest act, a revocation first; or None."""
        acts = [
            (at, status == "REVOKED", status, written)
            for (covered, for_class), (status, written, at) in person.consents.items()
            if for_class == message_class and covered in (channel, "ALL")
        ]
        return max(acts, default=None)

    def lift(self, person, channel, later_than):
        """Ends what the person did for the channel before that time; nobody else's entries.

        For one channel only that channel's: an opt-out of all ends by evidence for all of them.
        """
        for covered, (by, since) in sorted(person.opt_outs.items()):
            if channel in ("ALL", covered) and by in BY_THE_PERSON and since < later_than:
                del person.opt_outs[covered]
                self.accept(person, "opt_out")

    def opt_out_change(self, tenant, change):
        self.change_of_person(tenant, change, "opt_out", self.apply_opt_out)

    def apply_opt_out(self, person, change):
        channel = word(change["channel"], "CHANNEL")
        by = word(change["by"], "OPT_OUT_BY")
        if word(change["status"], "OPT_OUT_STATUS") == "ACTIVE":
            if self.opt_out(person, channel, by):
                self.take_back(person, channel)
            return
        present = person.opt_outs.get(channel)
        if by not in BY_THE_PERSON:
            if present is None:
                raise Rejected("NOT_OPTED_OUT")
            if present[0] in BY_THE_PERSON:
                raise Rejected("OPT_OUT_BY_RECIPIENT")
        person.opt_outs.pop(channel, None)
        self.accept(person, "opt_out")

    def opt_out(self, person, channel, by):
        """True if the person was not opted out of the channel before."""
        present = person.opt_outs.get(channel)
        # What the person did stays the person's, at its time.
        if not (present and present[0] in BY_THE_PERSON and by not in BY_THE_PERSON):
            person.opt_outs[channel] = (by, self.record["append_time_us"])
        self.accept(person, "opt_out")
        return present is None

    def take_back(self, person, changed):
        """Cancels what was commanded and the person no longer allows on the changed channel."""
        key = self.record["key"]
        for at, who, channel, message_class, trigger, event in self.tenants[key].out:
            forbidden = (channel in person.opt_outs or "ALL" in person.opt_outs
                         or self.consent(person, channel, message_class))
            recent = self.now - at < OUTSTANDING_MAX
            if who == person.who and changed in ("ALL", channel) and recent and forbidden:
                self.cancels.append([key, trigger, who[1], channel, event])

    def inbound(self, key, tenant, message):
        kind = word(message["from_kind"], "ADDRESS_KIND")
        address, person = self.person_of(tenant, kind, message["from"])
        channel = word(message["channel"], "CHANNEL")
        # A STOP by text message ends calls, too.
        scope = ["SMS", "VOICE"] if channel in ("SMS", "VOICE") else [channel]
        said = rules.keyword(text_of(message["body"]))
        if said == "yes":
            said = "start" if channel in person.opt_outs or "ALL" in person.opt_outs else "none"
        self.fact("inbound", person.version)
        if said == "stop":
            first = [self.opt_out(person, each, "RECIPIENT") for each in scope]
            if any(first):
                for each in scope:
                    self.take_back(person, each)
                self.answer(key, tenant, message, address, "stop_reply", STOP_REPLY)
        elif said == "start":
            for each in scope:
                self.lift(person, each, self.record["append_time_us"] + 1)
        elif said == "help":
            self.answer(key, tenant, message, address, "help_reply", HELP_REPLY)

    def answer(self, key, tenant, message, address, field, default):
        expires = self.record["append_time_us"] + ANSWER_WINDOW
        if self.now >= expires or message.get("provider_replied"):
            return
        self.answers.append([key, address, tenant.record.get(field) or default, expires])

    # ---- events ----

    def event(self, key, tenant, envelope):
        body = text_of(envelope["site_event"].get("data"))
        data = {"data": parse_data(body)} if body else {}
        if tenant is None:
            raise DeadLetter("TENANT", "UNKNOWN_TENANT")
        if word(tenant.record["status"], "TENANT_STATUS") != "ACTIVE":
            raise DeadLetter("TENANT", "TENANT_NOT_ACTIVE")
        self.check_site(tenant, envelope.get("site", ""))
        first = self.dedupe(tenant, envelope, body)
        offset = self.record["offset"]
        enabled = [
            (version, trigger)
            for _, (version, trigger) in sorted(tenant.triggers.items())
            if trigger.get("enabled") and not trigger.get("deleted")
            and trigger["event_type"] == envelope["type"]
        ]
        line = {"tenant": key, "event": offset, "verdict": "", "candidates": len(enabled),
                "duplicate_of": first, "decisions": []}
        self.events.append(line)
        if first is not None:
            line["verdict"], line["candidates"] = "DUPLICATE", 0
            return
        happened = envelope.get("event_time_us", 0) or self.record["append_time_us"]
        age = max(0, self.now - happened)
        fresh = [t for t in enabled if age <= (t[1].get("max_age_us", 0) or MAX_AGE_DEFAULT)]
        if enabled and not fresh:
            line["verdict"] = "EXPIRED"
            return
        view = {"id": envelope.get("id", ""), "type": envelope["type"],
                "source": envelope.get("source", ""), **data}
        for version, trigger in fresh:
            # What has not happened yet counts as just happened.
            expires = min(happened, self.now) + (trigger.get("max_age_us", 0) or MAX_AGE_DEFAULT)
            sender = trigger.get("sender") or tenant.default_sender
            for decision in self.trigger(key, tenant, envelope, trigger, view, happened):
                sent = (sender, expires) if decision[2] == "SEND" else ("", 0)
                line["decisions"].append([trigger["id"], version, *decision, *sent])
        line["verdict"] = "ACCEPTED" if line["decisions"] else "NO_MATCH"

    @staticmethod
    def check_site(tenant, site):
        if not site:
            return
        if site not in tenant.sites:
            raise DeadLetter("TENANT", "UNKNOWN_SITE")
        if word(tenant.sites[site][1]["status"], "SITE_STATUS") != "ACTIVE":
            raise DeadLetter("TENANT", "SITE_NOT_ACTIVE")

    def dedupe(self, tenant, envelope, body):
        """The offset of the first event of this key, or None: this is the first."""
        key = envelope.get("idempotency", {}).get("key") or envelope.get("id", "")
        if not key:
            return None
        scope = (envelope.get("site", ""), envelope["trust"], envelope.get("source", ""), key)
        digest = hashlib.sha256(f"{envelope['type']}\0{body}".encode()).digest()
        seen = tenant.seen.get(scope)
        if seen and self.now - seen[0] < DEDUPE_WINDOW:
            if seen[1] != digest:
                raise DeadLetter("DEDUPE", "IDEMPOTENCY_CONFLICT")
            return seen[2]
        tenant.seen[scope] = (self.now, digest, self.record["offset"])
        return None

    def trigger(self, key, tenant, envelope, trigger, view, happened):
        """Yields (recipient, channel, outcome, reason, segments, body)."""
        channel = word(trigger["channel"], "CHANNEL")
        if trigger.get("when"):
            tree = cel.compile_condition(trigger["when"])
            held = cel.holds(tree, dict(view, time=cel.Timestamp(happened)))
            if held == "no":
                return
            if held == "error":
                yield ("", channel, "FAIL", "CONDITION_ERROR", 0, "")
                return
        from_event = "field" in trigger["recipients"]
        capped = trigger.get("cooldown_us", 0) > 0 or trigger.get("daily_cap", 0) > 0
        public = word(envelope["trust"], "TRUST") == "PUBLISHABLE"
        refused = public and from_event and not (trigger.get("allow_public") and capped)
        text_view = dict(view, time=mustache.format_time(happened))
        met = set()
        for raw in self.recipients(trigger, view):
            address = rules.normalize_address(channel, raw) if isinstance(raw, str) else None
            if raw is None:
                yield ("", channel, "FAIL", "RECIPIENT_ABSENT", 0, "")
            elif raw is Ellipsis:
                yield ("", channel, "FAIL", "TOO_MANY_RECIPIENTS", 0, "")
            elif address is None:
                yield ("", channel, "FAIL", "RECIPIENT_INVALID", 0, "")
            elif address not in met:
                met.add(address)
                decided = (
                    ("SUPPRESS", "PUBLIC_NOT_ALLOWED", 0, "") if refused
                    else self.pair(key, tenant, trigger, channel, address, text_view)
                )
                yield (address, channel, *decided)

    @staticmethod
    def recipients(trigger, view):
        """Texts as found; None where there is none, ... for too many."""
        if "list" in trigger["recipients"]:
            return [text_of(a) for a in trigger["recipients"]["list"]["addresses"]]
        value = view
        for part in trigger["recipients"]["field"].split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if isinstance(value, str):
            return [value]
        if not isinstance(value, list) or not value:
            return [None]
        if len(value) > RECIPIENTS_MAX:
            return [...]
        return [x if isinstance(x, str) else None for x in value]

    def pair(self, key, tenant, trigger, channel, address, view):
        """(outcome, reason, segments, body): the first gate in their order that stops wins."""
        sender = trigger.get("sender") or tenant.default_sender
        if sender not in tenant.senders:
            return ("FAIL", "SENDER_MISSING", 0, "")
        sends = tenant.sends.setdefault((trigger["id"], address, channel), [])
        if sends and self.now - sends[-1] < trigger.get("cooldown_us", 0):
            return ("SUPPRESS", "COOLDOWN", 0, "")
        person = tenant.people.get((kind_of(channel), address), Person())
        refused = self.consent(person, channel, word(trigger["message_class"], "MESSAGE_CLASS"))
        if refused:
            return ("SUPPRESS", refused, 0, "")
        if channel in person.opt_outs or "ALL" in person.opt_outs:
            return ("SUPPRESS", "OPTED_OUT", 0, "")
        cap = trigger.get("daily_cap", 0)
        if cap and sum(self.now - at < CAP_WINDOW for at in sends) >= cap:
            return ("SUPPRESS", "DAILY_CAP", 0, "")
        month = month_of(self.now)
        plan = tenant.record.get("plan", "")
        if plan and plan not in tenant.plans:
            return ("SUPPRESS", "PLAN_MISSING", 0, "")
        limit = tenant.plans[plan][1].get("sends_per_month_max", 0) if plan else None
        if limit is not None and tenant.quota.get(month, 0) >= limit:
            return ("SUPPRESS", "QUOTA_EXCEEDED", 0, "")
        try:
            body = mustache.render(mustache.parse(trigger["template_body"]), view)
        except mustache.TemplateFault:
            return ("FAIL", "TEMPLATE_FAILED", 0, "")
        segments = rules.sms_segments(body) if channel == "SMS" else 0
        if segments > SEGMENTS_MAX:
            return ("FAIL", "TEMPLATE_TOO_LONG", 0, "")
        sends.append(self.now)
        tenant.quota[month] = tenant.quota.get(month, 0) + 1
        self.used.add((key, month))
        tenant.out.append((self.now, (kind_of(channel), address), channel,
                           word(trigger["message_class"], "MESSAGE_CLASS"), trigger["id"],
                           self.record["offset"]))
        return ("SEND", "", segments, body)

    def consent(self, person, channel, message_class):
        """The reason to suppress, or ""."""
        act = self.consent_in_force(person, channel, message_class)
        _, _, status, written = act or (0, False, "", False)
        if status == "REVOKED":
            return "CONSENT_REVOKED"
        if message_class != "TRANSACTIONAL" and not status:
            return "CONSENT_MISSING"
        if message_class == "MARKETING" and not written:
            return "CONSENT_NOT_WRITTEN"
        return ""


def run_history(lines):
    """All output lines, as canonical JSON text."""
    model = Model()
    out = []
    for number, line in enumerate(list(lines)[1:]):
        for result in model.run(number, json.loads(line)):
            out.append(json.dumps(result, separators=(",", ":"), sort_keys=True))
    return out


def main():
    with open(sys.argv[1], encoding="utf-8") as history:
        for line in run_history(history):
            print(line)


if __name__ == "__main__":
    main()

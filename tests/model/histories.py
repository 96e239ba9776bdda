"""Random histories for the property test: everything comes from one seed."""

import json
import random

import rules

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 3600 * SECOND
DAY = 24 * HOUR
START = 1_767_000_000 * SECOND  # 2025-12-29 09:20 UTC: the year's end is near.

TENANTS = ["acme", "blue-2", "zoo_9"]
UNKNOWN_TENANT = "nobody"
SITES = ["shop", "www.example.org"]
PLANS = ["starter", "tiny", "gone"]
TRIGGERS = [f"trigger-{i}" for i in range(6)]
TYPES = ["payment.failed", "order.shipped", "form.sent"]
PHONES = ["+254700000001", "+14155550101", "+447700900123", "+2348030000004"]
SPELLINGS = {
    "+254700000001": ["+254 700 000 001", "00254-700-000-001", " +254700000001 "],
    "+14155550101": ["+1 (415) 555-0101", "+1.415.555.0101", "001 415 555 0101"],
}
NO_PHONES = ["0700000001", "abc", "+", "+254", "12345", "+999123456789", "+25470000000x", ""]
MAILS = ["ann@example.org", "Bob@Example.ORG"]
INBOUND = [
    "STOP", "stop", " Stop. ", "S.T.O.P", "stop all", "STOPALL", "Unsubscribe!", "opt-out",
    "OPT OUT",
    "\uff33\uff34\uff2f\uff30", "Arr\u00eat", "td", "Quit", "END", "cancel", "revoke", "remove",
    "START", "start!", "Unstop", "yes", "YES!", "help", "INFO", "Help?",
    "please stop", "stopp", "thanks", "", "\U0001f44d", "yes please", "stop \U0001f6d1",
]
CONDITIONS = [
    "",
    "",
    'event.type == "payment.failed"',
    "event.data.amount >= 100",
    'event.data.country == "KE"',
    'event.data.country == "KE" && event.data.amount > 50',
    'event.data.country in ["KE", "NG", 5]',
    'event.type.startsWith("payment.") || event.data.amount < 10',
    "has(event.data.customer) && event.data.customer.vip",
    '!(event.data.country == "KE") && size(event.data.country) == 2',
    'event.data.country != "US" ? event.data.amount > 20 : event.data.amount > 500',
    "event.data.amount == 100 || event.data.amount == 12.5",
    'event.source.endsWith("a") && event.data.note.contains("x")',
    "event.data.tags.size() > 1 && event.data.tags[0] == \"new\"",
    '"vip" in event.data.customer && event.data["amount"] > -1',
    "event.data.customer.level == 2",
]
BAD_CONDITIONS = ["event.data.", "event.data.amount >=", "== 3", "unknown > 3", 'event.type == "x']
BODIES = [
    "Payment of {{data.amount}} failed.",
    "Hello{{#data.customer}} {{name}}{{/data.customer}}, {{data.country}} {{{data.amount}}}",
    "{{#data.tags}}[{{.}}]{{/data.tags}}{{^data.tags}}no tags{{/data.tags}} at {{time}}",
    "Gr\u00fc\u00dfe {{&data.note}} \u20ac {{type}} from {{source}}",
    "\u65b0\u3057\u3044 {{data.note}} {{data.note}} {{id}}{{! nothing }}",
    "Plain text.",
    "long " + "0123456789" * 20 + " {{data.note}}",
    "{{data.note}}{{data.note}}{{data.note}}{{data.note}}" + "x" * 400,
]
BAD_BODIES = ["{{data.amount", "{{#data.tags}}open", "{{/data.tags}}", "{{data..x}}"]
CLASSES = ["TRANSACTIONAL"] * 3 + ["INFORMATIONAL", "MARKETING"]


class History:
    def __init__(self, seed, records):
        self.random = random.Random(seed)
        self.now = START + self.random.randrange(3 * DAY)
        self.offsets = {}
        self.sent = []  # Envelopes of events, to be repeated.
        self.versions = 0
        self.left = records
        # Half of the histories have few accidents, so that much is sent and limits are reached.
        self.calm = self.chance(0.5)
        self.batches = []

    def chance(self, probability):
        return self.random.random() < probability

    def accident(self, probability):
        return self.chance(probability / 8 if self.calm else probability)

    def pick(self, items):
        return self.random.choice(items)

    # ---- records ----

    def record(self, topic, key, payload, **fields):
        append = self.now - self.random.randrange(0, 2 * SECOND, 1000)
        if self.chance(0.05):
            append = self.now - self.pick([299, 300, 301, 3600]) * SECOND  # A task that was down.
        offset = self.offsets.get(topic, 0)
        self.offsets[topic] = offset + 1
        envelope = {"schema_version": 1, "tenant": key, "routing_key": key, "trust": "TRUST_SYSTEM"}
        envelope.update(payload)
        envelope.update(fields)
        return {"topic": topic, "offset": offset, "append_time_us": append, "key": key,
                "as": "envelope", "envelope": envelope}

    def account(self, key, subject, entity):
        change = {subject: entity}
        if self.batches and self.accident(0.1):
            change["expected_version"] = self.random.randrange(1, 4)
        return self.record("account-changes", key, {"account_change": change})

    def tenant(self, key, settled=False):
        entity = {"status": "TENANT_STATUS_ACTIVE", "plan": self.pick(PLANS[:2] * 4 + PLANS)}
        if not settled and self.accident(0.1):
            entity["status"] = self.pick(["TENANT_STATUS_SUSPENDED", "TENANT_STATUS_CLOSED"])
        if self.chance(0.2):
            del entity["plan"]
        if self.chance(0.5):
            entity["stop_reply"] = "Bye. START brings you back."
            entity["help_reply"] = "Call us."
        return self.account(key, "tenant", entity)

    def site(self, key, name=None):
        disabled = name is None and self.accident(0.2)
        status = "SITE_STATUS_DISABLED" if disabled else "SITE_STATUS_ACTIVE"
        return self.account(key, "site", {"id": name or self.pick(SITES), "status": status})

    def plan(self, key):
        plan = {"id": self.pick(PLANS[:2])}
        limit = self.pick([0, 3, 20, 1000])
        if limit:
            plan["sends_per_month_max"] = limit
        return self.account(key, "plan", plan)

    def sender(self, key):
        sender = {"id": self.pick(["main", "second"]), "provider": "fake", "number": "+15005550006"}
        if not self.batches or self.chance(0.85):
            sender["is_default"] = True
        return self.account(key, "sender", sender)

    def trigger(self, key):
        trigger = {
            "id": self.pick(TRIGGERS),
            "event_type": self.pick(TYPES),
            "when": self.condition(),
            "channel": "CHANNEL_" + self.pick(["SMS", "SMS", "SMS", "WHATSAPP", "VOICE", "EMAIL"]),
            "template_body": self.pick(BAD_BODIES) if self.accident(0.05) else self.pick(BODIES),
            "message_class": "MESSAGE_CLASS_" + self.message_class(),
            "enabled": True,
        }
        trigger["recipients"] = self.trigger_recipients(trigger["channel"])
        for name, probability, values in [
            ("sender", 0.3, ["main", "main", "second", "absent"]),
            ("cooldown_us", 0.4, [30 * SECOND, 10 * MINUTE, DAY]),
            ("daily_cap", 0.4, [1, 2, 3]),
            ("max_age_us", 0.4, [MINUTE, HOUR, 7 * DAY]),
            ("allow_public", 0.5, [True]),
        ]:
            if self.chance(probability):
                trigger[name] = self.pick(values)
        if self.chance(0.15):
            del trigger["enabled"]
        if self.chance(0.04):
            trigger = {"id": trigger["id"], "deleted": True}
        return self.account(key, "trigger", trigger)

    def condition(self):
        if self.accident(0.05):
            return self.pick(BAD_CONDITIONS)
        return "" if self.calm and self.chance(0.5) else self.pick(CONDITIONS)

    def message_class(self):
        return CLASSES[0] if self.calm and self.chance(0.6) else self.pick(CLASSES)

    def trigger_recipients(self, channel):
        if self.chance(0.7):
            field = "data.mail" if channel == "CHANNEL_EMAIL" else self.pick(
                ["data.phone", "data.phone", "data.phones", "data.customer.phone"])
            if self.accident(0.02):
                field = self.pick(["source", "database.phone", "event.data.phone"])
            return {"field": field}
        if channel == "CHANNEL_EMAIL":
            listed = [{"plain": self.pick(MAILS)}]
        else:
            listed = [{"plain": self.phone(0.03)} for _ in range(self.random.randrange(1, 4))]
        return {"list": {"addresses": listed}}

    def phone(self, invalid):
        if self.accident(invalid):
            return self.pick(NO_PHONES[:-1])
        phone = self.pick(PHONES)
        return self.pick(SPELLINGS.get(phone, [phone]) + [phone])

    def person(self):
        if self.chance(0.1):
            return {"address": {"plain": self.pick(MAILS)}, "address_kind": "ADDRESS_KIND_EMAIL"}
        return {"address": {"plain": self.phone(0.03)}, "address_kind": "ADDRESS_KIND_PHONE"}

    def consent(self, key):
        change = self.person()
        change["channel"] = "CHANNEL_" + self.pick(["SMS", "SMS", "ALL", "WHATSAPP", "EMAIL"])
        change["message_class"] = "MESSAGE_CLASS_" + self.pick(CLASSES)
        change["status"] = "CONSENT_STATUS_" + self.pick(["GRANTED"] * 3 + ["REVOKED"])
        if self.chance(0.7):
            evidence = {"kind": "web_form"} if self.chance(0.8) else {"disclosure_version": "1"}
            if self.chance(0.6):
                evidence["written"] = True
            if self.chance(0.5):
                evidence["at_us"] = self.now - self.random.randrange(-HOUR, 3 * DAY)
            change["evidence"] = evidence
        if self.chance(0.05):
            change["expected_version"] = self.random.randrange(1, 5)
        return self.record("consent-changes", key, {"consent_change": change})

    def opt_out(self, key):
        change = self.person()
        change["channel"] = "CHANNEL_" + self.pick(["SMS", "SMS", "ALL", "VOICE", "EMAIL"])
        change["status"] = "OPT_OUT_STATUS_" + self.pick(["ACTIVE", "REMOVED", "REMOVED"])
        change["by"] = "OPT_OUT_BY_" + self.pick(["OPERATOR", "API", "RECIPIENT", "PROVIDER"])
        if self.chance(0.05):
            change["expected_version"] = self.random.randrange(1, 5)
        return self.record("opt-outs", key, {"opt_out_change": change})

    def inbound(self, key):
        message = {
            "from": {"plain": self.phone(0.03)},
            "from_kind": "ADDRESS_KIND_PHONE",
            "to_number": "+15005550006",
            "channel": "CHANNEL_" + self.pick(["SMS", "SMS", "SMS", "WHATSAPP", "VOICE"]),
            "body": {"plain": self.pick(INBOUND)},
            "provider": "fake",
        }
        if self.chance(0.2):
            message["provider_replied"] = True
        return self.record("inbound-messages", key, {"inbound_message": message})

    # ---- events ----

    def data(self):
        data = {}
        values = {
            "amount": [5, 100, 100, 100.0, 12.5, 600, 600, "many"],
            "country": ["KE", "KE", "NG", "US", "Kenya", 5, None],
            "note": ["x", "a~b", "caf\u00e9", "\u4f60\u597d", "\U0001f600" * 30, "y" * 700, True],
            "tags": [[], ["new"], ["new", "hot"], ["old", 3, 2.25], "none"],
            "phone": [None, 5, {"x": 1}],
            "mail": MAILS + ["nobody", 7],
            "phones": [[], "+254700000001", None],
        }
        for name, choice in values.items():
            if not self.accident(0.15):
                data[name] = self.pick(choice)
        if not self.accident(0.2):
            data["phone"] = self.phone(0.1)
        if not self.accident(0.4):
            phones = [self.phone(0.15) for _ in range(self.random.randrange(1, 6))]
            data["phones"] = phones + self.pick([[], [], [17], [None]])
        if not self.accident(0.4):
            customer = {"name": "Ann", "vip": self.chance(0.5)}
            customer["level"] = self.pick([1, 2, 2.0, "2"])
            if self.chance(0.7):
                customer["phone"] = self.phone(0.05)
            data["customer"] = self.pick([None, "Ann", {}]) if self.accident(0.5) else customer
        return json.dumps(data, ensure_ascii=False, separators=(",", ":"))

    def event(self, key):
        if self.sent and self.chance(0.15):
            return self.repeated()
        payload = {"type": self.pick(TYPES), "site_event": {"data": {"plain": self.data()}}}
        if self.chance(0.02):
            payload["site_event"]["data"]["plain"] = self.pick(
                ["{", '{"a":1,"a":2}', "[1,]", '{"x":\x01}'])
        elif self.chance(0.03):
            payload["site_event"] = {}
        if self.chance(0.8):
            payload["id"] = f"e{self.random.randrange(10**9)}"
        if self.chance(0.1):
            payload["idempotency"] = {"key": f"k{self.random.randrange(5)}"}
        payload["source"] = self.pick(["/a", "/b"])
        payload["trust"] = "TRUST_" + self.pick(["KAFKA", "KAFKA", "SECRET", "PUBLISHABLE"])
        if self.chance(0.4):
            payload["site"] = "nowhere" if self.accident(0.06) else self.pick(SITES)
        if self.chance(0.3):
            age = self.pick([0, 0, 0, -HOUR, MINUTE, 70 * SECOND, HOUR, DAY, DAY + 1, 9 * DAY])
            payload["event_time_us"] = self.now - age
        record = self.record("site-events", key, payload)
        self.disguise(record)
        self.spoil(record)
        self.sent.append(record)
        return record

    def disguise(self, record):
        """Writes some of them as CloudEvents."""
        envelope = record["envelope"]
        well_formed = envelope.get("id") and envelope["trust"] == "TRUST_KAFKA"
        if well_formed and envelope["site_event"] and self.chance(0.4):
            text = envelope["site_event"]["data"]["plain"]
            try:
                json.loads(text)
            except ValueError:
                return
            if '"a":1' not in text:
                record["as"] = self.pick(["structured", "binary"])

    def spoil(self, record):
        if record["as"] != "envelope" or not self.chance(0.06):
            return
        envelope = record["envelope"]
        what = self.random.randrange(7)
        if what == 0:
            envelope["schema_version"] = 2
        elif what == 1:
            del envelope["trust"]
        elif what == 2:
            envelope["tenant"] = "another"
        elif what == 3:
            envelope["type"] = "two words"
        elif what == 4:
            del envelope["type"]
        elif what == 5:
            record["key"] = "Not A Tenant"
        else:
            record["as"] = "raw"
            record["value"] = self.pick(["no envelope", "{broken", "\x7f\x7f\x7f"])
            del record["envelope"]

    def repeated(self):
        """An event once more: the same, or with another body."""
        before = self.pick(self.sent[-30:])
        record = json.loads(json.dumps(before))
        fresh = self.record("site-events", before["key"], {})
        record["offset"], record["append_time_us"] = fresh["offset"], fresh["append_time_us"]
        data = record.get("envelope", {}).get("site_event", {}).get("data")
        if data and self.chance(0.3):
            data["plain"] = self.data()
        elif data and self.chance(0.1):
            record["envelope"]["type"] = self.pick(TYPES)
        return record

    # ---- batches ----

    def advance(self):
        self.now += self.pick([
            0, 1000, 30 * SECOND, MINUTE, 5 * MINUTE, 10 * MINUTE, HOUR, DAY, DAY - 1, 7 * DAY,
            7 * DAY - 1,
        ])

    def setup(self):
        records = []
        for key in TENANTS:
            if self.chance(0.95):
                records.append(self.tenant(key, settled=True))
            records += [self.site(key, SITES[0]), self.plan(key), self.sender(key)]
            if self.calm or self.chance(0.7):
                records += [self.site(key, SITES[1]), self.plan(key), self.sender(key)]
            records += [self.trigger(key) for _ in range(8)]
        return records

    def one(self):
        key = UNKNOWN_TENANT if self.chance(0.01) else self.pick(TENANTS + TENANTS[:1])
        makers = [(self.event, 64), (self.consent, 9), (self.opt_out, 4), (self.inbound, 6),
                  (self.trigger, 8), (self.plan, 2), (self.tenant, 3), (self.site, 2),
                  (self.sender, 2)]
        return self.random.choices([m for m, _ in makers], [w for _, w in makers])[0](key)

    def make(self):
        records = self.setup()
        while True:
            self.left -= len(records)
            self.batches.append({"now_us": self.now, "records": records})
            if self.left <= 0:
                return self.batches
            self.advance()
            records = [self.one() for _ in range(self.random.randrange(1, 25))]


def addresses():
    known = [["PHONE", phone] for phone in PHONES]
    return known + [["EMAIL", rules.normalize_address("EMAIL", mail)] for mail in MAILS]


def make_history(seed, records):
    """The lines of a history (model.py describes them), as objects."""
    return [{"addresses": addresses()}] + History(seed, records).make()

"""Whose data the tests and the demo use, in one place: what must stand in no log, no metric and no
error text. Numbers by their ranges, names and messages as they are seeded and sent."""

import re

from harness import ROOT

# Country and area, then how many digits follow: every range from which a test, an example or the
# demo takes the number of a person or of a sender.
RANGES = (("1646555", 4), ("1212555", 4), ("1415555", 4), ("1555867", 4), ("1500555", 4),
          ("25470000", 4), ("254712", 6), ("254700", 6), ("234803000", 4))
MAIL_HOSTS = ("shop.example", "other.example", "bakery.example", "alertstream.local")
# What messages of the tests begin with; those of the examples are read from their rules.
BODIES = ("Your order of ", "Your code is ", "Payment of ", "You are out.", "it's a 'test' & more",
          "stop please", "Ada's bakery")
LITERAL_MIN = 12  # Of a template's text between two fields: shorter ones stand in our own words.


def numbers():
    """As E.164, nationally, percent-encoded, or within JSON; not within longer ids and counts."""
    some = []
    for prefix, digits in RANGES:
        some.append(f"{prefix}[0-9]{{{digits}}}")
        if prefix.startswith("1"):
            some.append(f"{prefix[1:]}[0-9]{{{digits}}}")
    return re.compile(r"(?:(?<![0-9A-Za-z])|(?<=%2[Bb]))(?:" + "|".join(some) + r")(?![0-9A-Za-z])")


def names():
    """The first names of the demo's customers."""
    source = (ROOT / "ops/seed/demo_history.cc").read_text()
    listed = re.search(r"kNames\[\] = \{(.*?)\};", source, re.S).group(1)
    found = re.findall(r'"(\w+)"', listed)
    assert len(found) >= 20, "the demo's names are listed elsewhere now"
    return re.compile(r"\b(?:" + "|".join(found) + r")\b")


def mail_addresses():
    hosts = "|".join(re.escape(host) for host in MAIL_HOSTS)
    return re.compile(rf"[\w.+-]+(?:@|%40)(?:{hosts})", re.I)


def bodies():
    """The beginnings of messages, and whatever the examples' templates say between two fields."""
    texts = set(BODIES)
    rules = sorted(ROOT.glob("ops/examples/*/rules/*.yaml"))
    assert rules, "the examples' rules lie elsewhere now"
    for path in rules:
        for body in re.findall(r'^\s*body: "(.*)"$', path.read_text(), re.M):
            texts.update(text for text in re.split(r"\{\{.*?\}\}", body)
                         if len(text.strip()) >= LITERAL_MIN)
    return re.compile("|".join(re.escape(text) for text in sorted(texts)))


def patterns():
    return {"number": numbers(), "name": names(), "mail address": mail_addresses(),
            "message": bodies()}


def find(text, kinds):
    """(line number, kind) of each line that names somebody, or tells what was written to them."""
    return [(number, kind) for number, line in enumerate(text.splitlines(), 1)
            for kind, pattern in kinds.items() if pattern.search(line)]

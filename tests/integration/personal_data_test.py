#!/usr/bin/env python3
"""Nobody's number, name, address or message stands in what the processes of all tests said: their
logs, the errors of commands, PostgreSQL's and RocksDB's logs, and what was counted. Runs after all
tests that leave logs; looks at itself first."""

import pathlib
import tempfile

import harness
import personal_data

SHOWN_MAX = 40
# One line for each way in which somebody may be named, and lines of which no word is personal.
PLANTED = {
    "number": ['{"level":"info","to":"+16465550101"}', "GET /consents?phone=%2B16465550001 200",
               "recipient 4155550142 is unknown", "sent from +15005550006", "+254700000050",
               "key 0x1F +2348030001111."],
    "name": ['{"level":"warn","error":"template: no field for Wanjiru"}', "who=Ada", "'Chloe'"],
    "mail address": ["login failed: Jane@Shop.Example", "user=ada%40bakery.example"],
    "message": ["body: Your order of 20 is ready.",
                "Corner Kitchen: your payment of $49 failed", "he said: You are out."],
}
HARMLESS = ("ntf_01JD3J16465550101000000", "position 164655501011 of 16465550101999", "pid 6465",
            "1763840000123456", "16465550101abcdef", "Adana is a city, Juniper a tree", "200 OK",
            "dev@localhost", "sum=4155.55")


def findings(root):
    """[(file, line, kind)] below a directory, and how many bytes were read."""
    kinds = personal_data.patterns()
    found, size = [], 0
    for path in sorted(root.rglob("*.log")):
        text = path.read_text(errors="replace")
        size += len(text)
        found += [(path.relative_to(root), *each) for each in personal_data.find(text, kinds)]
    return found, size


def what_is_planted_is_found():
    with tempfile.TemporaryDirectory(prefix="alertstream-test-") as scratch:
        root = pathlib.Path(scratch)
        assert findings(root) == ([], 0)
        (root / "a_test").mkdir()
        for kind, lines in PLANTED.items():
            (root / "a_test" / "serve.log").write_text("ready\n" + "\n".join(lines) + "\n")
            found = [line for _, line, what in findings(root)[0] if what == kind]
            assert found == list(range(2, 2 + len(lines))), (kind, found)
        (root / "a_test" / "serve.log").write_text("\n".join(HARMLESS))
        assert findings(root)[0] == [], findings(root)


def nobody_is_named_in_any_log():
    found, size = findings(harness.logs_root())
    assert size > 0, f"no test has left a log below {harness.logs_root()}"
    for path, line, kind in found[:SHOWN_MAX]:
        print(f"{path}:{line}: a {kind}")
    assert not found, f"{len(found)} lines in {harness.logs_root()} hold personal data"
    print(f"  {size} bytes of logs, nobody is named in them")


if __name__ == "__main__":
    # Not harness.main: this test leaves no logs of its own.
    what_is_planted_is_found()
    nobody_is_named_in_any_log()

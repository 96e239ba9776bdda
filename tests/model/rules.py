"""Words and small rules of the reference model: telephone numbers, reply keywords, SMS length.

Written from the rules in prose, not from the engine's tables, so that a slip in one of the two
shows up as a difference. Numbers know the few countries that the tests use.
"""

import unicodedata

# Country code -> digits of a national number.
_COUNTRIES = {"1": 10, "44": 10, "49": 11, "234": 10, "254": 9}
_SEPARATORS = " \u00a0-.()/"

_STOP = {
    "stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout", "remove",
    "arret", "td",
}
_START = {"start", "unstop"}
_HELP = {"help", "info"}

_GSM7 = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM7_EXTENSION = set("\f^{}\\[~]|€")


def normalize_phone(raw):
    """E.164, or None."""
    digits = ""
    text = raw.strip(_SEPARATORS)
    if text.startswith("+"):
        text = text[1:]
    elif text.startswith("00"):
        text = text[2:]
    else:
        return None
    for c in text:
        if c in _SEPARATORS:
            continue
        if c not in "0123456789":
            return None
        digits += c
    for size in (1, 2, 3):
        if _COUNTRIES.get(digits[:size]) == len(digits) - size:
            return "+" + digits
    return None


def normalize_address(channel, raw):
    """The one form of an address of the channel's kind, or None."""
    if channel == "EMAIL":
        name, at, domain = raw.rpartition("@")
        return name + at + domain.lower() if name and "." in domain else None
    if channel == "PUSH":
        return raw or None
    return normalize_phone(raw)


def keyword(body):
    """stop, start, yes, help or none: what the whole message says."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", body).casefold())
    word = "".join(c for c in folded if unicodedata.category(c)[0] in "LN")
    if word in _STOP:
        return "stop"
    if word in _START:
        return "start"
    if word in _HELP:
        return "help"
    return "yes" if word == "yes" else "none"


def sms_segments(text):
    """How many SMS the text needs; what takes two units is never split."""
    if all(c in _GSM7 or c in _GSM7_EXTENSION for c in text):
        sizes = [2 if c in _GSM7_EXTENSION else 1 for c in text]
        single, part = 160, 153
    else:
        sizes = [2 if ord(c) > 0xFFFF else 1 for c in text]
        single, part = 70, 67
    if sum(sizes) <= single:
        return 1 if text else 0
    segments, used = 1, 0
    for size in sizes:
        if used + size > part:
            segments, used = segments + 1, 0
        used += size
    return segments

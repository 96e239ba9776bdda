"""A tiny renderer of message texts: variables, sections, inverted sections, comments. No tag that
stands alone on a line (the tests write them inside lines)."""

import re
from datetime import datetime, timedelta, timezone

_TAG = re.compile(
    r"\{\{\{\s*(?P<raw>[^}\s]+)\s*\}\}\}"
    r"|\{\{(?P<sigil>[#^/!&]?)\s*(?P<name>[^}]*?)\s*\}\}"
)


class TemplateFault(Exception):
    """The text is no template, or cannot be rendered for this event."""


def parse(text):
    """A tree of ("text", s), ("value", name) and ("section", name, wanted, children)."""
    root = []
    stack = [(None, root)]
    at = 0
    for tag in _TAG.finditer(text):
        children = stack[-1][1]
        if tag.start() > at:
            children.append(("text", text[at : tag.start()]))
        at = tag.end()
        name, sigil = tag.group("raw") or tag.group("name"), tag.group("sigil") or ""
        if sigil == "!":
            continue
        if not re.fullmatch(r"\.|[\w:@-]+(\.[\w:@-]+)*", name):
            raise TemplateFault(name)
        if sigil in ("#", "^"):
            inner = []
            children.append(("section", name, sigil == "#", inner))
            stack.append((name, inner))
        elif sigil == "/":
            if stack[-1][0] != name:
                raise TemplateFault(name)
            stack.pop()
        else:
            children.append(("value", name))
    if len(stack) != 1 or "{{" in text[at:]:
        raise TemplateFault("unclosed")
    root.append(("text", text[at:]))
    return root


_NOTHING = object()


def _find(name, scopes):
    if name == ".":
        return scopes[-1]
    first, *rest = name.split(".")
    for scope in reversed(scopes):
        if isinstance(scope, dict) and first in scope:
            value = scope[first]
            for part in rest:
                if not isinstance(value, dict) or part not in value:
                    return _NOTHING
                value = value[part]
            return value
    return _NOTHING


def format_time(micros):
    """RFC 3339, UTC, with no, three or six digits of fraction."""
    time = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=micros)
    text = time.strftime("%Y-%m-%dT%H:%M:%S")
    if time.microsecond:
        text += f".{time.microsecond:06d}".removesuffix("000")
    return text + "Z"


def _print(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
    if isinstance(value, (str, int)):
        return str(value)
    raise TemplateFault("no text")


def _render(nodes, scopes):
    out = []
    for node in nodes:
        if node[0] == "text":
            out.append(node[1])
        elif node[0] == "value":
            out.append(_print(_find(node[1], scopes)))
        else:
            _, name, wanted, children = node
            value = _find(name, scopes)
            empty = value is _NOTHING or value is None or value is False or value == []
            if not wanted:
                out.append(_render(children, scopes) if empty else "")
            elif not empty:
                for item in value if isinstance(value, list) else [value]:
                    out.append(_render(children, scopes + [item]))
    return "".join(out)


def render(tree, event):
    """The text for the event; raises TemplateFault."""
    return _render(tree, [event])

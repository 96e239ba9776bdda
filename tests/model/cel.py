"""A tiny evaluator of the conditions' language (the subset of CEL that triggers use).

Walks the text's syntax tree; knows nothing of types before it meets a value. `holds` answers "yes",
"no" (also when a field is absent) or "error" (a value of the wrong type).
"""

import re

_TOKEN = re.compile(
    r"""\s*(?:(?P<double>\d+\.\d+(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+)|(?P<int>\d+)
    |(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<name>[A-Za-z_]\w*)
    |(?P<op>&&|\|\||==|!=|<=|>=|[-!<>?:.,()\[\]]))""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "'": "'", "\\": "\\"}


class SyntaxFault(Exception):
    pass


class Absent(Exception):
    pass


class WrongType(Exception):
    pass


class Timestamp:
    """Microseconds since 1970: comparable with its like only."""

    def __init__(self, micros):
        self.micros = micros


class _Parser:
    def __init__(self, text):
        self.tokens, at = [], 0
        text = text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if not match:
                raise SyntaxFault(f"at {at}")
            self.tokens.append((match.lastgroup, match.group(match.lastgroup)))
            at = match.end()
        self.tokens.append(("end", ""))
        self.at = 0

    def peek(self):
        return self.tokens[self.at][1] if self.tokens[self.at][0] in ("op", "name") else None

    def take(self, *texts):
        if self.tokens[self.at][0] in ("op", "name") and self.tokens[self.at][1] in texts:
            self.at += 1
            return self.tokens[self.at - 1][1]
        return None

    def need(self, text):
        if not self.take(text):
            raise SyntaxFault(f"expected {text}")

    def whole(self):
        tree = self.ternary()
        if self.tokens[self.at][0] != "end":
            raise SyntaxFault("expected the end")
        return tree

    def ternary(self):
        condition = self.either()
        if not self.take("?"):
            return condition
        yes = self.either()
        self.need(":")
        return ("?:", condition, yes, self.ternary())

    def either(self):
        tree = self.both()
        while self.take("||"):
            tree = ("||", tree, self.both())
        return tree

    def both(self):
        tree = self.relation()
        while self.take("&&"):
            tree = ("&&", tree, self.relation())
        return tree

    def relation(self):
        tree = self.unary()
        while op := self.take("==", "!=", "<=", ">=", "<", ">", "in"):
            tree = (op, tree, self.unary())
        return tree

    def unary(self):
        if self.take("!"):
            return ("!", self.unary())
        if self.take("-"):
            return ("neg", self.unary())
        return self.member()

    def member(self):
        tree = self.primary()
        while True:
            if self.take("."):
                kind, name = self.tokens[self.at]
                if kind != "name":
                    raise SyntaxFault("expected a name")
                self.at += 1
                if self.take("("):
                    tree = ("method", name, tree, self.arguments(")"))
                else:
                    tree = ("select", tree, name)
            elif self.take("["):
                tree = ("index", tree, self.ternary())
                self.need("]")
            else:
                return tree

    def arguments(self, end):
        found = []
        while not self.take(end):
            if found:
                self.need(",")
            found.append(self.ternary())
        return found

    def primary(self):
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "int":
            return ("literal", int(text))
        if kind == "double":
            return ("literal", float(text))
        if kind == "string":
            return ("literal", re.sub(r"\\(.)", lambda m: _ESCAPES[m.group(1)], text[1:-1]))
        if kind == "op" and text == "(":
            tree = self.ternary()
            self.need(")")
            return tree
        if kind == "op" and text == "[":
            return ("list", self.arguments("]"))
        if kind == "name":
            if text in ("true", "false", "null"):
                return ("literal", {"true": True, "false": False, "null": None}[text])
            if self.take("("):
                return ("call", text, self.arguments(")"))
            if text == "event":
                return ("event",)
        raise SyntaxFault("expected an expression")


def compile_condition(text):
    """The syntax tree; raises SyntaxFault."""
    return _Parser(text).whole()


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _equal(a, b):
    if _is_number(a) and _is_number(b):
        return a == b
    if isinstance(a, Timestamp) and isinstance(b, Timestamp):
        return a.micros == b.micros
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(_equal(x, y) for x, y in zip(a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_equal(a[name], b[name]) for name in a)
    return a == b


def _less(a, b):
    if isinstance(a, Timestamp) and isinstance(b, Timestamp):
        return a.micros < b.micros
    numbers = _is_number(a) and _is_number(b)
    if numbers or (type(a) is type(b) and isinstance(a, (str, bool))):
        return a < b
    raise WrongType


def _truth(value):
    if not isinstance(value, bool):
        raise WrongType
    return value


def _select(value, name):
    if not isinstance(value, dict):
        raise WrongType
    if name not in value:
        raise Absent
    return value[name]


def _index(value, key):
    if isinstance(value, list):
        if not isinstance(key, int) or isinstance(key, bool):
            raise WrongType
        if not 0 <= key < len(value):
            raise Absent
        return value[key]
    if not isinstance(key, str):
        raise WrongType
    return _select(value, key)


def _logic(op, left, right, event):
    """Either operand alone may settle it, even if the other one has no value."""
    settles = op == "||"
    fault = None
    for tree in (left, right):
        try:
            if _truth(_value(tree, event)) == settles:
                return settles
        except (Absent, WrongType) as error:
            fault = fault or error
    if fault:
        raise fault
    return not settles


def _compare(op, a, b):
    if op == "==":
        return _equal(a, b)
    if op == "!=":
        return not _equal(a, b)
    if op == "in":
        if isinstance(b, dict):
            return isinstance(a, str) and a in b
        if not isinstance(b, list):
            raise WrongType
        return any(_equal(a, x) for x in b)
    if op in ("<", ">="):
        return _less(a, b) == (op == "<")
    return _less(b, a) == (op == ">")


def _method(name, subject, argument):
    if not isinstance(subject, str) or not isinstance(argument, str):
        raise WrongType
    return {
        "startsWith": subject.startswith,
        "endsWith": subject.endswith,
        "contains": subject.__contains__,
    }[name](argument)


def _call(name, arguments, event):
    if name == "has":
        _, parent, member = arguments[0]
        value = _value(parent, event)
        if not isinstance(value, dict):
            raise WrongType
        return member in value
    value = _value(arguments[0], event)
    if name == "size" and isinstance(value, (str, list, dict)):
        return len(value)
    if name == "dyn":
        return value
    raise WrongType


def _value(tree, event):
    op = tree[0]
    if op == "literal":
        return tree[1]
    if op == "event":
        return event
    if op == "list":
        return [_value(item, event) for item in tree[1]]
    if op == "select":
        return _select(_value(tree[1], event), tree[2])
    if op == "index":
        return _index(_value(tree[1], event), _value(tree[2], event))
    if op in ("&&", "||"):
        return _logic(op, tree[1], tree[2], event)
    if op == "!":
        return not _truth(_value(tree[1], event))
    if op == "neg":
        value = _value(tree[1], event)
        if not _is_number(value):
            raise WrongType
        return -value
    if op == "?:":
        return _value(tree[2] if _truth(_value(tree[1], event)) else tree[3], event)
    if op == "method":
        subject = _value(tree[2], event)
        if tree[1] == "size":
            return _call("size", [("literal", subject)], event)
        return _method(tree[1], subject, _value(tree[3][0], event))
    if op == "call":
        return _call(tree[1], tree[2], event)
    return _compare(op, _value(tree[1], event), _value(tree[2], event))


def holds(tree, event):
    """event: {"id", "type", "source", "time": Timestamp, "data"}."""
    try:
        return "yes" if _truth(_value(tree, event)) else "no"
    except Absent:
        return "no"
    except WrongType:
        return "error"

"""Expressions of GitHub Actions, as far as action.yml uses them; whatever else is refused.

https://docs.github.com/en/actions/reference/workflows-and-actions/expressions
"""

import re
from collections.abc import Mapping
from typing import Any, Final

_TOKENS: Final = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][\w-]*)"
    r"|(?P<sign>==|!=|&&|\|\||[!().]))"
)
_CONSTANTS: Final = {"true": True, "false": False, "null": None}

Value = str | float | bool | Mapping[str, Any] | None


def evaluated(text: str, contexts: Mapping[str, Any], status: Mapping[str, bool]) -> Value:
    """The value of an expression without its `${{ }}`.

    Args:
        text: the expression.
        contexts: `inputs`, `steps`, `github` and so on; what they lack is null.
        status: what `always`, `success`, `failure` and `cancelled` answer.
    """
    parser = _Parser(text, contexts, status)
    value = parser.either()
    parser.require("")
    return value


def filled(text: str, contexts: Mapping[str, Any], status: Mapping[str, bool]) -> str:
    """A text with its `${{ }}` filled in."""
    return re.sub(
        r"\$\{\{(.*?)\}\}", lambda found: shown(evaluated(found[1], contexts, status)), text
    )


def shown(value: Value) -> str:
    """A value as text, as GitHub writes it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str):
        return value
    raise ValueError(f"an object has no text: {value}")


def is_true(value: Value) -> bool:
    """Whether a value counts as true: all but false, 0, the empty text and null."""
    return value not in (False, 0, "", None)


class _Parser:
    def __init__(self, text: str, contexts: Mapping[str, Any], status: Mapping[str, bool]) -> None:
        self._contexts, self._status = contexts, status
        self._tokens = list(_tokens(text))

    def either(self) -> Value:
        value = self._both()
        while self._next_is("||"):
            other = self._both()
            value = value if is_true(value) else other
        return value

    def require(self, sign: str) -> None:
        if not self._next_is(sign):
            raise ValueError(f"expected {sign!r} before {self._tokens}")

    def _both(self) -> Value:
        value = self._equal()
        while self._next_is("&&"):
            other = self._equal()
            value = other if is_true(value) else value
        return value

    def _equal(self) -> Value:
        value = self._one()
        for sign in ("==", "!="):
            if self._next_is(sign):
                return _are_equal(value, self._one()) == (sign == "==")
        return value

    def _one(self) -> Value:
        if self._next_is("!"):
            return not is_true(self._one())
        if self._next_is("("):
            value = self.either()
            self.require(")")
            return value
        kind, token = self._tokens.pop(0)
        if kind == "text":
            return token[1:-1].replace("''", "'")
        if kind == "number":
            return float(token)
        if kind != "name":
            raise ValueError(f"unexpected {token!r}")
        return self._named(token)

    def _named(self, name: str) -> Value:
        if name in _CONSTANTS:
            return _CONSTANTS[name]
        if self._next_is("("):
            self.require(")")
            return self._status[name]
        value = self._contexts[name]  # a context that is not known is a mistake
        while self._next_is("."):
            kind, key = self._tokens.pop(0)
            if kind != "name":
                raise ValueError(f"no property: {key!r}")
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def _next_is(self, sign: str) -> bool:
        if not self._tokens:
            return not sign
        if self._tokens[0] != ("sign", sign):
            return False
        self._tokens.pop(0)
        return True


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKENS.match(text, at)
        if match is None or match.lastgroup is None:
            raise ValueError(f"cannot read {text[at:]!r}")
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found


def _are_equal(one: Value, other: Value) -> bool:
    """Texts without regard to case; of different types as numbers."""
    if isinstance(one, str) and isinstance(other, str):
        return one.casefold() == other.casefold()
    if type(one) is type(other):
        return one == other
    return _number(one) == _number(other)


def _number(value: Value) -> float:
    if value is None or value == "":
        return 0.0
    try:
        return float(value)  # type: ignore[arg-type]  # an object is no number
    except (TypeError, ValueError):
        return float("nan")
